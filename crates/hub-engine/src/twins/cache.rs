//! Parsed twins: those with submitted changes that are not durable yet, and as many others as fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::twin::Twin;
use hub_storage::store::{Committed, Ordinal};
use hub_storage::{Pending, StoreError};

use crate::Error;

const SHARDS: usize = 16;

/// Twins by ordinal. Entries with pending changes stay; others leave when there is no room.
pub(crate) struct TwinCache {
    shards: [Mutex<Shard>; SHARDS],
    shard_bytes_max: usize,
}

#[derive(Default)]
struct Shard {
    entries: HashMap<Ordinal, Entry>,
    bytes: usize,
    clock: u64,
}

struct Entry {
    twin: Arc<Twin>,
    /// Submitted changes that are not durable yet.
    pending: u32,
    bytes: usize,
    used: u64,
}

type Decision = (Pending<Committed>, Arc<Twin>);

impl TwinCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            shards: Default::default(),
            shard_bytes_max: bytes_max / SHARDS,
        }
    }

    fn shard(&self, ordinal: Ordinal) -> MutexGuard<'_, Shard> {
        let index = usize::try_from(ordinal.0 % SHARDS as u64).expect("below the shard count");
        self.shards[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The twin, if nothing about it is pending.
    pub(crate) fn durable(&self, ordinal: Ordinal) -> Option<Arc<Twin>> {
        let mut shard = self.shard(ordinal);
        shard.clock += 1;
        let now = shard.clock;
        let entry = shard
            .entries
            .get_mut(&ordinal)
            .filter(|entry| entry.pending == 0)?;
        entry.used = now;
        Some(Arc::clone(&entry.twin))
    }

    /// True when the twin is here.
    pub(crate) fn holds(&self, ordinal: Ordinal) -> bool {
        self.shard(ordinal).entries.contains_key(&ordinal)
    }

    /// Decides on the newest state, submits and keeps the state after, all in one go: the order of decisions is
    /// the order of submission. `loaded` is the durable state, for a twin that is not here; `None` when it is
    /// neither here nor was loaded.
    pub(crate) fn decide(
        &self,
        ordinal: Ordinal,
        loaded: Option<Arc<Twin>>,
        decide: impl FnOnce(&Twin) -> Result<Decision, Error>,
    ) -> Result<Option<Decision>, Error> {
        let mut shard = self.shard(ordinal);
        let held = shard
            .entries
            .get(&ordinal)
            .map(|entry| Arc::clone(&entry.twin));
        let Some(current) = held.or(loaded) else {
            return Ok(None);
        };
        let (pending, next) = decide(&current)?;
        shard.keep(ordinal, &next, self.shard_bytes_max);
        Ok(Some((pending, next)))
    }

    /// Notes the end of a submitted change. After a failure the state here was never real and is forgotten.
    pub(crate) fn settle<T>(&self, ordinal: Ordinal, result: &Result<T, StoreError>) {
        let mut shard = self.shard(ordinal);
        match result {
            Ok(_) => {
                if let Some(entry) = shard.entries.get_mut(&ordinal) {
                    entry.pending = entry.pending.saturating_sub(1);
                }
                shard.evict(self.shard_bytes_max);
            }
            Err(_) => shard.remove(ordinal),
        }
    }
}

impl Shard {
    fn keep(&mut self, ordinal: Ordinal, twin: &Arc<Twin>, bytes_max: usize) {
        self.clock += 1;
        let bytes = approximate_bytes(twin);
        let entry = self.entries.entry(ordinal).or_insert(Entry {
            twin: Arc::clone(twin),
            pending: 0,
            bytes: 0,
            used: 0,
        });
        self.bytes = self.bytes + bytes - entry.bytes;
        *entry = Entry {
            twin: Arc::clone(twin),
            pending: entry.pending + 1,
            bytes,
            used: self.clock,
        };
        self.evict(bytes_max);
    }

    fn remove(&mut self, ordinal: Ordinal) {
        if let Some(entry) = self.entries.remove(&ordinal) {
            self.bytes -= entry.bytes;
        }
    }

    /// Drops the least recently used half of what is not pending, so that the search is paid once per many writes.
    fn evict(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        let mut idle: Vec<(u64, Ordinal)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.pending == 0)
            .map(|(ordinal, entry)| (entry.used, *ordinal))
            .collect();
        idle.sort_unstable_by_key(|(used, _)| *used);
        for (_, ordinal) in idle.iter().take(idle.len().div_ceil(2)) {
            self.remove(*ordinal);
        }
    }
}

/// A parsed twin takes a few times the bytes of its text; nodes are what counts.
fn approximate_bytes(twin: &Twin) -> usize {
    const NODE_BYTES: usize = 160;
    let maps = [
        &twin.back_end.tags,
        &twin.back_end.desired.properties,
        &twin.reported.properties,
    ];
    512 + maps
        .into_iter()
        .map(|map| {
            map.iter()
                .map(|(key, value)| key.len() + value_bytes(value))
                .sum::<usize>()
        })
        .sum::<usize>()
        + NODE_BYTES
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
