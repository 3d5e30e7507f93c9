//! A unit is kept whole or not at all, and once.

use super::Backend;
use super::fixtures::{
    HUB, NOBODY, all_facts, bodies, commit_unit, conflict_of, create, device, enqueue, fact, id,
    identity, message, ordinal_of, pages_of_messages, purge, reopen, store_with_hub,
};
use super::text::snapshot;
use crate::Conflict;
use crate::store::{FactNo, Op, OpId, OpResult, Ordinal, Subscriptions, Unit};

/// A unit of several writes gives one result per write and the number of its last fact.
pub async fn a_unit_keeps_all_its_writes_and_facts<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let ops = vec![
        create(HUB, identity("d2")),
        enqueue(d1, message(b"one")),
        Op::ReplaceSubscriptions {
            identity: d1,
            next: Subscriptions(7),
        },
        purge(d1),
        enqueue(d1, message(b"two")),
    ];
    let facts = vec![fact("d2", 1), fact("d1", 2), fact("d1", 3)];
    let committed = commit_unit(
        &*store,
        Unit {
            op_id: None,
            ops,
            facts: facts.clone(),
        },
    )
    .await;

    let results = &committed.results;
    assert!(matches!(results[0], OpResult::Created(_)), "{results:?}");
    assert!(matches!(results[1], OpResult::Enqueued(_)), "{results:?}");
    assert_eq!(results[2], OpResult::Done);
    assert_eq!(results[3], OpResult::Purged(1));
    assert!(matches!(results[4], OpResult::Enqueued(_)), "{results:?}");
    assert_eq!(committed.last_fact, FactNo(3));
    assert_eq!(all_facts(&*store).await, facts);
    assert_eq!(bodies(&*store, d1).await, ["two"]);
}

/// Facts need no write beside them, and a unit without facts has no last one.
pub async fn a_unit_of_facts_alone_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let unit = Unit {
        op_id: None,
        ops: Vec::new(),
        facts: vec![fact("d1", 1)],
    };
    assert_eq!(commit_unit(&*store, unit).await.last_fact, FactNo(1));
    let none = commit_unit(&*store, Unit::new(create(HUB, identity("d1")), Vec::new())).await;
    assert_eq!(none.last_fact, FactNo(0));
    assert_eq!(all_facts(&*store).await, [fact("d1", 1)]);
}

/// A device and its modules can be created together; limits count what the unit itself did.
pub async fn a_write_sees_the_earlier_writes_of_its_unit<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let ops = ["d1", "d1/m1", "d1/m2"]
        .map(|text| create(HUB, identity(text)))
        .to_vec();
    let committed = commit_unit(
        &*store,
        Unit {
            op_id: None,
            ops,
            facts: Vec::new(),
        },
    )
    .await;
    let modules = store
        .modules(HUB, &id("d1").device)
        .await
        .expect("modules can be read");
    assert_eq!(modules.len(), 2);

    let before = snapshot(&*store).await;
    let d1 = ordinal_of(committed.results[0]);
    let bounded = |body: &[u8]| Op::EnqueueMessage {
        identity: d1,
        message: Box::new(message(body)),
        depth_max: 1,
        bytes_max: 100,
    };
    let full = Unit {
        op_id: None,
        ops: vec![bounded(b"one"), bounded(b"two")],
        facts: Vec::new(),
    };
    assert_eq!(conflict_of(store.submit(full).await), Conflict::QueueFull);
    let twice = ["d3", "d3"]
        .map(|text| create(HUB, identity(text)))
        .to_vec();
    let twice = Unit {
        op_id: None,
        ops: twice,
        facts: Vec::new(),
    };
    assert_eq!(
        conflict_of(store.submit(twice).await),
        Conflict::AlreadyExists
    );
    assert_eq!(
        snapshot(&*store).await,
        before,
        "a unit that fails leaves nothing"
    );
}

/// Of a unit that fails at its last write, the first ones leave nothing.
pub async fn a_unit_whose_last_write_fails_leaves_nothing<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    device(&*store, "d1/m1").await;
    let d2 = device(&*store, "d2").await;
    commit_unit(
        &*store,
        Unit::new(enqueue(d1, message(b"kept")), vec![fact("d1", 1)]),
    )
    .await;
    let before = snapshot(&*store).await;

    let ops = vec![
        create(HUB, identity("d3")),
        enqueue(d1, message(b"lost")),
        Op::SetModelId {
            identity: d1,
            model_id: "dtmi:com:example:Thing;1".to_owned(),
        },
        purge(d1),
        Op::DeleteIdentity {
            identity: d1,
            expected: None,
        },
        Op::ReplaceSubscriptions {
            identity: d2,
            next: Subscriptions(1),
        },
        purge(NOBODY),
    ];
    let unit = Unit {
        op_id: None,
        ops,
        facts: vec![fact("d1", 2), fact("d1", 3)],
    };
    assert_eq!(conflict_of(store.submit(unit).await), Conflict::NotFound);
    assert_eq!(snapshot(&*store).await, before);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(snapshot(&*store).await, before, "nor after a reopening");
}

