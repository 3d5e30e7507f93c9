//! The port for telemetry: an append-only log per hub, divided into partitions.

pub mod batch;

use std::sync::Arc;

use hub_domain::{Hub, HubNo, Timestamp};
use tokio::sync::watch;

use crate::{Backlog, Pending, Reading, StoreError};
pub use batch::{AppendBatch, BatchWriter, LogRecord, RecordFlags, TelemetrySource};

/// The message logs of an installation, one per hub.
pub trait MessageLogs: Send + Sync + 'static {
    /// Opens the log of `hub`, creating it when new. The same log is returned each time.
    ///
    /// # Errors
    /// When the log cannot be opened or its partition count is another one.
    fn open(&self, hub: &Hub) -> Result<Arc<dyn MessageLog>, StoreError>;

    /// Deletes the log of a hub with everything in it.
    ///
    /// # Errors
    /// When files cannot be removed.
    fn delete(&self, hub: HubNo) -> Result<(), StoreError>;
}

/// The telemetry of one hub.
pub trait MessageLog: Send + Sync + 'static {
    /// Queues one connection's messages and returns at once. Complete when durable. Order of submission is
    /// order in the partition. Enqueued time is `max(batch.at, last)`.
    fn append(&self, batch: AppendBatch) -> Pending<Appended>;

    /// Bytes that wait for the committer.
    fn backlog(&self) -> &Backlog;

    /// How many partitions there are.
    fn partition_count(&self) -> u16;

    /// Messages of a partition from a position on, oldest first. An empty page means the end for the moment.
    /// A position before the oldest kept message means the oldest.
    fn read(&self, partition: u16, from: Position, limit: ReadLimit)
    -> Reading<'_, Vec<LogRecord>>;

    /// What a partition holds.
    fn partition(&self, partition: u16) -> Reading<'_, PartitionState>;

    /// Changes after every durable group; the value is the number of groups since the start.
    fn head(&self) -> watch::Receiver<u64>;

    /// Drops whole buckets older than the retention or above the size limit, oldest first; returns how many.
    fn trim(&self, now: Timestamp) -> Pending<u64>;
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// The oldest kept message.
    Start,
    /// After the newest message.
    End,
    /// The message of this sequence number, or the next one there is.
    Sequence(u64),
    /// The first message enqueued at or after this moment.
    Time(Timestamp),
}

/// Bounds of one read; at least one message is returned when there is one.
#[derive(Clone, Copy, Debug)]
pub struct ReadLimit {
    /// Most messages.
    pub records: usize,
    /// Most bytes of bags and bodies.
    pub bytes: usize,
}

/// What a partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionState {
    /// The sequence number of the oldest kept message; equals `next` when empty.
    pub first: u64,
    /// The sequence number the next message gets. The first message ever has number 0.
    pub next: u64,
    /// When the newest message was enqueued; never when there was none.
    pub last_enqueued: Timestamp,
}

/// A durable batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence number of its first message; the others follow without gaps.
    pub first: u64,
    /// The enqueued time of all its messages.
    pub enqueued: Timestamp,
}
