//! Metadata: what it says, and its stored form.

use serde_json::json;

use super::*;

#[test]
fn every_touched_node_and_all_above_it_get_the_time() {
    let first = patch_reported(
        &Section::new(),
        &object(json!({"a": {"x": 1, "y": 2}, "b": 3})),
        None,
        at(1),
    )
    .unwrap();
    let second = patch_reported(&first, &object(json!({"a": {"x": 5}})), None, at(2)).unwrap();
    assert_eq!(
        section_text(&second),
        concat!(
            r#"{"a":{"x":5,"y":2},"b":3,"$metadata":{"$lastUpdated":"1970-01-01T00:00:02.0000000Z","#,
            r#""a":{"$lastUpdated":"1970-01-01T00:00:02.0000000Z","#,
            r#""x":{"$lastUpdated":"1970-01-01T00:00:02.0000000Z"},"#,
            r#""y":{"$lastUpdated":"1970-01-01T00:00:01.0000000Z"}},"#,
            r#""b":{"$lastUpdated":"1970-01-01T00:00:01.0000000Z"}},"$version":3}"#
        )
    );
}

#[test]
fn desired_nodes_carry_the_version_that_wrote_them() {
    let patch = |members| BackEndPatch {
        tags: None,
        desired: Some(object(members)),
    };
    let first = patch_back_end(
        &BackEnd::new(),
        &patch(json!({"a": [1, {"b": 2}], "c": {}})),
        at(1),
    )
    .unwrap()
    .next;
    let second = patch_back_end(&first, &patch(json!({"c": null})), at(2))
        .unwrap()
        .next;
    assert_eq!(
        section_text(&second.desired),
        concat!(
            r#"{"a":[1,{"b":2}],"$metadata":{"$lastUpdated":"1970-01-01T00:00:02.0000000Z","$lastUpdatedVersion":3,"#,
            r#""a":{"$lastUpdated":"1970-01-01T00:00:01.0000000Z","$lastUpdatedVersion":2}},"$version":3}"#
        )
    );
}

#[test]
fn a_replacement_stamps_every_node_afresh() {
    let patch = BackEndPatch {
        tags: None,
        desired: Some(object(json!({"a": 1, "b": 2}))),
    };
    let first = patch_back_end(&BackEnd::new(), &patch, at(1)).unwrap().next;
    let same = BackEndReplacement {
        tags: None,
        desired: patch.desired,
    };
    let second = replace_back_end(&first, &same, at(2)).unwrap().next;
    let nodes: Vec<_> = second
        .desired
        .metadata
        .children
        .values()
        .map(|node| (node.updated, node.version))
        .collect();
    assert_eq!(nodes, [(at(2), Some(3)); 2]);
}

fn sample() -> Section {
    let first = object(json!({"a": {"x": 1, "y": {"z": [1, {"q": 2}]}}, "b": "text"}));
    let section = patch_reported(
        &Section::new(),
        &first,
        None,
        Timestamp::from_seconds(1_769_860_800),
    )
    .unwrap();
    let later = Timestamp::from_seconds(1_769_864_400);
    patch_reported(
        &section,
        &object(json!({"a": {"y": {"w": true}}})),
        None,
        later,
    )
    .unwrap()
}

#[test]
fn the_stored_form_of_fresh_metadata_takes_two_bytes_per_node() {
    let members: Map<String, Value> = (0..100).map(|n| (format!("key{n}"), json!(n))).collect();
    let now = Timestamp::from_seconds(1_769_860_800);
    let section = patch_reported(&Section::new(), &members, None, now).unwrap();
    let bytes = section.metadata.encode(&section.properties);
    assert!(bytes.len() < 2 * 100 + 16, "{}", bytes.len());
}

#[test]
fn the_stored_form_is_a_disk_format() {
    let section = sample();
    let printed: Vec<String> = section
        .metadata
        .encode(&section.properties)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Root, a, a.x, a.y, a.y.w, a.y.z, b; unchanged nodes are 3600 s older than the root.
    assert_eq!(
        printed.join(" "),
        "01 06 80 d0 e6 ad d5 eb a4 06 \
         06 00 00 ff 8f 9d e9 1a 06 00 00 00 00 ff 8f 9d e9 1a 00 ff 8f 9d e9 1a"
    );
}

#[test]
fn the_stored_form_fits_only_its_document() {
    let section = sample();
    let bytes = section.metadata.encode(&section.properties);
    assert_eq!(
        Metadata::decode(&bytes, &section.properties),
        Ok(section.metadata.clone())
    );
    for length in 0..bytes.len() {
        let error = Metadata::decode(&bytes[..length], &section.properties);
        assert_eq!(error, Err(MetadataError::Short), "{length}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(
        Metadata::decode(&longer, &section.properties),
        Err(MetadataError::Long)
    );
    let mut more = section.properties.clone();
    more.insert("c".to_owned(), json!(1));
    assert_eq!(Metadata::decode(&bytes, &more), Err(MetadataError::Shape));
    let mut other = section.properties.clone();
    other.insert("b".to_owned(), json!({}));
    assert_eq!(Metadata::decode(&bytes, &other), Err(MetadataError::Shape));
    assert_eq!(
        Metadata::decode(&[9], &section.properties),
        Err(MetadataError::Format(9))
    );
    let endless = [&[1][..], &[0xff; 11]].concat();
    assert_eq!(
        Metadata::decode(&endless, &section.properties),
        Err(MetadataError::Number)
    );
}

#[test]
fn the_stored_form_holds_every_time_and_version() {
    for (time, version) in [
        (i64::MIN, Some(u64::MAX)),
        (i64::MAX, Some(0)),
        (0, None),
        (-1, Some(1)),
    ] {
        let child = Metadata {
            updated: Timestamp::from_micros(time),
            version,
            ..Metadata::never()
        };
        let mut root = Metadata {
            updated: Timestamp::from_micros(5),
            version: Some(3),
            ..Metadata::never()
        };
        root.children.insert("a".to_owned(), child.clone());
        let document = object(json!({"a": 1}));
        assert_eq!(
            Metadata::decode(&root.encode(&document), &document),
            Ok(root)
        );
        let document = Map::new();
        assert_eq!(
            Metadata::decode(&child.encode(&document), &document),
            Ok(child)
        );
    }
}
