//! Message logs in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::ready;
use hub_domain::limits::COMMITTER_WAITING_BYTES_MAX;
use hub_domain::{Hub, HubNo, Timestamp};
use tokio::sync::watch;

use super::gate::{Faults, Gate, Verdict};
use crate::log::batch::StoredBatch;
use crate::log::{AppendBatch, Appended, LogRecord, PartitionState, Position, ReadLimit};
use crate::pending::{Completer, pending};
use crate::{Backlog, MessageLog, MessageLogs, Pending, Reading, StoreError};

/// How much time one bucket holds.
const BUCKET_SECONDS: i64 = 3_600;

/// Message logs that live as long as this value.
#[derive(Debug, Default)]
pub struct MemoryLogs {
    logs: Mutex<BTreeMap<HubNo, Arc<MemoryLog>>>,
}

impl MemoryLogs {
    /// No logs yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<HubNo, Arc<MemoryLog>>> {
        self.logs
            .lock()
            .expect("nothing panics while it holds the logs")
    }

    /// The log of `hub` with its [`Faults`], opened as by [`MessageLogs::open`].
    ///
    /// # Errors
    /// When the partition count is another one.
    pub fn open_memory(&self, hub: &Hub) -> Result<Arc<MemoryLog>, StoreError> {
        let mut logs = self.lock();
        let log = logs
            .entry(hub.no)
            .or_insert_with(|| Arc::new(MemoryLog::new(hub)));
        if log.partition_count() == hub.partition_count {
            Ok(Arc::clone(log))
        } else {
            let (is, wanted) = (log.partition_count(), hub.partition_count);
            Err(StoreError::internal(format!(
                "the log of hub {} has {is} partitions, not {wanted}",
                hub.no
            )))
        }
    }
}

impl MessageLogs for MemoryLogs {
    fn open(&self, hub: &Hub) -> Result<Arc<dyn MessageLog>, StoreError> {
        Ok(self.open_memory(hub)?)
    }

    fn delete(&self, hub: HubNo) -> Result<(), StoreError> {
        self.lock().remove(&hub);
        Ok(())
    }
}

/// One hub's telemetry in memory.
#[derive(Debug)]
pub struct MemoryLog {
    inner: Mutex<Inner>,
    backlog: Backlog,
    head: watch::Sender<u64>,
    partition_count: u16,
    retention: Duration,
    retention_bytes_max: u64,
}

#[derive(Debug)]
struct Inner {
    partitions: Vec<Partition>,
    gate: Gate<Work>,
}

#[derive(Debug)]
enum Work {
    Append(AppendBatch, Completer<Appended>),
    Trim(Timestamp, Completer<u64>),
}

#[derive(Debug)]
struct Partition {
    records: VecDeque<LogRecord>,
    next: u64,
    last_enqueued: Timestamp,
}

impl MemoryLog {
    fn new(hub: &Hub) -> Self {
        let empty = || Partition {
            records: VecDeque::new(),
            next: 0,
            last_enqueued: Timestamp::NEVER,
        };
        let partitions = (0..hub.partition_count).map(|_| empty()).collect();
        Self {
            inner: Mutex::new(Inner {
                partitions,
                gate: Gate::new(),
            }),
            backlog: Backlog::new(COMMITTER_WAITING_BYTES_MAX),
            head: watch::Sender::new(0),
            partition_count: hub.partition_count,
            retention: hub.retention,
            retention_bytes_max: hub.retention_bytes_max,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner
            .lock()
            .expect("nothing panics while it holds the log")
    }

    fn queue(&self, work: Work) {
        let mut inner = self.lock();
        inner.gate.push(work);
        while let Some((work, verdict)) = inner.gate.next() {
            self.finish(&mut inner.partitions, work, verdict);
        }
    }

    fn finish(&self, partitions: &mut [Partition], work: Work, verdict: Verdict) {
        match (work, verdict) {
            (Work::Append(batch, completer), Verdict::Commit) => {
                let result = append(partitions, &batch);
                self.backlog.remove(batch.size());
                if result.is_ok() {
                    self.head.send_modify(|groups| *groups += 1);
                }
                completer.complete(result);
            }
            (Work::Append(batch, completer), Verdict::DiskFull) => {
                self.backlog.remove(batch.size());
                completer.complete(Err(StoreError::DiskFull));
            }
            (Work::Trim(now, completer), Verdict::Commit) => {
                let dropped = trim(
                    partitions,
                    now.minus(self.retention),
                    self.retention_bytes_max,
                );
                completer.complete(Ok(dropped));
            }
            (Work::Trim(_, completer), Verdict::DiskFull) => {
                completer.complete(Err(StoreError::DiskFull))
            }
        }
    }

    fn read_now<T>(
        &self,
        partition: u16,
        read: impl FnOnce(&Partition) -> T,
    ) -> Result<T, StoreError> {
        let inner = self.lock();
        inner
            .partitions
            .get(usize::from(partition))
            .map(read)
            .ok_or_else(|| no_partition(partition))
    }
}

impl MessageLog for MemoryLog {
    fn append(&self, batch: AppendBatch) -> Pending<Appended> {
        self.backlog.add(batch.size());
        let (completer, pending) = pending();
        self.queue(Work::Append(batch, completer));
        pending
    }

