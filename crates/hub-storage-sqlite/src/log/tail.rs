//! The newest groups of a log in memory, for live readers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hub_storage::StoreError;
use hub_storage::log::{LogRecord, PartitionState, Position, ReadLimit};

use super::heads::Heads;
use super::page::{From, Page};

/// Bookkeeping of a group beside its bytes.
const GROUP_OVERHEAD_BYTES: usize = 128;

#[derive(Debug)]
pub(super) struct LogTail {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    groups: VecDeque<Group>,
    bytes: usize,
    /// The heads before the first group here.
    start: Arc<Heads>,
    /// The heads after the last committed group.
    heads: Arc<Heads>,
}

#[derive(Clone, Debug)]
struct Group {
    id: u64,
    heads: Arc<Heads>,
    body: Bytes,
}

impl Group {
    fn bytes(&self) -> usize {
        self.body.len() + 16 * self.heads.partitions.len() + GROUP_OVERHEAD_BYTES
    }
}

impl LogTail {
    pub(super) fn new(heads: Heads, bytes_max: usize) -> Self {
        let heads = Arc::new(heads);
        let state = State {
            groups: VecDeque::new(),
            bytes: 0,
            start: Arc::clone(&heads),
            heads,
        };
        Self {
            state: Mutex::new(state),
            bytes_max,
        }
    }

    /// Adds a committed group.
    pub(super) fn push(&self, id: u64, heads: Heads, body: Bytes) {
        let heads = Arc::new(heads);
        let group = Group {
            id,
            heads: Arc::clone(&heads),
            body,
        };
        let mut state = self.lock();
        state.bytes += group.bytes();
        state.groups.push_back(group);
        state.heads = heads;
        while state.bytes > self.bytes_max {
            state.drop_oldest();
        }
    }

    /// Forgets the groups before `id`, whose files are removed.
    pub(super) fn forget(&self, id: u64) {
        let mut state = self.lock();
        while state.groups.front().is_some_and(|group| group.id < id) {
            state.drop_oldest();
        }
    }

    /// What a partition holds, when its oldest message is `first`.
    pub(super) fn partition(&self, partition: u16, first: u64) -> PartitionState {
        let head = self.lock().heads.partitions[usize::from(partition)];
        PartitionState {
            first,
            next: head.next,
            last_enqueued: head.last_enqueued,
        }
    }

    /// A page from `position` on, or `None` when the disk must be asked.
    pub(super) fn page(
        &self,
        partition: u16,
        position: Position,
        limit: ReadLimit,
    ) -> Option<Result<Vec<LogRecord>, StoreError>> {
        let from = match position {
            Position::End => return Some(Ok(Vec::new())),
            Position::Start => From::Sequence(0),
            Position::Sequence(sequence) => From::Sequence(sequence),
            Position::Time(time) => From::Time(time),
        };
        let groups = self.groups(partition, from, limit.records.max(1))?;
        let mut page = Page::new(partition, from, limit);
        for group in groups {
            if let Err(error) = page.add(group.body) {
                return Some(Err(error));
            }
            if page.is_full() {
                break;
            }
        }
        Some(Ok(page.finish()))
    }

    /// The groups that hold the next `records` messages of a partition.
    fn groups(&self, partition: u16, from: From, records: usize) -> Option<Vec<Group>> {
        let index = usize::from(partition);
        let state = self.lock();
        if from.may_be_before(state.start.partitions[index]) {
            return None;
        }
        let mut groups = Vec::new();
        let mut found = 0;
        let mut from = from;
        let mut next = state.start.partitions[index].next;
        while found < records {
            let skipped = state
                .groups
                .partition_point(|group| from.is_after(group.heads.partitions[index]));
            let Some(group) = state.groups.get(skipped) else {
                break;
            };
            let end = group.heads.partitions[index].next;
            // By time, messages of the first group may be older than asked for, so that it may give none.
            let begin = match from {
                From::Sequence(sequence) => next.max(sequence),
                From::Time(_) => end,
            };
            found += usize::try_from(end - begin).unwrap_or(usize::MAX);
            groups.push(group.clone());
            next = end;
            from = From::Sequence(end);
        }
        Some(groups)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the tail")
    }
}

impl State {
    fn drop_oldest(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.bytes -= group.bytes();
            self.start = group.heads;
        }
    }
}
