//! Submission order is commit order, and facts are numbered in it without gaps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Backend;
use super::fixtures::{
    HUB, NOBODY, all_facts, bodies, commit_unit, conflict_of, device, enqueue, fact, id, mark_of,
    message, message_of, next_back_end, next_section, purge, queued, reopen, store_with_hub, twin,
};
use crate::store::{FactNo, MessageNo, Op, Unit};
use crate::{Conflict, StoreError};

/// Units that were submitted without waiting are kept in their order.
pub async fn units_take_effect_in_the_order_of_submission<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let texts: Vec<String> = (0..500).map(|n| n.to_string()).collect();
    let pending: Vec<_> = texts
        .iter()
        .zip(0..)
        .map(|(text, n)| {
            store.submit(Unit::new(
                enqueue(d1, message(text.as_bytes())),
                vec![fact("d1", n)],
            ))
        })
        .collect();
    let mut last = MessageNo(0);
    for (result, no) in pending.into_iter().zip(1..) {
        let committed = result.await.expect("the queue has room");
        assert_eq!(
            committed.last_fact,
            FactNo(no),
            "facts are numbered in the order of submission"
        );
        let message = message_of(committed.results[0]);
        assert!(
            message > last,
            "messages are numbered in the order of submission"
        );
        last = message;
    }
    assert_eq!(bodies(&*store, d1).await, texts);
    let facts: Vec<_> = (0..500).map(|n| fact("d1", n)).collect();
    assert_eq!(all_facts(&*store).await, facts);
}

const SUBMITTERS: i64 = 8;
const UNITS_EACH: i64 = 60;

/// Many threads, some of whose units fail: no fact number is missing, doubled or out of its unit.
pub async fn facts_are_gapless_in_commit_order_under_concurrency<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let mut submitters = Vec::new();
    for submitter in 0..SUBMITTERS {
        let own = device(&*store, &format!("d{submitter}")).await;
        let store = Arc::clone(&store);
        submitters.push(tokio::spawn(async move {
            let mut pending = Vec::new();
            for n in 0..UNITS_EACH {
                let target = if n % 7 == 3 { NOBODY } else { own };
                let facts: Vec<_> = (0..=n % 3)
                    .map(|part| fact(&format!("d{submitter}"), n * 10 + part))
                    .collect();
                let unit = Unit::new(enqueue(target, message(b"body")), facts.clone());
                pending.push((facts, store.submit(unit)));
                // Waiting now and then mixes deep queues with lone units.
                if n % 11 == 5 {
                    tokio::task::yield_now().await;
                }
            }
            let mut kept = Vec::new();
            for (facts, result) in pending {
                match result.await {
                    Ok(committed) => kept.push((committed.last_fact, facts)),
                    Err(error) => assert!(
                        matches!(error, StoreError::Conflict(Conflict::NotFound)),
                        "{error}"
                    ),
                }
            }
            kept
        }));
    }
    let mut expected = BTreeMap::new();
    for submitter in submitters {
        let mut last = FactNo(0);
        for (last_fact, facts) in submitter.await.expect("a submitter ends") {
            assert!(
                last_fact > last,
                "a submitter's units are kept in its order"
            );
            last = last_fact;
            for (fact, back) in facts.into_iter().rev().zip(0..) {
                let taken = expected.insert(last_fact.0 - back, fact);
                assert!(taken.is_none(), "no fact number is given twice");
            }
        }
    }
    let expected: Vec<_> = expected.into_values().collect();
    assert_eq!(
        all_facts(&*store).await,
        expected,
        "a unit's facts stand together, in its order"
    );
    assert_eq!(store.fact_head().borrow().0, expected.len() as u64);
}

/// Decisions built on what earlier, pending units will leave.
pub async fn chained_decisions_all_hold<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut twin_now = twin(&*store, "d1").await;
    let mut pending = Vec::new();
    for mark in 0..40 {
        let next = next_back_end(&twin_now.back_end, mark);
        let expected = std::mem::replace(&mut twin_now.back_end, next.clone()).etag;
        let op = Op::ReplaceBackEnd {
            identity: d1,
            next: Box::new(next),
            expected,
        };
        pending.push(store.submit(Unit::new(op, Vec::new())));
        let next = next_section(&twin_now.reported, mark);
        let expected = std::mem::replace(&mut twin_now.reported, next.clone()).version;
        let op = Op::ReplaceReported {
            identity: d1,
            next: Box::new(next),
            expected,
        };
        pending.push(store.submit(Unit::new(op, Vec::new())));
    }
    for result in pending {
        result
            .await
            .expect("each decision was built on the one before");
    }
    assert_eq!(twin(&*store, "d1").await, twin_now);
}