    fn backlog(&self) -> &Backlog {
        &self.backlog
    }

    fn partition_count(&self) -> u16 {
        self.partition_count
    }

    fn read(
        &self,
        partition: u16,
        from: Position,
        limit: ReadLimit,
    ) -> Reading<'_, Vec<LogRecord>> {
        Box::pin(ready(
            self.read_now(partition, |partition| page(partition, from, limit)),
        ))
    }

    fn partition(&self, partition: u16) -> Reading<'_, PartitionState> {
        Box::pin(ready(self.read_now(partition, |partition| {
            PartitionState {
                first: partition
                    .records
                    .front()
                    .map_or(partition.next, |record| record.sequence),
                next: partition.next,
                last_enqueued: partition.last_enqueued,
            }
        })))
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn trim(&self, now: Timestamp) -> Pending<u64> {
        let (completer, pending) = pending();
        self.queue(Work::Trim(now, completer));
        pending
    }
}

impl Faults for MemoryLog {
    fn hold(&self) {
        self.lock().gate.hold();
    }

    fn release(&self, count: usize) -> usize {
        let mut inner = self.lock();
        let mut released = 0;
        while released < count
            && let Some((work, verdict)) = inner.gate.release()
        {
            self.finish(&mut inner.partitions, work, verdict);
            released += 1;
        }
        released
    }

    fn resume(&self) {
        self.lock().gate.open();
        self.release(usize::MAX);
    }

    fn fail_next(&self, count: usize) {
        self.lock().gate.fail_next(count);
    }

    fn waiting(&self) -> usize {
        self.lock().gate.len()
    }
}

fn no_partition(partition: u16) -> StoreError {
    StoreError::internal(format!("the log has no partition {partition}"))
}

fn append(partitions: &mut [Partition], batch: &AppendBatch) -> Result<Appended, StoreError> {
    let partition = partitions
        .get_mut(usize::from(batch.partition))
        .ok_or_else(|| no_partition(batch.partition))?;
    let first = partition.next;
    let enqueued = batch.at.max(partition.last_enqueued);
    let mut group = Vec::new();
    batch.write_to(&mut group, first, enqueued);
    let mut records = Vec::new();
    if let Some(stored) = StoredBatch::read(&mut Bytes::from(group))? {
        stored.decode(first, usize::MAX, &mut records)?;
    }
    if !records.is_empty() {
        partition.last_enqueued = enqueued;
    }
    partition.next += u64::from(batch.count);
    partition.records.extend(records);
    Ok(Appended { first, enqueued })
}

fn page(partition: &Partition, from: Position, limit: ReadLimit) -> Vec<LogRecord> {
    let skipped = partition.records.partition_point(|record| match from {
        Position::Start => false,
        Position::End => true,
        Position::Sequence(sequence) => record.sequence < sequence,
        Position::Time(time) => record.enqueued < time,
    });
    let mut bytes = 0_usize;
    let mut page: Vec<LogRecord> = Vec::new();
    for record in partition
        .records
        .range(skipped..)
        .take(limit.records.max(1))
    {
        bytes += record.bag.len() + record.body.len();
        if bytes > limit.bytes && !page.is_empty() {
            break;
        }
        page.push(record.clone());
    }
    page
}

/// Drops the buckets that ended at or before `oldest`, then the oldest ones but the newest while there are more than `bytes_max` bytes.
fn trim(partitions: &mut [Partition], oldest: Timestamp, bytes_max: u64) -> u64 {
    let records = || partitions.iter().flat_map(|partition| &partition.records);
    let buckets: BTreeSet<i64> = records().map(bucket).collect();
    let newest = buckets.last().copied();
    let mut bytes: u64 = records().map(size).sum();
    let mut dropped = BTreeSet::new();
    for number in buckets {
        let is_old =
            Timestamp::from_seconds(number.saturating_add(1).saturating_mul(BUCKET_SECONDS))
                <= oldest;
        let is_too_much = bytes > bytes_max && Some(number) != newest;
        if !is_old && !is_too_much {
            break;
        }
        bytes -= records()
            .filter(|record| bucket(record) == number)
            .map(size)
            .sum::<u64>();
        dropped.insert(number);
    }
    for partition in partitions {
        partition
            .records
            .retain(|record| !dropped.contains(&bucket(record)));
    }
    dropped.len() as u64
}

fn bucket(record: &LogRecord) -> i64 {
    record.enqueued.seconds().div_euclid(BUCKET_SECONDS)
}

fn size(record: &LogRecord) -> u64 {
    (record.bag.len() + record.body.len()) as u64
}
