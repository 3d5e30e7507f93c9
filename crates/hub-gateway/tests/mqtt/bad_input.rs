//! Input that the protocol or the hub forbids: it costs its sender the connection, and nobody else anything.

use hub_gateway::CloseCause;

use crate::support::{DEADLINE, Hub, Login, PUBACK, disconnect, pingreq, publish, subscribe};

const VIOLATION: &str = CloseCause::ProtocolViolation.as_str();
const BAD: &str = CloseCause::BadMessage.as_str();
const EVENTS: &str = "devices/d1/messages/events/";

/// Sends `bytes` on a connection of `d1` and checks that it ends for `cause` without an answer, while another
/// device goes on.
async fn check_ends(what: &str, bytes: &[u8], cause: &str) {
    let hub = Hub::with_device().await;
    hub.given("other").await;
    let mut other = hub.connect("other").await;
    let mut client = hub.connect("d1").await;
    client.send(bytes).await;
    assert_eq!(client.next().await, "closed", "{what}");
    hub.check_ended(&format!("{cause} 1")).await;
    other.ping().await;
    assert_eq!(hub.telemetry().await, "", "{what}");
}

#[tokio::test]
async fn a_second_connect_ends_the_connection() {
    check_ends("connect", &Login::of("d1").packet(), VIOLATION).await;
}

#[tokio::test]
async fn a_first_packet_that_is_not_connect_ends_the_connection_without_an_answer() {
    let hub = Hub::with_device().await;
    let firsts = [
        publish(1, EVENTS, b"1"),
        pingreq(),
        subscribe(1, &["$iothub/twin/res/#"]),
        disconnect(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 64],
        // CONNECT of another protocol.
        b"\x10\x10\0\x04HTTP\x04\0\0\0\0\x04abcd".to_vec(),
    ];
    for first in &firsts {
        let mut client = hub.tls().await;
        client.send(first).await;
        assert_eq!(client.next().await, "closed", "{first:?}");
    }
    hub.check_ended(&format!("{VIOLATION} {}", firsts.len()))
        .await;
}

#[tokio::test]
async fn who_leaves_in_the_middle_of_connect_is_forgotten() {
    let hub = Hub::with_device().await;
    let mut client = hub.tls().await;
    client.send(&Login::of("d1").packet()[..20]).await;
    client.vanish();
    hub.check_ended("socket_closed 1").await;
}

#[tokio::test]
async fn what_is_no_tls_ends_the_connection() {
    let hub = Hub::with_device().await;
    let mut socket = tokio::net::TcpStream::connect(hub.address).await.unwrap();
    let plain = Login::of("d1").packet();
    tokio::io::AsyncWriteExt::write_all(&mut socket, &plain)
        .await
        .unwrap();
    hub.check_ended("tls_failed 1").await;
    hub.connect("d1").await.ping().await;
}

#[tokio::test]
async fn packets_with_wrong_headers_end_the_connection() {
    for (what, bytes) in [
        ("reserved type 0", &b"\x00\0"[..]),
        ("reserved type 15", b"\xf0\0"),
        ("a packet of a server", b"\xd0\0"),
        ("flags of pingreq", b"\xc1\0"),
        ("flags of subscribe", b"\x80\x06\0\x01\0\x01a\0"),
        ("qos 3", b"\x36\x05\0\x01a\0\x01"),
        ("duplicate with qos 0", b"\x38\x03\0\x01a"),
        ("a length of five bytes", b"\x30\xff\xff\xff\xff\x01"),
        ("the wrong length of pingreq", b"\xc0\x01\0"),
        ("packet id 0", b"\x32\x05\0\x01a\0\0"),
        ("no filter", b"\x82\x02\0\x01"),
        ("a wildcard in a topic", b"\x30\x03\0\x01#"),
        ("text that is not utf-8", b"\x30\x03\0\x01\xff"),
        ("a topic beyond the end", b"\x30\x03\0\x09a"),
    ] {
        check_ends(what, bytes, VIOLATION).await;
    }
}

