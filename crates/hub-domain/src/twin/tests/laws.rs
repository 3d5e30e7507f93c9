//! Laws that hold for every document and patch.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        2 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => (-1000i64..1000).prop_map(Value::from),
        1 => "[a-z ]{0,4}".prop_map(Value::from),
        1 => Just(json!([1, null, {"x": null}])),
    ]
}

/// Few keys, so that patches meet what is there.
fn members() -> impl Strategy<Value = Map<String, Value>> {
    let value = leaf().prop_recursive(3, 24, 4, |inner| {
        prop::collection::btree_map("[a-d]", inner, 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    });
    prop::collection::btree_map("[a-d]", value, 0..4)
        .prop_map(|members| members.into_iter().collect())
}

fn desired(members: Map<String, Value>) -> BackEndPatch {
    BackEndPatch {
        tags: None,
        desired: Some(members),
    }
}

fn has_null_member(members: &Map<String, Value>) -> bool {
    members.values().any(|value| match value {
        Value::Null => true,
        Value::Object(inner) => has_null_member(inner),
        _ => false,
    })
}

/// Nulls in place of every member of `patch`.
fn nulls(patch: &Map<String, Value>) -> Map<String, Value> {
    patch.keys().map(|key| (key.clone(), Value::Null)).collect()
}

fn sections(patches: &[Map<String, Value>]) -> Vec<Section> {
    let mut all = vec![Section::new()];
    for (patch, seconds) in patches.iter().zip(1..) {
        let next = patch_reported(&all[all.len() - 1], patch, None, at(seconds)).unwrap();
        all.push(next);
    }
    all
}

proptest! {
    #[test]
    fn versions_strictly_grow(patches in prop::collection::vec(members(), 0..8)) {
        let mut twin = Twin::new();
        for (patch, seconds) in patches.iter().zip(1..) {
            let before = twin.version();
            if seconds % 2 == 0 {
                twin.reported = patch_reported(&twin.reported, patch, None, at(seconds)).unwrap();
            } else {
                twin.back_end = patch_back_end(&twin.back_end, &desired(patch.clone()), at(seconds)).unwrap().next;
            }
            prop_assert_eq!(twin.version(), before + 1);
        }
    }

    #[test]
    fn metadata_mirrors_the_document_and_no_null_stays(patches in prop::collection::vec(members(), 0..8)) {
        for section in sections(&patches) {
            prop_assert!(section.metadata.mirrors(&section.properties));
            prop_assert!(!has_null_member(&section.properties));
        }
    }

    #[test]
    fn the_root_has_the_newest_time(patches in prop::collection::vec(members(), 1..6)) {
        fn newest(node: &Metadata) -> Timestamp {
            node.children.values().map(newest).max().unwrap_or(Timestamp::NEVER).max(node.updated)
        }
        for section in sections(&patches) {
            prop_assert_eq!(newest(&section.metadata), section.metadata.updated);
        }
    }

    #[test]
    fn an_empty_patch_changes_only_version_and_time(patch in members()) {
        let section = sections(&[patch]).pop().unwrap();
        let next = patch_reported(&section, &Map::new(), None, at(9)).unwrap();
        prop_assert_eq!(&next.properties, &section.properties);
        prop_assert_eq!(&next.metadata.children, &section.metadata.children);
        prop_assert_eq!((next.version, next.metadata.updated), (section.version + 1, at(9)));
    }

    #[test]
    fn nulls_take_back_what_a_patch_added(first in members(), patch in members()) {
        let section = sections(&[first]).pop().unwrap();
        let patched = patch_reported(&section, &patch, None, at(2)).unwrap();
        let mut expected = section.properties;
        expected.retain(|key, _| !patch.contains_key(key));
        prop_assert_eq!(patch_reported(&patched, &nulls(&patch), None, at(3)).unwrap().properties, expected);
    }

    #[test]
    fn merging_twice_is_merging_once(first in members(), patch in members()) {
        let section = sections(&[first]).pop().unwrap();
        let once = patch_reported(&section, &patch, None, at(2)).unwrap();
        let twice = patch_reported(&once, &patch, None, at(2)).unwrap();
        prop_assert_eq!(&twice.properties, &once.properties);
        prop_assert_eq!(&twice.metadata, &once.metadata);
    }

    #[test]
    fn a_replacement_is_a_patch_of_nothing(first in members(), members in members()) {
        let before = patch_back_end(&BackEnd::new(), &desired(first), at(1)).unwrap().next;
        let replacement = BackEndReplacement { tags: None, desired: Some(members.clone()) };
        let replaced = replace_back_end(&before, &replacement, at(2)).unwrap();
        let fresh = patch_back_end(&BackEnd::new(), &desired(members), at(2)).unwrap();
        prop_assert_eq!(&replaced.next.desired.properties, &fresh.next.desired.properties);
        prop_assert!(replaced.next.desired.metadata.mirrors(&replaced.next.desired.properties));
        prop_assert_eq!(replaced.next.desired.version, before.desired.version + 1);
        prop_assert_eq!(&replaced.desired.unwrap().members, &replaced.next.desired.properties);
    }

    #[test]
    fn what_a_device_is_told_takes_it_where_the_hub_is(first in members(), patch in members()) {
        let before = patch_back_end(&BackEnd::new(), &desired(first), at(1)).unwrap().next;
        let change = patch_back_end(&before, &desired(patch), at(2)).unwrap();
        let mut on_device = before.desired.properties;
        crate::twin::merge::merge(&mut on_device, &change.desired.unwrap().members);
        prop_assert_eq!(on_device, change.next.desired.properties);
    }

    #[test]
    fn stored_metadata_reads_back(patches in prop::collection::vec(members(), 0..6)) {
        let mut back_end = BackEnd::new();
        for (patch, seconds) in patches.iter().zip(1..) {
            back_end = patch_back_end(&back_end, &desired(patch.clone()), at(seconds)).unwrap().next;
        }
        let reported = sections(&patches).pop().unwrap();
        for section in [back_end.desired, reported] {
            let text = serde_json::to_string(&section.properties).unwrap();
            let document = serde_json::from_str(&text).unwrap();
            let bytes = section.metadata.encode(&section.properties);
            prop_assert_eq!(Metadata::decode(&bytes, &document), Ok(section.metadata));
        }
    }

    #[test]
    fn numbers_survive_their_text(number in any::<f64>().prop_filter("finite", |n| n.is_finite()), integer in any::<i64>()) {
        let section = sections(&[object(json!({"float": number}))]).pop().unwrap();
        let text = device_view(&Twin { reported: section.clone(), ..Twin::new() });
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read["reported"]["float"], &section.properties["float"]);
        let integer = Value::from(integer);
        prop_assert_eq!(serde_json::from_str::<Value>(&integer.to_string()).unwrap(), integer);
    }

    #[test]
    fn damaged_metadata_is_an_error_or_mirrors(bytes in prop::collection::vec(any::<u8>(), 0..40), patch in members()) {
        let section = sections(&[patch]).pop().unwrap();
        if let Ok(metadata) = Metadata::decode(&bytes, &section.properties) {
            prop_assert!(metadata.mirrors(&section.properties));
        }
    }
}
