//! How long requests wait for a server that hangs.

use std::time::Duration;

use axum::body::Body;
use hub_api::native::{BASE_PATH, OPERATIONS};
use hub_storage::memory::Faults as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::access::call;
use super::{Ask, Stream, ask, refused, with_device};
use crate::HttpConfig;
use crate::testing::{ADMIN_TOKEN, Installation};

/// How a request ends, and after how many seconds.
async fn timed(installation: &Installation, verb: &str, path: &str, body: Value) -> (String, u64) {
    let start = Instant::now();
    let answer = ask(installation, verb, path, body).await;
    (refused(&answer), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn no_operation_waits_for_ever_for_a_store_that_hangs() {
    let limit = HttpConfig::default().request_timeout.as_secs();
    let mut given_up = 0;
    for operation in OPERATIONS {
        let installation = with_device().await;
        installation.store.hold();
        let start = Instant::now();
        let admin = format!("Bearer {ADMIN_TOKEN}");
        let answer = call(&installation, operation, Some(admin)).await;
        if answer.status == 504 {
            let waited = start.elapsed().as_secs();
            let bodies = u64::from(operation.request.is_some());
            assert_eq!(waited, limit * (1 + bodies), "{}", operation.id.as_str());
            assert_eq!(
                answer.json()["error"]["message"],
                "the server took too long, it may or may not have done what was asked"
            );
            given_up += 1;
        }
    }
    assert!(given_up > 20, "{given_up}");
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_may_be_done_later() {
    let installation = with_device().await;
    installation.store.hold();
    assert_eq!(
        timed(&installation, "DELETE", "/hubs/hub/devices/d1", Value::Null).await,
        ("504 GatewayTimeout".to_owned(), 30)
    );
    installation.store.resume();
    let gone = ask(&installation, "GET", "/hubs/hub/devices/d1", Value::Null).await;
    assert_eq!(refused(&gone), "404 DeviceNotFound");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_said_to_be_that() {
    let installation = Installation::new().await;
    let request = http::Request::builder()
        .method("POST")
        .uri(format!("{BASE_PATH}/hubs/hub/devices"))
        .header("authorization", format!("Bearer {ADMIN_TOKEN}"))
        .header("content-type", "application/json");
    let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let answer = installation.send(request, Body::from_stream(never)).await;
    assert_eq!(refused(&answer), "400 RequestTimedOut");
}

#[tokio::test(start_paused = true)]
async fn a_method_waits_as_long_as_its_caller_says() {
    let installation = with_device().await;
    let call = json!({ "methodName": "m", "connectTimeoutInSeconds": 300 });
    assert_eq!(
        timed(&installation, "POST", "/hubs/hub/devices/d1/methods", call).await,
        ("404 DeviceNotOnline".to_owned(), 300)
    );
    let huge = json!({ "methodName": "m", "connectTimeoutInSeconds": u64::MAX });
    assert_eq!(
        timed(&installation, "POST", "/hubs/hub/devices/d1/methods", huge).await,
        ("400 ArgumentInvalid".to_owned(), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_goes_on() {
    let installation = with_device().await;
    let mut stream = Stream::of_admin(&installation, "source=deviceLifecycleEvents").await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let made = Ask::admin("POST", "/hubs/hub/devices")
        .send(&installation, r#"{"deviceId":"d2"}"#)
        .await;
    assert_eq!(made.status, 201);
    loop {
        let line = stream.json().await;
        if line["deviceId"] == "d2" {
            break;
        }
    }
}
