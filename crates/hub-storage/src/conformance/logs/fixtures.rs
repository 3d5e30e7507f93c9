//! Batches, and reading a partition whole.

use std::sync::Arc;

use hub_domain::{Hub, Timestamp};

use super::super::Backend;
use super::super::fixtures::{HUB, hub};
use crate::MessageLog;
use crate::log::{
    AppendBatch, Appended, BatchWriter, LogRecord, PartitionState, Position, ReadLimit,
    RecordFlags, TelemetrySource,
};

/// A limit that no law reaches.
pub(super) const WHOLE: ReadLimit = ReadLimit {
    records: 1_000_000,
    bytes: 1 << 40,
};

/// The log of the hub that most laws use.
pub(super) fn log<B: Backend>(backend: &B) -> Arc<dyn MessageLog> {
    open(backend, &hub(HUB))
}

pub(super) fn open<B: Backend>(backend: &B, hub: &Hub) -> Arc<dyn MessageLog> {
    backend.logs().open(hub).expect("a log can be opened")
}

pub(super) fn source(device: &str) -> TelemetrySource {
    TelemetrySource {
        device: device.to_owned(),
        generation: "g1".to_owned(),
        ..TelemetrySource::default()
    }
}

/// A batch of messages with these bodies.
pub(super) fn batch(partition: u16, device: &str, at: Timestamp, bodies: &[&str]) -> AppendBatch {
    let mut writer = BatchWriter::new();
    for body in bodies {
        writer.push(RecordFlags::default(), b"a=1", body.as_bytes());
    }
    writer.take(partition, source(device).encode(), at)
}

/// Appends a batch that must be kept.
pub(super) async fn append(log: &dyn MessageLog, batch: AppendBatch) -> Appended {
    log.append(batch).await.expect("a batch can be appended")
}

pub(super) async fn read(
    log: &dyn MessageLog,
    partition: u16,
    from: Position,
    limit: ReadLimit,
) -> Vec<LogRecord> {
    log.read(partition, from, limit)
        .await
        .expect("a partition can be read")
}

/// Everything a partition holds, read in pages of three sizes that must agree.
pub(super) async fn whole(log: &dyn MessageLog, partition: u16) -> Vec<LogRecord> {
    let all = pages(log, partition, 1_000).await;
    assert_eq!(
        pages(log, partition, 7).await,
        all,
        "the page size does not matter"
    );
    all
}

async fn pages(log: &dyn MessageLog, partition: u16, records: usize) -> Vec<LogRecord> {
    let mut all: Vec<LogRecord> = Vec::new();
    let mut from = Position::Start;
    loop {
        let page = read(log, partition, from, ReadLimit { records, ..WHOLE }).await;
        assert!(
            page.len() <= records,
            "a page has at most what was asked for"
        );
        let Some(last) = page.last() else { return all };
        from = Position::Sequence(last.sequence + 1);
        all.extend(page);
    }
}

pub(super) fn bodies(records: &[LogRecord]) -> Vec<&str> {
    records
        .iter()
        .map(|record| std::str::from_utf8(&record.body).expect("a body of the laws is text"))
        .collect()
}

pub(super) fn sequences(records: &[LogRecord]) -> Vec<u64> {
    records.iter().map(|record| record.sequence).collect()
}

pub(super) async fn state(log: &dyn MessageLog, partition: u16) -> PartitionState {
    log.partition(partition)
        .await
        .expect("a partition's state can be read")
}
