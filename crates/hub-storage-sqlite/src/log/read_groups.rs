//! Groups that were read from disk, kept for a while.
//!
//! A group holds messages of all partitions, more of each than a page does. Whoever reads a log back asks for it several
//! times in a row.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use hub_storage::StoreError;
use hub_storage::log::batch::StoredBatch;
use hub_storage::log::{LogRecord, Position, ReadLimit};

use super::page::{From, Page};

/// Most groups that are kept.
const GROUPS_MAX: usize = 64;
/// A group of fewer bytes is read again as cheaply as it is found here.
const BODY_BYTES_MIN: usize = 16 * 1024;
/// Fewest messages that are given out without asking the disk for the rest of the page.
const RECORDS_MIN: usize = 32;

#[derive(Debug)]
pub(super) struct ReadGroups {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were read.
    groups: VecDeque<Group>,
    bytes: usize,
    /// Groups before this one are removed from the disk.
    first_kept: u64,
}

#[derive(Debug)]
struct Group {
    id: u64,
    /// The numbers of its messages, for each partition up to the highest that it has.
    sequences: Box<[Range<u64>]>,
    body: Bytes,
}

impl Group {
    /// The numbers of its messages of a partition.
    fn of(&self, partition: u16) -> Range<u64> {
        let sequences = self.sequences.get(usize::from(partition));
        sequences.cloned().unwrap_or_default()
    }
}

impl ReadGroups {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            state: Mutex::default(),
            bytes_max,
        }
    }

    /// Keeps a group that was read, in place of those that were read first.
    pub(super) fn keep(&self, id: u64, body: &Bytes) -> Result<(), StoreError> {
        if body.len() < BODY_BYTES_MIN || body.len() > self.bytes_max {
            return Ok(());
        }
        let group = Group {
            id,
            sequences: sequences(body.clone())?,
            body: body.clone(),
        };
        let mut state = self.lock();
        if id < state.first_kept || state.find(id).is_some() {
            return Ok(());
        }
        state.bytes += group.body.len();
        state.groups.push_back(group);
        while state.bytes > self.bytes_max || state.groups.len() > GROUPS_MAX {
            state.drop_first();
        }
        Ok(())
    }

    /// Forgets the groups before `id`, whose files are removed.
    pub(super) fn forget(&self, id: u64) {
        let mut state = self.lock();
        state.first_kept = id;
        state.groups.retain(|group| group.id >= id);
        state.bytes = state.groups.iter().map(|group| group.body.len()).sum();
    }

    /// A page from `position` on, or `None` when the disk must be asked.
    pub(super) fn page(
        &self,
        partition: u16,
        position: Position,
        limit: ReadLimit,
    ) -> Option<Result<Vec<LogRecord>, StoreError>> {
        let Position::Sequence(sequence) = position else {
            return None;
        };
        let bodies = self.bodies(partition, sequence, limit.records.max(1))?;
        let mut page = Page::new(partition, From::Sequence(sequence), limit);
        for body in bodies {
            if let Err(error) = page.add(body) {
                return Some(Err(error));
            }
            if page.is_full() {
                break;
            }
        }
        let is_enough = page.is_full() || page.len() >= RECORDS_MIN;
        is_enough.then(|| Ok(page.finish()))
    }

    /// The group of a message, and those behind it as far as `records` messages need them.
    fn bodies(&self, partition: u16, sequence: u64, records: usize) -> Option<Vec<Bytes>> {
        let state = self.lock();
        let mut group = state
            .groups
            .iter()
            .find(|group| group.of(partition).contains(&sequence))?;
        let end = sequence.saturating_add(records as u64);
        let mut bodies = vec![group.body.clone()];
        while group.of(partition).end < end {
            let Some(next) = state.find(group.id + 1) else {
                break;
            };
            group = next;
            bodies.push(group.body.clone());
            if group.of(partition).is_empty() {
                break;
            }
        }
        Some(bodies)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the groups")
    }
}

