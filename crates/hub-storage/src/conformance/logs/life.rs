//! Opening, reopening, trimming and deleting logs.

use std::time::Duration;

use hub_domain::Hub;

use super::super::Backend;
use super::super::fixtures::{HUB, OTHER_HUB, hub, moment, reopen};
use super::fixtures::{WHOLE, append, batch, bodies, log, open, read, sequences, state, whole};
use crate::MessageLog;
use crate::log::{Position, ReadLimit};

const DAY: i64 = 24 * 3_600;

/// Ends the backend and begins again. The caller has dropped its logs.
async fn again<B: Backend>(backend: B) -> B {
    let store = backend.store();
    reopen(backend, store).await.0
}

/// What one handle appends the other reads, in one run of numbers.
pub async fn the_same_log_is_opened_each_time<B: Backend>(backend: B) {
    let (first, second) = (log(&backend), log(&backend));
    assert_eq!(
        append(&*first, batch(0, "d1", moment(0), &["one"]))
            .await
            .first,
        0
    );
    assert_eq!(
        append(&*second, batch(0, "d1", moment(0), &["two"]))
            .await
            .first,
        1
    );
    for log in [first, second] {
        assert_eq!(bodies(&whole(&*log, 0).await), ["one", "two"]);
    }
}

/// Devices would change their partitions.
pub async fn another_partition_count_is_refused<B: Backend>(backend: B) {
    let other = Hub {
        partition_count: 8,
        ..hub(HUB)
    };
    let first = log(&backend);
    append(&*first, batch(0, "d1", moment(0), &["one"])).await;
    assert!(backend.logs().open(&other).is_err());
    drop(first);
    let backend = again(backend).await;
    assert!(
        backend.logs().open(&other).is_err(),
        "also after a reopening"
    );
    assert_eq!(bodies(&whole(&*log(&backend), 0).await), ["one"]);
}

/// Each hub has numbers of its own.
pub async fn logs_of_two_hubs_are_apart<B: Backend>(backend: B) {
    let (here, there) = (open(&backend, &hub(HUB)), open(&backend, &hub(OTHER_HUB)));
    append(&*here, batch(0, "d1", moment(0), &["here"])).await;
    assert_eq!(
        append(&*there, batch(0, "d1", moment(0), &["there"]))
            .await
            .first,
        0
    );
    assert_eq!(bodies(&whole(&*here, 0).await), ["here"]);
    assert_eq!(bodies(&whole(&*there, 0).await), ["there"]);
}

/// Of one hub only.
pub async fn a_deleted_log_begins_again<B: Backend>(backend: B) {
    for no in [HUB, OTHER_HUB] {
        append(
            &*open(&backend, &hub(no)),
            batch(0, "d1", moment(0), &["one", "two"]),
        )
        .await;
    }
    backend.logs().delete(HUB).expect("a log can be deleted");
    backend
        .logs()
        .delete(HUB)
        .expect("deleting what is gone is no error");
    let here = open(
        &backend,
        &Hub {
            partition_count: 8,
            ..hub(HUB)
        },
    );
    assert_eq!(state(&*here, 0).await.next, 0);
    assert_eq!(
        append(&*here, batch(7, "d1", moment(0), &["new"]))
            .await
            .first,
        0
    );
    assert_eq!(
        bodies(&whole(&*open(&backend, &hub(OTHER_HUB)), 0).await),
        ["one", "two"]
    );
}

/// Records, numbers and states are there again.
pub async fn a_reopening_keeps_records_and_goes_on<B: Backend>(mut backend: B) {
    let mut expected: Vec<String> = Vec::new();
    for round in 0..3_i64 {
        let log = log(&backend);
        assert_eq!(bodies(&whole(&*log, 2).await), expected);
        assert_eq!(state(&*log, 2).await.next, expected.len() as u64);
        for n in 0..20 {
            let text = format!("{round}-{n}");
            let appended = append(&*log, batch(2, "d1", moment(round * DAY + n), &[&text])).await;
            assert_eq!(appended.first, expected.len() as u64);
            expected.push(text);
        }
        assert_eq!(bodies(&whole(&*log, 2).await), expected, "across the days");
        let from = Position::Time(moment(round * DAY + 10));
        assert_eq!(bodies(&read(&*log, 2, from, WHOLE).await).len(), 10);
        drop(log);
        backend = again(backend).await;
    }
}

async fn append_days(log: &dyn MessageLog, days: std::ops::Range<i64>, body: &str) {
    for day in days {
        for partition in [0, 1] {
            append(log, batch(partition, "d1", moment(day * DAY), &[body])).await;
        }
    }
}

