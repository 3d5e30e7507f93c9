//! How messages get into a log.

use std::sync::Arc;

use bytes::Bytes;
use hub_domain::Timestamp;
use hub_domain::routing::Source;

use super::super::Backend;
use super::super::fixtures::{moment, reopen};
use super::fixtures::{append, batch, bodies, log, sequences, source, state, whole};
use crate::log::{BatchWriter, RecordFlags, TelemetrySource};

const PARTITIONS: u16 = 4;
const SUBMITTERS: usize = 8;
const BATCHES_EACH: usize = 40;

/// Many threads append to all partitions: every batch has its own run of numbers, and none is missing.
pub async fn sequences_are_gapless_under_concurrency<B: Backend>(backend: B) {
    let log = log(&backend);
    let mut submitters = Vec::new();
    for submitter in 0..SUBMITTERS {
        let log = Arc::clone(&log);
        submitters.push(tokio::spawn(async move {
            let device = format!("d{submitter}");
            let mut kept = Vec::new();
            for n in 0..BATCHES_EACH {
                let partition =
                    u16::try_from((submitter + n) % usize::from(PARTITIONS)).expect("a partition");
                let texts: Vec<String> = (0..=n % 5)
                    .map(|part| format!("{device} {n} {part}"))
                    .collect();
                let bodies: Vec<&str> = texts.iter().map(String::as_str).collect();
                let pending = log.append(batch(partition, &device, moment(0), &bodies));
                let appended = if n % 3 == 0 {
                    pending.await
                } else {
                    tokio::spawn(pending).await.expect("it ends")
                };
                kept.push((
                    partition,
                    appended.expect("a batch can be appended").first,
                    texts,
                ));
            }
            kept
        }));
    }
    let mut expected: Vec<Vec<(u64, String)>> = vec![Vec::new(); usize::from(PARTITIONS)];
    for submitter in submitters {
        for (partition, first, texts) in submitter.await.expect("a submitter ends") {
            expected[usize::from(partition)].extend((first..).zip(texts));
        }
    }
    for (partition, mut expected) in (0..PARTITIONS).zip(expected) {
        expected.sort_unstable();
        let records = whole(&*log, partition).await;
        let count = records.len() as u64;
        assert_eq!(sequences(&records), (0..count).collect::<Vec<_>>());
        let (numbers, texts): (Vec<u64>, Vec<String>) = expected.into_iter().unzip();
        assert_eq!(
            sequences(&records),
            numbers,
            "each batch has the numbers it was told"
        );
        assert_eq!(bodies(&records), texts, "each batch stands together");
        let state = state(&*log, partition).await;
        assert_eq!((state.first, state.next), (0, count));
    }
}

/// Order of submission is order in the partition, without waiting.
pub async fn appends_of_one_submitter_keep_their_order<B: Backend>(backend: B) {
    let log = log(&backend);
    let texts: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let pending: Vec<_> = texts
        .iter()
        .map(|text| log.append(batch(1, "d1", moment(0), &[text])))
        .collect();
    for (result, first) in pending.into_iter().zip(0..) {
        assert_eq!(result.await.expect("a batch can be appended").first, first);
    }
    assert_eq!(bodies(&whole(&*log, 1).await), texts);
}

/// Whatever the clocks say: a batch is enqueued at its time, or at the time of the one before.
pub async fn enqueued_time_never_goes_back<B: Backend>(backend: B) {
    let log = log(&backend);
    let mut times = Vec::new();
    for second in [100, 50, 100, 200, 199, -5, 300] {
        times.push(
            append(&*log, batch(0, "d1", moment(second), &["body"]))
                .await
                .enqueued,
        );
    }
    let expected = [100, 100, 100, 200, 200, 200, 300].map(moment);
    assert_eq!(times, expected);
    let read: Vec<Timestamp> = whole(&*log, 0)
        .await
        .iter()
        .map(|record| record.enqueued)
        .collect();
    assert_eq!(read, expected);
    assert_eq!(state(&*log, 0).await.last_enqueued, moment(300));

    drop(log);
    let store = backend.store();
    let (backend, _store) = reopen(backend, store).await;
    let log = super::fixtures::log(&backend);
    assert_eq!(state(&*log, 0).await.last_enqueued, moment(300));
    let late = append(&*log, batch(0, "d1", moment(10), &["body"])).await;
    assert_eq!(late.enqueued, moment(300), "nor over a reopening");
}

/// Nothing of a message is lost.
pub async fn every_field_of_a_record_is_kept<B: Backend>(backend: B) {
    let log = log(&backend);
    let source = TelemetrySource {
        device: "all-kinds:of.chars+%_#*?!(),=@;$'".to_owned(),
        module: "m1".to_owned(),
        generation: "637000000000000000".to_owned(),
        auth_method: r#"{"scope":"device","type":"sas","issuer":"iothub"}"#.to_owned(),
        model_id: "dtmi:com:example:Thermostat;1".to_owned(),
        message_source: Source::DeviceConnectionStateEvents,
    };
    let large = vec![0xa5; 256 * 1024];
    let all_bytes: Vec<u8> = (0..=255).collect();
    let messages: [(RecordFlags, &[u8], &[u8]); 5] = [
        (RecordFlags::default(), b"", b""),
        (
            RecordFlags::RETAIN.with(RecordFlags::DUP),
            b"%24.mid=1&a=%20",
            b"body",
        ),
        (RecordFlags::WILL, &all_bytes, &all_bytes),
        (RecordFlags(u8::MAX), b"bag", b""),
        (RecordFlags::default(), b"", &large),
    ];
    let mut writer = BatchWriter::new();
    for (flags, bag, body) in messages {
        writer.push(flags, bag, body);
    }
    let at = Timestamp::from_micros(1_700_000_000_123_456);
    append(&*log, writer.take(3, source.encode(), at)).await;
    let check = |records: Vec<crate::log::LogRecord>| {
        assert_eq!(records.len(), messages.len());
        for ((record, sequence), (flags, bag, body)) in records.iter().zip(0..).zip(messages) {
            assert_eq!(
                (record.sequence, record.enqueued, record.flags),
                (sequence, at, flags)
            );
            assert_eq!(*record.source, source);
            assert_eq!(
                (&record.bag, &record.body),
                (&Bytes::copy_from_slice(bag), &Bytes::copy_from_slice(body))
            );
        }
    };
    check(whole(&*log, 3).await);
    drop(log);
    let store = backend.store();
    let (backend, _store) = reopen(backend, store).await;
    check(whole(&*super::fixtures::log(&backend), 3).await);
}

/// Whoever waits on the head is woken, and finds what woke it.
pub async fn the_head_tells_every_group<B: Backend>(backend: B) {
    let log = log(&backend);
    let mut head = log.head();
    head.borrow_and_update();
    for n in 1..=5 {
        append(&*log, batch(0, &source("d1").device, moment(n), &["body"])).await;
        let before = *head.borrow();
        head.changed().await.expect("the log is there");
        assert!(
            *head.borrow_and_update() >= before,
            "groups are counted upwards"
        );
    }
    let waiting = {
        let (mut head, log) = (head.clone(), Arc::clone(&log));
        tokio::spawn(async move {
            head.changed().await.expect("the log is there");
            assert_eq!(
                state(&*log, 0).await.next,
                6,
                "the head does not run ahead of the messages"
            );
        })
    };
    append(&*log, batch(0, "d1", moment(6), &["body"])).await;
    waiting.await.expect("the waiting task ends");
}
