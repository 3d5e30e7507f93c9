//! A thread that does what must be done now and then: checkpoints and probes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::Connection;

use crate::config::{Config, OnSyncFailure};
use crate::connection::{FRAME_BYTES, checkpoint_passive};
use crate::failure::{Meaning, meaning};

pub(crate) type Chore = Box<dyn FnMut() + Send>;

/// Runs chores in turn, at an interval.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    interval: Duration,
}

struct State {
    /// A chore is absent while it runs.
    chores: Vec<(ChoreId, Option<Chore>)>,
    next_id: u64,
    open: bool,
}

/// Names a chore, to end it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChoreId(u64);

const UNPOISONED: &str = "nothing panics while it holds the chores";

impl Keeper {
    pub(crate) fn start(name: &str, interval: Duration) -> std::io::Result<Self> {
        let state = State {
            chores: Vec::new(),
            next_id: 0,
            open: true,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            interval,
        });
        let keeper = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || keeper.run())?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(crate) fn add(&self, chore: Chore) -> ChoreId {
        let mut state = self.shared.lock();
        let id = ChoreId(state.next_id);
        state.next_id += 1;
        state.chores.push((id, Some(chore)));
        id
    }

    /// Ends a chore. When this returns it no longer runs, and what it held is dropped.
    pub(crate) fn remove(&self, id: ChoreId) {
        let mut state = self.shared.lock();
        while state
            .chores
            .iter()
            .any(|(other, chore)| *other == id && chore.is_none())
        {
            state = self.shared.changed.wait(state).expect(UNPOISONED);
        }
        state.chores.retain(|(other, _)| *other != id);
    }

    /// Ends all chores and the thread.
    pub(crate) fn close(&self) {
        self.shared.lock().open = false;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().expect(UNPOISONED).take() {
            drop(thread.join());
        }
        self.shared.lock().chores.clear();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(UNPOISONED)
    }

    fn run(&self) {
        while self.pause() {
            let ids: Vec<ChoreId> = self.lock().chores.iter().map(|(id, _)| *id).collect();
            for id in ids {
                self.run_one(id);
            }
        }
    }

    /// Waits for the next round; false when there is none.
    fn pause(&self) -> bool {
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), self.interval, |state| state.open)
            .expect(UNPOISONED);
        state.open
    }

    fn run_one(&self, id: ChoreId) {
        let slot = |state: &mut State| state.chores.iter().position(|(other, _)| *other == id);
        let taken = {
            let mut state = self.lock();
            slot(&mut state).and_then(|index| state.chores[index].1.take())
        };
        let Some(mut chore) = taken else { return };
        chore();
        let mut state = self.lock();
        if let Some(index) = slot(&mut state) {
            state.chores[index].1 = Some(chore);
        }
        drop(state);
        self.changed.notify_all();
    }
}

/// What a committer and the checkpointer of its file tell each other.
#[derive(Debug, Default)]
pub(crate) struct WalState {
    committed: AtomicBool,
    too_large: AtomicBool,
}

impl WalState {
    /// Notes that the WAL has new frames.
    pub(crate) fn note_commit(&self) {
        self.committed.store(true, Ordering::Release);
    }

    /// True once after the WAL was found too large.
    pub(crate) fn take_too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed) && self.too_large.swap(false, Ordering::AcqRel)
    }
}

/// Copies the WAL of one file into it while the committer goes on.
///
/// Such passes never reset the WAL under non-stop writes, so that a WAL above its limit is handed to the
/// committer, which starts it afresh right after.
pub(crate) struct Checkpointer {
    connection: Connection,
    wal: Arc<WalState>,
    wal_bytes_max: u64,
    on_sync_failure: OnSyncFailure,
}

impl Checkpointer {
    pub(crate) fn new(connection: Connection, wal: Arc<WalState>, config: &Config) -> Self {
        let on_sync_failure = config.on_sync_failure.clone();
        Self {
            connection,
            wal,
            wal_bytes_max: config.wal_bytes_max,
            on_sync_failure,
        }
    }

    pub(crate) fn pass(&self) {
        if !self.wal.committed.swap(false, Ordering::AcqRel) {
            return;
        }
        match checkpoint_passive(&self.connection) {
            Ok(left) => {
                if left.frames * FRAME_BYTES > self.wal_bytes_max {
                    self.wal.too_large.store(true, Ordering::Release);
                }
            }
            Err(error) => {
                self.wal.note_commit();
                report_checkpoint(&error, &self.on_sync_failure);
            }
        }
    }
}

/// A checkpoint that failed is tried again, unless it was a sync that failed.
pub(crate) fn report_checkpoint(error: &rusqlite::Error, on_sync_failure: &OnSyncFailure) {
    match meaning(error) {
        Meaning::SyncFailed => on_sync_failure.fire(&error.to_string()),
        // A full disk is logged where writes fail.
        Meaning::DiskFull => {}
        Meaning::Other => tracing::warn!(%error, "a checkpoint failed and is tried again"),
    }
}
