//! An open session and its verbs.

mod messages;

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hub_domain::event::ConnectionState;
use hub_domain::fault::FaultInjection;
use hub_domain::limits::METHOD_RESPONSE_BYTES_MAX;
use hub_domain::quota::Throttle;
use hub_domain::twin::Twin;
use hub_domain::{HubNo, IdentityId, Timestamp};
use hub_storage::bus::{
    CloseReason, Epoch, Mailbox, MethodAnswer, MethodCallId, Notice, SessionKey, TakesMethods,
};
use hub_storage::log::{Appended, BatchWriter, RecordFlags, TelemetrySource};
use hub_storage::store::{MessageNo, Op, Ordinal, Unit};
use serde_json::{Map, Value};

use super::authorities::Watch;
use super::redelivery::Redeliveries;
use super::{Delivery, MODEL_ID_BYTES_MAX, Persistence, Proved, Subscription, SubscriptionSet};
use crate::activity::{Activities, LiveActivity};
use crate::faults::Faults;
use crate::messages::Deliveries;
use crate::methods::check_answer;
use crate::quotas::Quotas;
use crate::routing::connections::{ConnectionChange, ConnectionFeed};
use crate::routing::ingest::{Ingest, Lane, Sender};
use crate::twins::TwinKey;
use crate::{EngineParts, Error, ErrorKind};

/// A connected identity. Dropping it ends the session.
pub struct Session {
    shared: Arc<Shared>,
    /// Who sends, encoded as it stands in the log.
    source: Bytes,
    expires: Timestamp,
    subscriptions: SubscriptionSet,
    /// The message that was handed out last on this session.
    newest_sent: Option<MessageNo>,
    /// The newest message that was handed out on an earlier session and not acknowledged there.
    seen_before: Option<MessageNo>,
}

pub(super) struct Parts {
    pub(super) engine: EngineParts,
    pub(super) ingest: Ingest,
    pub(super) lane: Lane,
    pub(super) activities: Arc<Activities>,
    pub(super) connections: Arc<ConnectionFeed>,
    pub(super) redeliveries: Arc<Redeliveries>,
    pub(super) quotas: Arc<Quotas>,
    pub(super) faults: Arc<Faults>,
    /// As the hub was set when the session opened.
    pub(super) fault_injection: FaultInjection,
    pub(super) deliveries: Arc<Deliveries>,
    pub(super) key: SessionKey,
    pub(super) ordinal: Ordinal,
    pub(super) partition: u16,
    pub(super) persistence: Persistence,
    /// Looks after the authority that the session stands on.
    pub(super) watch: Option<Watch>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) epoch: Epoch,
    pub(super) live: Arc<LiveActivity>,
}

/// What the device said of itself, which may change while the session is open.
pub(super) struct Announced {
    pub(super) source: TelemetrySource,
    pub(super) expires: Timestamp,
}

/// Shared with the futures of operations that are under way when the session ends.
struct Shared(Parts);

/// Messages of one socket read, on their way to the log.
pub struct TelemetryBatch(pub(crate) BatchWriter);

