//! Values: round trips, known bytes, malformed bytes.

use hub_amqp::{ArrayBuf, DecodeError, ListBuf, MapBuf, Value};
use proptest::prelude::*;

/// A value that owns its bytes.
#[derive(Debug, Clone)]
enum Owned {
    Plain(Vec<u8>),
    List(Vec<Owned>),
    Map(Vec<(Owned, Owned)>),
    Described(Box<Owned>, Box<Owned>),
}

impl Owned {
    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Plain(bytes) => out.extend_from_slice(bytes),
            Self::List(items) => {
                let items: Vec<Vec<u8>> = items.iter().map(Self::bytes).collect();
                let list = items.iter().fold(ListBuf::new(), |list, item| {
                    list.with(Value::decode(item).expect("well formed"))
                });
                Value::List(list.as_list()).encode(&mut out);
            }
            Self::Map(pairs) => {
                let map = pairs.iter().fold(MapBuf::new(), |map, (key, value)| {
                    let (key, value) = (key.bytes(), value.bytes());
                    let key = Value::decode(&key).expect("well formed");
                    map.with(key, Value::decode(&value).expect("well formed"))
                });
                Value::Map(map.as_map()).encode(&mut out);
            }
            Self::Described(descriptor, value) => {
                out.push(0);
                out.extend(descriptor.bytes());
                out.extend(value.bytes());
            }
        }
        out
    }
}

fn encoded(value: Value<'_>) -> Owned {
    let mut out = Vec::new();
    value.encode(&mut out);
    Owned::Plain(out)
}

fn plain() -> impl Strategy<Value = Owned> {
    prop_oneof![
        Just(encoded(Value::Null)),
        any::<bool>().prop_map(|value| encoded(Value::Bool(value))),
        any::<u8>().prop_map(|value| encoded(Value::Ubyte(value))),
        any::<u16>().prop_map(|value| encoded(Value::Ushort(value))),
        any::<u32>().prop_map(|value| encoded(Value::Uint(value))),
        any::<u64>().prop_map(|value| encoded(Value::Ulong(value))),
        any::<i8>().prop_map(|value| encoded(Value::Byte(value))),
        any::<i16>().prop_map(|value| encoded(Value::Short(value))),
        any::<i32>().prop_map(|value| encoded(Value::Int(value))),
        any::<i64>().prop_map(|value| encoded(Value::Long(value))),
        (-130_i32..130).prop_map(|value| encoded(Value::Int(value))),
        any::<char>().prop_map(|value| encoded(Value::Char(value))),
        any::<i64>().prop_map(|value| encoded(Value::Timestamp(value))),
        any::<[u8; 16]>().prop_map(|value| encoded(Value::Uuid(value))),
        any::<[u8; 16]>().prop_map(|value| encoded(Value::Decimal128(value))),
        prop::collection::vec(any::<u8>(), 0..400).prop_map(|value| encoded(Value::Binary(&value))),
        ".{0,100}".prop_map(|value| encoded(Value::String(&value))),
        "[ -~]{0,300}".prop_map(|value| encoded(Value::Symbol(&value))),
        prop::collection::vec("[a-z]{0,9}", 0..40).prop_map(|texts| {
            let array = ArrayBuf::strings(texts.iter().map(String::as_str));
            encoded(Value::Array(array.as_array()))
        }),
    ]
}

fn any_value() -> impl Strategy<Value = Owned> {
    plain().prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Owned::List),
            prop::collection::vec((inner.clone(), inner.clone()), 0..8).prop_map(Owned::Map),
            (inner.clone(), inner)
                .prop_map(|(descriptor, value)| Owned::Described(descriptor.into(), value.into())),
        ]
    })
}

