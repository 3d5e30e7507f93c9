//! MQTT in the frames of a WebSocket.

use hub_gateway::AdmissionConfig;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Hub, Login, Web, disconnect, pingreq, publish, subscribe};

async fn connect(hub: &Hub, id: &str) -> Web {
    let mut client = hub.web().await;
    client.ask(&Login::of(id).packet(), "connack 0").await;
    client
}

/// A masked frame whose mask is zero.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    assert!(length < 126);
    let mut bytes = vec![first_byte, 0x80 | length, 0, 0, 0, 0];
    bytes.extend_from_slice(payload);
    bytes
}

#[tokio::test]
async fn a_device_does_over_a_websocket_what_it_does_over_tls() {
    let hub = Hub::with_device().await;
    let mut client = connect(&hub, "d1").await;
    let events = "devices/d1/messages/events/";
    client.ask(&publish(1, events, b"hello"), "puback 1").await;
    hub.check_telemetry("d1 [] hello").await;
    let filter = "devices/d1/messages/devicebound/#";
    client.ask(&subscribe(2, &[filter]), "suback 2 [1]").await;
    hub.send("d1", "x").await;
    let delivered = client.next().await;
    assert!(
        delivered.contains("devices/d1/messages/devicebound"),
        "{delivered}"
    );
    client.send_bytes(&disconnect()).await;
    assert_eq!(client.next().await, "close 1000");
    assert_eq!(client.next().await, "closed");
    hub.check_ended("client_disconnect 1").await;
}

#[tokio::test]
async fn packets_may_be_cut_and_joined_by_frames() {
    let hub = Hub::with_device().await;
    let mut client = connect(&hub, "d1").await;
    let events = "devices/d1/messages/events/";
    let packet = publish(1, events, b"in three fragments");
    let (first, rest) = packet.split_at(3);
    let (second, third) = rest.split_at(20);
    client.send_raw(&frame(0x02, first)).await;
    // A control frame may come between fragments.
    client.send_raw(&frame(0x89, b"are you there")).await;
    client.send_raw(&frame(0x00, second)).await;
    client.send_raw(&frame(0x80, third)).await;
    assert_eq!(client.next().await, "pong");
    assert_eq!(client.next().await, "puback 1");
    let mut both = publish(2, events, b"two packets");
    both.extend(publish(3, events, b"in one frame"));
    client.ask(&both, "puback 2").await;
    assert_eq!(client.next().await, "puback 3");
    let big = vec![b'x'; 200 * 1024];
    client.ask(&publish(4, events, &big), "puback 4").await;
}

#[tokio::test]
async fn a_new_session_over_tls_ends_the_one_over_a_websocket() {
    let hub = Hub::with_device().await;
    let mut web = connect(&hub, "d1").await;
    let mut tls = hub.connect("d1").await;
    assert_eq!(web.next().await, "close 1000");
    tls.ping().await;
    hub.check_ended("superseded 1").await;
}

#[tokio::test]
async fn what_rfc_6455_forbids_ends_the_connection_with_its_code() {
    let hub = Hub::with_device().await;
    let mut text = connect(&hub, "d1").await;
    text.send(Message::text("hello")).await;
    assert_eq!(text.next().await, "close 1003");
    let mut unmasked = connect(&hub, "d1").await;
    unmasked.send_raw(&[0x82, 2, 0xc0, 0]).await;
    assert_eq!(unmasked.next().await, "close 1002");
    let mut reserved = connect(&hub, "d1").await;
    reserved.send_raw(&frame(0xc2, &pingreq())).await;
    assert_eq!(reserved.next().await, "close 1002");
    let mut huge = connect(&hub, "d1").await;
    huge.send_raw(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        .await;
    huge.send_raw(&[0, 0, 0, 0]).await;
    assert_eq!(huge.next().await, "close 1009");
    hub.connect("d1").await.ping().await;
}

#[tokio::test]
async fn who_opens_a_websocket_and_says_nothing_is_unauthenticated() {
    let hub = Hub::with(AdmissionConfig {
        time_max: Duration::from_millis(700),
        ..AdmissionConfig::default()
    })
    .await;
    let mut client = hub.web().await;
    assert_eq!(client.next().await, "closed");
    hub.check_ended("handshake_timeout 1").await;
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_memory_before_connect() {
    let hub = Hub::with_device().await;
    let mut client = hub.web().await;
    // The beginning of a message of 400 KiB whose end never comes.
    client
        .send_raw(&[0x82, 0xff, 0, 0, 0, 0, 0, 6, 0x40, 0, 0, 0, 0, 0])
        .await;
    client.send_raw(&vec![0; 130 * 1024]).await;
    assert_eq!(client.next().await, "closed");
    hub.check_ended("socket_closed 1").await;
}

#[tokio::test]
async fn a_refused_device_reads_its_connack() {
    let hub = Hub::new().await;
    let mut client = hub.web().await;
    client.ask(&Login::of("d1").packet(), "connack 5").await;
    assert_eq!(client.next().await, "close 1000");
}
