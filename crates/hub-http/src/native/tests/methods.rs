//! Direct methods.

use std::future::poll_fn;
use std::time::Duration;

use hub_engine::Notice;
use hub_engine::sessions::{Delivery, Session, Subscription};
use serde_json::json;
use tokio::time::Instant;

use super::{Ask, ask, connect, refused, with_device};
use crate::testing::{BEGINNING, Installation};

const METHODS: &str = "/hubs/hub/devices/d1/methods";

async fn listening(installation: &Installation, id: &str) -> Session {
    let mut session = connect(installation, id).await;
    session
        .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)])
        .await
        .unwrap();
    session
}

/// Answers one call; what was asked.
async fn answer_one(session: &Session, status: i32, payload: &[u8]) -> (String, Option<String>) {
    loop {
        if let Notice::Method(call) = poll_fn(|cx| session.poll_notice(cx)).await {
            session
                .answer_method(BEGINNING, call.id, status, payload)
                .unwrap();
            return (
                call.name,
                call.payload
                    .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap()),
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn payloads_go_both_ways_as_they_are_spelled() {
    let installation = with_device().await;
    let session = listening(&installation, "d1").await;
    for payload in ["null", "1.50", r#"{"b":1, "a":[]}"#, "\"t\u{e4}xt\""] {
        let body = format!(r#"{{"methodName":"reboot","payload":{payload}}}"#);
        let call = Ask::admin("POST", METHODS).send(&installation, &body);
        let (answer, asked) = tokio::join!(call, answer_one(&session, 203, payload.as_bytes()));
        assert_eq!(asked, ("reboot".to_owned(), Some(payload.to_owned())));
        assert_eq!(
            answer.text(),
            format!(r#"{{"status":203,"payload":{payload}}}"#)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_payload_is_none_and_no_answer_payload_is_null() {
    let installation = with_device().await;
    let session = listening(&installation, "d1/m1").await;
    let path = "/hubs/hub/devices/d1/modules/m1/methods";
    let call = Ask::admin("POST", path).send(&installation, r#"{"methodName":"m"}"#);
    let (answer, asked) = tokio::join!(call, answer_one(&session, 200, b""));
    assert_eq!(asked, ("m".to_owned(), None));
    assert_eq!(answer.text(), r#"{"status":200,"payload":null}"#);
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_there_or_silent_is_told_apart() {
    let installation = with_device().await;
    let call =
        json!({ "methodName": "m", "responseTimeoutInSeconds": 5, "connectTimeoutInSeconds": 7 });
    let start = Instant::now();
    let offline = ask(&installation, "POST", METHODS, call.clone()).await;
    assert_eq!(
        (refused(&offline), start.elapsed()),
        ("404 DeviceNotOnline".to_owned(), Duration::from_secs(7))
    );
    let _session = listening(&installation, "d1").await;
    let start = Instant::now();
    let silent = ask(&installation, "POST", METHODS, call).await;
    assert_eq!(
        (refused(&silent), start.elapsed()),
        ("504 GatewayTimeout".to_owned(), Duration::from_secs(5))
    );
    let unknown = ask(
        &installation,
        "POST",
        "/hubs/hub/devices/none/methods",
        json!({ "methodName": "m" }),
    )
    .await;
    assert_eq!(refused(&unknown), "404 DeviceNotFound");
}

#[tokio::test(start_paused = true)]
async fn times_and_names_out_of_range_are_refused() {
    let installation = with_device().await;
    for wrong in [
        json!({ "methodName": "" }),
        json!({ "methodName": "m", "responseTimeoutInSeconds": 4 }),
        json!({ "methodName": "m", "responseTimeoutInSeconds": 301 }),
        json!({ "methodName": "m", "connectTimeoutInSeconds": 301 }),
        json!({ "method": "m" }),
    ] {
        assert_eq!(
            refused(&ask(&installation, "POST", METHODS, wrong.clone()).await),
            "400 ArgumentInvalid",
            "{wrong}"
        );
    }
}
