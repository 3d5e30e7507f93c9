//! How far each partition is: what a group leaves behind for the next one.

use bytes::{Buf, BufMut};
use hub_domain::Timestamp;

/// The ends of all partitions after a group.
///
/// Stored with every group, so that a position is found by binary search over the groups:
/// `payload u64, newest i64, partition × (next u64, last_enqueued i64)`, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Heads {
    /// Bytes of all groups since the log began.
    pub(super) payload: u64,
    /// The newest enqueued time of all partitions.
    pub(super) newest: Timestamp,
    pub(super) partitions: Box<[PartitionHead]>,
}

/// The end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PartitionHead {
    /// The number the next message gets.
    pub(super) next: u64,
    /// When the newest message was enqueued; never when there was none.
    pub(super) last_enqueued: Timestamp,
}

const HEAD_BYTES: usize = 8 + 8;
const PARTITION_BYTES: usize = 8 + 8;

impl Heads {
    /// The heads of a log without messages.
    pub(super) fn new(partition_count: u16) -> Self {
        let partition = PartitionHead {
            next: 0,
            last_enqueued: Timestamp::NEVER,
        };
        let partitions = vec![partition; usize::from(partition_count)].into_boxed_slice();
        Self {
            payload: 0,
            newest: Timestamp::NEVER,
            partitions,
        }
    }

    pub(super) fn partition_count(&self) -> u16 {
        u16::try_from(self.partitions.len()).expect("heads are made from a number of 16 bits")
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + PARTITION_BYTES * self.partitions.len());
        out.put_u64_le(self.payload);
        out.put_i64_le(self.newest.micros());
        for partition in &self.partitions {
            out.put_u64_le(partition.next);
            out.put_i64_le(partition.last_enqueued.micros());
        }
        out
    }

    /// Reads the stored form; `None` when it is none.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let payload = bytes.try_get_u64_le().ok()?;
        let newest = Timestamp::from_micros(bytes.try_get_i64_le().ok()?);
        let (chunks, rest) = bytes.as_chunks::<PARTITION_BYTES>();
        let fits = rest.is_empty() && u16::try_from(chunks.len()).is_ok();
        fits.then(|| Self {
            payload,
            newest,
            partitions: chunks.iter().map(partition_head).collect(),
        })
    }

    /// One partition's end in the stored form, without reading the others.
    pub(super) fn decode_one(bytes: &[u8], partition: u16) -> Option<PartitionHead> {
        let start = HEAD_BYTES + PARTITION_BYTES * usize::from(partition);
        bytes
            .get(start..)?
            .first_chunk::<PARTITION_BYTES>()
            .map(partition_head)
    }
}

fn partition_head(bytes: &[u8; PARTITION_BYTES]) -> PartitionHead {
    let mut rest = bytes.as_slice();
    PartitionHead {
        next: rest.get_u64_le(),
        last_enqueued: Timestamp::from_micros(rest.get_i64_le()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_come_back_whole_and_by_partition() {
        let mut heads = Heads::new(3);
        heads.payload = 9;
        heads.newest = Timestamp::from_micros(5);
        heads.partitions[1] = PartitionHead {
            next: 7,
            last_enqueued: Timestamp::from_micros(5),
        };
        let bytes = heads.encode();
        assert_eq!(Heads::decode(&bytes), Some(heads.clone()));
        assert_eq!(Heads::decode_one(&bytes, 1), Some(heads.partitions[1]));
        assert_eq!(Heads::decode_one(&bytes, 3), None);
        assert_eq!(Heads::decode(&bytes[1..]), None);
    }
}
