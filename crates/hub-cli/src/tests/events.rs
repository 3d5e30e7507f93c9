//! `events watch`.

use serde_json::{Value, json};

use super::script::Exchange;
use super::{Outcome, run};

fn event(offset: u64, encoding: &str, body: Value) -> Value {
    json!({
        "source": "Telemetry", "deviceId": "d1", "moduleId": "m1", "partition": 2, "offset": offset.to_string(),
        "sequenceNumber": offset, "enqueuedTime": "2026-01-31T12:00:00.1234560Z", "systemProperties": {},
        "properties": { "level": "high" }, "annotations": {}, "bodyEncoding": encoding, "body": body,
    })
}

fn stream(lines: &[Value]) -> Exchange {
    let text: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
    Exchange::text(200, &text)
}

#[tokio::test]
async fn events_are_lines_for_people() {
    let lines = [
        event(7, "json", json!({ "t": 21.5 })),
        event(8, "base64", json!("aGVsbG8bWzJK")),
        event(9, "base64", json!("/wA=")),
        json!({ "notice": "behindRetention", "partition": 2, "expectedOffset": "10", "resumedOffset": "20" }),
    ];
    let line = [
        "events",
        "watch",
        "--from",
        "start",
        "--no-follow",
        "--device-id",
        "d1",
        "--partition",
        "2",
    ];
    let (outcome, asked) = run(&line, vec![stream(&lines)]).await;
    assert_eq!(
        asked,
        [
            "GET /api/v1/hubs/hub/events?source=Telemetry&from=start&partition=2&device=d1&follow=false"
        ]
    );
    assert_eq!(
        outcome.printed(),
        "\
2026-01-31T12:00:00.123Z  d1/m1  2#7  {\"t\":21.5}  level=high
2026-01-31T12:00:00.123Z  d1/m1  2#8  hello\\u{1b}[2J  level=high
2026-01-31T12:00:00.123Z  d1/m1  2#9  (2 bytes, base64 /wA=)  level=high
! events 10 up to 20 of partition 2 are gone: retention removed them before they were read
"
    );
}

#[tokio::test]
async fn programs_get_every_line_as_it_came() {
    let text = r#"{"source":"Telemetry","deviceId":"d1","offset":"0","sequenceNumber":0,"enqueuedTime":"2026-01-31T12:00:00Z","systemProperties":{},"properties":{},"annotations":{},"bodyEncoding":"json","body":{"z":1.50,"a":2}}"#;
    let line = ["events", "watch", "-o", "json", "--max", "1"];
    let (outcome, asked) = run(&line, vec![Exchange::text(200, &format!("\n{text}\n"))]).await;
    assert_eq!(
        asked,
        ["GET /api/v1/hubs/hub/events?source=Telemetry&from=end&follow=true&max=1"]
    );
    assert_eq!(outcome.printed(), format!("{text}\n"));
}

#[tokio::test]
async fn facts_are_shown_with_what_was_done() {
    let mut fact = event(12, "json", json!({ "version": 3 }));
    fact["source"] = json!("twinChangeEvents");
    fact.as_object_mut().unwrap().remove("partition");
    fact["properties"] = json!({ "opType": "updateTwin", "hubName": "hub" });
    let (outcome, _) = run(
        &[
            "events",
            "watch",
            "--source",
            "twinchangeevents",
            "--no-follow",
        ],
        vec![stream(&[fact])],
    )
    .await;
    assert_eq!(
        outcome.printed(),
        "2026-01-31T12:00:00.123Z  d1/m1  #12  {\"version\":3}  updateTwin\n"
    );
}

#[tokio::test]
async fn a_stream_that_ends_by_itself_is_a_failure() {
    let (outcome, _) = run(&["events", "watch"], vec![stream(&[])]).await;
    assert_eq!(
        outcome,
        Outcome::Failed(
            1,
            "error: the stream ended: the server stopped\nhint: run the command again once the server is back\n".to_owned()
        )
    );
    let (outcome, _) = run(
        &["events", "watch"],
        vec![stream(&[json!({ "notice": "tokenExpired" })])],
    )
    .await;
    assert!(
        matches!(outcome, Outcome::Failed(1, text) if text.contains("error: the token that opened the stream expired"))
    );
}
