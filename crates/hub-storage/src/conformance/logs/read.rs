//! How messages are read.

use std::sync::Arc;

use hub_domain::Timestamp;

use super::super::Backend;
use super::super::fixtures::moment;
use super::fixtures::{WHOLE, append, batch, bodies, log, read, sequences, state, whole};
use crate::MessageLog;
use crate::log::{Position, ReadLimit};

/// Batches at the seconds 10, 20 and 30, two messages in each.
async fn three_batches(log: &dyn MessageLog, partition: u16) {
    for second in [10, 20, 30] {
        let texts = [format!("{second}a"), format!("{second}b")];
        append(
            log,
            batch(partition, "d1", moment(second), &[&texts[0], &texts[1]]),
        )
        .await;
    }
}

/// From the start, the end, a number or a moment.
pub async fn reading_begins_where_it_is_told<B: Backend>(backend: B) {
    let log = log(&backend);
    three_batches(&*log, 2).await;
    let all = ["10a", "10b", "20a", "20b", "30a", "30b"];
    let just_after = |second| Position::Time(Timestamp::from_micros(moment(second).micros() + 1));
    let cases = [
        (Position::Start, 0),
        (Position::End, 6),
        (Position::Sequence(0), 0),
        (Position::Sequence(3), 3),
        (Position::Sequence(5), 5),
        (Position::Sequence(6), 6),
        (Position::Sequence(1 << 50), 6),
        (Position::Time(Timestamp::NEVER), 0),
        (Position::Time(moment(10)), 0),
        (just_after(10), 2),
        (Position::Time(moment(15)), 2),
        (Position::Time(moment(20)), 2),
        (Position::Time(moment(30)), 4),
        (just_after(30), 6),
        (Position::Time(moment(1_000_000)), 6),
    ];
    for (from, first) in cases {
        let records = read(&*log, 2, from, WHOLE).await;
        assert_eq!(bodies(&records), all[first..], "from {from:?}");
    }
    append(&*log, batch(2, "d1", moment(40), &["40a"])).await;
    assert!(
        read(&*log, 2, Position::End, WHOLE).await.is_empty(),
        "the end is the present one"
    );
    assert_eq!(
        bodies(&read(&*log, 2, Position::Sequence(6), WHOLE).await),
        ["40a"]
    );
}

/// A number inside a large batch among small ones.
pub async fn reading_begins_inside_a_batch<B: Backend>(backend: B) {
    let log = log(&backend);
    let texts: Vec<String> = (0..300).map(|n| n.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    append(&*log, batch(0, "d1", moment(1), &texts[..1])).await;
    append(&*log, batch(0, "d2", moment(2), &texts[1..299])).await;
    append(&*log, batch(0, "d1", moment(3), &texts[299..])).await;
    for first in [0_usize, 1, 2, 150, 298, 299] {
        let limit = ReadLimit {
            records: 3,
            ..WHOLE
        };
        let records = read(&*log, 0, Position::Sequence(first as u64), limit).await;
        assert_eq!(bodies(&records), texts[first..(first + 3).min(300)]);
    }
    let records = whole(&*log, 0).await;
    assert!(
        records[1..299]
            .iter()
            .all(|record| record.source.device == "d2")
    );
}

/// At most so many messages and bytes, but always one when there is one.
pub async fn pages_are_bounded_and_never_empty_before_the_end<B: Backend>(backend: B) {
    let log = log(&backend);
    // Each message has 3 bytes of bag and 97 of body.
    let body = "x".repeat(97);
    for _ in 0..10 {
        append(&*log, batch(0, "d1", moment(1), &[&body, &body, &body])).await;
    }
    let cases = [
        (1, 1 << 30, 1),
        (7, 1 << 30, 7),
        (1_000, 1 << 30, 30),
        (100, 1_000, 10),
        (100, 399, 3),
        (5, 1_000, 5),
    ];
    for (records, bytes, expected) in cases {
        let page = read(&*log, 0, Position::Start, ReadLimit { records, bytes }).await;
        assert_eq!(page.len(), expected, "{records} messages, {bytes} bytes");
        assert_eq!(sequences(&page), (0..expected as u64).collect::<Vec<_>>());
    }
    let mut from = 0;
    while from < 30 {
        let page = read(
            &*log,
            0,
            Position::Sequence(from),
            ReadLimit {
                records: 100,
                bytes: 1,
            },
        )
        .await;
        assert_eq!(
            sequences(&page),
            [from],
            "a message that is larger than the limit comes alone"
        );
        from += 1;
    }
}

/// A partition's messages, numbers and times are its own.
pub async fn partitions_are_apart<B: Backend>(backend: B) {
    let log = log(&backend);
    assert_eq!(log.partition_count(), 4);
    three_batches(&*log, 3).await;
    append(&*log, batch(0, "d2", moment(100), &["zero"])).await;
    three_batches(&*log, 3).await;
    assert_eq!(bodies(&whole(&*log, 0).await), ["zero"]);
    assert_eq!(
        sequences(&whole(&*log, 3).await),
        (0..12).collect::<Vec<_>>()
    );
    assert!(whole(&*log, 1).await.is_empty());
    assert_eq!(state(&*log, 0).await.last_enqueued, moment(100));
    assert_eq!(state(&*log, 3).await.last_enqueued, moment(30));
}

/// A reader that waits for the head between reads, while others write.
pub async fn a_reader_that_follows_sees_everything_once<B: Backend>(backend: B) {
    const BATCHES: u64 = 150;
    let log = log(&backend);
    let reader = {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            let mut head = log.head();
            let mut seen = Vec::new();
            while (seen.len() as u64) < 2 * BATCHES {
                head.borrow_and_update();
                let limit = ReadLimit {
                    records: 9,
                    ..WHOLE
                };
                let page = read(&*log, 1, Position::Sequence(seen.len() as u64), limit).await;
                if page.is_empty() {
                    head.changed().await.expect("the log is there");
                }
                seen.extend(page);
            }
            seen
        })
    };
    for n in 0..BATCHES {
        let appended = append(&*log, batch(1, "d1", moment(0), &["a", "b"])).await;
        assert_eq!(appended.first, 2 * n);
        let page = read(&*log, 1, Position::Sequence(appended.first), WHOLE).await;
        assert_eq!(
            sequences(&page),
            [2 * n, 2 * n + 1],
            "what is acknowledged can be read"
        );
    }
    let seen = reader.await.expect("the reader ends");
    assert_eq!(sequences(&seen), (0..2 * BATCHES).collect::<Vec<_>>());
}

/// Nothing was ever enqueued.
pub async fn an_empty_partition_says_so<B: Backend>(backend: B) {
    let log = log(&backend);
    for partition in 0..4 {
        let state = state(&*log, partition).await;
        assert_eq!(
            (state.first, state.next, state.last_enqueued),
            (0, 0, Timestamp::NEVER)
        );
        for from in [
            Position::Start,
            Position::End,
            Position::Sequence(0),
            Position::Time(moment(0)),
        ] {
            assert!(read(&*log, partition, from, WHOLE).await.is_empty());
        }
    }
}

/// It is refused, and the log goes on.
pub async fn a_partition_that_does_not_exist_is_an_error<B: Backend>(backend: B) {
    let log = log(&backend);
    assert!(
        log.append(batch(4, "d1", moment(0), &["body"]))
            .await
            .is_err()
    );
    assert!(log.read(4, Position::Start, WHOLE).await.is_err());
    assert!(log.partition(4).await.is_err());
    assert_eq!(
        append(&*log, batch(3, "d1", moment(0), &["body"]))
            .await
            .first,
        0
    );
}
