//! The one thread that writes `store.db`: groups of units, one transaction and one sync each.

use std::sync::Arc;

use hub_domain::{Fact, Timestamp};
use hub_storage::pending::Completer;
use hub_storage::store::{Committed, FactNo, Unit};
use hub_storage::{Backlog, StoreError};
use rusqlite::Connection;
use tokio::sync::watch;

use super::retention::{self, Left, Trimmed};
use super::tail::FactTail;
use super::units::{Counters, Finished, Group, Outcome};
use crate::config::OnSyncFailure;
use crate::connection::{checkpoint_restart, roll_back};
use crate::disk::Disk;
use crate::failure::{Meaning, meaning, store_error};
use crate::inbox::{AbandonOnDrop, Inbox, Rhythm};
use crate::keeper::{WalState, report_checkpoint};

/// What a committer is asked for.
pub(super) enum Work {
    Keep(Waiting),
    TrimFacts {
        before: Timestamp,
        completer: Completer<Committed>,
    },
    /// Forgets results of units that were kept before this moment.
    ForgetOperations {
        before: Timestamp,
    },
}

/// A unit and who waits for it.
pub(super) struct Waiting {
    pub(super) unit: Unit,
    pub(super) bytes: usize,
    pub(super) completer: Completer<Committed>,
}

/// What the committer shares with those who submit and read.
pub(super) struct Shared {
    pub(super) inbox: Inbox<Work>,
    pub(super) backlog: Backlog,
    pub(super) tail: FactTail,
    pub(super) head: watch::Sender<FactNo>,
    pub(super) service_bound_head: watch::Sender<u64>,
    pub(super) disk: Arc<Disk>,
    pub(super) wal: Arc<WalState>,
}

pub(super) struct Committer {
    connection: Connection,
    counters: Counters,
    shared: Arc<Shared>,
    on_sync_failure: OnSyncFailure,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    /// A sync failed and the process was not ended: nothing is promised any more.
    Broken,
}

impl Committer {
    pub(super) const fn new(
        connection: Connection,
        counters: Counters,
        shared: Arc<Shared>,
        on_sync_failure: OnSyncFailure,
    ) -> Self {
        Self {
            connection,
            counters,
            shared,
            on_sync_failure,
            state: State::Sound,
        }
    }

    /// Works until the inbox is closed; gives the connection back for the last checkpoint.
    pub(super) fn run(mut self) -> Connection {
        let shared = Arc::clone(&self.shared);
        let abandon = AbandonOnDrop(&shared.inbox);
        let mut rhythm = Rhythm::default();
        let mut group = Vec::new();
        while shared.inbox.next_group(&mut rhythm, &mut group) {
            if shared.wal.take_too_large()
                && let Err(error) = checkpoint_restart(&self.connection)
            {
                report_checkpoint(&error, &self.on_sync_failure);
            }
            self.serve(&mut group);
        }
        drop(abandon);
        self.connection
    }

    fn serve(&mut self, group: &mut Vec<Work>) {
        let mut units = Vec::with_capacity(group.len());
        let mut chores = Vec::new();
        for work in group.drain(..) {
            match work {
                Work::Keep(waiting) => units.push(waiting),
                Work::TrimFacts { .. } | Work::ForgetOperations { .. } => chores.push(work),
            }
        }
        if !units.is_empty() {
            self.keep(units);
        }
        for chore in chores {
            self.clean(chore);
        }
    }

    fn keep(&mut self, units: Vec<Waiting>) {
        if let Some(refusal) = self.refusal() {
            return self.fail(units, &refusal);
        }
        match self.transact(&units) {
            Ok((outcomes, finished)) => self.complete(units, outcomes, finished),
            Err(error) => {
                roll_back(&self.connection);
                self.recover(units, &error);
            }
        }
    }

    /// Deals with a group that SQLite refused: one bad unit must not take the others with it.
    fn recover(&mut self, units: Vec<Waiting>, error: &rusqlite::Error) {
        match self.note(error) {
            Meaning::Other if units.len() > 1 => {
                tracing::warn!(%error, units = units.len(), "a group failed; its units are tried one by one");
                for waiting in units {
                    self.keep(vec![waiting]);
                }
            }
            Meaning::Other => {
                tracing::error!(%error, "a unit failed");
                self.fail(units, &store_error(error));
            }
            Meaning::DiskFull | Meaning::SyncFailed => self.fail(units, &store_error(error)),
        }
    }

