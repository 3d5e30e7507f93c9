//! Messages handed out and settled, for sessions and for requests.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hub_domain::limits::SERVICE_BOUND_RECORDS_MAX;
use hub_domain::{ErrorCode, Timestamp};
use hub_storage::bus::{Epoch, Notice, SessionKey};
use hub_storage::store::{
    Committed, FeedbackTerms, MessageNo, Op, OpResult, Ordinal, Outcome, StoredMessage, Unit,
};
use hub_storage::{Bus, Conflict, Pending, Store, StoreError};

use super::lock_token::LockToken;
use super::locks::{Holder, Locks};
use crate::{Error, ErrorKind, Hubs};

/// Messages read at once for a request.
const PAGE: usize = 16;

/// Shared by everything that hands out or settles messages.
pub(crate) struct Deliveries {
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    hubs: Hubs,
    pub(crate) locks: Arc<Locks>,
}

/// Whose queue it is.
#[derive(Clone)]
pub(crate) struct Addressee {
    pub(crate) key: SessionKey,
    pub(crate) ordinal: Ordinal,
}

/// How a delivery ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The message leaves the queue.
    Leave(Outcome),
    /// It is tried again, until it was tried too often.
    Abandon,
}

/// How an outcome that came at `now` is told to back ends.
pub(crate) const fn feedback_at(now: Timestamp) -> FeedbackTerms {
    FeedbackTerms {
        at: now,
        records_max: SERVICE_BOUND_RECORDS_MAX,
    }
}

impl Deliveries {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        hubs: Hubs,
        started: Timestamp,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            bus,
            hubs,
            locks: Arc::new(Locks::new(started)),
        })
    }

    /// The next messages behind `after` that nobody holds, at most `max`, held by the session from here on.
    pub(crate) async fn next_for_session(
        self: Arc<Self>,
        ordinal: Ordinal,
        epoch: Epoch,
        after: MessageNo,
        (max, now): (usize, Timestamp),
    ) -> Result<Vec<StoredMessage>, Error> {
        let hand_out = self.locks.begin_for_session(ordinal, epoch, after);
        let mut after = hand_out.from;
        loop {
            let page = self.store.messages(ordinal, after, max).await?;
            let Some(last) = page.last() else {
                hand_out.finish();
                return Ok(Vec::new());
            };
            after = last.no;
            let mut taken = self.without_expired(ordinal, page, now);
            taken.retain(|stored| hand_out.take(stored.no, Holder::Session(epoch), now));
            if !taken.is_empty() {
                hand_out.finish();
                return Ok(taken);
            }
        }
    }

    /// The oldest message that nobody holds, leased to a request.
    pub(crate) async fn next_for_request(
        &self,
        addressee: &Addressee,
        lease: impl Fn(MessageNo) -> LockToken,
        now: Timestamp,
    ) -> Result<Option<(LockToken, StoredMessage)>, Error> {
        let ordinal = addressee.ordinal;
        let hand_out = self.locks.begin_for_lease(ordinal);
        let mut after = hand_out.from;
        loop {
            let page = self.store.messages(ordinal, after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(None);
            };
            after = last.no;
            for stored in self.without_expired(ordinal, page, now) {
                let token = lease(stored.no);
                let holder = Holder::Lease(token, addressee.key.clone());
                if hand_out.take(stored.no, holder, now) {
                    return Ok(Some((token, stored)));
                }
            }
        }
    }

    /// What a reader finds expired leaves the queue at once.
    fn without_expired(
        &self,
        ordinal: Ordinal,
        page: Vec<StoredMessage>,
        now: Timestamp,
    ) -> Vec<StoredMessage> {
        let (expired, fresh): (Vec<_>, Vec<_>) = page
            .into_iter()
            .partition(|stored| stored.message.is_expired(now));
        for stored in expired {
            drop(self.expire(ordinal, stored.no, now));
        }
        fresh
    }

    /// Takes an expired message out of its queue, whoever holds it.
    pub(crate) fn expire(
        &self,
        ordinal: Ordinal,
        message: MessageNo,
        now: Timestamp,
    ) -> Pending<Committed> {
        let op = Op::SettleMessage {
            identity: ordinal,
            message,
            outcome: Outcome::Expired,
            feedback: feedback_at(now),
        };
        self.store.submit(Unit::new(op, Vec::new()))
    }

    /// Settles a message that the session was handed.
    pub(crate) fn settle_for_session(
        self: &Arc<Self>,
        addressee: &Addressee,
        epoch: Epoch,
        message: MessageNo,
        (end, now): (End, Timestamp),
    ) -> Settlement {
        if self.locks.is_held_by(addressee.ordinal, message, epoch) {
            self.settle(addressee, message, end, now)
        } else {
            Settlement::lost()
        }
    }

    /// Settles a message that a request was handed.
    pub(crate) fn settle_for_request(
        self: &Arc<Self>,
        addressee: &Addressee,
        token: LockToken,
        end: End,
        now: Timestamp,
    ) -> Settlement {
        if self.locks.is_leased(addressee.ordinal, token, now) {
            self.settle(addressee, token.message(), end, now)
        } else {
            Settlement::lost()
        }
    }

    fn settle(
        self: &Arc<Self>,
        addressee: &Addressee,
        message: MessageNo,
        end: End,
        now: Timestamp,
    ) -> Settlement {
        let identity = addressee.ordinal;
        let feedback = feedback_at(now);
        let op = match end {
            End::Leave(outcome) => Op::SettleMessage {
                identity,
                message,
                outcome,
                feedback,
            },
            End::Abandon => Op::AbandonMessage {
                identity,
                message,
                delivery_count_max: self
                    .hubs
                    .cloud_to_device(addressee.key.hub)
                    .delivery_count_max,
                feedback,
            },
        };
        Settlement {
            pending: self.store.submit(Unit::new(op, Vec::new())),
            held: Some(Held {
                deliveries: Arc::clone(self),
                addressee: addressee.clone(),
                message,
                end,
            }),
        }
    }

    /// Lets a message be handed out again, its count unchanged.
    pub(crate) fn give_back(&self, addressee: &Addressee, message: MessageNo) {
        self.locks.put_back(addressee.ordinal, message);
        if self.bus.is_connected(&addressee.key) {
            self.bus.notify(&addressee.key, Notice::MessageAvailable);
        }
    }

    /// Ends the leases whose time is over, and tells the sessions that wait for their messages.
    pub(crate) fn expire_leases(&self, now: Timestamp) {
        for key in self.locks.expire(now) {
            self.bus.notify(&key, Notice::MessageAvailable);
        }
    }
}

