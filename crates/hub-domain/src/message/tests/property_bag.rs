use proptest::prelude::*;

use super::*;

fn decoded(raw: &str) -> String {
    match PropertyBag::decode(raw.as_bytes()) {
        Ok(bag) => format!("{:?}", bag.entries),
        Err(error) => error.to_string(),
    }
}

#[test]
fn bags_of_every_client_are_read() {
    for (raw, expected) in [
        ("", "[]"),
        (
            "%24.mid=1&a=b",
            r#"[("$.mid", Some("1")), ("a", Some("b"))]"#,
        ),
        ("$.mid=1", r#"[("$.mid", Some("1"))]"#),
        ("?a=b", r#"[("a", Some("b"))]"#),
        (
            "a&b=&c=d",
            r#"[("a", None), ("b", Some("")), ("c", Some("d"))]"#,
        ),
        ("a=b&&c=d&", r#"[("a", Some("b")), ("c", Some("d"))]"#),
        ("a=b=c", r#"[("a", Some("b=c"))]"#),
        ("a+b=c%20d", r#"[("a+b", Some("c d"))]"#),
        ("%C3%a4=ä", r#"[("ä", Some("ä"))]"#),
        ("a=%26%3D%25", r#"[("a", Some("&=%"))]"#),
        ("=v", r#"[("", Some("v"))]"#),
        (
            "a=%",
            "the properties have a % without two hexadecimal digits",
        ),
        (
            "a=%2",
            "the properties have a % without two hexadecimal digits",
        ),
        (
            "a%zz",
            "the properties have a % without two hexadecimal digits",
        ),
        (
            "a=%2&b=c",
            "the properties have a % without two hexadecimal digits",
        ),
        ("a=%FF", "the properties are not UTF-8"),
        ("%C3&%A4", "the properties are not UTF-8"),
    ] {
        assert_eq!(decoded(raw), expected, "{raw}");
    }
}

#[test]
fn bags_print_with_percent_sequences_for_all_that_is_reserved() {
    let mut bag = PropertyBag::default();
    bag.push("$.to", Some("/devices/d/messages/devicebound"));
    bag.push("null", None);
    bag.push("empty", Some(""));
    bag.push("a b", Some("c+d&ä"));
    assert_eq!(
        bag.encode(),
        "%24.to=%2Fdevices%2Fd%2Fmessages%2Fdevicebound&null&empty=&a%20b=c%2Bd%26%C3%A4"
    );
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(
        entries in prop::collection::vec((".{1,8}", prop::option::of(".{0,8}")), 0..6)
    ) {
        let bag = PropertyBag { entries };
        prop_assert_eq!(PropertyBag::decode(bag.encode().as_bytes()), Ok(bag));
    }
}

#[test]
fn system_properties_are_found_by_every_spelling() {
    for property in SystemProperty::ALL {
        assert_eq!(
            SystemProperty::from_mqtt_name(property.mqtt_name()),
            Some(property)
        );
        assert_eq!(
            SystemProperty::from_http_header(&property.http_header().to_uppercase()),
            Some(property)
        );
        assert!(!property.json_name().is_empty());
    }
    assert_eq!(SystemProperty::from_mqtt_name("$.MID"), None);
    assert_eq!(SystemProperty::from_http_header("iothub-app-x"), None);
}

proptest! {
    #[test]
    fn pairs_one_after_the_other_are_those_of_the_whole_bag(raw in prop::collection::vec(any::<u8>(), 0..40)) {
        let pairs: Result<Vec<_>, _> = properties(&raw)
            .map(|pair| pair.map(|(key, value)| (key.into_owned(), value.map(|v| v.into_owned()))))
            .collect();
        prop_assert_eq!(pairs, PropertyBag::decode(&raw).map(|bag| bag.entries));
    }
}