#[tokio::test]
async fn a_packet_above_the_maximum_ends_the_connection_at_its_header() {
    // 256 KiB, 65,535 bytes of topic, its length and a packet id are the most: one more.
    let length = 256 * 1024 + 65_535 + 4 + 1_u32;
    let groups = [
        length & 0x7f | 0x80,
        length >> 7 & 0x7f | 0x80,
        length >> 14,
    ];
    let mut header = vec![0x30];
    header.extend(groups.map(|group| u8::try_from(group).unwrap()));
    check_ends("too long", &header, VIOLATION).await;
}

#[tokio::test]
async fn qos_2_ends_the_connection() {
    let mut bytes = publish(1, EVENTS, b"1");
    bytes[0] = 0x34;
    check_ends("publish", &bytes, VIOLATION).await;
    check_ends("pubrel", b"\x62\x02\0\x01", VIOLATION).await;
}

#[tokio::test]
async fn publishing_where_a_device_may_not_ends_the_connection() {
    for topic in [
        "devices/other/messages/events/",
        "devices/d1/modules/m1/messages/events/",
        "devices/d1/messages/devicebound/",
        "$iothub/twin/res/200/?$rid=1",
        "$iothub/twin/GET/",
        "$iothub/methods/res/abc/?$rid=1",
        "$iothub/methods/POST/reboot/?$rid=1",
        "elsewhere",
        "/",
    ] {
        check_ends(topic, &publish(1, topic, b"{}"), BAD).await;
    }
}

#[tokio::test]
async fn a_bag_that_cannot_be_read_ends_the_connection() {
    for bag in ["a=%zz", "a=%4", "%ff=1", "a=%C3%28"] {
        let topic = format!("{EVENTS}{bag}");
        check_ends(bag, &publish(1, &topic, b"1"), BAD).await;
    }
}

#[tokio::test]
async fn what_came_before_a_broken_packet_in_the_same_read_is_stored() {
    let breaks = [
        (b"\xf0\0".to_vec(), VIOLATION),
        (publish(3, "elsewhere", b"x"), BAD),
        (publish(3, "devices/d1/messages/events/%zz", b"x"), BAD),
    ];
    for (broken, cause) in breaks {
        let hub = Hub::with_device().await;
        hub.given("other").await;
        let mut other = hub.connect("other").await;
        let mut client = hub.connect("d1").await;
        let mut bytes = publish(1, EVENTS, b"one");
        bytes.extend(publish(2, EVENTS, b"two"));
        bytes.extend(broken);
        bytes.extend(publish(4, EVENTS, b"after"));
        client.send(&bytes).await;
        client.check_closed().await;
        hub.check_ended(&format!("{cause} 1")).await;
        assert_eq!(hub.telemetry().await, "d1 [] one\nd1 [] two");
        let events = "devices/other/messages/events/";
        other.ask(publish(9, events, b"mine"), "puback 9").await;
        assert!(hub.telemetry().await.contains("other [] mine"));
    }
}

#[tokio::test]
async fn acknowledgements_of_nothing_are_ignored() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.send(&[PUBACK, 2, 0, 77]).await;
    client.ping().await;
    hub.check_ended("").await;
}

/// A generator of bytes that are the same in every run (SplitMix64).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[tokio::test]
async fn random_changes_of_good_packets_harm_nobody_else() {
    let hub = Hub::with_device().await;
    hub.given("other").await;
    let mut other = hub.connect("other").await;
    let mut state = 42;
    for round in 0..100 {
        let mut bytes = publish(1, EVENTS, b"{\"temperature\":21}");
        bytes.extend(subscribe(2, &["$iothub/twin/res/#", "0:nowhere/#"]));
        bytes.extend(publish(3, "$iothub/twin/GET/?$rid=1", b""));
        bytes.extend(publish(
            4,
            "$iothub/twin/PATCH/properties/reported/?$rid=2",
            b"{\"a\":1}",
        ));
        for _ in 0..4 {
            let at = usize::try_from(next(&mut state)).unwrap() % bytes.len();
            bytes[at] = next(&mut state).to_le_bytes()[0];
        }
        let mut client = hub.open(Login::clean("d1")).await;
        // The hub may have closed already.
        drop(client.try_send(&bytes).await);
        client.vanish();
        if round % 10 == 0 {
            other.ping().await;
        }
    }
    let ping = other.ping();
    tokio::time::timeout(DEADLINE, ping).await.unwrap();
}
