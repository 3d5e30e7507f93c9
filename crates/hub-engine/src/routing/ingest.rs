//! Telemetry on its way into the log, where routes or enrichments have to look at it.
//!
//! The common case never comes here: without conditions and enrichments a batch goes to the log as it was received.
//! Conditions on the twin need a read; batches of one sender that come while it is under way wait for their turn, so that
//! the order of a sender's messages stays.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hub_domain::message::{PropertyBag, telemetry_size};
use hub_domain::routing::Source;
use hub_domain::twin::Twin;
use hub_domain::{HubNo, IdentityId, Timestamp};
use hub_storage::log::{Appended, BatchWriter, TelemetrySource};
use hub_storage::store::Ordinal;
use hub_storage::{MessageLog, Pending, StoreError};
use tokio::sync::oneshot;

use super::leftovers::Leftovers;
use super::message::{Raw, Routed, parts_of};
use super::{Plan, Slot};
use crate::twins::TwinKey;
use crate::{ErrorKind, Twins};

/// The door of a hub's log.
#[derive(Clone)]
pub(crate) struct Ingest {
    pub(crate) log: Arc<dyn MessageLog>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) twins: Arc<Twins>,
    pub(crate) leftovers: Arc<Leftovers>,
}

/// Who sends.
pub(crate) struct Sender<'a> {
    pub(crate) hub: HubNo,
    pub(crate) id: &'a IdentityId,
    pub(crate) ordinal: Ordinal,
    pub(crate) partition: u16,
    /// Encoded as it stands in the log.
    pub(crate) source: &'a Bytes,
}

/// Keeps the batches of one sender in order while some of them wait for a twin.
#[derive(Default)]
pub(crate) struct Lane(Mutex<Option<oneshot::Receiver<()>>>);

/// A place in a lane; the next one begins when it is dropped.
struct Turn {
    before: Option<oneshot::Receiver<()>>,
    _done: oneshot::Sender<()>,
}

impl Lane {
    /// True when nobody is in it.
    fn is_free(&self) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_busy = last.as_mut().is_some_and(|last| {
            matches!(last.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        });
        if !is_busy {
            *last = None;
        }
        !is_busy
    }

    fn enter(&self) -> Turn {
        let (done, after) = oneshot::channel();
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Turn {
            before: last.replace(after),
            _done: done,
        }
    }
}

impl Turn {
    async fn wait(&mut self) {
        if let Some(before) = self.before.take() {
            // Whether it ended or was dropped, it is over.
            drop(before.await);
        }
    }
}

impl Ingest {
    /// Submits what routes take of a batch and empties it. What they do not take is acknowledged all the same.
    pub(crate) fn send(
        &self,
        now: Timestamp,
        sender: &Sender<'_>,
        lane: &Lane,
        batch: &mut BatchWriter,
    ) -> Pending<Appended> {
        if self.slot.takes_telemetry_whole() && lane.is_free() {
            let batch = batch.take(sender.partition, sender.source.clone(), now);
            return self.log.append(batch);
        }
        let plan = self.slot.plan();
        let taken = std::mem::take(batch);
        let waiting = Waiting {
            ingest: self.clone(),
            partition: sender.partition,
            source: sender.source.clone(),
            now,
            batch: taken,
        };
        if !plan.needs(Source::DeviceMessages).twin && lane.is_free() {
            return waiting.submit(&plan, None);
        }
        let (hub, id, ordinal) = (sender.hub, sender.id.clone(), sender.ordinal);
        let mut turn = lane.enter();
        let bytes = waiting.batch.bytes();
        let work = async move {
            turn.wait().await;
            let key = TwinKey {
                hub,
                id: &id,
                ordinal,
            };
            let twin = match waiting.ingest.twins.of_session(key).await {
                Ok(twin) => Some(twin),
                // Its messages were sent before it was deleted.
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => {
                    tracing::warn!(%error, "the twin that a route asks for cannot be read");
                    return Err(StoreError::Unavailable);
                }
            };
            let submitted = waiting.submit(&plan, twin.as_deref());
            drop(turn);
            submitted.await
        };
        Pending::of(self.leftovers.keep(Box::pin(work), bytes))
    }
}

/// A batch before it is decided on.
struct Waiting {
    ingest: Ingest,
    partition: u16,
    source: Bytes,
    now: Timestamp,
    batch: BatchWriter,
}

impl Waiting {
    fn submit(&self, plan: &Plan, twin: Option<&Twin>) -> Pending<Appended> {
        let source = match TelemetrySource::decode(&self.source) {
            Ok(source) => source,
            Err(error) => return Pending::ready(Err(error)),
        };
        let mut kept = BatchWriter::new();
        let slot = &self.ingest.slot;
        for (flags, bag, body) in self.batch.records() {
            let raw = Raw { flags, bag, body };
            match decide(plan, &source, raw, twin, self.now) {
                Verdict::Kept(stamps) if stamps.is_empty() => kept.push(flags, bag, body),
                Verdict::Kept(stamps) => kept.push(flags, &stamped(bag, &stamps), body),
                Verdict::Orphaned => slot.count_orphaned(),
                Verdict::TooLarge => slot.count_too_large(),
            }
        }
        if kept.is_empty() {
            return Pending::ready(Ok(Appended {
                first: 0,
                enqueued: self.now,
            }));
        }
        let batch = kept.take(self.partition, self.source.clone(), self.now);
        self.ingest.log.append(batch)
    }
}

/// What becomes of one message.
pub(super) enum Verdict {
    /// It goes to the log with these further properties, encoded.
    Kept(String),
    /// No route takes it.
    Orphaned,
    /// With its enrichments it is larger than a message may be, and is dropped as documented.
    TooLarge,
}

pub(super) fn decide(
    plan: &Plan,
    source: &TelemetrySource,
    raw: Raw<'_>,
    twin: Option<&Twin>,
    now: Timestamp,
) -> Verdict {
    let kind = source.message_source;
    let routed = Routed::new(source, raw, plan.needs(kind), twin, now);
    if !plan.takes(kind, &routed) {
        return Verdict::Orphaned;
    }
    let mut stamps = PropertyBag::default();
    for (key, value) in plan.stamps(kind, twin.map(parts_of)) {
        stamps.push(key, Some(&value));
    }
    let stamps = stamps.encode();
    let is_too_large =
        !stamps.is_empty() && telemetry_size(&stamped(raw.bag, &stamps), raw.body.len()).is_err();
    if is_too_large {
        return Verdict::TooLarge;
    }
    Verdict::Kept(stamps)
}

/// A bag with further properties behind it; of a name given twice, readers take the last.
pub(super) fn stamped(bag: &[u8], stamps: &str) -> Vec<u8> {
    let mut all = Vec::with_capacity(bag.len() + 1 + stamps.len());
    all.extend_from_slice(bag);
    if !bag.is_empty() && !stamps.is_empty() {
        all.push(b'&');
    }
    all.extend_from_slice(stamps.as_bytes());
    all
}
