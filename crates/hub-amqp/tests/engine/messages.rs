//! Messages: what is written is read, and what no message is, is refused.

use hub_amqp::{
    Body, DecodeError, Header, ListBuf, MapBuf, MessageId, MessageWriter, Properties, Sections,
    Value,
};
use proptest::prelude::*;

#[test]
fn a_message_with_every_section_is_read_as_written() {
    let properties = Properties {
        message_id: Some(MessageId::Uuid([7; 16])),
        user_id: Some(b"user"),
        to: Some("/devices/d1/messages/devicebound"),
        subject: Some("subject"),
        reply_to: Some("cbs"),
        correlation_id: Some(MessageId::Ulong(300)),
        content_type: Some("application/json"),
        content_encoding: Some("utf-8"),
        absolute_expiry_time: Some(1_700_000_000_000),
        creation_time: Some(1_600_000_000_000),
        group_id: Some("group"),
        group_sequence: Some(3),
        reply_to_group_id: Some("other"),
    };
    let header = Header {
        durable: true,
        priority: 9,
        ttl_ms: Some(1000),
        first_acquirer: true,
        delivery_count: 2,
    };
    let mut bytes = Vec::new();
    MessageWriter::new(&mut bytes)
        .header(&header)
        .delivery_annotations(|map| {
            map.symbol("last_enqueued_offset", Value::String("77"));
        })
        .message_annotations(|map| {
            map.symbol("x-opt-sequence-number", Value::Long(5))
                .symbol("x-opt-enqueued-time", Value::Timestamp(99));
        })
        .properties(&properties)
        .application_properties(|map| {
            map.string("temperature", Value::String("high"));
        })
        .data(b"{}");
    let sections = Sections::parse(&bytes).expect("a message");
    assert_eq!(sections.header, header);
    assert_eq!(sections.properties, Some(properties));
    let annotation = sections.message_annotations.get("x-opt-sequence-number");
    assert_eq!(annotation, Some(Value::Long(5)));
    assert_eq!(
        sections.delivery_annotations.get("last_enqueued_offset"),
        Some(Value::String("77"))
    );
    assert_eq!(
        sections.application_properties.iter().collect::<Vec<_>>(),
        [(Value::String("temperature"), Value::String("high"))]
    );
    assert_eq!(sections.body.single_data(), Some(&b"{}"[..]));
    assert!(sections.bare.starts_with(b"\x00\x53\x73"));
    assert!(sections.bare.ends_with(b"\x00\x53\x75\xa0\x02{}"));
}

#[test]
fn a_body_may_be_a_value_or_lists_or_many_pieces() {
    let mut bytes = Vec::new();
    MessageWriter::new(&mut bytes).value(Value::String("SharedAccessSignature"));
    let sections = Sections::parse(&bytes).expect("a message");
    assert_eq!(
        sections.body,
        Body::Value(Value::String("SharedAccessSignature"))
    );
    assert_eq!(sections.body.single_data(), None);

    let mut bytes = Vec::new();
    MessageWriter::new(&mut bytes)
        .data(b"one")
        .data(b"")
        .data(b"two");
    let sections = Sections::parse(&bytes).expect("a message");
    let Body::Data(data) = sections.body else {
        panic!("data");
    };
    assert_eq!(data.iter().collect::<Vec<_>>(), [&b"one"[..], b"", b"two"]);
    assert_eq!(sections.body.single_data(), None);

    let list = ListBuf::new().with(Value::Int(1));
    let mut bytes = Vec::new();
    MessageWriter::new(&mut bytes)
        .sequence(list.as_list())
        .sequence(list.as_list());
    let Body::Sequences(lists) = Sections::parse(&bytes).expect("a message").body else {
        panic!("sequences");
    };
    assert_eq!(lists.iter().map(|list| list.len()).sum::<usize>(), 2);

    let sections = Sections::parse(b"").expect("an empty message");
    assert_eq!(sections.body, Body::Empty);
    assert_eq!(sections.body.single_data(), Some(&b""[..]));
}