/// What was built on a unit that failed fails too, and what was not goes on.
pub async fn a_failed_decision_fails_those_built_on_it<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let first = twin(&*store, "d1").await.back_end;
    let second = next_back_end(&first, 2);
    let third = next_back_end(&second, 3);
    let replace = |next: &hub_domain::twin::BackEnd, expected| Op::ReplaceBackEnd {
        identity: d1,
        next: Box::new(next.clone()),
        expected,
    };
    let unit = |ops: Vec<Op>, n: i64| Unit {
        op_id: None,
        ops,
        facts: vec![fact("d1", n)],
    };
    let fails = unit(vec![replace(&second, first.etag), purge(NOBODY)], 1);
    let pending = [
        store.submit(fails),
        store.submit(unit(vec![replace(&third, second.etag)], 2)),
        store.submit(unit(vec![enqueue(d1, message(b"apart"))], 3)),
        store.submit(unit(vec![replace(&second, first.etag)], 4)),
    ];
    let mut results = Vec::new();
    for result in pending {
        results.push(result.await);
    }
    let mut results = results.into_iter();
    let mut next = || results.next().expect("four results");
    assert_eq!(conflict_of(next()), Conflict::NotFound);
    assert_eq!(conflict_of(next()), Conflict::VersionMismatch);
    next().expect("it was built on nothing that failed");
    next().expect("the first state is still there");
    assert_eq!(twin(&*store, "d1").await.back_end, second);
    assert_eq!(all_facts(&*store).await, [fact("d1", 3), fact("d1", 4)]);
}

/// Writers that read, decide and try again on conflict: every one of their writes is in the version.
pub async fn concurrent_writers_of_one_twin_lose_no_update<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let first = twin(&*store, "d1").await.reported.version;
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let store = Arc::clone(&store);
        writers.push(tokio::spawn(async move {
            for n in 0..15 {
                loop {
                    let before = twin(&*store, "d1").await.reported;
                    let next = next_section(&before, writer * 100 + n);
                    let op = Op::ReplaceReported {
                        identity: d1,
                        next: Box::new(next),
                        expected: before.version,
                    };
                    match store.submit(Unit::new(op, Vec::new())).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict(Conflict::VersionMismatch)) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer ends");
    }
    let last = twin(&*store, "d1").await.reported;
    assert_eq!(last.version, first + 4 * 15);
    assert!(
        mark_of(&last).is_some_and(|mark| mark % 100 == 14),
        "the last write is the last of some writer"
    );
}

/// A write is visible to every read that begins after its acknowledgement.
pub async fn a_reader_sees_what_was_acknowledged_before<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let mut tasks = Vec::new();
    for n in 0..6 {
        let store = Arc::clone(&store);
        tasks.push(tokio::spawn(async move {
            let name = format!("d{n}");
            let ordinal = device(&*store, &name).await;
            for mark in 0..25_u64 {
                let before = twin(&*store, &name).await.reported;
                let next = next_section(&before, mark);
                let op = Op::ReplaceReported {
                    identity: ordinal,
                    next: Box::new(next),
                    expected: before.version,
                };
                let committed = commit_unit(&*store, Unit::new(op, vec![fact(&name, 0)])).await;
                assert_eq!(mark_of(&twin(&*store, &name).await.reported), Some(mark));
                let after = FactNo(committed.last_fact.0 - 1);
                let changes = store.changes(after, 1).await.expect("changes can be read");
                assert_eq!(changes[0], (committed.last_fact, fact(&name, 0)));
                let message = queued(&*store, ordinal, b"body").await;
                let read = store
                    .messages(ordinal, MessageNo(message.0 - 1), 1)
                    .await
                    .expect("messages can be read");
                assert_eq!(read[0].no, message);
                let read = store
                    .identity(HUB, &id(&name))
                    .await
                    .expect("an identity can be read");
                assert_eq!(read.expect("it exists").message_count, mark + 1);
            }
        }));
    }
    for task in tasks {
        task.await.expect("a task ends");
    }
}

/// The head names the newest fact, at once after a commit and after a reopening.
pub async fn the_fact_head_tells_every_commit<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut head = store.fact_head();
    assert_eq!(*head.borrow_and_update(), FactNo(0));
    queued(&*store, d1, b"no fact").await;
    assert!(
        !head.has_changed().expect("the store is there"),
        "a commit without facts does not move the head"
    );
    for n in 1..=5_u64 {
        let unit = Unit::new(
            enqueue(d1, message(b"body")),
            vec![fact("d1", 1), fact("d1", 2)],
        );
        let committed = commit_unit(&*store, unit).await;
        head.changed().await.expect("the store is there");
        assert_eq!(*head.borrow_and_update(), FactNo(2 * n));
        assert_eq!(committed.last_fact, FactNo(2 * n));
    }
    let waiting = {
        let (mut head, store) = (head.clone(), Arc::clone(&store));
        tokio::spawn(async move {
            head.changed().await.expect("the store is there");
            let newest = *head.borrow_and_update();
            let changes = store
                .changes(FactNo(newest.0 - 1), 10)
                .await
                .expect("changes can be read");
            assert_eq!(
                changes.first().map(|(no, _)| *no),
                Some(newest),
                "the head does not run ahead of the facts"
            );
        })
    };
    commit_unit(
        &*store,
        Unit {
            op_id: None,
            ops: Vec::new(),
            facts: vec![fact("d1", 3)],
        },
    )
    .await;
    waiting.await.expect("the waiting task ends");
    drop(head);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(*store.fact_head().borrow(), FactNo(11));
}
