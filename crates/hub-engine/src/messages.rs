//! Cloud-to-device messages: a durable queue per identity.

mod deliveries;
mod lock_token;
mod locks;

use std::sync::Arc;
use std::time::Duration;

use hub_domain::limits::{
    CLOUD_TO_DEVICE_LOCK, CLOUD_TO_DEVICE_LOCK_RANGE, CLOUD_TO_DEVICE_PENDING_BYTES_MAX,
    CLOUD_TO_DEVICE_TTL_MAX,
};
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::quota::Throttle;
use hub_domain::{ErrorCode, Fact, FactKind, HubNo, IdentityId, Permission};
use hub_storage::bus::SessionKey;
use hub_storage::store::{MessageNo, Op, OpResult, Outcome, StoredMessage, Unit};
use hub_storage::{Conflict, Store, StoreError};

pub use deliveries::Settlement;
pub(crate) use deliveries::{Addressee, Deliveries, End, feedback_at, lock_lost};
pub use lock_token::{LockToken, LockTokenError};

use crate::room::check_room;
use crate::{Error, ErrorKind, Hubs, OpContext, Registry};

/// Sends to and purges the queues of identities, and hands out to those that have no session.
pub struct Messages {
    store: Arc<dyn Store>,
    registry: Registry,
    hubs: Hubs,
    deliveries: Arc<Deliveries>,
}

/// A message handed out to a request.
#[derive(Clone, Debug)]
pub struct ReceivedMessage {
    /// Settles it, until the lock ends.
    pub token: LockToken,
    /// The message.
    pub stored: StoredMessage,
}

impl Messages {
    pub(crate) const fn new(
        store: Arc<dyn Store>,
        registry: Registry,
        hubs: Hubs,
        deliveries: Arc<Deliveries>,
    ) -> Self {
        Self {
            store,
            registry,
            hubs,
            deliveries,
        }
    }

    /// Queues a message; done when it is durable. A message without an expiry gets the hub's default.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. Unknown identity; the queue is full (403004); the hub's committer has no room; the expiry is past or more than two
    /// days away (403009).
    pub async fn send(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        mut message: CloudToDeviceMessage,
    ) -> Result<MessageNo, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        self.registry
            .quotas()
            .take_message(ctx, hub, message.size())?;
        check_room(&*self.store)?;
        let expiry = message
            .expiry
            .unwrap_or_else(|| ctx.now.plus(self.hubs.cloud_to_device(hub).default_ttl));
        if expiry <= ctx.now || expiry > ctx.now.plus(CLOUD_TO_DEVICE_TTL_MAX) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the expiry must be in the future and at most two days away",
            )
            .with_code(ErrorCode::InvalidMessageExpiryTime));
        }
        message.expiry = Some(expiry);
        message.enqueued = ctx.now;
        let stored = self.registry.stored(hub, id).await?;
        let op = Op::EnqueueMessage {
            identity: stored.ordinal,
            message: Box::new(message),
            depth_max: u64::from(self.registry.quotas().profile(hub).pending_messages_max()),
            bytes_max: CLOUD_TO_DEVICE_PENDING_BYTES_MAX,
        };
        let fact = Fact {
            hub,
            id: id.clone(),
            at: ctx.now,
            kind: FactKind::MessageQueued,
        };
        let committed = self.store.submit(Unit::new(op, vec![fact])).await;
        let committed = committed.map_err(|error| write_error(id, error))?;
        match committed.results.first() {
            Some(OpResult::Enqueued(no)) => Ok(*no),
            _ => Err(Error::new(
                ErrorKind::Internal,
                "storage gave no number for the message",
            )),
        }
    }

    /// The oldest message that nobody holds, held for the caller for `lock`, a minute by default. `None` when there is none.
    ///
    /// # Errors
    /// The caller must be the identity, or may connect as any. Unknown identity; a lock time out of range (400004);
    /// throttled.
    pub async fn receive(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        lock: Option<Duration>,
    ) -> Result<Option<ReceivedMessage>, Error> {
        let lock = lock.unwrap_or(CLOUD_TO_DEVICE_LOCK);
        if !CLOUD_TO_DEVICE_LOCK_RANGE.contains(&lock) {
            let text = format!(
                "the lock time must be {} to {} seconds",
                CLOUD_TO_DEVICE_LOCK_RANGE.start().as_secs(),
                CLOUD_TO_DEVICE_LOCK_RANGE.end().as_secs()
            );
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let addressee = self.addressee(ctx, hub, id).await?;
        let quotas = self.registry.quotas();
        quotas.take(ctx, hub, Throttle::CloudToDeviceReceives)?;
        let lease = |message| LockToken::new(message, ctx.now, lock);
        let next = self
            .deliveries
            .next_for_request(&addressee, lease, ctx.now)
            .await?;
        Ok(next.map(|(token, stored)| ReceivedMessage { token, stored }))
    }

    /// Takes a received message out of the queue; done when that is durable.
    ///
    /// # Errors
    /// As for [`Messages::receive`]; the lock was lost (412002).
    pub async fn complete(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        token: LockToken,
    ) -> Result<(), Error> {
        self.settle(ctx, hub, id, (token, End::Leave(Outcome::Completed)))
            .await
    }

    /// Refuses a received message: it is not tried again.
    ///
    /// # Errors
    /// As for [`Messages::complete`].
    pub async fn reject(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        token: LockToken,
    ) -> Result<(), Error> {
        self.settle(ctx, hub, id, (token, End::Leave(Outcome::Rejected)))
            .await
    }

    /// Puts a received message back and raises its delivery count; one that was delivered too often is dropped.
    ///
    /// # Errors
    /// As for [`Messages::complete`].
    pub async fn abandon(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        token: LockToken,
    ) -> Result<(), Error> {
        self.settle(ctx, hub, id, (token, End::Abandon)).await
    }

    async fn settle(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        (token, end): (LockToken, End),
    ) -> Result<(), Error> {
        let addressee = self.addressee(ctx, hub, id).await?;
        self.deliveries
            .settle_for_request(&addressee, token, end, ctx.now)
            .await
    }

    async fn addressee(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
    ) -> Result<Addressee, Error> {
        ctx.caller.require_identity(hub, id)?;
        let stored = self.registry.stored(hub, id).await?;
        Ok(Addressee {
            key: SessionKey {
                hub,
                id: id.clone(),
            },
            ordinal: stored.ordinal,
        })
    }

    /// Removes all messages of a queue; returns how many there were.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. Unknown identity.
    pub async fn purge(&self, ctx: &OpContext, hub: HubNo, id: &IdentityId) -> Result<u64, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let stored = self.registry.stored(hub, id).await?;
        let fact = Fact {
            hub,
            id: id.clone(),
            at: ctx.now,
            kind: FactKind::MessagesPurged,
        };
        let op = Op::PurgeMessages {
            identity: stored.ordinal,
            feedback: feedback_at(ctx.now),
        };
        let committed = self.store.submit(Unit::new(op, vec![fact])).await;
        let committed = committed.map_err(|error| write_error(id, error))?;
        match committed.results.first() {
            Some(OpResult::Purged(count)) => Ok(*count),
            _ => Err(Error::new(
                ErrorKind::Internal,
                "storage gave no count for the purge",
            )),
        }
    }
}

/// The identity may go between the look at it and the write.
fn write_error(id: &IdentityId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::NotFound) => Error::device_not_found(id).with_source(error),
        other => other.into(),
    }
}
