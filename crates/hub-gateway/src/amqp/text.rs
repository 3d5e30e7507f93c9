//! AMQP values as the text that a property bag holds: routing treats every property as text.

use std::borrow::Cow;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_amqp::Value;
use hub_domain::Timestamp;

/// The text of a value; `None` for an absent one and for those that have none (lists, maps).
pub(super) fn text_of(value: Value<'_>) -> Option<Cow<'_, str>> {
    Some(match value {
        Value::String(text) | Value::Symbol(text) => Cow::Borrowed(text),
        Value::Bool(true) => Cow::Borrowed("true"),
        Value::Bool(false) => Cow::Borrowed("false"),
        Value::Ubyte(number) => number.to_string().into(),
        Value::Ushort(number) => number.to_string().into(),
        Value::Uint(number) => number.to_string().into(),
        Value::Ulong(number) => number.to_string().into(),
        Value::Byte(number) => number.to_string().into(),
        Value::Short(number) => number.to_string().into(),
        Value::Int(number) => number.to_string().into(),
        Value::Long(number) => number.to_string().into(),
        Value::Float(number) => number.to_string().into(),
        Value::Double(number) => number.to_string().into(),
        Value::Char(character) => character.to_string().into(),
        Value::Timestamp(millis) => Timestamp::from_millis(millis).to_rfc3339().into(),
        Value::Uuid(bytes) => uuid_text(bytes).into(),
        Value::Binary(bytes) => binary_text(bytes),
        Value::Described(described) => return text_of(described.value()),
        Value::Null
        | Value::Decimal32(_)
        | Value::Decimal64(_)
        | Value::Decimal128(_)
        | Value::List(_)
        | Value::Map(_)
        | Value::Array(_) => return None,
    })
}

/// Bytes that are text are that text (user ids are), others are base64.
fn binary_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(STANDARD.encode(bytes)),
    }
}

/// The 36 characters of RFC 4122.
pub(super) fn uuid_text(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a string takes every text");
    }
    text
}

/// Reads the 36 characters of RFC 4122.
pub(super) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut groups = text.split('-');
    let mut at = 0;
    for length in [8, 4, 4, 4, 12] {
        let group = groups.next().filter(|group| group.len() == length)?;
        for pair in 0..length / 2 {
            bytes[at] = u8::from_str_radix(group.get(2 * pair..2 * pair + 2)?, 16).ok()?;
            at += 1;
        }
    }
    groups.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_text_that_routing_compares() {
        let shown: Vec<_> = [
            Value::String("a"),
            Value::Symbol("b"),
            Value::Bool(true),
            Value::Int(-7),
            Value::Ulong(u64::MAX),
            Value::Double(1.5),
            Value::Char('ä'),
            Value::Timestamp(1_500),
            Value::Uuid([0x12; 16]),
            Value::Binary(b"user"),
            Value::Binary(&[0xff, 0xfe]),
        ]
        .into_iter()
        .map(|value| text_of(value).unwrap().into_owned())
        .collect();
        assert_eq!(
            shown,
            [
                "a",
                "b",
                "true",
                "-7",
                "18446744073709551615",
                "1.5",
                "ä",
                "1970-01-01T00:00:01.5000000Z",
                "12121212-1212-1212-1212-121212121212",
                "user",
                "//4=",
            ]
        );
        assert_eq!(text_of(Value::Null), None);
    }

    #[test]
    fn uuids_survive_a_round_trip() {
        let bytes = *b"0123456789abcdef";
        assert_eq!(parse_uuid(&uuid_text(bytes)), Some(bytes));
        for bad in [
            "",
            "12121212-1212-1212-1212-12121212121",
            "1212121-21212-1212-1212-121212121212",
            "12121212-1212-1212-1212-1212121212zz",
            "12121212-1212-1212-1212-121212121212-",
            "+2121212-1212-1212-1212-1212121212ää",
        ] {
            assert_eq!(parse_uuid(bad), None, "{bad}");
        }
    }
}
