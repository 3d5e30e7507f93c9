//! Cloud-to-device messages.

use serde_json::{Value, json};

use super::{Ask, ask, refused, with_device};

const MESSAGES: &str = "/hubs/hub/devices/d1/messages";

async fn waiting(installation: &crate::testing::Installation) -> Value {
    let device = ask(installation, "GET", "/hubs/hub/devices/d1", Value::Null)
        .await
        .ok();
    device["cloudToDeviceMessageCount"].clone()
}

#[tokio::test]
async fn messages_are_queued_counted_and_purged() {
    let installation = with_device().await;
    let message = json!({
        "messageId": "one", "correlationId": "c", "userId": "u", "contentType": "application/json",
        "contentEncoding": "utf-8", "ttlSeconds": 60, "ack": "full", "properties": { "a": "1" },
        "body": { "json": { "on": true } },
    });
    let sent = ask(&installation, "POST", MESSAGES, message).await;
    assert_eq!(
        (sent.status.as_u16(), &sent.json()["messageId"]),
        (201, &json!("one"))
    );
    for body in [json!({ "text": "hello" }), json!({ "base64": "AAEC" })] {
        assert_eq!(
            ask(&installation, "POST", MESSAGES, json!({ "body": body }))
                .await
                .status,
            201
        );
    }
    assert_eq!(
        ask(&installation, "POST", MESSAGES, json!({})).await.status,
        201
    );
    assert_eq!(waiting(&installation).await, 4);
    assert_eq!(
        ask(&installation, "DELETE", MESSAGES, Value::Null)
            .await
            .ok(),
        json!({ "purged": 4 })
    );
    assert_eq!(waiting(&installation).await, 0);
}

#[tokio::test]
async fn a_message_that_cannot_be_meant_is_refused() {
    let installation = with_device().await;
    let wrong = [
        (json!({ "body": { "base64": "?" } }), "400 ArgumentInvalid"),
        (json!({ "body": "text" }), "400 ArgumentInvalid"),
        (json!({ "ack": "maybe" }), "400 ArgumentInvalid"),
        (json!({ "messageId": "" }), "400 ArgumentInvalid"),
        (
            json!({ "messageId": "x".repeat(129) }),
            "400 ArgumentInvalid",
        ),
        (
            json!({ "ttlSeconds": 1, "expiryTimeUtc": "2026-02-01T00:00:00Z" }),
            "400 ArgumentInvalid",
        ),
        (
            json!({ "expiryTimeUtc": "2020-01-01T00:00:00Z" }),
            "403 InvalidMessageExpiryTime",
        ),
        (
            json!({ "ttlSeconds": 3 * 24 * 3600 }),
            "403 InvalidMessageExpiryTime",
        ),
        (
            json!({ "body": { "text": "x".repeat(64 * 1024 + 1) } }),
            "413 MessageTooLarge",
        ),
    ];
    for (message, expected) in wrong {
        let answer = ask(&installation, "POST", MESSAGES, message).await;
        assert_eq!(refused(&answer), expected, "{}", answer.text());
    }
    assert_eq!(waiting(&installation).await, 0);
    let unknown = Ask::admin("POST", "/hubs/hub/devices/none/messages")
        .send(&installation, "{}")
        .await;
    assert_eq!(refused(&unknown), "404 DeviceNotFound");
}

#[tokio::test]
async fn feedback_is_read_once() {
    const BATCHES: &str = "/hubs/hub/queues/feedback/batches";
    let installation = with_device().await;
    let message = json!({ "messageId": "one", "ack": "negative" });
    assert_eq!(
        ask(&installation, "POST", MESSAGES, message).await.status,
        201
    );
    ask(&installation, "DELETE", MESSAGES, Value::Null).await;
    let batch = ask(&installation, "POST", BATCHES, Value::Null).await.ok();
    assert_eq!(batch["records"][0]["kind"], "feedback");
    assert_eq!(batch["records"][0]["messageId"], "one");
    assert_eq!(batch["records"][0]["status"], "Purged");
    assert_eq!(batch["records"][0]["deviceId"], "d1");
    let token = batch["lockToken"].as_str().unwrap();
    let abandon = format!("{BATCHES}/{token}/abandon");
    assert_eq!(
        ask(&installation, "POST", &abandon, Value::Null)
            .await
            .status,
        204
    );
    let batch = ask(&installation, "POST", BATCHES, Value::Null).await.ok();
    let complete = format!("{BATCHES}/{}", batch["lockToken"].as_str().unwrap());
    assert_eq!(
        ask(&installation, "DELETE", &complete, Value::Null)
            .await
            .status,
        204
    );
    let again = ask(&installation, "DELETE", &complete, Value::Null).await;
    assert_eq!(refused(&again), "412 DeviceMessageLockLost");
    let nothing = ask(&installation, "POST", BATCHES, Value::Null).await.ok();
    assert_eq!(nothing, json!({ "records": [] }));
    let other = ask(
        &installation,
        "POST",
        "/hubs/hub/queues/x/batches",
        Value::Null,
    )
    .await;
    assert_eq!(refused(&other), "400 ArgumentInvalid");
}
