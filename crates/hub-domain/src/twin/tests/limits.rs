//! Both edges of every twin limit.

use serde_json::json;

use super::*;

const PARTS: [TwinPart; 3] = [TwinPart::Tags, TwinPart::Desired, TwinPart::Reported];

/// Writes to one part of a new twin; the error as text.
fn write(part: TwinPart, members: Value) -> Result<(), String> {
    let members = object(members);
    let result = match part {
        TwinPart::Reported => patch_reported(&Section::new(), &members, None, at(1)).map(|_| ()),
        TwinPart::Tags => {
            let patch = BackEndPatch {
                tags: Some(members),
                desired: None,
            };
            patch_back_end(&BackEnd::new(), &patch, at(1)).map(|_| ())
        }
        TwinPart::Desired => {
            let patch = BackEndPatch {
                tags: None,
                desired: Some(members),
            };
            patch_back_end(&BackEnd::new(), &patch, at(1)).map(|_| ())
        }
    };
    result.map_err(|error| error.to_string())
}

/// `n` objects within each other, a value in the innermost.
fn nested(n: usize) -> Value {
    (0..n).fold(json!({"property": "value"}), |inner, _| json!({"o": inner}))
}

#[test]
fn ten_nested_objects_are_allowed_and_eleven_are_not() {
    for part in PARTS {
        assert_eq!(write(part, nested(10)), Ok(()));
        let path = format!("{part}{}", ".o".repeat(11));
        assert_eq!(
            write(part, nested(11)),
            Err(format!(
                "the object at {path} is nested deeper than 10 levels"
            ))
        );
    }
    assert!(write(TwinPart::Tags, json!({"a": [nested(9)]})).is_ok());
    assert!(write(TwinPart::Tags, json!({"a": [[nested(10)]]})).is_err());
}

#[test]
fn a_key_has_at_most_1024_bytes() {
    for part in PARTS {
        assert_eq!(write(part, json!({"k".repeat(1024): 1})), Ok(()));
        let error = write(part, json!({"k".repeat(1025): 1})).unwrap_err();
        assert!(
            error.ends_with("has 1025 bytes, more than 1024") && error.len() < 400,
            "{error}"
        );
    }
    assert!(write(TwinPart::Tags, json!({"ä".repeat(512): 1})).is_ok());
    assert!(write(TwinPart::Tags, json!({"ä".repeat(513): 1})).is_err());
}

#[test]
fn keys_have_no_control_characters_dots_dollars_or_spaces() {
    for bad in [
        "a.b", "$a", "a$", "a b", " ", "a\u{0}", "\u{1f}", "\u{80}", "a\u{9f}",
    ] {
        for members in [
            json!({bad: 1}),
            json!({bad: null}),
            json!({"o": {bad: 1}}),
            json!({"l": [{bad: 1}]}),
        ] {
            assert!(
                write(TwinPart::Reported, members.clone()).is_err(),
                "{members}"
            );
        }
    }
    for good in ["a-b", "a_b", "Ä", "\u{7f}", "\u{a0}", "键", "a;b", "/", "%"] {
        assert_eq!(
            write(TwinPart::Reported, json!({good: 1})),
            Ok(()),
            "{good:?}"
        );
    }
}

#[test]
fn a_string_has_at_most_4096_bytes() {
    for part in PARTS {
        assert_eq!(write(part, json!({"a": "x".repeat(4096)})), Ok(()));
        let expected = format!("the string at {part}.a has 4097 bytes, more than 4096");
        assert_eq!(write(part, json!({"a": "x".repeat(4097)})), Err(expected));
        assert!(write(part, json!({"a": ["ä".repeat(2049)]})).is_err());
    }
}

#[test]
fn integers_fit_a_double_exactly() {
    for good in [
        json!(4_503_599_627_370_495_i64),
        json!(-4_503_599_627_370_496_i64),
        json!(1e300),
        json!(0.5),
    ] {
        assert_eq!(write(TwinPart::Desired, json!({"a": good})), Ok(()));
    }
    for bad in [
        json!(4_503_599_627_370_496_i64),
        json!(-4_503_599_627_370_497_i64),
        json!(u64::MAX),
    ] {
        for value in [bad.clone(), json!({"b": bad}), json!([bad])] {
            assert!(
                write(TwinPart::Desired, json!({"a": value})).is_err(),
                "{value}"
            );
        }
    }
}

/// Members of exactly `bytes` bytes by the documented count: one-byte keys cannot serve, so `kNN`.
fn of_size(bytes: usize) -> Value {
    let mut members = Map::new();
    let mut left = bytes;
    while left > 0 {
        let key = format!("k{:02}", members.len());
        let value = left.saturating_sub(key.len()).min(4000);
        left = left
            .checked_sub(key.len() + value)
            .expect("sizes of a test leave room for a key");
        members.insert(key, json!("x".repeat(value)));
    }
    Value::Object(members)
}

#[test]
fn each_part_has_its_size() {
    for (part, bytes) in [
        (TwinPart::Tags, 8192),
        (TwinPart::Desired, 32_768),
        (TwinPart::Reported, 32_768),
    ] {
        assert_eq!(write(part, of_size(bytes)), Ok(()));
        let expected = format!("{part} would have {} bytes, more than {bytes}", bytes + 1);
        assert_eq!(write(part, of_size(bytes + 1)), Err(expected));
    }
}

#[test]
fn the_size_is_that_of_the_merged_section() {
    let patch = |members: Value| BackEndPatch {
        tags: Some(object(members)),
        desired: None,
    };
    let full = patch_back_end(&BackEnd::new(), &patch(of_size(8192)), at(1))
        .unwrap()
        .next;
    assert!(patch_back_end(&full, &patch(json!({"a": true})), at(2)).is_err());
    assert!(patch_back_end(&full, &patch(json!({"a": true, "k00": null})), at(2)).is_ok());
}

#[test]
fn values_count_as_documented() {
    // Each line: a value under the key `a`, and the bytes of the section.
    for (value, bytes) in [
        (json!("text"), 1 + 4),
        (json!("ä"), 1 + 2),
        (json!("a\n\u{1}b\u{85}"), 1 + 2),
        (json!("\u{7f}"), 1 + 1),
        (json!(1), 1 + 8),
        (json!(1.5), 1 + 8),
        (json!(true), 1 + 4),
        (json!({}), 1),
        (json!({"bc": {"d": false}}), 1 + 2 + 1 + 4),
        (json!([1, "xy", null, {"k": true}]), 1 + 8 + 2 + 1 + 4),
    ] {
        // What fills the rest up to the limit is accepted, one byte more is not.
        let mut members = object(of_size(TwinPart::Tags.bytes_max() - bytes));
        members.insert("a".to_owned(), value.clone());
        assert_eq!(
            write(TwinPart::Tags, Value::Object(members.clone())),
            Ok(()),
            "{value}"
        );
        members.insert("b".to_owned(), json!(""));
        assert!(
            write(TwinPart::Tags, Value::Object(members)).is_err(),
            "{value}"
        );
    }
}

#[test]
fn paths_in_errors_have_no_control_characters_or_semicolons() {
    let error = write(TwinPart::Tags, json!({"a;b": {"c\nd": 1}})).unwrap_err();
    assert_eq!(
        error,
        r"the key at tags.a?b.c?d has the character '\n', which is not allowed"
    );
}