/// Reads everything there is in a value.
fn visit(value: &Value<'_>) -> usize {
    match value {
        Value::List(list) => 1 + list.iter().map(|item| visit(&item)).sum::<usize>(),
        Value::Array(array) => 1 + array.iter().map(|item| visit(&item)).sum::<usize>(),
        Value::Map(map) => {
            let pairs = map.iter().map(|(key, value)| visit(&key) + visit(&value));
            1 + pairs.sum::<usize>()
        }
        Value::Described(described) => {
            1 + visit(&described.descriptor()) + visit(&described.value())
        }
        _ => 1,
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(value in any_value()) {
        let bytes = value.bytes();
        let read = Value::decode(&bytes).expect("well formed");
        let mut again = Vec::new();
        read.encode(&mut again);
        prop_assert_eq!(&bytes, &again);
        prop_assert!(visit(&read) > 0);
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(value) = Value::decode(&bytes) {
            visit(&value);
        }
    }

    #[test]
    fn a_value_cut_short_is_refused(value in any_value(), cut in any::<prop::sample::Index>()) {
        let bytes = value.bytes();
        let at = cut.index(bytes.len());
        prop_assert!(Value::decode(&bytes[..at]).is_err());
    }
}

#[test]
fn the_encodings_of_the_specification_are_read() {
    // Part 1, section 1.6, one of each constructor.
    let cases: [(&[u8], Value<'_>); 33] = [
        (b"\x40", Value::Null),
        (b"\x56\x01", Value::Bool(true)),
        (b"\x56\x00", Value::Bool(false)),
        (b"\x41", Value::Bool(true)),
        (b"\x42", Value::Bool(false)),
        (b"\x50\xff", Value::Ubyte(255)),
        (b"\x60\x01\x00", Value::Ushort(256)),
        (b"\x70\x00\x00\x00\x01", Value::Uint(1)),
        (b"\x52\x07", Value::Uint(7)),
        (b"\x43", Value::Uint(0)),
        (b"\x80\x00\x00\x00\x00\x00\x00\x00\x09", Value::Ulong(9)),
        (b"\x53\x09", Value::Ulong(9)),
        (b"\x44", Value::Ulong(0)),
        (b"\x51\xff", Value::Byte(-1)),
        (b"\x61\xff\xfe", Value::Short(-2)),
        (b"\x71\xff\xff\xff\xfd", Value::Int(-3)),
        (b"\x54\xfd", Value::Int(-3)),
        (b"\x81\xff\xff\xff\xff\xff\xff\xff\xfc", Value::Long(-4)),
        (b"\x55\xfc", Value::Long(-4)),
        (b"\x72\x3f\x80\x00\x00", Value::Float(1.0)),
        (b"\x82\x3f\xf0\x00\x00\x00\x00\x00\x00", Value::Double(1.0)),
        (b"\x74\x01\x02\x03\x04", Value::Decimal32([1, 2, 3, 4])),
        (
            b"\x84\x01\x02\x03\x04\x05\x06\x07\x08",
            Value::Decimal64([1, 2, 3, 4, 5, 6, 7, 8]),
        ),
        (
            b"\x94\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
            Value::Decimal128([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        ),
        (b"\x73\x00\x01\xf6\x00", Value::Char('😀')),
        (
            b"\x83\x00\x00\x01\x31\x1d\x9c\x40\x00",
            Value::Timestamp(1_310_461_804_544),
        ),
        (b"\xa0\x02ab", Value::Binary(b"ab")),
        (b"\xb0\x00\x00\x00\x02ab", Value::Binary(b"ab")),
        (b"\xa1\x03\xe2\x82\xac", Value::String("€")),
        (b"\xb1\x00\x00\x00\x02ab", Value::String("ab")),
        (b"\xa3\x02ab", Value::Symbol("ab")),
        (b"\xb3\x00\x00\x00\x02ab", Value::Symbol("ab")),
        (
            b"\x98\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
            Value::Uuid([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        ),
    ];
    for (bytes, value) in cases {
        assert_eq!(Value::decode(bytes), Ok(value), "{bytes:02x?}");
    }
}

#[test]
fn compounds_of_every_width_are_read() {
    for bytes in [
        &b"\xc0\x05\x02\x52\x01\x52\x02"[..],
        b"\xd0\x00\x00\x00\x08\x00\x00\x00\x02\x52\x01\x52\x02",
        b"\xe0\x04\x02\x52\x01\x02",
        b"\xf0\x00\x00\x00\x07\x00\x00\x00\x02\x52\x01\x02",
        b"\xf0\x00\x00\x00\x0d\x00\x00\x00\x02\x70\x00\x00\x00\x01\x00\x00\x00\x02",
    ] {
        let items: Vec<Value<'_>> = match Value::decode(bytes) {
            Ok(Value::List(list)) => list.iter().collect(),
            Ok(Value::Array(array)) => array.iter().collect(),
            other => panic!("{other:?}"),
        };
        assert_eq!(items, [Value::Uint(1), Value::Uint(2)], "{bytes:02x?}");
    }
    for bytes in [
        &b"\xc1\x06\x02\xa3\x01k\x52\x01"[..],
        b"\xd1\x00\x00\x00\x09\x00\x00\x00\x02\xa3\x01k\x52\x01",
    ] {
        let value = Value::decode(bytes).expect("well formed");
        let map = value.as_map().expect("a map");
        assert_eq!(map.get("k"), Some(Value::Uint(1)));
        assert_eq!((map.len(), map.is_empty()), (1, false));
    }
    let described = b"\xe0\x0a\x02\x00\xa3\x03abc\x52\x01\x02";
    let Ok(Value::Array(array)) = Value::decode(described) else {
        panic!("an array");
    };
    assert_eq!(array.descriptor(), Some(Value::Symbol("abc")));
    assert_eq!(array.iter().count(), 2);
}

#[test]
fn malformed_values_are_refused() {
    let cases: [(&[u8], DecodeError); 16] = [
        (b"", DecodeError::BeyondEnd),
        (b"\x99", DecodeError::UnknownCode(0x99)),
        (b"\x40\x40", DecodeError::TrailingBytes),
        (b"\x56\x02", DecodeError::InvalidValue("boolean")),
        (b"\x73\x00\x00\xd8\x00", DecodeError::InvalidValue("char")),
        (b"\xa1\x01\xff", DecodeError::InvalidValue("string")),
        (b"\xa3\x02\xc3\xa9", DecodeError::InvalidValue("symbol")),
        (b"\xb0\xff\xff\xff\xff", DecodeError::BeyondEnd),
        (b"\xc0\x03\x01\x40\x40", DecodeError::TrailingBytes),
        (b"\xc0\x02\x02\x40", DecodeError::BeyondEnd),
        (b"\xc1\x02\x01\x40", DecodeError::InvalidValue("map")),
        (
            b"\xd0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
            DecodeError::BeyondEnd,
        ),
        (
            b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",
            DecodeError::TooManyItems,
        ),
        (
            b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x50",
            DecodeError::BeyondEnd,
        ),
        (b"\x00\x53\x01", DecodeError::BeyondEnd),
        (b"\xe0\x01\x00", DecodeError::BeyondEnd),
    ];
    for (bytes, error) in cases {
        assert_eq!(Value::decode(bytes), Err(error), "{bytes:02x?}");
    }
    for step in [&b"\x00\x44"[..], b"\xd0\x00\x00\x01\x00\x00\x00\x00\x01"] {
        let deep = step.repeat(30_000);
        assert!(Value::decode(&deep).is_err());
    }
    let nested = b"\x00\x44".repeat(17);
    assert_eq!(
        Value::decode(&[&nested[..], b"\x40"].concat()),
        Err(DecodeError::TooDeep)
    );
    assert!(Value::decode(&[&nested[2..], b"\x40"].concat()).is_ok());
}