/// Units that arrive together do not share their failures.
pub async fn a_failing_unit_among_good_ones_leaves_nothing_and_the_others_are_kept<B: Backend>(
    backend: B,
) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut pending = Vec::new();
    for n in 0..60 {
        let mut ops = vec![enqueue(d1, message(n.to_string().as_bytes()))];
        if n % 3 == 1 {
            ops.push(Op::DeleteIdentity {
                identity: NOBODY,
                expected: None,
            });
        }
        pending.push(store.submit(Unit {
            op_id: None,
            ops,
            facts: vec![fact("d1", n)],
        }));
    }
    let mut kept = Vec::new();
    for (n, result) in (0..).zip(pending) {
        match n % 3 {
            1 => assert_eq!(conflict_of(result.await), Conflict::NotFound),
            _ => kept.push((n, result.await.expect("a good unit is kept").last_fact)),
        }
    }
    let expected: Vec<(i64, FactNo)> = kept
        .iter()
        .zip(1..)
        .map(|((n, _), no)| (*n, FactNo(no)))
        .collect();
    assert_eq!(
        kept, expected,
        "the numbers of facts are those of the units that were kept"
    );
    let texts: Vec<String> = kept.iter().map(|(n, _)| n.to_string()).collect();
    assert_eq!(bodies(&*store, d1).await, texts);
    let facts: Vec<_> = kept.iter().map(|(n, _)| fact("d1", *n)).collect();
    assert_eq!(all_facts(&*store).await, facts);
}

fn unit_with_id(op_id: u8, identity: Ordinal, body: &[u8]) -> Unit {
    Unit {
        op_id: Some(OpId([op_id; 16])),
        ops: vec![enqueue(identity, message(body))],
        facts: vec![fact("d1", i64::from(op_id))],
    }
}

/// A unit that is submitted again after an unknown result does nothing twice.
pub async fn the_same_op_id_gives_the_first_result_and_changes_nothing<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let first = commit_unit(&*store, unit_with_id(1, d1, b"one")).await;
    let other = commit_unit(&*store, unit_with_id(2, d1, b"two")).await;
    assert_ne!(first, other);
    let before = snapshot(&*store).await;
    assert_eq!(
        commit_unit(&*store, unit_with_id(1, d1, b"one")).await,
        first
    );
    assert_eq!(
        commit_unit(&*store, unit_with_id(2, d1, b"two")).await,
        other
    );
    assert_eq!(snapshot(&*store).await, before);

    // A precondition that the first submission itself broke does not matter any more.
    let create = || Unit {
        op_id: Some(OpId([3; 16])),
        ops: vec![create(HUB, identity("d2"))],
        facts: Vec::new(),
    };
    let created = commit_unit(&*store, create()).await;
    assert_eq!(commit_unit(&*store, create()).await, created);
}

/// The second submission need not wait for the first.
pub async fn the_same_op_id_behind_its_first_unit_gives_the_same_result<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let pending: Vec<_> = (0..5)
        .map(|_| store.submit(unit_with_id(1, d1, b"one")))
        .collect();
    let mut results = Vec::new();
    for result in pending {
        results.push(result.await.expect("the unit's preconditions hold"));
    }
    assert!(
        results.iter().all(|result| *result == results[0]),
        "{results:?}"
    );
    assert_eq!(pages_of_messages(&*store, d1, 10).await.len(), 1);
    assert_eq!(all_facts(&*store).await, [fact("d1", 1)]);
}

/// Only results of kept units are remembered.
pub async fn an_op_id_whose_unit_failed_may_be_tried_again<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let unit = || Unit {
        op_id: Some(OpId([1; 16])),
        ops: vec![create(HUB, identity("d1/m1"))],
        facts: Vec::new(),
    };
    assert_eq!(conflict_of(store.submit(unit()).await), Conflict::NotFound);
    device(&*store, "d1").await;
    commit_unit(&*store, unit()).await;
    assert_eq!(
        store
            .modules(HUB, &id("d1").device)
            .await
            .expect("modules can be read")
            .len(),
        1
    );
}

/// A retry may come after a restart.
pub async fn op_ids_are_remembered_over_a_reopening<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let first = commit_unit(&*store, unit_with_id(1, d1, b"one")).await;
    let before = snapshot(&*store).await;
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(
        commit_unit(&*store, unit_with_id(1, d1, b"one")).await,
        first
    );
    assert_eq!(snapshot(&*store).await, before);
}

/// What was counted in is counted out, whether it was kept or not.
pub async fn the_backlog_is_empty_when_everything_is_acknowledged<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut pending = Vec::new();
    for n in 0..50 {
        let target = if n % 5 == 0 { NOBODY } else { d1 };
        pending.push(store.submit(Unit::new(enqueue(target, message(b"body")), Vec::new())));
    }
    for (n, result) in pending.into_iter().enumerate() {
        assert_eq!(result.await.is_err(), n % 5 == 0);
    }
    // A committer may count out just after it acknowledged.
    while store.backlog().bytes() > 0 {
        tokio::task::yield_now().await;
    }
}
