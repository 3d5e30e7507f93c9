//! Bytes that are no packet, and packets that cannot be written.

#![expect(clippy::unwrap_used, reason = "a test fails by panic, its helpers too")]

use hub_mqtt::DecodeError as E;
use hub_mqtt::{
    Connect, Delivery, EncodeError, KeepAlive, PacketId, PacketKind, Publish, QoS, Refusal, Role,
    SubscribeRequest, Will, decode, encode,
};

const LENGTH_MAX: usize = 1 << 20;

fn check(role: Role, bytes: &[u8], error: E) {
    assert_eq!(
        decode(bytes, LENGTH_MAX, role),
        Err(error),
        "{}",
        bytes.escape_ascii()
    );
}

/// A SUBSCRIBE, UNSUBSCRIBE and PUBLISH with this text as filter or topic.
fn with_text(first: u8, text: &[u8], after: &[u8]) -> Vec<u8> {
    let id: &[u8] = if first >> 4 == 3 { b"" } else { b"\0\x01" };
    let length = id.len() + 2 + text.len() + after.len();
    let mut bytes = vec![first, u8::try_from(length).unwrap()];
    bytes.extend_from_slice(id);
    bytes.extend_from_slice(&u16::try_from(text.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(text);
    bytes.extend_from_slice(after);
    bytes
}

#[test]
fn reserved_types_are_refused_at_the_first_byte() {
    for role in [Role::Server, Role::Client] {
        check(role, b"\x00", E::ReservedPacketType(0));
        check(role, b"\xF0", E::ReservedPacketType(15));
        check(role, b"\xFF", E::ReservedPacketType(15));
    }
}

#[test]
fn packets_of_the_other_direction_are_refused_at_the_first_byte() {
    check(
        Role::Server,
        b"\x20",
        E::WrongDirection(PacketKind::ConnAck),
    );
    check(Role::Server, b"\x90", E::WrongDirection(PacketKind::SubAck));
    check(
        Role::Server,
        b"\xB0",
        E::WrongDirection(PacketKind::UnsubAck),
    );
    check(
        Role::Server,
        b"\xD0",
        E::WrongDirection(PacketKind::PingResp),
    );
    check(
        Role::Client,
        b"\x10",
        E::WrongDirection(PacketKind::Connect),
    );
    check(
        Role::Client,
        b"\x82",
        E::WrongDirection(PacketKind::Subscribe),
    );
    check(
        Role::Client,
        b"\xA2",
        E::WrongDirection(PacketKind::Unsubscribe),
    );
    check(
        Role::Client,
        b"\xC0",
        E::WrongDirection(PacketKind::PingReq),
    );
    check(
        Role::Client,
        b"\xE0",
        E::WrongDirection(PacketKind::Disconnect),
    );
}

#[test]
fn every_wrong_flag_of_every_type_is_refused_at_the_first_byte() {
    let prescribed = [
        (Role::Server, 0x10, PacketKind::Connect),
        (Role::Client, 0x20, PacketKind::ConnAck),
        (Role::Server, 0x40, PacketKind::PubAck),
        (Role::Server, 0x50, PacketKind::PubRec),
        (Role::Server, 0x62, PacketKind::PubRel),
        (Role::Server, 0x70, PacketKind::PubComp),
        (Role::Server, 0x82, PacketKind::Subscribe),
        (Role::Client, 0x90, PacketKind::SubAck),
        (Role::Server, 0xA2, PacketKind::Unsubscribe),
        (Role::Client, 0xB0, PacketKind::UnsubAck),
        (Role::Server, 0xC0, PacketKind::PingReq),
        (Role::Client, 0xD0, PacketKind::PingResp),
        (Role::Server, 0xE0, PacketKind::Disconnect),
    ];
    for (role, right, kind) in prescribed {
        for flags in 0..16u8 {
            let first = right & 0xF0 | flags;
            if first == right {
                assert_eq!(decode(&[first], LENGTH_MAX, role), Ok(None));
            } else {
                check(role, &[first], E::ReservedFlags(kind));
            }
        }
    }
}

#[test]
fn publish_flags_that_contradict_are_refused_at_the_first_byte() {
    for first in [0x36, 0x37, 0x3E, 0x3F] {
        check(Role::Server, &[first], E::InvalidQoS);
    }
    for first in [0x38, 0x39] {
        check(Role::Server, &[first], E::DuplicateAtMostOnce);
    }
}

#[test]
fn a_remaining_length_of_five_bytes_is_refused_at_the_fourth() {
    assert_eq!(
        decode(b"\x30\x80\x80\x80", LENGTH_MAX, Role::Server),
        Ok(None)
    );
    check(
        Role::Server,
        b"\x30\x80\x80\x80\x80",
        E::MalformedRemainingLength,
    );
    check(
        Role::Server,
        b"\x30\xFF\xFF\xFF\xFF\x7F",
        E::MalformedRemainingLength,
    );
}

#[test]
fn a_wrong_fixed_length_is_refused_at_the_header() {
    check(
        Role::Server,
        b"\x40\x03",
        E::WrongRemainingLength(PacketKind::PubAck),
    );
    check(
        Role::Server,
        b"\x40\x01",
        E::WrongRemainingLength(PacketKind::PubAck),
    );
    check(
        Role::Server,
        b"\x62\x00",
        E::WrongRemainingLength(PacketKind::PubRel),
    );
    check(
        Role::Server,
        b"\xC0\x01",
        E::WrongRemainingLength(PacketKind::PingReq),
    );
    check(
        Role::Server,
        b"\xE0\x01",
        E::WrongRemainingLength(PacketKind::Disconnect),
    );
    check(
        Role::Client,
        b"\x20\x03",
        E::WrongRemainingLength(PacketKind::ConnAck),
    );
}

#[test]
fn packet_identifier_zero_is_refused_wherever_it_stands() {
    check(Role::Server, b"\x32\x05\0\x01t\0\0", E::ZeroPacketId);
    check(Role::Server, b"\x34\x05\0\x01t\0\0", E::ZeroPacketId);
    check(Role::Server, b"\x40\x02\0\0", E::ZeroPacketId);
    check(Role::Server, b"\x82\x06\0\0\0\x01t\0", E::ZeroPacketId);
    check(Role::Client, b"\x90\x03\0\0\0", E::ZeroPacketId);
    check(Role::Server, b"\xA2\x05\0\0\0\x01t", E::ZeroPacketId);
}

#[test]
fn connect_is_refused_for_each_rule_it_breaks() {
    let cases: [(&[u8], E); 15] = [
        (
            b"\x10\x0C\0\x04MQTX\x04\x02\0\0\0\0",
            E::UnknownProtocolName,
        ),
        (
            b"\x10\x0C\0\x04mqtt\x04\x02\0\0\0\0",
            E::UnknownProtocolName,
        ),
        (
            b"\x10\x0C\0\x04MQTT\x04\x03\0\0\0\0",
            E::ReservedConnectFlag,
        ),
        (
            b"\x10\x0C\0\x04MQTT\x04\x0A\0\0\0\0",
            E::WillOptionsWithoutWill,
        ),
        (
            b"\x10\x0C\0\x04MQTT\x04\x22\0\0\0\0",
            E::WillOptionsWithoutWill,
        ),
        (
            b"\x10\x11\0\x04MQTT\x04\x1E\0\0\0\0\0\x01t\0\0",
            E::InvalidWillQoS,
        ),
        (
            b"\x10\x0E\0\x04MQTT\x04\x42\0\0\0\0\0\0",
            E::PasswordWithoutUserName,
        ),
        (b"\x10\x0C\0\x04MQTT\x04\x00\0\0\0\0", E::EmptyClientId),
        (b"\x10\x0D\0\x04MQTT\x04\x02\0\0\0\0\0", E::TrailingBytes),
        (b"\x10\x0C\0\x04MQTT\x04\x82\0\0\0\0", E::FieldBeyondEnd),
        (b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\x01", E::FieldBeyondEnd),
        (b"\x10\x0F\0\x04MQTT\x04\x02\0\0\0\x03a\0b", E::NulInText),
        (
            b"\x10\x0E\0\x04MQTT\x04\x02\0\0\0\x02\xC0\x80",
            E::MalformedUtf8,
        ),
        (b"\x10\x10\0\x04MQTT\x04\x06\0\0\0\0\0\0\0\0", E::EmptyTopic),
        (
            b"\x10\x11\0\x04MQTT\x04\x06\0\0\0\0\0\x01#\0\0",
            E::WildcardInTopic,
        ),
    ];
    for (bytes, error) in cases {
        check(Role::Server, bytes, error);
    }
}

#[test]
fn other_versions_are_recognised_so_that_they_can_be_refused() {
    let cases: [(&[u8], u8); 5] = [
        (b"\x10\x11\0\x06MQIsdp\x03\x02\0\x3C\0\x03abc", 3),
        // Version 5 has properties where 3.1.1 has the client id.
        (b"\x10\x10\0\x04MQTT\x05\x02\0\x3C\0\0\x03abc", 5),
        (b"\x10\x0C\0\x04MQTT\x03\x02\0\0\0\0", 3),
        // The bridge mark of mosquitto.
        (b"\x10\x0C\0\x04MQTT\x84\x02\0\0\0\0", 0x84),
        (b"\x10\x0E\0\x06MQIsdp\x04\x02\0\0\0\0", 4),
    ];
    for (bytes, level) in cases {
        let error = E::UnsupportedProtocolLevel(level);
        check(Role::Server, bytes, error);
        assert_eq!(error.refusal(), Some(Refusal::ProtocolVersion));
    }
}

#[test]
fn only_two_errors_are_answered_with_connack() {
    assert_eq!(E::EmptyClientId.refusal(), Some(Refusal::Identifier));
    assert_eq!(E::UnknownProtocolName.refusal(), None);
    assert_eq!(E::MalformedUtf8.refusal(), None);
}

#[test]
fn connack_is_refused_for_each_rule_it_breaks() {
    check(Role::Client, b"\x20\x02\x02\0", E::ReservedConnAckFlags);
    check(Role::Client, b"\x20\x02\x81\0", E::ReservedConnAckFlags);
    check(Role::Client, b"\x20\x02\0\x06", E::ReservedConnAckCode(6));
    check(
        Role::Client,
        b"\x20\x02\x01\x05",
        E::SessionPresentOnRefusal,
    );
}

#[test]
fn topics_must_be_whole_texts_without_wildcards() {
    let cases: [(&[u8], E); 12] = [
        (b"", E::EmptyTopic),
        (b"a/+/b", E::WildcardInTopic),
        (b"a/#", E::WildcardInTopic),
        (b"a+b", E::WildcardInTopic),
        (b"a\0b", E::NulInText),
        (b"a\0#", E::NulInText),
        (b"\xFF", E::MalformedUtf8),
        (b"\xC1\xBF", E::MalformedUtf8),
        (b"\xE2\x82", E::MalformedUtf8),
        // Surrogates and what lies above U+10FFFF.
        (b"\xED\xA0\x80", E::MalformedUtf8),
        (b"\xED\xBF\xBF", E::MalformedUtf8),
        (b"\xF4\x90\x80\x80", E::MalformedUtf8),
    ];
    for (topic, error) in cases {
        check(Role::Server, &with_text(0x30, topic, b"payload"), error);
    }
}

#[test]
fn filters_must_be_whole_texts_with_wildcards_in_their_places() {
    let cases: [(&[u8], E); 9] = [
        (b"", E::EmptyTopic),
        (b"sport/tennis#", E::MisplacedWildcard),
        (b"sport/tennis/#/ranking", E::MisplacedWildcard),
        (b"sport+", E::MisplacedWildcard),
        (b"#/", E::MisplacedWildcard),
        (b"++", E::MisplacedWildcard),
        (b"+#", E::MisplacedWildcard),
        (b"a\0", E::NulInText),
        (b"\xFE", E::MalformedUtf8),
    ];
    for (filter, error) in cases {
        check(Role::Server, &with_text(0x82, filter, b"\x01"), error);
        check(Role::Server, &with_text(0xA2, filter, b""), error);
    }
}

#[test]
fn a_wrong_filter_behind_right_ones_is_found() {
    check(
        Role::Server,
        b"\x82\x0A\0\x01\0\x01a\x00\0\x01b\x03",
        E::InvalidRequestedQoS,
    );
    check(
        Role::Server,
        b"\xA2\x09\0\x01\0\x01a\0\x02b#",
        E::MisplacedWildcard,
    );
}

#[test]
fn lists_must_not_be_empty_or_cut() {
    check(Role::Server, b"\x82\x02\0\x01", E::NoFilter);
    check(Role::Server, b"\xA2\x02\0\x01", E::NoFilter);
    check(Role::Client, b"\x90\x02\0\x01", E::NoReturnCode);
    check(Role::Server, b"\x82\x05\0\x01\0\x01a", E::FieldBeyondEnd);
    check(
        Role::Server,
        b"\x82\x07\0\x01\0\x01a\0\0",
        E::FieldBeyondEnd,
    );
    check(Role::Server, b"\xA2\x06\0\x01\0\x01a\0", E::FieldBeyondEnd);
    check(Role::Server, b"\x82\x01\0", E::FieldBeyondEnd);
}

#[test]
fn requested_qos_and_subscribe_returns_have_no_other_values() {
    for code in [3, 4, 0x41, 0x80, 0xFF] {
        check(
            Role::Server,
            &with_text(0x82, b"a", &[code]),
            E::InvalidRequestedQoS,
        );
    }
    for code in [3, 0x7F, 0x81, 0xFF] {
        check(
            Role::Client,
            &[0x90, 3, 0, 1, code],
            E::ReservedSubscribeReturn(code),
        );
    }
}

#[test]
fn publish_fields_must_fit_into_the_packet() {
    check(Role::Server, b"\x30\0", E::FieldBeyondEnd);
    check(Role::Server, b"\x30\x01\0", E::FieldBeyondEnd);
    check(Role::Server, b"\x30\x03\0\x02a", E::FieldBeyondEnd);
    check(Role::Server, b"\x32\x04\0\x01a\0", E::FieldBeyondEnd);
}

#[test]
fn a_packet_above_the_limit_is_refused_at_its_header() {
    let too_large = E::PacketTooLarge {
        length: 200,
        length_max: 199,
    };
    assert_eq!(decode(b"\x30\xC8\x01", 199, Role::Server), Err(too_large));
    assert_eq!(decode(b"\x30\xC8\x01", 200, Role::Server), Ok(None));
}

#[test]
fn every_error_text_is_a_lowercase_fragment() {
    let errors = [
        E::ReservedPacketType(15).to_string(),
        E::PacketTooLarge {
            length: 2,
            length_max: 1,
        }
        .to_string(),
        E::MalformedUtf8.to_string(),
        E::PasswordWithoutUserName.to_string(),
        EncodeError::FieldTooLong.to_string(),
        EncodeError::from(E::EmptyTopic).to_string(),
    ];
    for text in errors {
        assert!(
            text.starts_with(|first: char| first.is_ascii_lowercase()) && !text.ends_with('.'),
            "{text}"
        );
    }
}

const CONNECT: Connect<'static> = Connect {
    client_id: "d1",
    clean_session: false,
    keep_alive: KeepAlive::from_seconds(60),
    will: None,
    user_name: None,
    password: None,
};

#[test]
fn a_failing_encoder_leaves_the_buffer_as_it_was() {
    let long = "x".repeat(65_536);
    let will = Will {
        topic: "a/#",
        payload: b"",
        qos: QoS::AtMostOnce,
        retain: false,
    };
    let publish = |topic| Publish {
        topic,
        payload: b"p",
        delivery: Delivery::AtMostOnce,
        retain: false,
    };
    let request = |filter| SubscribeRequest {
        filter,
        qos: QoS::AtMostOnce,
    };
    let id = PacketId::FIRST;
    let invalid = EncodeError::Invalid;
    let mut output = b"kept".to_vec();

    let results = [
        (
            encode::publish(&publish(&long), &mut output),
            EncodeError::FieldTooLong,
        ),
        (
            encode::publish(&publish("a/+"), &mut output),
            invalid(E::WildcardInTopic),
        ),
        (
            encode::publish(&publish(""), &mut output),
            invalid(E::EmptyTopic),
        ),
        (
            encode::publish(&publish("\0"), &mut output),
            invalid(E::NulInText),
        ),
        (
            encode::connect(
                &Connect {
                    client_id: "",
                    ..CONNECT
                },
                &mut output,
            ),
            invalid(E::EmptyClientId),
        ),
        (
            encode::connect(
                &Connect {
                    client_id: "\0",
                    ..CONNECT
                },
                &mut output,
            ),
            invalid(E::NulInText),
        ),
        (
            encode::connect(
                &Connect {
                    client_id: &long,
                    ..CONNECT
                },
                &mut output,
            ),
            EncodeError::FieldTooLong,
        ),
        (
            encode::connect(
                &Connect {
                    will: Some(will),
                    ..CONNECT
                },
                &mut output,
            ),
            invalid(E::WildcardInTopic),
        ),
        (
            encode::connect(
                &Connect {
                    password: Some(b"p"),
                    ..CONNECT
                },
                &mut output,
            ),
            invalid(E::PasswordWithoutUserName),
        ),
        (
            encode::subscribe(id, &[], &mut output),
            invalid(E::NoFilter),
        ),
        (
            encode::subscribe(id, &[request("a"), request("b#")], &mut output),
            invalid(E::MisplacedWildcard),
        ),
        (
            encode::unsubscribe(id, &[], &mut output),
            invalid(E::NoFilter),
        ),
        (
            encode::unsubscribe(id, &["a", &long], &mut output),
            EncodeError::FieldTooLong,
        ),
        (
            encode::suback(id, &[], &mut output),
            invalid(E::NoReturnCode),
        ),
    ];
    for (result, error) in results {
        assert_eq!(result, Err(error));
    }
    assert_eq!(output, b"kept");
}

#[test]
fn the_longest_field_is_written() {
    let longest = "x".repeat(65_535);
    let mut output = Vec::new();
    encode::connect(
        &Connect {
            user_name: Some(&longest),
            ..CONNECT
        },
        &mut output,
    )
    .unwrap();
    assert!(decode(&output, LENGTH_MAX, Role::Server).unwrap().is_some());
}

#[test]
fn debug_output_of_connect_hides_the_password() {
    let connect = Connect {
        user_name: Some("user"),
        password: Some(b"secret"),
        ..CONNECT
    };
    let text = format!("{connect:?}");
    assert!(
        text.contains("user") && !text.contains("secret") && !text.contains("115, 101"),
        "{text}"
    );
}
