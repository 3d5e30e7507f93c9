//! Packets as bytes and as what they mean, both ways.

#![expect(clippy::unwrap_used, reason = "a test fails by panic, its helpers too")]

#[path = "support/describe.rs"]
mod describe;

use describe::{LENGTH_MAX, describe, describe_all};
use hub_mqtt::{Role, decode, encode};

/// Checks that the bytes mean the text, and that encoding what was decoded gives the bytes again.
fn check(role: Role, bytes: &[u8], text: &str) {
    let (packet, size) = decode(bytes, LENGTH_MAX, role)
        .unwrap()
        .expect("a whole packet");
    assert_eq!(describe(&packet), text);
    assert_eq!(size, bytes.len());
    let mut encoded = Vec::new();
    encode::packet(&packet, &mut encoded).unwrap();
    assert_eq!(encoded, bytes, "{text}");
}

#[test]
fn connect_with_every_field_follows_the_example_of_section_3_1() {
    check(
        Role::Server,
        b"\x10\x23\0\x04MQTT\x04\xF6\0\x0A\0\x02id\0\x03a/b\0\x03bye\0\x04user\0\x03\xFF\0\x01",
        r#"CONNECT "id" clean=true keep-alive=10 will=a/b:bye qos2 retain=true user=user password=\xff\x00\x01"#,
    );
}

#[test]
fn connect_with_the_fewest_fields_is_read() {
    check(
        Role::Server,
        b"\x10\x0C\0\x04MQTT\x04\x02\0\0\0\0",
        r#"CONNECT "" clean=true keep-alive=0"#,
    );
    check(
        Role::Server,
        b"\x10\x0E\0\x04MQTT\x04\x00\0\x3C\0\x02d1",
        r#"CONNECT "d1" clean=false keep-alive=60"#,
    );
}

#[test]
fn connect_may_have_a_user_name_alone_and_empty_fields() {
    check(
        Role::Server,
        b"\x10\x12\0\x04MQTT\x04\x80\0\x3C\0\x02d1\0\x02u1",
        r#"CONNECT "d1" clean=false keep-alive=60 user=u1"#,
    );
    check(
        Role::Server,
        b"\x10\x17\0\x04MQTT\x04\xC4\0\x3C\0\x02d1\0\x01t\0\0\0\0\0\0",
        r#"CONNECT "d1" clean=false keep-alive=60 will=t: qos0 retain=false user= password="#,
    );
}

#[test]
fn connack_has_six_codes_and_a_session_only_when_accepted() {
    check(
        Role::Client,
        b"\x20\x02\0\0",
        "CONNACK accepted session=false",
    );
    check(
        Role::Client,
        b"\x20\x02\x01\0",
        "CONNACK accepted session=true",
    );
    check(
        Role::Client,
        b"\x20\x02\0\x01",
        "CONNACK refused ProtocolVersion",
    );
    check(
        Role::Client,
        b"\x20\x02\0\x02",
        "CONNACK refused Identifier",
    );
    check(
        Role::Client,
        b"\x20\x02\0\x03",
        "CONNACK refused ServerUnavailable",
    );
    check(
        Role::Client,
        b"\x20\x02\0\x04",
        "CONNACK refused BadUserNameOrPassword",
    );
    check(
        Role::Client,
        b"\x20\x02\0\x05",
        "CONNACK refused NotAuthorized",
    );
}

#[test]
fn publish_has_an_identifier_above_qos_0() {
    for role in [Role::Server, Role::Client] {
        check(
            role,
            b"\x30\x07\0\x03a/bhi",
            "PUBLISH a/b qos0 retain=false hi",
        );
        check(role, b"\x31\x05\0\x03a/b", "PUBLISH a/b qos0 retain=true ");
        check(
            role,
            b"\x32\x08\0\x03a/b\0\x0A!",
            "PUBLISH a/b qos1 id=10 duplicate=false retain=false !",
        );
        check(
            role,
            b"\x3B\x07\0\x03a/b\xFF\xFF",
            "PUBLISH a/b qos1 id=65535 duplicate=true retain=true ",
        );
        check(
            role,
            b"\x34\x07\0\x03a/b\x01\0",
            "PUBLISH a/b qos2 id=256 duplicate=false retain=false ",
        );
        check(
            role,
            b"\x3C\x07\0\x03a/b\x01\0",
            "PUBLISH a/b qos2 id=256 duplicate=true retain=false ",
        );
    }
}