impl TelemetryBatch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self(BatchWriter::new())
    }

    /// Adds a message: its property bag as received, checked by the head, and its body.
    pub fn push(&mut self, flags: RecordFlags, bag: &[u8], body: &[u8]) {
        self.0.push(flags, bag, body);
    }

    /// True when nothing was added.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Messages so far.
    pub const fn count(&self) -> u32 {
        self.0.count()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

impl Default for TelemetryBatch {
    fn default() -> Self {
        Self::new()
    }
}

impl Session {
    pub(super) fn new(parts: Parts, announced: Announced, subscriptions: SubscriptionSet) -> Self {
        let mut session = Self {
            shared: Arc::new(Shared(parts)),
            source: announced.source.encode(),
            expires: announced.expires,
            subscriptions,
            newest_sent: None,
            seen_before: None,
        };
        session.take_redeliveries();
        session.apply_subscriptions();
        session
    }

    /// Takes over what earlier sessions noted. A transient session continues none, and one that lives with its connection
    /// leaves the note to the session that is kept.
    fn take_redeliveries(&mut self) {
        let parts = self.parts();
        if parts.persistence == Persistence::Connection {
            return;
        }
        let noted = parts.redeliveries.take(parts.ordinal);
        if parts.persistence == Persistence::Kept {
            self.seen_before = self.seen_before.max(noted);
        }
    }

    fn parts(&self) -> &Parts {
        &self.shared.0
    }

    /// Who is connected.
    pub fn id(&self) -> &IdentityId {
        &self.parts().key.id
    }

    /// To which hub.
    pub fn hub(&self) -> HubNo {
        self.parts().key.hub
    }

    /// True when the session was opened with a certificate that an authority of the hub vouches for.
    pub fn has_authority(&self) -> bool {
        self.parts().watch.is_some()
    }

    /// When the credential ends; the head closes the session then.
    pub const fn expires(&self) -> Timestamp {
        self.expires
    }

    /// Goes on with a newer credential of the same identity.
    ///
    /// # Errors
    /// `NotAuthenticated` when the identity was deleted and created again meanwhile.
    pub fn renew(&mut self, proved: Proved) -> Result<(), Error> {
        if proved.ordinal != self.parts().ordinal {
            return Err(Error::new(
                ErrorKind::NotAuthenticated,
                "the identity was replaced meanwhile, connect again",
            ));
        }
        self.expires = proved.expires;
        Ok(())
    }

    /// Notes the model that a device announces after it connected; resolves when its twin shows it.
    ///
    /// # Errors
    /// `Invalid` when the model id is too long; otherwise when it cannot be stored.
    pub fn announce_model(&mut self, model_id: &str) -> BoxFuture<'static, Result<(), Error>> {
        if model_id.len() > MODEL_ID_BYTES_MAX {
            let error = Error::new(ErrorKind::Invalid, "the model id is too long");
            return Box::pin(std::future::ready(Err(error)));
        }
        match TelemetrySource::decode(&self.source) {
            Ok(source) if source.model_id == model_id => {
                return Box::pin(std::future::ready(Ok(())));
            }
            Ok(mut source) => {
                source.model_id = model_id.to_owned();
                self.source = source.encode();
            }
            Err(error) => return Box::pin(std::future::ready(Err(error.into()))),
        }
        let op = Op::SetModelId {
            identity: self.parts().ordinal,
            model_id: model_id.to_owned(),
        };
        let kept = self.parts().engine.store.submit(Unit::new(op, Vec::new()));
        Box::pin(async move { kept.await.map(drop).map_err(Error::from) })
    }

    /// What the session is subscribed to.
    pub const fn subscriptions(&self) -> SubscriptionSet {
        self.subscriptions
    }

    /// What the hub has for the device. [`Notice::Close`] is repeated until the session is dropped.
    pub fn poll_notice(&self, context: &mut Context<'_>) -> Poll<Notice> {
        self.parts().mailbox.poll_next(context)
    }

    /// Only whether the session has to close, for a head whose device reads too slowly to be told anything else.
    pub fn poll_close(&self, context: &mut Context<'_>) -> Poll<CloseReason> {
        self.parts().mailbox.poll_close(context)
    }

    /// True when the socket should not be read: the log has no room, or the hub's profile allows no more for now.
    pub fn is_log_full(&self) -> bool {
        let parts = self.parts();
        parts.ingest.log.backlog().is_full() || parts.quotas.holds_telemetry(parts.key.hub)
    }

    /// Submits a batch of telemetry and empties it; resolves when what routes take of it is durable. It goes there whether
    /// that is waited for or not. What no route takes is acknowledged at once.
    ///
    /// # Errors
    /// `QuotaExceeded` when the hub's messages of the day are used up, and what an injected fault says; of the batch
    /// nothing is kept then. `Unavailable` when it cannot be made durable.
    pub fn send_telemetry(
        &self,
        now: Timestamp,
        batch: &mut TelemetryBatch,
    ) -> BoxFuture<'static, Result<Appended, Error>> {
        let parts = self.parts();
        parts.live.touch(now);
        let (messages, bytes) = (u64::from(batch.count()), batch.bytes() as u64);
        if let Err(refused) = self.admit(messages, bytes, now) {
            *batch = TelemetryBatch::new();
            return Box::pin(std::future::ready(Err(refused)));
        }
        let sender = Sender {
            hub: parts.key.hub,
            id: &parts.key.id,
            ordinal: parts.ordinal,
            partition: parts.partition,
            source: &self.source,
        };
        let appended = parts.ingest.send(now, &sender, &parts.lane, &mut batch.0);
        Box::pin(async move { appended.await.map_err(Error::from) })
    }

    fn admit(&self, messages: u64, bytes: u64, now: Timestamp) -> Result<(), Error> {
        let parts = self.parts();
        if parts.fault_injection == FaultInjection::On {
            parts.faults.check_send(&parts.key, now)?;
        }
        parts
            .quotas
            .charge_telemetry(parts.key.hub, messages, bytes, now)
    }

    /// Looks whether a message asks for a fault of its sender's connection. The head tells each message's property bag.
    pub fn note_fault(&self, raw_bag: &[u8]) {
        let parts = self.parts();
        if parts.fault_injection == FaultInjection::On {
            let now = parts.engine.environment.now();
            parts.faults.note(&parts.key, &parts.mailbox, raw_bag, now);
        }
    }

    pub(super) fn tell_connection(&self, state: ConnectionState, at: Timestamp, sequence: u128) {
        let parts = self.parts();
        let change = ConnectionChange {
            hub: parts.key.hub,
            id: parts.key.id.clone(),
            at,
            state,
            sequence,
        };
        parts.connections.tell(&parts.ingest.slot, change);
    }

    /// The twin that the device asks for; `Throttled` where the hub's profile says so.
    pub fn twin(&self, now: Timestamp) -> BoxFuture<'static, Result<Arc<Twin>, Error>> {
        match self.take(Throttle::TwinReads, now) {
            Ok(()) => self.twin_to_tell(),
            Err(throttled) => Box::pin(std::future::ready(Err(throttled))),
        }
    }

    /// The twin that the hub tells the device of, unasked and unmetered.
    pub fn twin_to_tell(&self) -> BoxFuture<'static, Result<Arc<Twin>, Error>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.0.ingest.twins.of_session(shared.twin_key()).await })
    }

    fn take(&self, throttle: Throttle, now: Timestamp) -> Result<(), Error> {
        let parts = self.parts();
        parts.quotas.take_of_device(parts.key.hub, throttle, now)
    }

    /// Merges reported properties; resolves to the section's new version when it is durable.
    pub fn patch_reported(
        &self,
        now: Timestamp,
        patch: Map<String, Value>,
        expected: Option<u64>,
    ) -> BoxFuture<'static, Result<u64, Error>> {
        self.parts().live.touch(now);
        if let Err(throttled) = self.take(Throttle::TwinUpdates, now) {
            return Box::pin(std::future::ready(Err(throttled)));
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            shared
                .0
                .ingest
                .twins
                .patch_reported(shared.twin_key(), &patch, expected, now)
                .await
        })
    }

    /// Subscribes; resolves when the new set is durable, at once for a transient session or when nothing changed.
    pub fn subscribe(
        &mut self,
        wanted: &[(Subscription, Delivery)],
    ) -> BoxFuture<'static, Result<(), Error>> {
        let next = wanted
            .iter()
            .fold(self.subscriptions, |set, (subscription, delivery)| {
                set.with(*subscription, *delivery)
            });
        let result = self.replace_subscriptions(next);
        let asked_messages = wanted
            .iter()
            .any(|(s, _)| matches!(s, Subscription::Messages | Subscription::ModuleAll));
        if asked_messages {
            self.parts().mailbox.put(Notice::MessageAvailable);
        }
        result
    }

    /// Ends subscriptions; resolves like [`Session::subscribe`].
    pub fn unsubscribe(
        &mut self,
        unwanted: &[Subscription],
    ) -> BoxFuture<'static, Result<(), Error>> {
        let next = unwanted
            .iter()
            .fold(self.subscriptions, |set, subscription| {
                set.without(*subscription)
            });
        self.replace_subscriptions(next)
    }

    fn replace_subscriptions(
        &mut self,
        next: SubscriptionSet,
    ) -> BoxFuture<'static, Result<(), Error>> {
        let changed = next != self.subscriptions;
        self.subscriptions = next;
        self.apply_subscriptions();
        let parts = self.parts();
        if !changed || parts.persistence != Persistence::Kept {
            return Box::pin(std::future::ready(Ok(())));
        }
        let op = Op::ReplaceSubscriptions {
            identity: parts.ordinal,
            next: next.into(),
        };
        let kept = parts.engine.store.submit(Unit::new(op, Vec::new()));
        Box::pin(async move { kept.await.map(drop).map_err(Error::from) })
    }

    /// Tells the mailbox what the session takes by now.
    fn apply_subscriptions(&self) {
        let parts = self.parts();
        let takes = if self.subscriptions.has(Subscription::Methods) {
            TakesMethods::Yes
        } else {
            TakesMethods::No
        };
        parts.mailbox.set_takes_methods(takes);
        parts.engine.bus.methods_changed(&parts.key);
        if self.subscriptions.messages().is_some() && self.newest_sent.is_none() {
            parts.mailbox.put(Notice::MessageAvailable);
        }
    }

    /// Hands a device's answer to the caller of a method. False when nobody waits for it any more.
    ///
    /// # Errors
    /// The payload is larger than 128 KiB (`TooLarge`), or is not JSON (`BadDeviceAnswer`); the caller is told that
    /// the answer is bad.
    pub fn answer_method(
        &self,
        now: Timestamp,
        call: MethodCallId,
        status: i32,
        payload: &[u8],
    ) -> Result<bool, Error> {
        self.parts().live.touch(now);
        let answer = MethodAnswer {
            status,
            payload: Bytes::copy_from_slice(payload),
        };
        // The caller learns of a bad answer at once instead of waiting for a good one.
        let is_awaited = self.parts().mailbox.answer(call, answer);
        if payload.len() > METHOD_RESPONSE_BYTES_MAX {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!("a method answer has more than {METHOD_RESPONSE_BYTES_MAX} bytes"),
            ));
        }
        check_answer(payload)?;
        Ok(is_awaited)
    }
}

/// Whether a device may have seen a message before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SentBefore {
    /// It was sent on an earlier connection and not acknowledged.
    Perhaps,
    /// Not that the hub knows.
    No,
}

impl Drop for Session {
    fn drop(&mut self) {
        let parts = self.parts();
        // What this session did not come to is still to be marked by the next one.
        if let Some(seen) = self
            .seen_before
            .filter(|seen| self.newest_sent < Some(*seen))
        {
            parts.redeliveries.note(parts.ordinal, seen);
        }
        parts.mailbox.end();
        parts
            .deliveries
            .locks
            .end_session(parts.ordinal, parts.epoch);
        parts.engine.bus.release(&parts.key, parts.epoch);
        let now = parts.engine.environment.now();
        let change = parts.activities.disconnect(parts.ordinal, &parts.live, now);
        if let Some(sequence) = change {
            self.tell_connection(ConnectionState::Disconnected, now, sequence);
        }
    }
}

impl Shared {
    fn twin_key(&self) -> TwinKey<'_> {
        TwinKey {
            hub: self.0.key.hub,
            id: &self.0.key.id,
            ordinal: self.0.ordinal,
        }
    }
}
