//! Direct methods.

use hub_engine::Error;
use hub_engine::methods::MethodAnswer;
use tokio::time::timeout;

use crate::support::{Client, DEADLINE, Hub, publish, subscribe};

const METHODS: &str = "$iothub/methods/POST/#";

fn said(answer: Result<MethodAnswer, Error>) -> String {
    match answer {
        Ok(answer) => format!(
            "{} {}",
            answer.status,
            String::from_utf8_lossy(&answer.payload)
        ),
        Err(error) => format!("{} {:?}", error.code().number(), error.kind()),
    }
}

/// A hub and its device `d1` that takes methods.
async fn callable() -> (Hub, Client) {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[METHODS]), "suback 1 [1]").await;
    (hub, client)
}

#[tokio::test]
async fn a_call_reaches_the_device_and_its_answer_the_caller() {
    let (hub, mut client) = callable().await;
    let first = tokio::spawn(hub.invoke("d1", "reboot", br#"{"in":5}"#));
    client
        .check(r#"$iothub/methods/POST/reboot/?$rid=0: {"in":5}"#)
        .await;
    let second = tokio::spawn(hub.invoke("d1", "stop", b"null"));
    client
        .check("$iothub/methods/POST/stop/?$rid=1: null")
        .await;
    // Answers may come in any order, with either quality of service.
    client
        .send(&publish(0, "$iothub/methods/res/-3/?$rid=1", b""))
        .await;
    assert_eq!(said(second.await.unwrap()), "-3 ");
    client
        .ask(
            publish(2, "$iothub/methods/res/200/?$rid=0", br#"{"ok":true}"#),
            "puback 2",
        )
        .await;
    assert_eq!(said(first.await.unwrap()), r#"200 {"ok":true}"#);
}

#[tokio::test]
async fn answers_to_unknown_calls_are_acknowledged_and_ignored() {
    let (hub, mut client) = callable().await;
    client
        .ask(
            publish(2, "$iothub/methods/res/200/?$rid=77", b"{}"),
            "puback 2",
        )
        .await;
    client.ping().await;
    hub.check_ended("").await;
}

#[tokio::test]
async fn an_answer_that_is_no_json_is_told_to_the_caller_at_once() {
    let (hub, mut client) = callable().await;
    let call = tokio::spawn(hub.invoke("d1", "m", b"1"));
    client.check("$iothub/methods/POST/m/?$rid=0: 1").await;
    client
        .ask(
            publish(2, "$iothub/methods/res/200/?$rid=0", b"not json"),
            "puback 2",
        )
        .await;
    let answer = timeout(DEADLINE, call).await.unwrap().unwrap();
    assert_eq!(said(answer), "502000 BadDeviceAnswer");
    client.ping().await;
}

#[tokio::test]
async fn an_answer_above_its_size_ends_the_connection() {
    let (hub, mut client) = callable().await;
    let most = tokio::spawn(hub.invoke("d1", "m", b"1"));
    client.check("$iothub/methods/POST/m/?$rid=0: 1").await;
    let text = format!("\"{}\"", "x".repeat(128 * 1024 - 2));
    let topic = "$iothub/methods/res/200/?$rid=0";
    client
        .ask(publish(2, topic, text.as_bytes()), "puback 2")
        .await;
    assert_eq!(said(most.await.unwrap()).len(), 4 + 128 * 1024);
    let more = tokio::spawn(hub.invoke("d1", "m", b"1"));
    client.check("$iothub/methods/POST/m/?$rid=1: 1").await;
    let text = format!("\"{}\"", "x".repeat(128 * 1024 - 1));
    let topic = "$iothub/methods/res/200/?$rid=1";
    client.send(&publish(3, topic, text.as_bytes())).await;
    client.check_closed().await;
    assert_eq!(said(more.await.unwrap()), "502000 BadDeviceAnswer");
    hub.check_ended("bad_message 1").await;
}

#[tokio::test]
async fn a_caller_learns_at_once_that_the_device_went() {
    let (hub, mut client) = callable().await;
    let call = tokio::spawn(hub.invoke("d1", "m", b"1"));
    client.check("$iothub/methods/POST/m/?$rid=0: 1").await;
    client.vanish();
    let answer = timeout(DEADLINE, call).await.unwrap().unwrap();
    assert_eq!(said(answer), "404103 DeviceOffline");
}

#[tokio::test]
async fn a_device_without_the_subscription_is_not_reached() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    let answer = hub.invoke("d1", "m", b"1").await;
    assert_eq!(said(answer), "404103 DeviceOffline");
    client.ping().await;
}
