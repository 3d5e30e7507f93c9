//! Writes, as text in and text out.

use serde_json::json;

use super::*;
use crate::ErrorCode;
use crate::fact::SectionChange;

/// Applies reported patches one after another and prints the document.
fn reported(patches: &[Value]) -> String {
    let mut section = Section::new();
    for patch in patches {
        section = patch_reported(&section, &object(patch.clone()), None, at(1)).unwrap();
    }
    Value::Object(section.properties).to_string()
}

fn desired_patch(members: Value) -> BackEndPatch {
    BackEndPatch {
        tags: None,
        desired: Some(object(members)),
    }
}

fn tags_patch(members: Value) -> BackEndPatch {
    BackEndPatch {
        tags: Some(object(members)),
        desired: None,
    }
}

fn told(change: &BackEndChange) -> Option<String> {
    change.desired.as_ref().map(desired_notification)
}

#[test]
fn a_new_twin_has_version_two_and_empty_sections() {
    let twin = Twin::new();
    assert_eq!(twin.version(), 2);
    assert_eq!(twin.back_end.etag.to_string(), "AAAAAAAAAAE=");
    assert_eq!(
        device_view(&twin),
        r#"{"desired":{"$version":1},"reported":{"$version":1}}"#
    );
    assert_eq!(
        section_text(&twin.reported),
        r#"{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1}"#
    );
}

#[test]
fn etags_print_as_base64_of_a_counter() {
    assert_eq!(TwinEtag(7).to_string(), "AAAAAAAAAAc=");
    assert_eq!(TwinEtag::parse("AAAAAAAAAAc="), Some(TwinEtag(7)));
    for text in ["", "*", "AAAA", "AAAAAAAAAAcA"] {
        assert_eq!(TwinEtag::parse(text), None, "{text}");
    }
}

#[test]
fn null_removes_and_objects_merge() {
    for (patches, expected) in [
        (vec![json!({"a": 1}), json!({"b": 2})], r#"{"a":1,"b":2}"#),
        (
            vec![json!({"a": 1, "b": 2}), json!({"a": null})],
            r#"{"b":2}"#,
        ),
        (vec![json!({"a": null})], "{}"),
        (
            vec![
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"x": null, "z": 3}}),
            ],
            r#"{"a":{"y":2,"z":3}}"#,
        ),
        (
            vec![json!({"a": {"x": 1}}), json!({"a": {"x": null}})],
            r#"{"a":{}}"#,
        ),
        (
            vec![json!({"a": {"x": null, "y": {"z": null}}})],
            r#"{"a":{"y":{}}}"#,
        ),
        (
            vec![json!({"a": 1}), json!({"a": {"x": 1, "y": null}})],
            r#"{"a":{"x":1}}"#,
        ),
        (vec![json!({"a": {"x": 1}}), json!({"a": 1})], r#"{"a":1}"#),
        (
            vec![json!({"a": {"x": 1}}), json!({"a": {}})],
            r#"{"a":{"x":1}}"#,
        ),
        (vec![json!({"a": 1}), json!({"a": {}})], r#"{"a":{}}"#),
    ] {
        assert_eq!(reported(&patches), expected, "{patches:?}");
    }
}

#[test]
fn arrays_are_whole_values_and_keep_nulls() {
    for (patches, expected) in [
        (
            vec![json!({"a": [1, null, {"b": null}]})],
            r#"{"a":[1,null,{"b":null}]}"#,
        ),
        (
            vec![json!({"a": [1, 2, 3]}), json!({"a": [4]})],
            r#"{"a":[4]}"#,
        ),
        (
            vec![json!({"a": [1]}), json!({"a": {"b": 1}})],
            r#"{"a":{"b":1}}"#,
        ),
        (
            vec![json!({"a": {"b": 1}}), json!({"a": []})],
            r#"{"a":[]}"#,
        ),
    ] {
        assert_eq!(reported(&patches), expected, "{patches:?}");
    }
}

#[test]
fn a_reported_patch_with_another_version_is_refused() {
    let section = Section::new();
    assert_eq!(
        patch_reported(&section, &Map::new(), Some(1), at(1))
            .unwrap()
            .version,
        2
    );
    let error = patch_reported(&section, &Map::new(), Some(2), at(1)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PreconditionFailed);
    assert_eq!(
        error.to_string(),
        "properties.reported has version 1, not 2"
    );
}

