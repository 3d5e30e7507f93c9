//! What a connection has begun and not finished. Unlike MQTT's, answers may leave in any order.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, Stream as _};
use hub_amqp::{DeliveryId, LinkId, SessionId};
use hub_engine::sessions::{Opened, Proved};
use hub_engine::{Error, StoredMessage};

use super::credentials::Grant;
use super::device::{DeviceNo, Settle};
use super::events::management::Answer;
use super::reply::OwnedId;
use crate::provisioning::{Admitted, Answer as Registration};

/// Work that is done, and what follows from it.
pub(super) enum Done {
    /// SASL PLAIN was checked.
    Plain(Result<Grant, Error>),
    /// A device that registers was let in, or not.
    Admitted(Result<Box<Admitted>, hub_provisioning::Error>),
    /// A key was made for the TPM of a device that logs in.
    Challenged(Result<hub_provisioning::Challenge, hub_provisioning::Error>),
    /// A device's request to be registered, or about that, was answered.
    Registered {
        request: Request,
        answer: Registration,
    },
    /// A token was checked.
    Token {
        request: Request,
        result: Result<Grant, Error>,
    },
    /// A question about the event log was answered.
    Management {
        request: Request,
        result: Result<Answer, Error>,
    },
    /// A device's session was opened.
    Opened {
        device: DeviceNo,
        result: Result<Opened, Error>,
    },
    /// A device's newer token was checked.
    Renewed {
        device: DeviceNo,
        result: Result<Proved, Error>,
    },
    /// Telemetry is durable, or is not.
    Stored {
        deliveries: Vec<(LinkId, DeliveryId)>,
        result: Result<(), Error>,
    },
    /// A message to a device is queued, or is not.
    Sent {
        link: LinkId,
        delivery: DeliveryId,
        result: Result<(), Error>,
    },
    /// A twin request was answered.
    Twin {
        device: DeviceNo,
        request: Request,
        answer: super::device::TwinAnswer,
    },
    /// A reported patch was answered: reads behind it may begin.
    Patched {
        device: DeviceNo,
        request: Request,
        answer: super::device::TwinAnswer,
    },
    /// The desired section, for a device that missed patches.
    Desired {
        device: DeviceNo,
        text: Option<Vec<u8>>,
    },
    /// Queued messages were read.
    Fetched {
        device: DeviceNo,
        result: Result<Vec<StoredMessage>, Error>,
    },
    /// A message's outcome is durable, or is not.
    Settled {
        settle: Settle,
        result: Result<(), Error>,
    },
    /// Something whose failure only the log can be told.
    Noted(Result<(), Error>),
}

/// A request that waits for its reply.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) link: LinkId,
    pub(super) delivery: DeliveryId,
    pub(super) session: Option<SessionId>,
    pub(super) id: Option<OwnedId>,
    pub(super) reply_to: Option<Box<str>>,
}

struct Finished {
    done: Done,
    messages: usize,
    bytes: usize,
}

/// Everything under way on one connection.
#[derive(Default)]
pub(super) struct Works {
    under_way: FuturesUnordered<BoxFuture<'static, Finished>>,
    /// Something was added that was not polled yet, so nothing would wake the connection for it.
    is_fresh: bool,
    messages: usize,
    bytes: usize,
}

impl Works {
    /// Messages and bytes that were taken and not answered yet.
    pub(super) const fn load(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// Adds work for so many messages and bytes. It begins with the next poll.
    pub(super) fn push(
        &mut self,
        messages: usize,
        bytes: usize,
        work: impl Future<Output = Done> + Send + 'static,
    ) {
        self.messages += messages;
        self.bytes += bytes;
        self.is_fresh = true;
        self.under_way.push(Box::pin(async move {
            Finished {
                done: work.await,
                messages,
                bytes,
            }
        }));
    }

    /// True when [`Works::poll_done`] has to be called before the connection waits.
    pub(super) const fn is_fresh(&self) -> bool {
        self.is_fresh
    }

    /// The next work that is done. Pending also when there is none.
    pub(super) fn poll_done(&mut self, context: &mut Context<'_>) -> Poll<Done> {
        self.is_fresh = false;
        match Pin::new(&mut self.under_way).poll_next(context) {
            Poll::Ready(Some(finished)) => {
                self.messages -= finished.messages;
                self.bytes -= finished.bytes;
                Poll::Ready(finished.done)
            }
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}
