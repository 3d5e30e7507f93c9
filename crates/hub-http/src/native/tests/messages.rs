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

const DELIVERIES: &str = "/hubs/hub/devices/d1/messages/deliveries";

/// Receives; the token and the message.
async fn received(installation: &crate::testing::Installation) -> (String, Value) {
    let mut delivery = ask(installation, "POST", DELIVERIES, Value::Null)
        .await
        .ok();
    let token = delivery["lockToken"].as_str().unwrap().to_owned();
    (token, delivery["message"].take())
}

#[tokio::test(start_paused = true)]
async fn a_message_is_received_in_its_devices_place() {
    let installation = with_device().await;
    assert_eq!(
        ask(&installation, "POST", DELIVERIES, Value::Null)
            .await
            .ok(),
        json!({})
    );
    let message = json!({
        "messageId": "one", "correlationId": "c", "userId": "u", "contentType": "text/plain",
        "contentEncoding": "utf-8", "ttlSeconds": 60, "ack": "full", "properties": { "a": "1" },
        "body": { "text": "h\u{e9}" },
    });
    ask(&installation, "POST", MESSAGES, message).await;
    let bytes = json!({ "body": { "base64": "AP8=" } });
    ask(&installation, "POST", MESSAGES, bytes).await;

    let path = format!("{DELIVERIES}?lockSeconds=5");
    let first = ask(&installation, "POST", &path, Value::Null).await.ok();
    assert_eq!(first["lockedUntil"], "2026-01-31T12:00:05.0000000Z");
    let message = &first["message"];
    assert_eq!(
        (&message["body"], &message["properties"], &message["ack"]),
        (
            &json!({ "text": "h\u{e9}" }),
            &json!({ "a": "1" }),
            &json!("full")
        )
    );
    assert_eq!(
        (
            &message["messageId"],
            &message["deliveryCount"],
            &message["to"]
        ),
        (
            &json!("one"),
            &json!(0),
            &json!("/devices/d1/messages/devicebound")
        )
    );
    assert_eq!(message["expiryTimeUtc"], "2026-01-31T12:01:00.0000000Z");
    let (_, second) = received(&installation).await;
    assert_eq!(second["body"], json!({ "base64": "AP8=" }));
    assert_eq!(
        ask(&installation, "POST", DELIVERIES, Value::Null)
            .await
            .ok(),
        json!({}),
        "both are locked"
    );
    tokio::time::advance(std::time::Duration::from_secs(6)).await;
    let (_, again) = received(&installation).await;
    assert_eq!(again["messageId"], "one");
}

#[tokio::test]
async fn a_received_message_is_completed_rejected_or_put_back() {
    let installation = with_device().await;
    for (verb, last, left, feedback) in [
        ("POST", "/abandon", 1, None),
        ("DELETE", "", 0, Some("Success")),
        ("POST", "/reject", 0, Some("Rejected")),
    ] {
        ask(&installation, "DELETE", MESSAGES, Value::Null).await;
        let message = json!({ "messageId": "m", "ack": "full" });
        ask(&installation, "POST", MESSAGES, message).await;
        let (token, _) = received(&installation).await;
        let path = format!("{DELIVERIES}/{token}{last}");
        let settled = ask(&installation, verb, &path, Value::Null).await;
        assert_eq!(settled.status, 204, "{}", settled.text());
        assert_eq!(waiting(&installation).await, left, "{verb} {last}");
        let twice = ask(&installation, verb, &path, Value::Null).await;
        assert_eq!(refused(&twice), "412 DeviceMessageLockLost");
        if let Some(status) = feedback {
            let queue = "/hubs/hub/queues/feedback/batches";
            let batch = ask(&installation, "POST", queue, Value::Null).await.ok();
            let statuses = batch["records"].as_array().unwrap();
            assert_eq!(statuses.last().unwrap()["status"], status);
        } else {
            let (_, again) = received(&installation).await;
            assert_eq!(again["deliveryCount"], 1);
        }
    }
}

#[tokio::test]
async fn a_wrong_lock_is_refused() {
    let installation = with_device().await;
    for (verb, path, expected) in [
        ("POST", "?lockSeconds=4", "400 ArgumentInvalid"),
        ("POST", "?lockSeconds=301", "400 ArgumentInvalid"),
        ("POST", "?lockSeconds=x", "400 ArgumentInvalid"),
        ("POST", "?typo=1", "400 ArgumentInvalid"),
        ("DELETE", "/nonsense", "400 ArgumentInvalid"),
        (
            "DELETE",
            "/00000000-0000-0000-0000-000000000000",
            "412 DeviceMessageLockLost",
        ),
    ] {
        let answer = ask(
            &installation,
            verb,
            &format!("{DELIVERIES}{path}"),
            Value::Null,
        )
        .await;
        assert_eq!(refused(&answer), expected, "{verb} {path}");
    }
    let missing = "/hubs/hub/devices/none/messages/deliveries";
    let answer = ask(&installation, "POST", missing, Value::Null).await;
    assert_eq!(refused(&answer), "404 DeviceNotFound");
}

#[tokio::test]
async fn only_who_may_connect_as_devices_receives_for_them() {
    let installation = with_device().await;
    ask(&installation, "POST", MESSAGES, json!({})).await;
    for (policy, expected) in [
        ("service", 403),
        ("registryReadWrite", 403),
        ("device", 200),
    ] {
        let token = Some(installation.token(policy));
        let answer = Ask::with("POST", DELIVERIES, token)
            .send(&installation, "")
            .await;
        assert_eq!(answer.status, expected, "{policy}");
    }
}