#[test]
fn acknowledgements_carry_their_identifier() {
    for role in [Role::Server, Role::Client] {
        check(role, b"\x40\x02\x12\x34", "PUBACK 4660");
        check(role, b"\x50\x02\x12\x34", "PUBREC 4660");
        check(role, b"\x62\x02\x12\x34", "PUBREL 4660");
        check(role, b"\x70\x02\x12\x34", "PUBCOMP 4660");
    }
    check(Role::Client, b"\xB0\x02\x12\x34", "UNSUBACK 4660");
}

#[test]
fn subscriptions_follow_the_examples_of_sections_3_8_to_3_10() {
    check(
        Role::Server,
        b"\x82\x0E\0\x0A\0\x03a/b\x01\0\x03c/d\x02",
        "SUBSCRIBE 10 a/b qos1, c/d qos2",
    );
    check(
        Role::Client,
        b"\x90\x06\0\x0A\0\x01\x02\x80",
        "SUBACK 10 0, 1, 2, 128",
    );
    check(
        Role::Server,
        b"\xA2\x0C\0\x0A\0\x03a/b\0\x03c/d",
        "UNSUBSCRIBE 10 a/b, c/d",
    );
}

#[test]
fn wildcards_that_fill_their_level_are_read() {
    for filter in [
        "#",
        "+",
        "/",
        "/+",
        "+/+",
        "+/tennis/#",
        "sport/+/player1",
        "sport/tennis/player1/#",
        "a//#",
    ] {
        let mut bytes = Vec::new();
        encode::unsubscribe(hub_mqtt::PacketId::FIRST, &[filter], &mut bytes).unwrap();
        check(Role::Server, &bytes, &format!("UNSUBSCRIBE 1 {filter}"));
    }
}

#[test]
fn packets_without_content_are_two_bytes() {
    check(Role::Server, b"\xC0\0", "PINGREQ");
    check(Role::Client, b"\xD0\0", "PINGRESP");
    check(Role::Server, b"\xE0\0", "DISCONNECT");
}

#[test]
fn remaining_length_takes_one_to_four_bytes_at_the_edges_of_table_2_4() {
    let edges: [(usize, &[u8]); 7] = [
        (127, b"\x30\x7F"),
        (128, b"\x30\x80\x01"),
        (16_383, b"\x30\xFF\x7F"),
        (16_384, b"\x30\x80\x80\x01"),
        (2_097_151, b"\x30\xFF\xFF\x7F"),
        (2_097_152, b"\x30\x80\x80\x80\x01"),
        (268_435_455, b"\x30\xFF\xFF\xFF\x7F"),
    ];
    for (length, header) in edges {
        assert_eq!(
            decode(header, length, Role::Server),
            Ok(None),
            "{length} is within its own limit"
        );
        let refused = hub_mqtt::DecodeError::PacketTooLarge {
            length,
            length_max: length - 1,
        };
        assert_eq!(decode(header, length - 1, Role::Server), Err(refused));
    }
    for (length, header) in &edges[..5] {
        let mut bytes = header.to_vec();
        bytes.extend_from_slice(b"\0\x01t");
        bytes.resize(header.len() + length, b'x');
        let (packet, size) = decode(&bytes, *length, Role::Server).unwrap().unwrap();
        assert_eq!(size, bytes.len());
        let mut encoded = Vec::new();
        encode::packet(&packet, &mut encoded).unwrap();
        assert!(encoded == bytes, "length {length}");
    }
}

#[test]
fn remaining_length_may_be_padded_because_3_1_1_does_not_forbid_it() {
    assert_eq!(
        describe_all(b"\xC0\x80\0\xC0\x80\x80\x80\0", Role::Server),
        ["PINGREQ", "PINGREQ"]
    );
}

#[test]
fn a_byte_order_mark_is_kept() {
    // [MQTT-1.5.3-3]: U+FEFF is never stripped.
    check(
        Role::Server,
        b"\x30\x06\0\x04\xEF\xBB\xBFa",
        "PUBLISH \u{FEFF}a qos0 retain=false ",
    );
}

#[test]
fn control_characters_are_kept_because_the_specification_only_advises_against_them() {
    check(
        Role::Server,
        b"\x30\x04\0\x02\x01\x7F",
        "PUBLISH \u{1}\u{7F} qos0 retain=false ",
    );
}

#[test]
fn a_run_of_acknowledgements_is_written_in_order() {
    let ids = [1, 2, 500].map(|number| hub_mqtt::PacketId::new(number).unwrap());
    let mut output = b"before".to_vec();
    encode::puback_run(ids, &mut output);
    assert_eq!(
        output,
        b"before\x40\x02\0\x01\x40\x02\0\x02\x40\x02\x01\xF4"
    );
}
