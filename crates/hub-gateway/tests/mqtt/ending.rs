//! Why the hub ends a connection that did nothing wrong.

use std::time::Duration;

use hub_storage::memory::Faults as _;
use tokio::time::{Instant, timeout};

use crate::support::{BEGINNING, Hub, Login, QUIET, disconnect, pingreq, publish, token};

#[tokio::test]
async fn silence_of_one_and_a_half_keep_alives_ends_the_connection() {
    let hub = Hub::with_device().await;
    let login = Login {
        keep_alive: 1,
        ..Login::of("d1")
    };
    let began = Instant::now();
    let mut client = hub.open(login).await;
    client.check_closed().await;
    let lived = began.elapsed();
    assert!(lived >= Duration::from_millis(1_500), "{lived:?}");
    hub.check_ended("keep_alive 1").await;
}

#[tokio::test]
async fn any_packet_keeps_the_connection_alive() {
    let hub = Hub::with_device().await;
    let login = Login {
        keep_alive: 1,
        ..Login::of("d1")
    };
    let mut client = hub.open(login).await;
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < Duration::from_millis(3_200) {
        // Waits by reading, much shorter than the hub does.
        client.check_quiet().await;
        number += 1;
        if number % 2 == 0 {
            client.ping().await;
        } else {
            let telemetry = publish(number, "devices/d1/messages/events/", b"1");
            client.ask(telemetry, &format!("puback {number}")).await;
        }
    }
    hub.check_ended("").await;
    client.check_closed().await;
    hub.check_ended("keep_alive 1").await;
}

#[tokio::test]
async fn keep_alive_0_is_not_cut_off_soon() {
    let hub = Hub::with_device().await;
    let login = Login {
        keep_alive: 0,
        ..Login::of("d1")
    };
    let mut client = hub.open(login).await;
    client.check_quiet().await;
    client.ping().await;
}

#[tokio::test]
async fn the_end_of_the_token_ends_the_connection() {
    let hub = Hub::with_device().await;
    // Five minutes of skew are allowed: one second of them is left.
    let expires = BEGINNING.minus(Duration::from_secs(299));
    let login = Login {
        password: Some(token("d1", expires)),
        ..Login::of("d1")
    };
    let mut client = hub.open(login).await;
    client.check_closed().await;
    hub.check_ended("token_expired 1").await;
}

#[tokio::test]
async fn a_newer_connection_ends_the_older() {
    let hub = Hub::with_device().await;
    let mut older = hub.connect("d1").await;
    let mut newer = hub.connect("d1").await;
    older.check_closed().await;
    newer.ping().await;
    hub.check_ended("superseded 1").await;
}

#[tokio::test]
async fn a_refused_connect_does_not_end_the_older_connection() {
    let hub = Hub::with_device().await;
    let mut older = hub.connect("d1").await;
    let login = Login {
        password: Some(token("d1", BEGINNING.minus(Duration::from_secs(9_999)))),
        ..Login::of("d1")
    };
    assert_eq!(hub.refusal(login).await, "connack 5");
    older.ping().await;
}

#[tokio::test]
async fn disabling_a_device_ends_it_and_its_modules() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    hub.given("d2").await;
    let mut device = hub.connect("d1").await;
    let mut module = hub.connect("d1/m1").await;
    let mut other = hub.connect("d2").await;
    hub.disable("d1").await;
    device.check_closed().await;
    module.check_closed().await;
    hub.check_ended("identity_changed 2").await;
    other.ping().await;
}

#[tokio::test]
async fn a_stopping_hub_ends_all_connections() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    let mut clients = [hub.connect("d1").await, hub.connect("d2").await];
    hub.engine.sessions.close_all();
    for client in &mut clients {
        client.check_closed().await;
    }
    hub.check_ended("shutdown 2").await;
}

#[tokio::test]
async fn nothing_is_taken_after_disconnect() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    let events = "devices/d1/messages/events/";
    let mut bytes = publish(1, events, b"before");
    bytes.extend(disconnect());
    bytes.extend(publish(2, events, b"after"));
    client.send(&bytes).await;
    loop {
        match client.next().await.as_str() {
            "puback 1" => {}
            "closed" => break,
            other => panic!("{other}"),
        }
    }
    hub.check_ended("client_disconnect 1").await;
    assert_eq!(hub.telemetry().await, "d1 [] before");
}

#[tokio::test]
async fn a_hub_that_cannot_read_does_not_take_its_client_for_silent() {
    let hub = Hub::with_device().await;
    let login = Login {
        keep_alive: 1,
        ..Login::of("d1")
    };
    let mut client = hub.open(login).await;
    hub.log.hold();
    // As much as a connection may have unanswered: from here on the hub does not read.
    let mut expected = Vec::new();
    for number in 1..=256 {
        client
            .send(&publish(number, "devices/d1/messages/events/", b"1"))
            .await;
        expected.push(format!("puback {number}"));
    }
    let (began, mut got) = (Instant::now(), Vec::new());
    while began.elapsed() < Duration::from_millis(2_500) {
        client.send(&pingreq()).await;
        expected.push("pingresp".to_owned());
        // The first ping may have come in one read with the last message.
        got.extend(timeout(QUIET, client.next()).await);
    }
    hub.check_ended("").await;
    hub.log.resume();
    expected.sort();
    while got.len() < expected.len() {
        got.push(client.next().await);
    }
    got.sort();
    assert_eq!(got, expected);
    client.check_closed().await;
    hub.check_ended("keep_alive 1").await;
}
