//! From committed facts to events in the log.
//!
//! Each hub that wants events has a checkpoint in the store: the last fact that is done. The router reads the facts after
//! it in commit order, appends their events, waits until those are durable, and moves the checkpoint on, at most once in
//! [`CHECKPOINT_INTERVAL`]. A fact is therefore routed at least once: what was appended after the last checkpoint comes
//! again when the process is killed. A hub without such routes costs nothing: its facts are not read.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use hub_domain::event::{Event, connection_event, event_of, source_of};
use hub_domain::partition::partition_of;
use hub_domain::twin::Twin;
use hub_domain::{Fact, FactKind, HubNo, IdentityId, Timestamp};
use hub_storage::log::{Appended, BatchWriter, RecordFlags, TelemetrySource};
use hub_storage::store::{FactNo, Op, Unit};
use hub_storage::{Pending, StoreError};
use tokio::time::sleep;

use super::connections::{ConnectionChange, ConnectionFeed};
use super::ingest::{Verdict, decide, stamped};
use super::message::Raw;
use crate::{EngineParts, Hubs};

/// Facts read at once, and connection changes taken at once.
const PAGE: usize = 512;
/// The least time between two checkpoints.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// How long the router waits after storage failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct Router {
    parts: EngineParts,
    hubs: Hubs,
    connections: Arc<ConnectionFeed>,
    state: tokio::sync::Mutex<State>,
}

#[derive(Default)]
struct State {
    cursors: BTreeMap<HubNo, Cursor>,
    saved_at: Option<Timestamp>,
}

/// How far the facts of one hub are done.
#[derive(Clone, Copy)]
struct Cursor {
    at: FactNo,
    saved: FactNo,
}

/// An event and what it is about.
struct Addressed<'a> {
    hub: HubNo,
    id: &'a IdentityId,
    at: Timestamp,
    correlation: String,
    event: Event,
    /// The twin, where the change itself tells it.
    twin: Option<&'a Twin>,
}

impl Router {
    pub(crate) fn new(parts: EngineParts, hubs: Hubs, connections: Arc<ConnectionFeed>) -> Self {
        Self {
            parts,
            hubs,
            connections,
            state: tokio::sync::Mutex::default(),
        }
    }

    /// Routes until dropped. What fails is tried again.
    pub(crate) async fn run(&self) {
        tokio::join!(self.route_facts(), self.route_connections());
    }

    /// Routes what waits and notes how far it came, at the end.
    pub(crate) async fn finish(&self) {
        let changes = self.connections.drain().await;
        if let Err(error) = self.append_changes(&changes).await {
            tracing::warn!(%error, "the last connection events cannot be written");
        }
        let mut state = self.state.lock().await;
        if let Err(error) = self.save(&mut state).await {
            tracing::warn!(%error, "the checkpoint of events cannot be written");
        }
    }

    async fn route_connections(&self) {
        loop {
            let changes = self.connections.next(PAGE).await;
            while let Err(error) = self.append_changes(&changes).await {
                tracing::warn!(%error, "connection events cannot be written, trying again");
                sleep(RETRY_INTERVAL).await;
            }
        }
    }

    async fn append_changes(&self, changes: &[ConnectionChange]) -> Result<(), StoreError> {
        let mut appended = Vec::with_capacity(changes.len());
        for change in changes {
            let addressed = Addressed {
                hub: change.hub,
                id: &change.id,
                at: change.at,
                correlation: format!("{:x}", change.sequence),
                event: connection_event(change.state, change.sequence),
                twin: None,
            };
            appended.extend(self.append(addressed).await?);
        }
        all_durable(appended).await
    }

    async fn route_facts(&self) {
        let mut changes = self.hubs.changes();
        let mut head = self.parts.store.fact_head();
        loop {
            changes.borrow_and_update();
            let newest = *head.borrow_and_update();
            let routed = self.route_page(newest).await;
            match routed {
                Ok(Progress::More) => {}
                Ok(Progress::Nobody) => drop(changes.changed().await),
                Ok(Progress::End(save_in)) => tokio::select! {
                    _ = changes.changed() => {}
                    _ = head.changed() => {}
                    () = sleep(save_in.unwrap_or_default()), if save_in.is_some() => {}
                },
                Err(error) => {
                    tracing::warn!(%error, "events cannot be routed, trying again");
                    sleep(RETRY_INTERVAL).await;
                }
            }
        }
    }

    /// Routes the next facts of all hubs that want some.
    async fn route_page(&self, newest: FactNo) -> Result<Progress, StoreError> {
        let mut state = self.state.lock().await;
        self.follow_hubs(&mut state).await?;
        let Some(from) = state.cursors.values().map(|cursor| cursor.at).min() else {
            return Ok(Progress::Nobody);
        };
        let page = self.parts.store.changes(from, PAGE).await?;
        let mut appended = Vec::new();
        for (no, fact) in &page {
            let is_new = |cursor: &Cursor| cursor.at < *no;
            if state.cursors.get(&fact.hub).is_some_and(is_new) {
                appended.extend(self.append_fact(*no, fact).await?);
            }
        }
        all_durable(appended).await?;
        // What is not there was trimmed, and will not come.
        let done = page.last().map_or(newest, |(no, _)| *no);
        for cursor in state.cursors.values_mut() {
            cursor.at = cursor.at.max(done);
        }
        let save_in = self.save_in_time(&mut state).await?;
        if page.is_empty() {
            Ok(Progress::End(save_in))
        } else {
            Ok(Progress::More)
        }
    }

