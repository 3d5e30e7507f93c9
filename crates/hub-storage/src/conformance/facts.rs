//! Facts are kept whole, read in commit order, and trimmed from the old end.

use hub_domain::fact::SectionChange;
use hub_domain::twin::{Section, Twin};
use hub_domain::{Fact, FactKind, GenerationId, Timestamp, TwinChange};
use serde_json::{Map, Value, json};

use super::Backend;
use super::fixtures::{
    HUB, OTHER_HUB, all_facts, commit, commit_unit, fact, id, moment, pages_of_changes, reopen,
    store_with_hub,
};
use crate::store::{FactNo, Op, Unit};
use crate::{Conflict, Store, StoreError};

fn members() -> Map<String, Value> {
    let value = json!({"gone": null, "float": 1.0, "text": "ü\u{0}", "nested": {"array": [1, {"x": null}]}, "": {}});
    match value {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn every_kind() -> Vec<FactKind> {
    let change = |version: u64| SectionChange {
        members: members(),
        version,
    };
    let generation = GenerationId("637000000000000000".into());
    let nothing = TwinChange {
        replaced: false,
        version: 0,
        tags: None,
        desired: None,
        reported: None,
        untouched_reported: None,
    };
    vec![
        FactKind::IdentityCreated {
            generation: generation.clone(),
        },
        FactKind::IdentityUpdated {
            enabled: true,
            credentials_changed: false,
        },
        FactKind::IdentityUpdated {
            enabled: false,
            credentials_changed: true,
        },
        FactKind::IdentityDeleted {
            generation,
            twin: Some(Box::new(Twin::new())),
        },
        FactKind::TwinChanged(nothing.clone()),
        FactKind::TwinChanged(TwinChange {
            replaced: true,
            version: 1 << 40,
            tags: Some(members()),
            desired: Some(change(7)),
            reported: None,
            untouched_reported: Some(Box::new(Section::new())),
        }),
        FactKind::TwinChanged(TwinChange {
            tags: Some(Map::new()),
            reported: Some(SectionChange {
                members: Map::new(),
                version: 1 << 40,
            }),
            ..nothing
        }),
        FactKind::MessageQueued,
        FactKind::MessagesPurged,
    ]
}

/// Nothing of a fact is lost.
pub async fn every_kind_of_fact_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let facts: Vec<Fact> = every_kind()
        .into_iter()
        .enumerate()
        .map(|(n, kind)| Fact {
            hub: if n % 2 == 0 { HUB } else { OTHER_HUB },
            id: id(["d1", "d1/m1", "all-kinds:of.chars+%_#*?!(),=@;$'"][n % 3]),
            at: Timestamp::from_micros(moment(0).micros() + 1),
            kind,
        })
        .collect();
    // Together and alone: a unit's facts may be kept as one record.
    commit_unit(
        &*store,
        Unit {
            op_id: None,
            ops: Vec::new(),
            facts: facts.clone(),
        },
    )
    .await;
    for fact in &facts {
        commit_unit(
            &*store,
            Unit {
                op_id: None,
                ops: Vec::new(),
                facts: vec![fact.clone()],
            },
        )
        .await;
    }
    let twice = [facts.clone(), facts].concat();
    assert_eq!(all_facts(&*store).await, twice);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(all_facts(&*store).await, twice);
}

async fn commit_facts(store: &dyn Store, facts: Vec<Fact>) -> FactNo {
    commit_unit(
        store,
        Unit {
            op_id: None,
            ops: Vec::new(),
            facts,
        },
    )
    .await
    .last_fact
}

/// A page begins after any number, also inside what was committed together.
pub async fn changes_are_read_in_pages<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    assert!(
        store
            .changes(FactNo(0), 10)
            .await
            .expect("changes can be read")
            .is_empty()
    );
    let mut facts = Vec::new();
    for size in [1, 5, 2, 30, 1, 1, 10] {
        let unit: Vec<Fact> = (0..size)
            .map(|n| fact("d1", i64::try_from(facts.len()).expect("small") + n))
            .collect();
        facts.extend(unit.clone());
        commit_facts(&*store, unit).await;
    }
    for page in [1, 2, 7, 50, 1_000] {
        let read: Vec<Fact> = pages_of_changes(&*store, page)
            .await
            .into_iter()
            .map(|(_, fact)| fact)
            .collect();
        assert_eq!(read, facts, "in pages of {page}");
    }
    for after in 0..=50_u64 {
        let read = store
            .changes(FactNo(after), 4)
            .await
            .expect("changes can be read");
        let numbers: Vec<u64> = read.iter().map(|(no, _)| no.0).collect();
        assert_eq!(numbers, (after + 1..=50).take(4).collect::<Vec<_>>());
    }
    let read = store
        .changes(FactNo(1_000), 4)
        .await
        .expect("changes can be read");
    assert!(read.is_empty(), "there are none after the head");
}