    fn transact(&self, units: &[Waiting]) -> rusqlite::Result<(Vec<Outcome>, Finished)> {
        self.run_cached("BEGIN IMMEDIATE")?;
        let mut group = Group::new(&self.connection, self.counters, now());
        let outcomes = units
            .iter()
            .map(|waiting| group.keep(&waiting.unit))
            .collect::<Result<Vec<_>, _>>()?;
        let kept = units
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| matches!(outcome, Outcome::Kept(_)));
        let finished = group.finish(kept.flat_map(|(waiting, _)| &waiting.unit.facts))?;
        self.run_cached("COMMIT")?;
        Ok((outcomes, finished))
    }

    /// Tells everybody, in this order: who follows the facts, who waits for room, who waits for a unit.
    fn complete(&mut self, mut units: Vec<Waiting>, outcomes: Vec<Outcome>, finished: Finished) {
        let first_fact = self.counters.last_fact + 1;
        let service_bound = self.counters.service_bound;
        self.counters = finished.counters;
        self.shared.wal.note_commit();
        if self.counters.last_fact >= first_fact {
            let kept = units
                .iter_mut()
                .zip(&outcomes)
                .filter(|(_, outcome)| matches!(outcome, Outcome::Kept(_)));
            let facts: Vec<Fact> = kept
                .flat_map(|(waiting, _)| std::mem::take(&mut waiting.unit.facts))
                .collect();
            self.shared
                .tail
                .push(first_fact, facts, finished.fact_bytes);
            self.shared
                .head
                .send_replace(FactNo(self.counters.last_fact));
        }
        if self.counters.service_bound > service_bound {
            self.shared
                .service_bound_head
                .send_replace(self.counters.service_bound);
        }
        self.shared
            .backlog
            .remove(units.iter().map(|waiting| waiting.bytes).sum());
        for (waiting, outcome) in units.into_iter().zip(outcomes) {
            waiting.completer.complete(match outcome {
                Outcome::Kept(committed) | Outcome::Replayed(committed) => Ok(committed),
                Outcome::Refused(conflict) => Err(conflict.into()),
            });
        }
    }

    fn fail(&self, units: Vec<Waiting>, error: &StoreError) {
        self.shared
            .backlog
            .remove(units.iter().map(|waiting| waiting.bytes).sum());
        for waiting in units {
            waiting.completer.complete(Err(error.clone()));
        }
    }

    fn clean(&mut self, chore: Work) {
        match chore {
            Work::TrimFacts { before, completer } => self.trim_facts(before, completer),
            Work::ForgetOperations { before } => self.forget_operations(before),
            Work::Keep(_) => {}
        }
    }

    fn trim_facts(&mut self, before: Timestamp, completer: Completer<Committed>) {
        // Deleting makes room, so that a full disk is no reason not to try.
        if self.state == State::Broken {
            return completer.complete(Err(StoreError::Unavailable));
        }
        let trimmed = retention::trim_facts(&self.connection, before);
        self.shared.wal.note_commit();
        match trimmed {
            Ok(Trimmed::All { last }) => {
                self.shared.tail.forget(last);
                completer.complete(Ok(Committed::default()));
            }
            Ok(Trimmed::Some { last }) => {
                self.shared.tail.forget(last);
                // The rest waits behind what came meanwhile. At the end it is dropped: the next start trims again.
                drop(
                    self.shared
                        .inbox
                        .push(Work::TrimFacts { before, completer }, 0),
                );
            }
            Err(error) => {
                roll_back(&self.connection);
                self.note(&error);
                completer.complete(Err(store_error(&error)));
            }
        }
    }

    fn forget_operations(&mut self, before: Timestamp) {
        if self.state == State::Broken {
            return;
        }
        self.shared.wal.note_commit();
        match retention::forget_operations(&self.connection, before) {
            Ok(Left::Nothing) => {}
            Ok(Left::More) => drop(self.shared.inbox.push(Work::ForgetOperations { before }, 0)),
            Err(error) => {
                roll_back(&self.connection);
                self.note(&error);
                tracing::warn!(%error, "results of old units could not be deleted");
            }
        }
    }

    fn refusal(&self) -> Option<StoreError> {
        if self.state == State::Broken {
            Some(StoreError::Unavailable)
        } else if self.shared.disk.accepts_writes() {
            None
        } else {
            Some(StoreError::DiskFull)
        }
    }

    /// Draws the consequences of an error for what comes after.
    fn note(&mut self, error: &rusqlite::Error) -> Meaning {
        let meaning = meaning(error);
        match meaning {
            Meaning::DiskFull => self.shared.disk.write_failed(),
            Meaning::SyncFailed => {
                self.state = State::Broken;
                self.on_sync_failure.fire(&error.to_string());
            }
            Meaning::Other => {}
        }
        meaning
    }

    fn run_cached(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}

/// The present moment, by which results of units grow old. Everything else is dated by the caller.
pub(super) fn now() -> Timestamp {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX))
}
