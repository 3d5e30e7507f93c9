//! Cloud-to-device messages: a durable queue per identity.

use std::sync::Arc;

use hub_domain::limits::{
    CLOUD_TO_DEVICE_PENDING_BYTES_MAX, CLOUD_TO_DEVICE_TTL_DEFAULT, CLOUD_TO_DEVICE_TTL_MAX,
    SERVICE_BOUND_RECORDS_MAX,
};
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::{ErrorCode, Fact, FactKind, HubNo, IdentityId, Permission, Timestamp};
use hub_storage::store::{FeedbackTerms, MessageNo, Op, OpResult, Unit};
use hub_storage::{Conflict, Store, StoreError};

use crate::room::check_room;
use crate::{Error, ErrorKind, OpContext, Registry};

/// Sends to and purges the queues of identities.
pub struct Messages {
    store: Arc<dyn Store>,
    registry: Registry,
}

impl Messages {
    pub(crate) const fn new(store: Arc<dyn Store>, registry: Registry) -> Self {
        Self { store, registry }
    }

    /// Queues a message; done when it is durable. A message without an expiry gets one in an hour.
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
            .unwrap_or_else(|| ctx.now.plus(CLOUD_TO_DEVICE_TTL_DEFAULT));
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

/// How an outcome that came at `now` is told to back ends.
pub(crate) const fn feedback_at(now: Timestamp) -> FeedbackTerms {
    FeedbackTerms {
        at: now,
        records_max: SERVICE_BOUND_RECORDS_MAX,
    }
}

/// The identity may go between the look at it and the write.
fn write_error(id: &IdentityId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::NotFound) => Error::device_not_found(id).with_source(error),
        other => other.into(),
    }
}