    /// Begins with hubs that want events by now, and ends with those that do not.
    async fn follow_hubs(&self, state: &mut State) -> Result<(), StoreError> {
        let wanting = self.hubs.that_want_facts();
        state.cursors.retain(|hub, _| wanting.contains(hub));
        for hub in wanting {
            if let Entry::Vacant(place) = state.cursors.entry(hub) {
                let kept = self.parts.store.checkpoint(hub).await?;
                let at = kept.unwrap_or_else(|| *self.parts.store.fact_head().borrow());
                place.insert(Cursor { at, saved: at });
            }
        }
        Ok(())
    }

    /// Writes the checkpoints unless the last ones are too young; says how long they will be.
    async fn save_in_time(&self, state: &mut State) -> Result<Option<Duration>, StoreError> {
        if state
            .cursors
            .values()
            .all(|cursor| cursor.at == cursor.saved)
        {
            return Ok(None);
        }
        let now = self.hubs.now();
        let due = state.saved_at.map(|saved| saved.plus(CHECKPOINT_INTERVAL));
        match due {
            Some(due) if due > now => Ok(Some(due.since(now))),
            Some(_) | None => self.save(state).await.map(|()| None),
        }
    }

    async fn save(&self, state: &mut State) -> Result<(), StoreError> {
        let moved = state
            .cursors
            .iter()
            .filter(|(_, cursor)| cursor.at != cursor.saved);
        let ops: Vec<Op> = moved
            .map(|(hub, cursor)| Op::SetCheckpoint {
                hub: *hub,
                at: cursor.at,
            })
            .collect();
        if ops.is_empty() {
            return Ok(());
        }
        let unit = Unit {
            op_id: None,
            ops,
            facts: Vec::new(),
        };
        self.parts.store.submit(unit).await?;
        state.saved_at = Some(self.hubs.now());
        for cursor in state.cursors.values_mut() {
            cursor.saved = cursor.at;
        }
        Ok(())
    }

    async fn append_fact(
        &self,
        no: FactNo,
        fact: &Fact,
    ) -> Result<Option<Pending<Appended>>, StoreError> {
        let Some(source) = source_of(&fact.kind) else {
            return Ok(None);
        };
        let wants = self
            .hubs
            .slot(fact.hub)
            .is_some_and(|slot| slot.plan().wants(source));
        let Some(event) = wants.then(|| event_of(fact)).flatten() else {
            return Ok(None);
        };
        let addressed = Addressed {
            hub: fact.hub,
            id: &fact.id,
            at: fact.at,
            correlation: format!("{:x}", no.0),
            event,
            twin: match &fact.kind {
                FactKind::IdentityDeleted { twin, .. } => twin.as_deref(),
                FactKind::IdentityCreated { .. }
                | FactKind::IdentityUpdated { .. }
                | FactKind::TwinChanged(_)
                | FactKind::MessageQueued
                | FactKind::MessagesPurged => None,
            },
        };
        self.append(addressed).await
    }

    /// Submits an event that a route takes.
    async fn append(
        &self,
        addressed: Addressed<'_>,
    ) -> Result<Option<Pending<Appended>>, StoreError> {
        let (Some(slot), Some(log)) = (self.hubs.slot(addressed.hub), self.hubs.log(addressed.hub))
        else {
            return Ok(None);
        };
        let plan = slot.plan();
        let source = addressed.event.source;
        let read = match addressed.twin {
            None if plan.needs(source).twin => {
                self.parts.store.twin(addressed.hub, addressed.id).await?
            }
            None | Some(_) => None,
        };
        let twin = addressed.twin.or(read.as_ref().map(|(_, twin)| twin));
        let id = addressed.id;
        let bag = addressed
            .event
            .properties(plan.hub(), id, addressed.at, &addressed.correlation)
            .encode();
        let sent_by = TelemetrySource {
            device: id.device.to_string(),
            module: id.module_text().to_owned(),
            message_source: source,
            ..TelemetrySource::default()
        };
        let raw = Raw {
            flags: RecordFlags::default(),
            bag: bag.as_bytes(),
            body: addressed.event.body.as_bytes(),
        };
        let now = self.parts.environment.now();
        let stamps = match decide(&plan, &sent_by, raw, twin, now) {
            Verdict::Kept(stamps) => stamps,
            // Events that no route takes are nobody's loss; only telemetry is counted as orphaned.
            Verdict::Orphaned => return Ok(None),
            Verdict::TooLarge => {
                slot.count_too_large();
                return Ok(None);
            }
        };
        log.backlog().room().await;
        let mut batch = BatchWriter::new();
        batch.push(raw.flags, &stamped(raw.bag, &stamps), raw.body);
        let partition = partition_of(id.device.as_str(), log.partition_count());
        Ok(Some(log.append(batch.take(
            partition,
            sent_by.encode(),
            now,
        ))))
    }
}

/// How a page of facts went.
enum Progress {
    /// There may be more.
    More,
    /// All is routed; the checkpoint is to be written after that time.
    End(Option<Duration>),
    /// No hub wants events.
    Nobody,
}

async fn all_durable(appended: Vec<Pending<Appended>>) -> Result<(), StoreError> {
    for pending in appended {
        pending.await?;
    }
    Ok(())
}
