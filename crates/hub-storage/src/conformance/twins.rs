//! Twins are kept whole, and written part by part.

use hub_domain::twin::{BackEnd, Metadata, Section, Twin, TwinEtag};
use hub_domain::{Identity, Timestamp};
use serde_json::{Map, Value, json};

use super::Backend;
use super::fixtures::{
    HUB, commit, commit_unit, conflict_of, device, etag, identity, moment, next_back_end,
    next_section, queued, reopen, store_with_hub, stored, twin,
};
use super::text::describe_twin;
use crate::Conflict;
use crate::store::{Op, Subscriptions, Unit};

fn rich_document() -> Map<String, Value> {
    let document = json!({
        "text": "ünï \u{1F980} \" \\ / \u{0} \n", "empty": "", "yes": true, "no": false,
        "zero": 0, "minus": -4_503_599_627_370_496_i64, "big": 4_503_599_627_370_495_i64,
        "float": 1.0, "small": 1.5e-300, "large": 1e300, "third": 0.333_333_333_333_333_3,
        "array": [1, "two", [3.0, {"four": null}], {}], "object": {}, "": "empty key",
        "a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": 1}}}}}}}}},
        "B": 1, "b": 2, "_": 3, "é": 4, "z\u{10FFFF}": 5,
    });
    match document {
        Value::Object(members) => members,
        other => panic!("{other} is no object"),
    }
}

fn rich_metadata(document: &Map<String, Value>, version: Option<u64>, second: i64) -> Metadata {
    let children = document.iter().zip(1..).map(|((name, value), n)| {
        let child = match value.as_object() {
            Some(members) => rich_metadata(members, version.map(|version| version + n), second + 1),
            None => Metadata {
                updated: moment(second),
                version,
                children: std::collections::BTreeMap::new(),
            },
        };
        (name.clone(), child)
    });
    let updated = Timestamp::from_micros(moment(second).micros() + 1);
    Metadata {
        updated,
        version,
        children: children.collect(),
    }
}

fn rich_twin() -> Twin {
    let section = |version: u64, stamps: Option<u64>| {
        let properties = rich_document();
        let metadata = rich_metadata(&properties, stamps, 10);
        Section {
            properties,
            metadata,
            version,
        }
    };
    Twin {
        back_end: BackEnd {
            tags: rich_document(),
            desired: section(1 << 40, Some(3)),
            etag: TwinEtag(1 << 50),
        },
        reported: section(77, None),
        model_id: Some("dtmi:com:example:Thermostat;1".to_owned()),
    }
}

/// Every kind of JSON value comes back as it was, with its metadata.
pub async fn every_kind_of_twin_content_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let op = Op::CreateIdentity {
        hub: HUB,
        identity: Box::new(identity("at-creation")),
        twin: Box::new(rich_twin()),
    };
    commit(&*store, op).await;
    let d1 = device(&*store, "by-writes").await;
    assert_eq!(
        twin(&*store, "by-writes").await,
        Twin::new(),
        "a new twin is kept as it is"
    );
    let Twin {
        back_end,
        reported,
        model_id,
    } = rich_twin();
    let expected = Twin::new();
    commit(
        &*store,
        Op::ReplaceBackEnd {
            identity: d1,
            next: Box::new(back_end),
            expected: expected.back_end.etag,
        },
    )
    .await;
    commit(
        &*store,
        Op::ReplaceReported {
            identity: d1,
            next: Box::new(reported),
            expected: expected.reported.version,
        },
    )
    .await;
    let model_id = model_id.expect("the rich twin has a model");
    commit(
        &*store,
        Op::SetModelId {
            identity: d1,
            model_id,
        },
    )
    .await;
    for name in ["at-creation", "by-writes"] {
        assert_eq!(
            describe_twin(&twin(&*store, name).await),
            describe_twin(&rich_twin()),
            "{name}"
        );
    }
    let (_backend, store) = reopen(backend, store).await;
    for name in ["at-creation", "by-writes"] {
        assert_eq!(twin(&*store, name).await, rich_twin(), "{name}");
    }
}

/// Each of the three parts of a twin, and the registry part, is written alone.
pub async fn a_part_of_a_twin_leaves_the_other_parts<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let before = twin(&*store, "d1").await;
    let reported = next_section(&before.reported, 1);
    let expected = before.reported.version;
    commit(
        &*store,
        Op::ReplaceReported {
            identity: d1,
            next: Box::new(reported.clone()),
            expected,
        },
    )
    .await;
    assert_eq!(
        twin(&*store, "d1").await,
        Twin {
            reported: reported.clone(),
            ..before.clone()
        }
    );

    let back_end = next_back_end(&before.back_end, 2);
    let expected = before.back_end.etag;
    commit(
        &*store,
        Op::ReplaceBackEnd {
            identity: d1,
            next: Box::new(back_end.clone()),
            expected,
        },
    )
    .await;
    let now = Twin {
        back_end,
        reported,
        model_id: None,
    };
    assert_eq!(twin(&*store, "d1").await, now);

    commit(
        &*store,
        Op::SetModelId {
            identity: d1,
            model_id: "dtmi:a;1".to_owned(),
        },
    )
    .await;
    let now = Twin {
        model_id: Some("dtmi:a;1".to_owned()),
        ..now
    };
    assert_eq!(twin(&*store, "d1").await, now);

    let next = Box::new(Identity {
        etag: etag("e2"),
        ..identity("d1")
    });
    commit(
        &*store,
        Op::ReplaceIdentity {
            identity: d1,
            next,
            expected: etag("e1"),
        },
    )
    .await;
    commit(
        &*store,
        Op::ReplaceSubscriptions {
            identity: d1,
            next: Subscriptions(3),
        },
    )
    .await;
    queued(&*store, d1, b"body").await;
    assert_eq!(
        twin(&*store, "d1").await,
        now,
        "nothing else writes the twin"
    );
    let read = stored(&*store, HUB, "d1").await;
    assert_eq!(
        (read.message_count, read.subscriptions, read.identity.etag),
        (1, Subscriptions(3), etag("e2"))
    );
}

/// A part that is written as it is stays as it is, and guards a write to the other part.
pub async fn a_part_written_as_it_is_guards_the_other_part<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let before = twin(&*store, "d1").await;
    let guarded = |expected: TwinEtag, mark: u64| Unit {
        op_id: None,
        ops: vec![
            Op::ReplaceReported {
                identity: d1,
                next: Box::new(next_section(&before.reported, mark)),
                expected: before.reported.version,
            },
            Op::ReplaceBackEnd {
                identity: d1,
                next: Box::new(before.back_end.clone()),
                expected,
            },
        ],
        facts: Vec::new(),
    };
    let wrong = guarded(before.back_end.etag.next(), 1);
    assert_eq!(
        conflict_of(store.submit(wrong).await),
        Conflict::VersionMismatch
    );
    assert_eq!(
        describe_twin(&twin(&*store, "d1").await),
        describe_twin(&before)
    );

    commit_unit(&*store, guarded(before.back_end.etag, 2)).await;
    let after = twin(&*store, "d1").await;
    assert_eq!(after.back_end, before.back_end);
    assert_eq!(after.reported, next_section(&before.reported, 2));
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(
        describe_twin(&twin(&*store, "d1").await),
        describe_twin(&after)
    );
}