#[test]
fn only_written_parts_change_their_version() {
    let start = BackEnd::new();
    let tags = patch_back_end(&start, &tags_patch(json!({"floor": 1})), at(1)).unwrap();
    assert_eq!(
        (tags.next.etag, tags.next.desired.version),
        (TwinEtag(2), 1)
    );
    assert_eq!(told(&tags), None);
    let desired = patch_back_end(&tags.next, &desired_patch(json!({})), at(2)).unwrap();
    assert_eq!(
        (desired.next.etag, desired.next.desired.version),
        (TwinEtag(3), 2)
    );
    assert_eq!(desired.next.tags, tags.next.tags);
    assert_eq!(told(&desired).unwrap(), r#"{"$version":2}"#);
    let nothing = patch_back_end(&desired.next, &BackEndPatch::default(), at(3)).unwrap();
    assert_eq!(
        (nothing.next.etag, nothing.next.desired.version),
        (TwinEtag(4), 2)
    );
    assert_eq!((nothing.tags, nothing.desired), (None, None));
}

#[test]
fn a_device_is_told_the_patch_with_its_nulls() {
    let first = patch_back_end(
        &BackEnd::new(),
        &desired_patch(json!({"a": 1, "b": {"c": 1}})),
        at(1),
    )
    .unwrap();
    let second = patch_back_end(
        &first.next,
        &desired_patch(json!({"a": null, "b": {"c": null, "d": [null]}})),
        at(2),
    );
    assert_eq!(
        told(&second.unwrap()).unwrap(),
        r#"{"$version":3,"a":null,"b":{"c":null,"d":[null]}}"#
    );
}

#[test]
fn a_replacement_is_told_whole_and_drops_what_was_there() {
    let first = BackEndPatch {
        tags: Some(object(json!({"floor": 1}))),
        desired: Some(object(json!({"a": {"x": 1}, "b": 2}))),
    };
    let first = patch_back_end(&BackEnd::new(), &first, at(1)).unwrap();
    let replacement = BackEndReplacement {
        tags: Some(object(json!({"room": 2, "gone": null}))),
        desired: Some(object(
            json!({"a": {"y": 1, "n": null}, "$version": 2, "$metadata": {}}),
        )),
    };
    let change = replace_back_end(&first.next, &replacement, at(2)).unwrap();
    assert_eq!(
        Value::Object(change.next.tags.clone()).to_string(),
        r#"{"room":2}"#
    );
    assert_eq!(change.tags, Some(change.next.tags.clone()));
    assert_eq!(told(&change).unwrap(), r#"{"$version":3,"a":{"y":1}}"#);
    assert_eq!(change.next.etag, TwinEtag(3));
    let tags_only = BackEndReplacement {
        tags: Some(Map::new()),
        desired: None,
    };
    let change = replace_back_end(&change.next, &tags_only, at(3)).unwrap();
    assert_eq!(change.next.desired.version, 3);
    assert_eq!(
        Value::Object(change.next.desired.properties).to_string(),
        r#"{"a":{"y":1}}"#
    );
    assert!(change.next.tags.is_empty() && change.desired.is_none());
}

#[test]
fn what_clients_read_they_may_send_back() {
    let sent_back =
        json!({"a": 1, "$version": 1, "$metadata": {"$lastUpdated": "2026-01-01T00:00:00Z"}});
    let change = patch_back_end(&BackEnd::new(), &desired_patch(sent_back), at(1)).unwrap();
    assert_eq!(
        change.desired,
        Some(SectionChange {
            members: object(json!({"a": 1})),
            version: 2
        })
    );
    assert_eq!(
        Value::Object(change.next.desired.properties).to_string(),
        r#"{"a":1}"#
    );
}

#[test]
fn other_dollar_keys_are_refused() {
    let back_end = BackEnd::new();
    let text = |result: Result<BackEndChange, TwinError>| result.unwrap_err().to_string();
    assert_eq!(
        text(patch_back_end(
            &back_end,
            &desired_patch(json!({"$etag": 1})),
            at(1)
        )),
        "the key at properties.desired.$etag has the character '$', which is not allowed"
    );
    assert_eq!(
        text(patch_back_end(
            &back_end,
            &desired_patch(json!({"a": {"$version": 1}})),
            at(1)
        )),
        "the key at properties.desired.a.$version has the character '$', which is not allowed"
    );
    assert_eq!(
        text(patch_back_end(
            &back_end,
            &tags_patch(json!({"$version": 1})),
            at(1)
        )),
        "the key at tags.$version has the character '$', which is not allowed"
    );
    let error = patch_reported(
        &Section::new(),
        &object(json!({"$version": 1})),
        None,
        at(1),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the key at properties.reported.$version has the character '$', which is not allowed"
    );
    assert_eq!(error.code(), ErrorCode::ArgumentInvalid);
}

#[test]
fn a_device_sees_both_sections_and_no_tags() {
    let patch = BackEndPatch {
        tags: Some(object(json!({"floor": 1}))),
        desired: Some(object(json!({"a": 1}))),
    };
    let mut twin = Twin::new();
    twin.back_end = patch_back_end(&twin.back_end, &patch, at(1)).unwrap().next;
    twin.reported = patch_reported(
        &twin.reported,
        &object(json!({"b": {"c": "d"}})),
        None,
        at(1),
    )
    .unwrap();
    assert_eq!(
        device_view(&twin),
        r#"{"desired":{"a":1,"$version":2},"reported":{"b":{"c":"d"},"$version":2}}"#
    );
    assert_eq!(twin.version(), 4);
}