/// A settlement under way: submitted, and done when this resolves. Dropping it does not take it back.
///
/// Resolves to an error with the code 412002 when the message is not the caller's to settle any more: it expired, was
/// purged, or was handed to somebody else.
pub struct Settlement {
    pending: Pending<Committed>,
    held: Option<Held>,
}

/// The hold on a message that is being settled.
struct Held {
    deliveries: Arc<Deliveries>,
    addressee: Addressee,
    message: MessageNo,
    end: End,
}

impl Held {
    fn leave(self) {
        self.deliveries
            .locks
            .leave(self.addressee.ordinal, self.message);
    }

    fn end(self) {
        match self.end {
            End::Leave(_) => self.leave(),
            End::Abandon => self.deliveries.give_back(&self.addressee, self.message),
        }
    }
}

impl Settlement {
    fn lost() -> Self {
        Self {
            pending: Pending::ready(Err(Conflict::NotFound.into())),
            held: None,
        }
    }

    fn finish(&mut self, result: Result<Committed, StoreError>) -> Result<(), Error> {
        let held = self.held.take();
        match result {
            Ok(committed) => {
                let is_dead = committed.results.first() == Some(&OpResult::DeadLettered);
                match held {
                    Some(held) if is_dead => {
                        tracing::info!(id = %held.addressee.key.id, message = held.message.0, "a message was delivered too often, it is dropped");
                        held.leave();
                    }
                    Some(held) => held.end(),
                    None => {}
                }
                Ok(())
            }
            Err(error @ StoreError::Conflict(_)) => {
                if let Some(held) = held {
                    held.leave();
                }
                Err(lock_lost().with_source(error))
            }
            // The message is still there and still held: it may be settled again.
            Err(error) => Err(error.into()),
        }
    }
}

impl Future for Settlement {
    type Output = Result<(), Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match Pin::new(&mut self.pending).poll(context) {
            Poll::Ready(result) => Poll::Ready(self.finish(result)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        // Nobody waits for the commit. The hold must not outlive the settlement.
        if let Some(held) = self.held.take() {
            held.end();
        }
    }
}

/// What is not the caller's to settle.
pub(crate) fn lock_lost() -> Error {
    Error::new(
        ErrorKind::PreconditionFailed,
        "the lock of the message was lost, receive it again",
    )
    .with_code(ErrorCode::DeviceMessageLockLost)
}