impl State {
    fn find(&self, id: u64) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    fn drop_first(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.bytes -= group.body.len();
        }
    }
}

/// The numbers of a group's messages, by partition. Those of a partition follow each other.
fn sequences(mut body: Bytes) -> Result<Box<[Range<u64>]>, StoreError> {
    let mut sequences: Vec<Range<u64>> = Vec::new();
    while let Some(batch) = StoredBatch::read(&mut body)? {
        let index = usize::from(batch.partition);
        if sequences.len() <= index {
            sequences.resize(index + 1, 0..0);
        }
        let of = &mut sequences[index];
        if of.is_empty() {
            of.start = batch.first;
        }
        of.end = batch.first + u64::from(batch.count);
    }
    Ok(sequences.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use hub_domain::Timestamp;
    use hub_storage::log::batch::{BatchWriter, RecordFlags};

    use super::*;

    const BODY: [u8; 1_000] = [7; 1_000];
    const LIMIT: ReadLimit = ReadLimit {
        records: 40,
        bytes: usize::MAX,
    };

    /// A group of 50 messages in each of two partitions, numbered from `first`.
    fn group(first: u64) -> Bytes {
        let mut out = Vec::new();
        for partition in [0, 1] {
            for half in [0, 25] {
                let mut batch = BatchWriter::new();
                for _ in 0..25 {
                    batch.push(RecordFlags::default(), b"", &BODY);
                }
                let source = hub_storage::log::TelemetrySource::default().encode();
                let batch = batch.take(partition, source, Timestamp::NEVER);
                batch.write_to(&mut out, first + half, Timestamp::NEVER);
            }
        }
        out.into()
    }

    fn shown(groups: &ReadGroups, partition: u16, sequence: u64) -> Option<(u64, u64)> {
        let page = groups.page(partition, Position::Sequence(sequence), LIMIT)?;
        let page = page.unwrap();
        Some((page.first()?.sequence, page.last()?.sequence))
    }

    #[test]
    fn a_page_is_found_in_every_partition_and_goes_on_in_the_next_group() {
        let groups = ReadGroups::new(1 << 20);
        groups.keep(4, &group(100)).unwrap();
        assert_eq!(shown(&groups, 0, 100), Some((100, 139)));
        assert_eq!(shown(&groups, 1, 110), Some((110, 149)));
        assert_eq!(shown(&groups, 0, 99), None, "before");
        assert_eq!(shown(&groups, 0, 150), None, "behind");
        assert_eq!(shown(&groups, 0, 130), None, "too few to be worth it");
        groups.keep(5, &group(150)).unwrap();
        assert_eq!(shown(&groups, 0, 130), Some((130, 169)));
        assert!(groups.page(0, Position::Start, LIMIT).is_none());
    }

    #[test]
    fn what_was_read_first_makes_room() {
        let groups = ReadGroups::new(250_000);
        for number in 0..3 {
            groups.keep(number, &group(50 * number)).unwrap();
        }
        assert_eq!(shown(&groups, 0, 0), None);
        assert_eq!(shown(&groups, 0, 50), Some((50, 89)));
        groups.keep(9, &Bytes::from(vec![0; 100])).unwrap();
        assert_eq!(groups.lock().groups.len(), 2, "small ones are not kept");
    }

    #[test]
    fn what_is_removed_from_the_disk_is_not_given_out() {
        let groups = ReadGroups::new(1 << 20);
        groups.keep(1, &group(0)).unwrap();
        groups.forget(2);
        assert_eq!(shown(&groups, 0, 0), None);
        groups.keep(1, &group(0)).unwrap();
        assert_eq!(shown(&groups, 0, 0), None);
    }

    #[test]
    fn a_broken_group_is_an_error() {
        let groups = ReadGroups::new(1 << 20);
        assert!(
            groups
                .keep(1, &Bytes::from(vec![1; BODY_BYTES_MIN]))
                .is_err()
        );
    }
}