/// Days far beyond the retention go, those within it stay.
pub async fn old_buckets_are_trimmed_and_numbers_go_on<B: Backend>(backend: B) {
    let hub = Hub {
        retention: Duration::from_secs(3 * 24 * 3_600),
        ..hub(HUB)
    };
    let log = open(&backend, &hub);
    append_days(&*log, 0..10, "body").await;
    assert_eq!(
        log.trim(moment(0)).await.expect("a log can be trimmed"),
        0,
        "nothing is old yet"
    );
    let dropped = log
        .trim(moment(9 * DAY))
        .await
        .expect("a log can be trimmed");
    assert!(dropped > 0);
    for partition in [0, 1] {
        let records = whole(&*log, partition).await;
        let first = records[0].sequence;
        // A bucket goes as a whole, so the last day before the retention may stay.
        assert!(
            (5..=6).contains(&first),
            "messages of day {first} and later are left"
        );
        assert_eq!(sequences(&records), (first..10).collect::<Vec<_>>());
        let state = state(&*log, partition).await;
        assert_eq!(
            (state.first, state.next, state.last_enqueued),
            (first, 10, moment(9 * DAY))
        );
        let oldest = ReadLimit {
            records: 1,
            ..WHOLE
        };
        for from in [
            Position::Start,
            Position::Sequence(0),
            Position::Time(moment(0)),
        ] {
            assert_eq!(
                sequences(&read(&*log, partition, from, oldest).await),
                [first],
                "from {from:?}"
            );
        }
    }
    let kept = whole(&*log, 0).await;
    drop(log);
    let backend = again(backend).await;
    let log = open(&backend, &hub);
    assert_eq!(whole(&*log, 0).await, kept);
    assert_eq!(
        append(&*log, batch(0, "d1", moment(10 * DAY), &["next"]))
            .await
            .first,
        10
    );
}

/// The newest messages stay, however many bytes they are.
pub async fn too_many_bytes_are_trimmed_oldest_first<B: Backend>(backend: B) {
    let week = Duration::from_secs(7 * 24 * 3_600);
    let hub = Hub {
        retention: week,
        retention_bytes_max: 3_000_000,
        ..hub(HUB)
    };
    let log = open(&backend, &hub);
    append_days(&*log, 0..6, &"x".repeat(500_000)).await;
    let dropped = log
        .trim(moment(5 * DAY))
        .await
        .expect("a log can be trimmed");
    assert!(dropped > 0);
    for partition in [0, 1] {
        let records = whole(&*log, partition).await;
        let first = state(&*log, partition).await.first;
        assert!(
            (3..=5).contains(&first),
            "two or so of six days fit, not those from {first} on"
        );
        assert_eq!(sequences(&records), (first..6).collect::<Vec<_>>());
    }
    // The bucket that is written to cannot go, or the newest messages would go unread.
    let tiny = Hub {
        no: OTHER_HUB,
        retention_bytes_max: 1,
        ..hub
    };
    let log = open(&backend, &tiny);
    append_days(&*log, 0..3, "body").await;
    log.trim(moment(2 * DAY))
        .await
        .expect("a log can be trimmed");
    for partition in [0, 1] {
        assert_eq!(
            sequences(&whole(&*log, partition).await),
            [2],
            "the newest day stays"
        );
    }
}

/// Also when no message is left, and after a reopening.
pub async fn numbers_go_on_when_everything_was_trimmed<B: Backend>(backend: B) {
    let log = log(&backend);
    append_days(&*log, 0..2, "body").await;
    log.trim(moment(100 * DAY))
        .await
        .expect("a log can be trimmed");
    let after = state(&*log, 0).await;
    assert_eq!((after.next, after.last_enqueued), (2, moment(DAY)));
    let left = sequences(&whole(&*log, 0).await);
    assert_eq!(
        left.first().copied().unwrap_or(after.next),
        after.first,
        "an empty partition begins at its next message"
    );
    drop(log);
    let backend = again(backend).await;
    let log = super::fixtures::log(&backend);
    let after = state(&*log, 0).await;
    assert_eq!((after.next, after.last_enqueued), (2, moment(DAY)));
    assert_eq!(
        append(&*log, batch(0, "d1", moment(0), &["next"]))
            .await
            .first,
        2
    );
    let records = whole(&*log, 0).await;
    assert_eq!(
        records
            .last()
            .map(|record| (record.sequence, record.enqueued)),
        Some((2, moment(DAY)))
    );
}
