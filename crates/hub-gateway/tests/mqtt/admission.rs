//! The bound on connections that have not proved who they are.

use std::time::Duration;

use hub_gateway::AdmissionConfig;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{DEADLINE, Hub, publish};

/// So much that a busy machine can open all connections in it.
const TIME_MAX: Duration = Duration::from_secs(4);

/// Waits until the hub hangs up.
async fn closed(mut socket: TcpStream) {
    let mut byte = [0];
    let read = timeout(DEADLINE, socket.read(&mut byte)).await;
    // A reset is an end as well.
    assert!(matches!(read.unwrap(), Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_flood_of_silent_connections_is_bounded_and_harms_no_open_one() {
    let hub = Hub::with(AdmissionConfig {
        connections_max: 100,
        per_address_max: 100,
        time_max: TIME_MAX,
    })
    .await;
    hub.given("d1").await;
    hub.given("d2").await;
    let mut open = hub.connect("d1").await;
    let mut flood = Vec::new();
    for _ in 0..300 {
        flood.push(TcpStream::connect(hub.address).await.unwrap());
    }
    hub.check_ended("not_admitted 200").await;
    let refused = flood.split_off(100);
    for socket in refused {
        closed(socket).await;
    }
    let events = "devices/d1/messages/events/";
    open.ask(publish(1, events, b"1"), "puback 1").await;
    // The places come back by themselves.
    hub.check_ended("handshake_timeout 100, not_admitted 200")
        .await;
    for socket in flood {
        closed(socket).await;
    }
    hub.connect("d2").await.ping().await;
    open.ping().await;
}

#[tokio::test]
async fn a_connection_that_never_sends_connect_ends_in_time() {
    let hub = Hub::with(AdmissionConfig {
        time_max: Duration::from_millis(700),
        ..AdmissionConfig::default()
    })
    .await;
    hub.given("d1").await;
    let mut silent = hub.tls().await;
    let mut slow = hub.tls().await;
    slow.send(b"\x10\x7f\0\x04MQ").await;
    silent.check_closed().await;
    slow.check_closed().await;
    hub.check_ended("handshake_timeout 2").await;
}

#[tokio::test]
async fn an_open_connection_holds_no_place() {
    let hub = Hub::with(AdmissionConfig {
        connections_max: 1,
        per_address_max: 1,
        ..AdmissionConfig::default()
    })
    .await;
    let mut clients = Vec::new();
    for number in 0..5 {
        let id = format!("d{number}");
        hub.given(&id).await;
        clients.push(hub.connect(&id).await);
    }
    for client in &mut clients {
        client.ping().await;
    }
    hub.check_ended("").await;
}

#[tokio::test]
async fn refused_and_broken_connections_give_their_places_back() {
    let hub = Hub::with(AdmissionConfig {
        connections_max: 1,
        per_address_max: 1,
        ..AdmissionConfig::default()
    })
    .await;
    hub.given("d1").await;
    for round in 1..=5 {
        let login = crate::support::Login::of("unknown");
        assert_eq!(hub.refusal(login).await, "connack 5");
        hub.check_ended(&format!("refused {round}")).await;
    }
    hub.connect("d1").await.ping().await;
}
