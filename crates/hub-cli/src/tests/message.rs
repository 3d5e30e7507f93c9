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
