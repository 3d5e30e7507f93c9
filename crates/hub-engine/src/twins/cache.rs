//! Parsed twins: those with submitted changes that are not durable yet, and as many others as fit.
//!
//! Versions are counted, so a number alone does not say that a state is the one a decision was made on: after a
//! failure the same number is given again. Two rules make up for that.
//! - While a change of a twin is not resolved its entry stays, and every decision is made on it. When the change
//!   fails, everything that was submitted on top of it fails too, and the entry goes.
//! - A twin that was read becomes an entry only if no entry left between the read and the decision.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use hub_domain::twin::Twin;
use hub_storage::Pending;
use hub_storage::store::{Committed, Ordinal};

use crate::Error;

const SHARDS: usize = 16;

/// Twins by ordinal. Entries with pending changes stay; others leave when there is no room.
pub(super) struct TwinCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
    /// How often entries left. Raised under the lock of their shard.
    removals: AtomicU64,
}

/// Resolves when a submitted change is durable or has failed. Kept by whoever asked for the change and by the
/// entry, so that the end is noticed even when the one who asked went away.
pub(super) type Submitted = Shared<Pending<Committed>>;

/// The part of a twin that a change touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Tags and desired properties.
    BackEnd,
    /// Reported properties.
    Reported,
}

/// What a decision is made on.
pub(super) struct Base<'a> {
    /// The newest submitted state.
    pub(super) twin: &'a Twin,
    /// Changes of the back-end part are not resolved yet.
    pub(super) is_back_end_pending: bool,
    /// Changes of the reported part are not resolved yet.
    pub(super) is_reported_pending: bool,
}

/// A decided change: how it ends, and the state after it.
pub(super) struct Decision {
    pub(super) part: Part,
    pub(super) pending: Pending<Committed>,
    pub(super) next: Arc<Twin>,
}

/// Says when a twin was read from the store: no entry may leave between this and the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadMark(u64);

#[derive(Default)]
struct Shard {
    entries: HashMap<Ordinal, Entry>,
    bytes: usize,
    clock: u64,
}

struct Entry {
    twin: Arc<Twin>,
    /// Submitted changes that are not known to be durable, oldest first.
    pending: VecDeque<(Part, Submitted)>,
    bytes: usize,
    used: u64,
}

/// What is known of an entry's changes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Durable,
    Pending,
    Failed,
}

