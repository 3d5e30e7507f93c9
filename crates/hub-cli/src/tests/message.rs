//! `c2d`.

use serde_json::json;

use super::script::Exchange;
use super::{Outcome, run};

fn sent() -> Exchange {
    Exchange::json(201, &json!({ "number": 7, "messageId": "one" }))
}

#[tokio::test]
async fn a_message_is_sent_with_all_its_properties() {
    let line = [
        "c2d",
        "send",
        "-d",
        "d1",
        "--data",
        "hello",
        "--props",
        "a=1;b=x=y;c",
        "--message-id",
        "one",
        "--correlation-id",
        "c",
        "--user-id",
        "u",
        "--content-type",
        "text/plain",
        "--content-encoding",
        "utf-8",
        "--expiry-time-utc",
        "1769860800000",
        "--ack",
        "full",
    ];
    let (outcome, asked) = run(&line, vec![sent()]).await;
    assert_eq!(outcome.printed(), "queued as message 7 with the id one\n");
    let (head, body) = asked[0].split_once(" {").unwrap();
    assert_eq!(head, "POST /api/v1/hubs/hub/devices/d1/messages");
    let expected = json!({
        "messageId": "one", "correlationId": "c", "userId": "u", "contentType": "text/plain",
        "contentEncoding": "utf-8", "expiryTimeUtc": "2026-01-31T12:00:00.0000000Z", "ack": "full",
        "properties": { "a": "1", "b": "x=y", "c": "" }, "body": { "text": "hello" },
    });
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&format!("{{{body}")).unwrap(),
        expected
    );
}

#[tokio::test]
async fn a_file_is_sent_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.bin");
    std::fs::write(&path, [0, 255]).unwrap();
    let line = [
        "c2d",
        "send",
        "-d",
        "d1",
        "--data-file-path",
        path.to_str().unwrap(),
        "--ttl",
        "60",
    ];
    let (_, asked) = run(&line, vec![sent()]).await;
    assert!(
        asked[0].ends_with(r#"{"ttlSeconds":60,"ack":"none","body":{"base64":"AP8="}}"#),
        "{asked:?}"
    );
}

#[tokio::test]
async fn properties_and_times_that_cannot_be_read_make_no_sense() {
    for wrong in [
        ["--props", "=1"],
        ["--props", "a=1;a=2"],
        ["--expiry-time-utc", "soon"],
    ] {
        let line = [&["c2d", "send", "-d", "d1"], wrong.as_slice()].concat();
        let (outcome, _) = run(&line, Vec::new()).await;
        assert!(
            matches!(&outcome, Outcome::Failed(2, text) if text.contains(wrong[0])),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn a_purge_says_how_many() {
    let (outcome, asked) = run(
        &["c2d", "purge", "-d", "d1"],
        vec![Exchange::json(200, &json!({ "purged": 3 }))],
    )
    .await;
    assert_eq!(asked, ["DELETE /api/v1/hubs/hub/devices/d1/messages"]);
    assert_eq!(outcome.printed(), "purged 3 messages\n");
}

const TOKEN: &str = "00000000-0000-0007-0000-000000000001";
const DELIVERIES: &str = "/api/v1/hubs/hub/devices/d1/messages/deliveries";

fn delivery() -> Exchange {
    Exchange::json(
        200,
        &json!({
            "lockToken": TOKEN,
            "lockedUntil": "2026-01-31T12:01:00Z",
            "message": {
                "number": 7, "to": "/devices/d1/messages/deviceBound", "enqueuedTime": "2026-01-31T12:00:00Z",
                "deliveryCount": 1, "messageId": "one", "ack": "full", "properties": { "a": "1", "b": "x" },
                "body": { "text": "hello\u{1b}" },
            },
        }),
    )
}

fn settled() -> Exchange {
    Exchange::json(200, &json!({}))
}

fn path_of_token() -> String {
    format!("{DELIVERIES}/{}", TOKEN.replace('-', "%2D"))
}

#[tokio::test]
async fn a_message_is_received_and_shown() {
    let line = ["c2d", "receive", "-d", "d1", "--lock-timeout", "30"];
    let (outcome, asked) = run(&line, vec![delivery()]).await;
    assert_eq!(
        outcome.printed(),
        "\
lock token        00000000-0000-0007-0000-000000000001
locked until      2026-01-31T12:01:00.0000000Z
number            7
queued            2026-01-31T12:00:00.0000000Z
delivered before  1
message id        one
properties        a=1; b=x
body              hello\\u{1b}
"
    );
    assert_eq!(asked, [format!("POST {DELIVERIES}?lockSeconds=30")]);
}

#[tokio::test]
async fn a_message_is_settled_at_once_or_by_its_token() {
    let expected = [
        ("complete", "DELETE", ""),
        ("reject", "POST", "/reject"),
        ("abandon", "POST", "/abandon"),
    ];
    for (how, verb, last) in expected {
        let settling = format!("{verb} {}{last}", path_of_token());
        let flag = format!("--{how}");
        let line = ["c2d", "receive", "-d", "d1", &flag, "-o", "json"];
        let (outcome, asked) = run(&line, vec![delivery(), settled()]).await;
        assert!(outcome.printed().contains(r#""messageId": "one""#));
        assert_eq!(asked, [format!("POST {DELIVERIES}"), settling.clone()]);
        let line = ["c2d", how, "-d", "d1", "--etag", TOKEN];
        let (outcome, asked) = run(&line, vec![settled()]).await;
        assert_eq!((outcome.printed().as_str(), asked), ("", vec![settling]));
    }
}

#[tokio::test]
async fn nothing_that_waits_is_said_and_a_lost_lock_too() {
    let line = ["c2d", "receive", "-d", "d1", "--complete"];
    let nothing = Exchange::json(200, &json!({}));
    let (outcome, asked) = run(&line, vec![nothing]).await;
    assert_eq!(outcome.printed(), "no message waits\n");
    assert_eq!(asked.len(), 1);
    let line = ["c2d", "complete", "-d", "d1", "--etag", TOKEN];
    let lost = Exchange::refusal(412, "DeviceMessageLockLost");
    let (outcome, _) = run(&line, vec![lost]).await;
    assert!(
        matches!(&outcome, Outcome::Failed(1, text) if text.contains("DeviceMessageLockLost")),
        "{outcome:?}"
    );
}
