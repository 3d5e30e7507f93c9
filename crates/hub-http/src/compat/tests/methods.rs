//! Direct methods.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use hub_domain::sas::sign_token;
use hub_domain::{IdentityId, Timestamp};
use hub_engine::Notice;
use hub_engine::sessions::{Credential, Delivery, OpenRequest, Persistence, Session, Subscription};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::testing::{BEGINNING, Installation};

/// Connects `id` and subscribes it to methods.
pub(super) async fn connect(hub: &Installation, id: &str) -> Session {
    let id = IdentityId::parse(id).unwrap();
    let path = match &id.module {
        None => format!("/devices/{}", id.device),
        Some(module) => format!("/devices/{}/modules/{module}", id.device),
    };
    let identity = hub.owner("GET", &path, "").await.ok();
    let key = identity["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    let key = hub_domain::SymmetricKey::parse(key).unwrap();
    let token = sign_token(
        &format!("hub.test{path}"),
        &key,
        Timestamp::from_seconds(4_000_000_000),
        None,
    );
    let request = OpenRequest {
        hub: Arc::clone(&hub.hub),
        id,
        credential: Credential::Token(&token),
        model_id: None,
        persistence: Persistence::Transient,
    };
    let mut session = hub
        .engine
        .sessions
        .open(BEGINNING, request)
        .await
        .unwrap()
        .session;
    session
        .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)])
        .await
        .unwrap();
    session
}

/// Answers one call and returns its name and payload.
pub(super) async fn answer_one(
    session: &Session,
    status: i32,
    payload: &[u8],
) -> (String, Option<String>) {
    loop {
        if let Notice::Method(call) = poll_fn(|cx| session.poll_notice(cx)).await {
            session
                .answer_method(BEGINNING, call.id, status, payload)
                .unwrap();
            let text = call
                .payload
                .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            return (call.name, text);
        }
    }
}

async fn hub_with_device() -> Installation {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    hub.owner("PUT", "/devices/d1/modules/m1", "{}").await.ok();
    hub
}

pub(super) fn call(payload: &str) -> String {
    format!("{{\"methodName\":\"reboot\",\"payload\":{payload},\"responseTimeoutInSeconds\":5}}")
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_payload_reaches_the_device_and_comes_back() {
    let hub = hub_with_device().await;
    let session = connect(&hub, "d1").await;
    for payload in [
        "null",
        "true",
        "1.50",
        "\"t\u{e4}xt\"",
        "[1, [2]]",
        "{\"b\":1,\"a\":{}}",
    ] {
        let body = call(payload);
        let invoke = hub.owner("POST", "/twins/d1/methods", &body);
        let (answer, called) = tokio::join!(invoke, answer_one(&session, 203, payload.as_bytes()));
        assert_eq!(called, ("reboot".to_owned(), Some(payload.to_owned())));
        assert_eq!(
            answer.text(),
            format!("{{\"status\":203,\"payload\":{payload}}}")
        );
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn modules_take_methods_and_an_absent_payload_stays_absent() {
    let hub = hub_with_device().await;
    let session = connect(&hub, "d1/m1").await;
    let invoke = hub.owner(
        "POST",
        "/twins/d1/modules/m1/methods",
        r#"{"methodName":"m"}"#,
    );
    let (answer, called) = tokio::join!(invoke, answer_one(&session, -7, b""));
    assert_eq!(called, ("m".to_owned(), None));
    assert_eq!(answer.ok(), json!({"status": -7, "payload": Value::Null}));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_not_there_is_said_at_once_or_after_the_connect_timeout() {
    let hub = hub_with_device().await;
    let start = Instant::now();
    let answer = hub.owner("POST", "/twins/d1/methods", &call("1")).await;
    assert_eq!(
        (answer.refused().as_str(), start.elapsed().as_secs()),
        ("404 DeviceNotOnline", 0)
    );
    let body = r#"{"methodName":"m","connectTimeoutInSeconds":20}"#;
    let answer = hub.owner("POST", "/twins/d1/methods", body).await;
    assert_eq!(
        (answer.refused().as_str(), start.elapsed().as_secs()),
        ("404 DeviceNotOnline", 20)
    );
    assert_eq!(
        hub.owner("POST", "/twins/no/methods", &call("1"))
            .await
            .refused(),
        "404 DeviceNotFound"
    );
    let module = hub
        .owner("POST", "/twins/d1/modules/no/methods", &call("1"))
        .await;
    assert_eq!(module.refused(), "404 ModuleNotFound");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_connects_in_time_is_called() {
    let hub = hub_with_device().await;
    let body = r#"{"methodName":"m","connectTimeoutInSeconds":20}"#;
    let device = async {
        tokio::time::sleep(Duration::from_secs(15)).await;
        let session = connect(&hub, "d1").await;
        answer_one(&session, 200, b"{}").await
    };
    let (answer, _) = tokio::join!(hub.owner("POST", "/twins/d1/methods", body), device);
    assert_eq!(answer.ok(), json!({"status": 200, "payload": {}}));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_silent_is_a_gateway_timeout_at_the_response_timeout() {
    let hub = hub_with_device().await;
    let _session = connect(&hub, "d1").await;
    let start = Instant::now();
    let answer = hub.owner("POST", "/twins/d1/methods", &call("1")).await;
    assert_eq!(
        (answer.refused().as_str(), start.elapsed().as_secs()),
        ("504 GatewayTimeout", 5)
    );
    let longest =
        r#"{"methodName":"m","connectTimeoutInSeconds":300,"responseTimeoutInSeconds":300}"#;
    let start = Instant::now();
    let answer = hub.owner("POST", "/twins/d1/methods", longest).await;
    assert_eq!(
        (answer.refused().as_str(), start.elapsed().as_secs()),
        ("504 GatewayTimeout", 300)
    );
}

#[tokio::test(start_paused = true)]
async fn wrong_calls_are_refused_before_the_device_hears_of_them() {
    let hub = hub_with_device().await;
    for (body, refused) in [
        ("{}", "400 ArgumentNull"),
        (r#"{"methodName":"a/b"}"#, "400 ArgumentInvalid"),
        (
            r#"{"methodName":"m","responseTimeoutInSeconds":4}"#,
            "400 ArgumentInvalid",
        ),
        (
            r#"{"methodName":"m","connectTimeoutInSeconds":301}"#,
            "400 ArgumentInvalid",
        ),
        (
            r#"{"methodName":"m","connectTimeoutInSeconds":"5"}"#,
            "400 DeserializationError",
        ),
    ] {
        assert_eq!(
            hub.owner("POST", "/twins/d1/methods", body).await.refused(),
            refused,
            "{body}"
        );
    }
    let large = call(&format!("\"{}\"", "x".repeat(128 * 1024)));
    assert_eq!(
        hub.owner("POST", "/twins/d1/methods", &large)
            .await
            .refused(),
        "413 MessageTooLarge"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connected_device_shows_in_identity_twin_and_counts() {
    let hub = hub_with_device().await;
    let _session = connect(&hub, "d1").await;
    assert_eq!(
        hub.owner("GET", "/devices/d1", "").await.ok()["connectionState"],
        "Connected"
    );
    assert_eq!(
        hub.owner("GET", "/twins/d1", "").await.ok()["connectionState"],
        "Connected"
    );
    let counts = hub.owner("GET", "/statistics/service", "").await.ok();
    assert_eq!(counts, json!({"connectedDeviceCount": 1}));
}