impl TwinCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_bytes_max: bytes_max / SHARDS,
            removals: AtomicU64::new(0),
        }
    }

    fn shard(&self, ordinal: Ordinal) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(ordinal.0 % SHARDS as u64).expect("below the shard count");
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How the changes of a twin stand. After a failure its state was never real and is forgotten.
    fn look(&self, shard: &mut Shard, ordinal: Ordinal) -> Option<Standing> {
        let standing = shard.entries.get_mut(&ordinal)?.look();
        if standing == Standing::Failed {
            self.remove(shard, ordinal);
            return None;
        }
        Some(standing)
    }

    /// The twin, if nothing about it is pending.
    pub(super) fn durable(&self, ordinal: Ordinal) -> Option<Arc<Twin>> {
        let mut shard = self.shard(ordinal);
        match self.look(&mut shard, ordinal)? {
            Standing::Durable => shard.touch(ordinal),
            Standing::Pending | Standing::Failed => None,
        }
    }

    /// True when the twin is here.
    pub(super) fn holds(&self, ordinal: Ordinal) -> bool {
        let mut shard = self.shard(ordinal);
        self.look(&mut shard, ordinal).is_some()
    }

    /// To be taken before a twin is read from the store.
    pub(super) fn read_mark(&self) -> ReadMark {
        ReadMark(self.removals.load(Ordering::Acquire))
    }

    /// Decides on the newest state, submits and keeps the state after, all in one go: the order of decisions is
    /// the order of submission. `read` is the durable state, for a twin that is not here. `None` when there is
    /// no state to decide on: it is neither here nor was read, or what was read may be too old.
    pub(super) fn decide(
        &self,
        ordinal: Ordinal,
        read: Option<(ReadMark, Arc<Twin>)>,
        decide: impl FnOnce(Base<'_>) -> Result<Decision, Error>,
    ) -> Result<Option<(Submitted, Arc<Twin>)>, Error> {
        let mut shard = self.shard(ordinal);
        self.look(&mut shard, ordinal);
        let mark = self.read_mark();
        let entry = shard.entries.get(&ordinal);
        let is_pending = |part| {
            entry.is_some_and(|entry| entry.pending.iter().any(|(pending, _)| *pending == part))
        };
        let held = entry.map(|entry| Arc::clone(&entry.twin));
        let fresh = || {
            read.filter(|(taken, _)| *taken == mark)
                .map(|(_, twin)| twin)
        };
        let Some(twin) = held.or_else(fresh) else {
            return Ok(None);
        };
        let decision = decide(Base {
            twin: &twin,
            is_back_end_pending: is_pending(Part::BackEnd),
            is_reported_pending: is_pending(Part::Reported),
        })?;
        let submitted = decision.pending.shared();
        shard.keep(ordinal, &decision.next, decision.part, submitted.clone());
        self.evict(&mut shard);
        Ok(Some((submitted, decision.next)))
    }

    /// Notes which changes of the twin have ended. Nothing breaks when it is not called: whoever looks next does it.
    pub(super) fn settle(&self, ordinal: Ordinal) {
        let mut shard = self.shard(ordinal);
        self.look(&mut shard, ordinal);
        self.evict(&mut shard);
    }

    fn remove(&self, shard: &mut Shard, ordinal: Ordinal) {
        if let Some(entry) = shard.entries.remove(&ordinal) {
            shard.bytes -= entry.bytes;
            self.removals.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Drops the least recently used half of what is not pending, so that the search is paid once per many writes.
    fn evict(&self, shard: &mut Shard) {
        if shard.bytes <= self.shard_bytes_max {
            return;
        }
        let mut idle: Vec<(u64, Ordinal)> = shard
            .entries
            .iter_mut()
            .filter_map(|(ordinal, entry)| {
                (entry.look() == Standing::Durable).then_some((entry.used, *ordinal))
            })
            .collect();
        idle.sort_unstable();
        for (_, ordinal) in idle.iter().take(idle.len().div_ceil(2)) {
            self.remove(shard, *ordinal);
        }
    }
}

impl Entry {
    /// Passes over the changes that ended.
    fn look(&mut self) -> Standing {
        while let Some((_, oldest)) = self.pending.front() {
            match oldest.clone().now_or_never() {
                None => return Standing::Pending,
                Some(Err(_)) => return Standing::Failed,
                Some(Ok(_)) => drop(self.pending.pop_front()),
            }
        }
        self.pending = VecDeque::new();
        Standing::Durable
    }
}

impl Shard {
    fn touch(&mut self, ordinal: Ordinal) -> Option<Arc<Twin>> {
        self.clock += 1;
        let entry = self.entries.get_mut(&ordinal)?;
        entry.used = self.clock;
        Some(Arc::clone(&entry.twin))
    }

    fn keep(&mut self, ordinal: Ordinal, twin: &Arc<Twin>, part: Part, submitted: Submitted) {
        self.clock += 1;
        let bytes = approximate_bytes(twin);
        let entry = self.entries.entry(ordinal).or_insert_with(|| Entry {
            twin: Arc::clone(twin),
            pending: VecDeque::new(),
            bytes: 0,
            used: 0,
        });
        self.bytes = self.bytes + bytes - entry.bytes;
        entry.twin = Arc::clone(twin);
        entry.pending.push_back((part, submitted));
        entry.bytes = bytes;
        entry.used = self.clock;
    }
}

/// A parsed twin takes a few times the bytes of its text; nodes are what counts.
fn approximate_bytes(twin: &Twin) -> usize {
    const TWIN_BYTES: usize = 672;
    let maps = [
        &twin.back_end.tags,
        &twin.back_end.desired.properties,
        &twin.reported.properties,
    ];
    let members = maps.into_iter().flatten();
    TWIN_BYTES
        + members
            .map(|(key, value)| key.len() + value_bytes(value))
            .sum::<usize>()
}

fn value_bytes(value: &serde_json::Value) -> usize {
    use serde_json::Value;
    const NODE_BYTES: usize = 160;
    NODE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(value_bytes).sum(),
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| key.len() + value_bytes(value))
                .sum(),
        }
}
