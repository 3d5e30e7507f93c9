//! Devices that do not read: what is held for them is bounded, and nothing is lost or forgotten for it.

use hub_engine::ErrorKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Client, Hub, Login, publish, subscribe};

const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const MESSAGES: &str = "0:devices/d1/messages/devicebound/#";
const METHODS: &str = "0:$iothub/methods/POST/#";
const ANSWERS: &str = "0:$iothub/twin/res/#";
/// More than the hub, its kernel buffers and the client's take together.
const MESSAGES_SENT: u64 = 400;
const MESSAGE_BYTES: usize = 60_000;
const PATCHES: usize = 500;

/// A hub with `d1`, connected with small buffers and subscribed, and `other`, whose pings let time pass.
async fn slow(filter: &str) -> (Hub, Client, Client) {
    let hub = Hub::with_device().await;
    hub.given("other").await;
    let other = hub.connect("other").await;
    let mut client = hub.open_narrow(Login::of("d1")).await;
    client.send(&subscribe(1, &[filter])).await;
    assert!(client.next().await.starts_with("suback 1"));
    (hub, client, other)
}

/// Gives every connection many turns.
async fn let_all_go_on(other: &mut Client) {
    for _ in 0..200 {
        other.ping().await;
    }
}

async fn send_messages(hub: &Hub) {
    for number in 0..MESSAGES_SENT {
        let mut body = format!("{number} ").into_bytes();
        body.resize(MESSAGE_BYTES, b'x');
        hub.send("d1", body).await;
    }
}

/// A desired section near its size limit that differs from `number` to `number`.
fn section(number: usize) -> Value {
    let text = format!("{number:>4000}");
    json!({"a": text, "b": text, "c": text, "d": text, "e": text, "f": text})
}

#[tokio::test]
async fn messages_for_a_slow_reader_stay_in_the_store_and_come_when_it_reads() {
    let (hub, mut client, mut other) = slow(MESSAGES).await;
    send_messages(&hub).await;
    let_all_go_on(&mut other).await;
    let taken = MESSAGES_SENT - hub.waiting("d1").await;
    let taken_bytes = taken * MESSAGE_BYTES as u64;
    // The greatest send buffer of the kernel is 4 MiB; the hub's own bound is 256 KiB and a page of messages.
    assert!(taken_bytes < 6 * 1024 * 1024, "{taken} messages taken");
    for _ in 0..MESSAGES_SENT {
        client
            .check(&format!(
                "devices/d1/messages/devicebound: ({MESSAGE_BYTES} bytes)"
            ))
            .await;
    }
    hub.check_waiting("d1", 0).await;
    client.ping().await;
}

#[tokio::test]
async fn a_slow_reader_is_closed_when_it_is_disabled() {
    let (hub, client, mut other) = slow(MESSAGES).await;
    send_messages(&hub).await;
    let_all_go_on(&mut other).await;
    assert!(hub.waiting("d1").await > 0);
    hub.disable("d1").await;
    // The client still reads nothing.
    hub.check_ended("identity_changed 1").await;
    client.vanish();
}

#[tokio::test]
async fn a_slow_reader_is_closed_by_its_newer_connection() {
    let (hub, client, mut other) = slow(MESSAGES).await;
    send_messages(&hub).await;
    let_all_go_on(&mut other).await;
    let mut newer = hub.open(Login::clean("d1")).await;
    hub.check_ended("superseded 1").await;
    newer.ping().await;
    client.vanish();
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_desired_section_instead_of_the_patches_it_missed() {
    let (hub, mut client, mut other) = slow(DESIRED).await;
    let mut version = 0;
    for number in 0..PATCHES {
        version = hub.patch_desired("d1", section(number)).await;
    }
    let_all_go_on(&mut other).await;
    let last = format!("$iothub/twin/PATCH/properties/desired/?$version={version}:");
    let mut packets = 1;
    while !client.next().await.starts_with(&last) {
        packets += 1;
    }
    assert!(packets < PATCHES, "{packets} packets");
    // Nothing stale follows, and the next patch is a patch again.
    client.check_quiet().await;
    hub.patch_desired("d1", json!({"next": true})).await;
    client
        .check(&format!(
            r#"$iothub/twin/PATCH/properties/desired/?$version={0}: {{"$version":{0},"next":true}}"#,
            version + 1
        ))
        .await;
}

#[tokio::test]
async fn calls_for_a_slow_reader_are_bounded_and_come_when_it_reads() {
    let (hub, mut client, mut other) = slow(METHODS).await;
    let payload = format!("\"{}\"", "x".repeat(120_000));
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(hub.invoke("d1", "m", payload.as_bytes()));
        other.ping().await;
    }
    let_all_go_on(&mut other).await;
    let mut refused = 0;
    while let Some(call) = calls.try_join_next() {
        assert_eq!(call.unwrap().unwrap_err().kind(), ErrorKind::Throttled);
        refused += 1;
    }
    let accepted = calls.len();
    assert!(refused > 0 && accepted > 0, "{accepted} of 200 accepted");
    for number in 0..accepted {
        client
            .check(&format!(
                "$iothub/methods/POST/m/?$rid={number:x}: (120002 bytes)"
            ))
            .await;
        let topic = format!("$iothub/methods/res/200/?$rid={number:x}");
        client.send(&publish(0, &topic, b"1")).await;
    }
    while let Some(call) = calls.join_next().await {
        assert_eq!(call.unwrap().unwrap().status, 200);
    }
}

#[tokio::test]
async fn answers_to_a_slow_reader_all_come_when_it_reads() {
    let (hub, mut client, mut other) = slow(ANSWERS).await;
    hub.patch_desired("d1", section(1)).await;
    let mut bytes = Vec::new();
    for number in 0..1_000 {
        bytes.extend(publish(0, &format!("$iothub/twin/GET/?$rid={number}"), b""));
    }
    client.send(&bytes).await;
    let_all_go_on(&mut other).await;
    for number in 0..1_000 {
        let answer = client.next().await;
        let topic = format!("$iothub/twin/res/200/?$rid={number}:");
        assert!(answer.starts_with(&topic), "{answer}");
    }
    client.ping().await;
    hub.check_ended("").await;
}