#[test]
fn known_bytes_of_clients_are_read() {
    // As rhea writes `{application_properties: {operation: "put-token"}, message_id: "1", body: "token"}`.
    let bytes = b"\x00\x53\x73\xc0\x04\x01\xa1\x011\
        \x00\x53\x74\xc1\x17\x02\xa1\x09operation\xa1\x09put-token\
        \x00\x53\x77\xa1\x05token";
    let sections = Sections::parse(bytes).expect("a message");
    let id = sections.properties.expect("there").message_id;
    assert_eq!(id, Some(MessageId::String("1")));
    assert_eq!(
        sections.application_properties.get("operation"),
        Some(Value::String("put-token"))
    );
    // Wide descriptors and symbolic ones are the same.
    let wide = b"\x00\x80\x00\x00\x00\x00\x00\x00\x00\x75\xb0\x00\x00\x00\x01x";
    assert_eq!(
        Sections::parse(wide).map(|it| it.body.single_data()),
        Ok(Some(&b"x"[..]))
    );
    let named = b"\x00\xa3\x10amqp:data:binary\xa0\x01x";
    assert_eq!(
        Sections::parse(named).map(|it| it.body.single_data()),
        Ok(Some(&b"x"[..]))
    );
}

#[test]
fn what_no_message_is_is_refused() {
    let cases: [(&[u8], DecodeError); 8] = [
        (b"\x40", DecodeError::UnknownDescriptor),
        (b"\x00\x53\x79\x45", DecodeError::UnknownDescriptor),
        (
            b"\x00\x53\x75\xa1\x01x",
            DecodeError::InvalidValue("section"),
        ),
        (b"\x00\x53\x74\x45", DecodeError::InvalidValue("section")),
        (b"\x00\x53\x75\xa0\x05x", DecodeError::BeyondEnd),
        (
            b"\x00\x53\x75\xa0\x00\x00\x53\x73\x45",
            DecodeError::SectionOrder,
        ),
        (
            b"\x00\x53\x75\xa0\x00\x00\x53\x77\x40",
            DecodeError::SectionOrder,
        ),
        (
            b"\x00\x53\x77\x40\x00\x53\x77\x40",
            DecodeError::SectionOrder,
        ),
    ];
    for (bytes, error) in cases {
        assert_eq!(Sections::parse(bytes), Err(error), "{bytes:02x?}");
    }
}

proptest! {
    #[test]
    fn properties_and_bodies_survive(
        id in ".{0,60}",
        keys in prop::collection::vec(("[a-z]{1,20}", ".{0,200}"), 0..20),
        body in prop::collection::vec(any::<u8>(), 0..2000),
    ) {
        let properties = Properties {
            message_id: Some(MessageId::String(&id)),
            correlation_id: Some(MessageId::Binary(id.as_bytes())),
            ..Properties::default()
        };
        let mut bytes = b"before".to_vec();
        MessageWriter::new(&mut bytes)
            .properties(&properties)
            .application_properties(|map| {
                for (key, value) in &keys {
                    map.string(key, Value::String(value));
                }
            })
            .data(&body);
        let sections = Sections::parse(&bytes[6..]).expect("a message");
        prop_assert_eq!(sections.properties, Some(properties));
        let read: Vec<_> = sections.application_properties.iter().collect();
        let written: Vec<_> = keys
            .iter()
            .map(|(key, value)| (Value::String(key), Value::String(value)))
            .collect();
        prop_assert_eq!(read, written);
        prop_assert_eq!(sections.body.single_data(), Some(body.as_slice()));
        let map = keys.iter().fold(MapBuf::new(), |map, (key, value)| {
            map.string(key, Value::String(value))
        });
        let mut again = Vec::new();
        MessageWriter::new(&mut again)
            .properties(&properties)
            .application_property_map(map.as_map())
            .data(&body);
        prop_assert_eq!(&bytes[6..], again.as_slice());
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let sections = Sections::parse(&bytes);
        prop_assert!(sections.is_err() || bytes.is_empty() || bytes[0] == 0);
    }
}
