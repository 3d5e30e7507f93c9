use proptest::prelude::*;

use super::*;
use crate::ErrorCode;
use crate::limits::TELEMETRY_BYTES_MAX;

#[test]
fn system_properties_count_by_value_and_others_by_name_too() {
    for (raw, bytes) in [
        ("", 0),
        ("a=bc", 3),
        ("abc", 3),
        ("a=&b=", 2),
        ("$.mid=12345", 5),
        ("%24.mid=12345", 5),
        ("%24%2emid=12345", 5),
        ("$.unknown=1", 1),
        ("$.ct=application%2Fjson", 16),
        ("$x=1", 3),
        ("%C3%A4=ä", 4),
        ("?a=b&&c=d&", 4),
        ("a=b=c", 4),
        ("iothub-ack=full", 14),
    ] {
        assert_eq!(telemetry_size(raw.as_bytes(), 0), Ok(bytes), "{raw}");
        assert_eq!(
            telemetry_size(raw.as_bytes(), 100),
            Ok(bytes + 100),
            "{raw}"
        );
    }
}

#[test]
fn a_message_has_at_most_256_kib() {
    assert_eq!(telemetry_size(b"", TELEMETRY_BYTES_MAX), Ok(262_144));
    assert_eq!(telemetry_size(b"a=b", TELEMETRY_BYTES_MAX - 2), Ok(262_144));
    assert_eq!(
        telemetry_size(b"$.mid=b", TELEMETRY_BYTES_MAX - 1),
        Ok(262_144)
    );
    let error = telemetry_size(b"a=b", TELEMETRY_BYTES_MAX - 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message has 262145 bytes with its properties, more than 262144"
    );
    assert_eq!(error.code(), ErrorCode::MessageTooLarge);
    assert_eq!(
        telemetry_size(b"", 262_145),
        Err(TelemetryError::TooLarge { bytes: 262_145 })
    );
}

#[test]
fn bags_that_cannot_be_read_are_refused() {
    for raw in [
        "%",
        "a=%4",
        "a%g0=b",
        "a=%c3%28",
        "a=%e0%80%80",
        "a=%ed%a0%80",
        "a=%f4%90%80%80",
        "a=%c3&b=%a4",
    ] {
        let error = telemetry_size(raw.as_bytes(), 0).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ArgumentInvalid, "{raw}");
    }
    assert!(telemetry_size(b"a=\xff", 0).is_err());
}

#[test]
fn readers_get_system_and_application_properties_apart() {
    let raw = b"%24.mid=id%201&$.ct=application%2Fjson&%24.later=1&temperature=21&empty=&none&mqtt-retain=true";
    let properties = decode_telemetry_properties(raw).unwrap();
    assert_eq!(properties.system(SystemProperty::MessageId), Some("id 1"));
    assert_eq!(
        properties.system(SystemProperty::ContentType),
        Some("application/json")
    );
    assert_eq!(properties.system(SystemProperty::UserId), None);
    assert_eq!(
        format!("{:?}", properties.system),
        r#"{"$.ct": Some("application/json"), "$.later": Some("1"), "$.mid": Some("id 1")}"#
    );
    assert_eq!(
        format!("{:?}", properties.application),
        r#"{"empty": Some(""), "mqtt-retain": Some("true"), "none": None, "temperature": Some("21")}"#
    );
}

/// The rule as one would write it without haste.
fn slow_size(raw: &[u8]) -> Result<usize, PropertyBagError> {
    let entries = PropertyBag::decode(raw)?.entries;
    Ok(entries
        .iter()
        .map(|(key, value)| {
            let name = if key.starts_with("$.") { 0 } else { key.len() };
            name + value.as_ref().map_or(0, String::len)
        })
        .sum())
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("&".to_owned()),
        Just("=".to_owned()),
        Just("$.".to_owned()),
        Just("%24.".to_owned()),
        Just("?".to_owned()),
        "[a-zA-Z0-9äü€😀%]{0,4}",
        any::<u8>().prop_map(|byte| format!("%{byte:02x}")),
        "[äü€😀]".prop_map(|text| text.bytes().map(|byte| format!("%{byte:02X}")).collect()),
    ]
}

proptest! {
    #[test]
    fn the_fast_size_is_the_slow_one(pieces in prop::collection::vec(piece(), 0..12)) {
        let raw = pieces.concat();
        match (telemetry_size(raw.as_bytes(), 0), slow_size(raw.as_bytes())) {
            (Ok(fast), Ok(slow)) => prop_assert_eq!(fast, slow),
            // With two faults in one bag, each may name another.
            (Err(_), Err(_)) => {}
            (fast, slow) => prop_assert!(false, "{fast:?} {slow:?}"),
        }
    }

    #[test]
    fn any_bytes_are_measured_alike(raw in prop::collection::vec(any::<u8>(), 0..24)) {
        prop_assert_eq!(telemetry_size(&raw, 0).ok(), slow_size(&raw).ok());
    }
}
