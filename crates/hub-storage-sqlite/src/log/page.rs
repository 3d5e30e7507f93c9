//! A page of a partition's messages while it is filled.

use bytes::Bytes;
use hub_domain::Timestamp;
use hub_storage::StoreError;
use hub_storage::log::batch::StoredBatch;
use hub_storage::log::{LogRecord, ReadLimit};

use super::heads::PartitionHead;

/// Where a page begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    /// At this number or the next one there is.
    Sequence(u64),
    /// At the first message of this moment or later.
    Time(Timestamp),
}

impl From {
    /// True when everything before `head` is before the page.
    pub(super) fn is_after(self, head: PartitionHead) -> bool {
        match self {
            Self::Sequence(sequence) => head.next <= sequence,
            Self::Time(time) => head.next == 0 || head.last_enqueued < time,
        }
    }

    /// True when the page may begin before `head`.
    pub(super) fn may_be_before(self, head: PartitionHead) -> bool {
        !self.is_after(head)
    }
}

/// Takes groups in their order and keeps the messages that belong to it.
#[derive(Debug)]
pub(super) struct Page {
    partition: u16,
    from: From,
    records_max: usize,
    bytes_max: usize,
    bytes: usize,
    records: Vec<LogRecord>,
    full: bool,
}

impl Page {
    pub(super) fn new(partition: u16, from: From, limit: ReadLimit) -> Self {
        let records_max = limit.records.max(1);
        Self {
            partition,
            from,
            records_max,
            bytes_max: limit.bytes,
            bytes: 0,
            records: Vec::new(),
            full: false,
        }
    }

    /// Adds the messages of a group's body.
    pub(super) fn add(&mut self, mut body: Bytes) -> Result<(), StoreError> {
        while !self.full
            && let Some(batch) = StoredBatch::read(&mut body)?
        {
            let wanted = batch.partition == self.partition
                && match self.from {
                    From::Sequence(sequence) => batch.first + u64::from(batch.count) > sequence,
                    From::Time(time) => batch.enqueued >= time,
                };
            if wanted {
                self.add_batch(&batch)?;
            }
        }
        Ok(())
    }

    fn add_batch(&mut self, batch: &StoredBatch) -> Result<(), StoreError> {
        let sequence = match self.from {
            From::Sequence(sequence) => sequence,
            From::Time(_) => batch.first,
        };
        let before = self.records.len();
        batch.decode(sequence, self.records_max, &mut self.records)?;
        for index in before..self.records.len() {
            self.bytes += self.records[index].bag.len() + self.records[index].body.len();
            if self.bytes > self.bytes_max && index > 0 {
                self.records.truncate(index);
                self.full = true;
                return Ok(());
            }
        }
        self.full = self.records.len() >= self.records_max;
        // From here on the order of the partition leads: a time is only where to begin.
        self.from = From::Sequence(batch.first + u64::from(batch.count));
        Ok(())
    }

    /// Messages so far.
    pub(super) const fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.full
    }

    /// Where the page goes on.
    pub(super) const fn from(&self) -> From {
        self.from
    }

    pub(super) fn finish(self) -> Vec<LogRecord> {
        self.records
    }
}