/// What is left begins with a higher number.
pub async fn trimmed_facts_are_gone_and_numbers_go_on<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for n in 0..20 {
        commit_facts(&*store, vec![fact("d1", n * 3_600), fact("d2", n * 3_600)]).await;
    }
    let head = store.fact_head();
    store
        .trim_facts(moment(5 * 3_600))
        .await
        .expect("facts can be trimmed");
    let expected: Vec<u64> = (11..=40).collect();
    let numbers = async |store: &dyn Store| -> Vec<u64> {
        pages_of_changes(store, 7)
            .await
            .into_iter()
            .map(|(no, _)| no.0)
            .collect()
    };
    assert_eq!(
        numbers(&*store).await,
        expected,
        "a fact of the very moment stays"
    );
    let read = store
        .changes(FactNo(3), 1)
        .await
        .expect("changes can be read");
    assert_eq!(read, [(FactNo(11), fact("d1", 5 * 3_600))]);
    store
        .trim_facts(moment(5 * 3_600))
        .await
        .expect("facts can be trimmed again");
    assert_eq!(numbers(&*store).await, expected);
    assert_eq!(*head.borrow(), FactNo(40), "the head stays");
    assert_eq!(
        commit_facts(&*store, vec![fact("d1", 100_000)]).await,
        FactNo(41)
    );
}

/// No number is given twice, whatever was trimmed.
pub async fn numbers_go_on_when_all_facts_are_gone_and_the_store_is_reopened<B: Backend>(
    backend: B,
) {
    let store = store_with_hub(&backend).await;
    commit_facts(&*store, vec![fact("d1", 1), fact("d1", 2)]).await;
    store
        .trim_facts(moment(1_000_000))
        .await
        .expect("facts can be trimmed");
    assert!(
        store
            .changes(FactNo(0), 10)
            .await
            .expect("changes can be read")
            .is_empty()
    );
    let (backend, store) = reopen(backend, store).await;
    assert_eq!(*store.fact_head().borrow(), FactNo(2));
    assert_eq!(
        commit_facts(&*store, vec![fact("d1", 2_000_000)]).await,
        FactNo(3)
    );
    let (_backend, store) = reopen(backend, store).await;
    let read = store
        .changes(FactNo(0), 10)
        .await
        .expect("changes can be read");
    assert_eq!(read, [(FactNo(3), fact("d1", 2_000_000))]);
}

/// A reader of the facts goes on where it was, and nothing of a unit that failed is kept.
pub async fn a_checkpoint_is_kept_with_its_unit<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let read = async |store: &dyn Store, hub| store.checkpoint(hub).await.expect("it can be read");
    let set = |hub, at| Op::SetCheckpoint {
        hub,
        at: FactNo(at),
    };
    assert_eq!(read(&*store, HUB).await, None);
    commit(&*store, set(HUB, 7)).await;
    commit(&*store, set(HUB, 5)).await;
    assert_eq!(read(&*store, HUB).await, Some(FactNo(5)));
    assert_eq!(read(&*store, OTHER_HUB).await, None);
    let half = Unit {
        op_id: None,
        ops: vec![set(HUB, 9), set(OTHER_HUB, 9)],
        facts: Vec::new(),
    };
    let result = store.submit(half).await;
    assert!(matches!(
        result,
        Err(StoreError::Conflict(Conflict::NotFound))
    ));
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(read(&*store, HUB).await, Some(FactNo(5)));
}
