//! The event stream of messages.

use std::time::Duration;

use hub_domain::Timestamp;
use hub_domain::partition::partition_of;
use hub_domain::sas::sign_token;
use hub_engine::RecordFlags;
use hub_engine::sessions::{Session, TelemetryBatch};
use serde_json::{Value, json};

use super::{Ask, Stream, ask, connect, refused, with_device};
use crate::testing::BEGINNING;

async fn send_at(session: &Session, at: Timestamp, messages: &[(&str, &str)]) {
    let mut batch = TelemetryBatch::new();
    for (bag, body) in messages {
        batch.push(RecordFlags::default(), bag.as_bytes(), body.as_bytes());
    }
    session.send_telemetry(at, &mut batch).await.unwrap();
}

async fn send(session: &Session, messages: &[(&str, &str)]) {
    send_at(session, BEGINNING, messages).await;
}

fn bodies(lines: &[Value]) -> Vec<String> {
    use base64::Engine as _;
    let text = |line: &Value| {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(line["body"].as_str().unwrap())
            .unwrap();
        String::from_utf8(bytes).unwrap()
    };
    lines.iter().map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_shown_with_everything_that_is_known_of_it() {
    let installation = with_device().await;
    let session = connect(&installation, "d1/m1").await;
    let bag = "%24.mid=id%201&%24.cid=c&%24.ct=application%2Fjson&%24.ce=utf-8&%24.ctime=2026-01-01&%24.later=x&a=1&b";
    send(&session, &[(bag, r#"{"z":1.50,"a":[]}"#)]).await;
    let mut stream = Stream::of_admin(&installation, "from=start").await;
    let text = stream.next().await.unwrap();
    assert!(
        text.ends_with(r#""body":{"z":1.50,"a":[]}}"#),
        "a JSON body stands as it came: {text}"
    );
    let event: Value = serde_json::from_str(&text).unwrap();
    let partition = partition_of("d1", 4);
    let device = ask(
        &installation,
        "GET",
        "/hubs/hub/devices/d1/modules/m1",
        Value::Null,
    )
    .await
    .ok();
    let time = BEGINNING.to_rfc3339();
    assert_eq!(
        event["annotations"]["iothub-connection-auth-method"]
            .as_str()
            .map(str::is_empty),
        Some(false)
    );
    let mut event = event;
    event["annotations"]
        .as_object_mut()
        .unwrap()
        .remove("iothub-connection-auth-method");
    let expected = json!({
        "source": "Telemetry", "deviceId": "d1", "moduleId": "m1", "partition": partition, "offset": "0",
        "sequenceNumber": 0, "enqueuedTime": time,
        "systemProperties": {
            "message-id": "id 1", "correlation-id": "c", "content-type": "application/json",
            "content-encoding": "utf-8", "$.later": "x",
        },
        "properties": { "a": "1", "b": "", "iothub-creation-time-utc": "2026-01-01" },
        "annotations": {
            "iothub-connection-device-id": "d1", "iothub-connection-module-id": "m1",
            "iothub-connection-auth-generation-id": device["generationId"],
            "iothub-enqueuedtime": time, "iothub-message-source": "Telemetry", "x-opt-enqueued-time": time,
            "x-opt-offset": "0", "x-opt-sequence-number": 0,
        },
        "bodyEncoding": "json", "body": { "z": 1.5, "a": [] },
    });
    assert_eq!(event, expected);
}

#[tokio::test(start_paused = true)]
async fn flags_of_the_protocol_are_properties() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    let mut batch = TelemetryBatch::new();
    batch.push(RecordFlags::RETAIN.with(RecordFlags::WILL), b"", b"gone");
    session.send_telemetry(BEGINNING, &mut batch).await.unwrap();
    let event = Stream::of_admin(&installation, "from=start")
        .await
        .json()
        .await;
    assert_eq!(
        event["properties"],
        json!({ "mqtt-retain": "true", "iothub-MessageType": "Will" })
    );
    assert_eq!(
        (&event["bodyEncoding"], &event["body"]),
        (&json!("base64"), &json!("Z29uZQ=="))
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_where_it_is_told() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    let later = BEGINNING.plus(Duration::from_secs(10));
    send(&session, &[("", "0"), ("", "1")]).await;
    send_at(&session, later, &[("", "2"), ("", "3")]).await;
    let partition = partition_of("d1", 4);
    let time: String = percent_encoding::utf8_percent_encode(
        &later.to_rfc3339(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .collect();
    let cases = [
        ("from=start".to_owned(), "0123"),
        ("from=end".to_owned(), ""),
        (String::new(), ""),
        (format!("from=offset:1&partition={partition}"), "123"),
        (format!("from=offset:9&partition={partition}"), ""),
        (format!("from=time:{time}"), "23"),
        ("from=start&max=3".to_owned(), "012"),
        ("from=start&device=d1".to_owned(), "0123"),
        ("from=start&device=d1&source=telemetry".to_owned(), "0123"),
        (format!("from=start&partition={}", (partition + 1) % 4), ""),
    ];
    for (query, expected) in cases {
        let lines = Stream::of_admin(&installation, &format!("{query}&follow=false"))
            .await
            .rest()
            .await;
        assert_eq!(bodies(&lines).concat(), expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_one_device_leaves_the_others_out() {
    let installation = with_device().await;
    let same_partition = (2..)
        .map(|n| format!("d{n}"))
        .find(|id| partition_of(id, 4) == partition_of("d1", 4))
        .unwrap();
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": same_partition }),
    )
    .await;
    let (one, two) = (
        connect(&installation, "d1").await,
        connect(&installation, &same_partition).await,
    );
    send(&one, &[("", "mine")]).await;
    send(&two, &[("", "other")]).await;
    let lines = Stream::of_admin(&installation, "from=start&device=d1&follow=false")
        .await
        .rest()
        .await;
    assert_eq!(bodies(&lines), ["mine"]);
}

#[tokio::test(start_paused = true)]
async fn a_follower_gets_what_is_committed_after_its_answer_began() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    send(&session, &[("", "before")]).await;
    let mut stream = Stream::of_admin(&installation, "").await;
    send(&session, &[("", "after")]).await;
    assert_eq!(bodies(&[stream.json().await]), ["after"]);
    let waiting = stream.json();
    let sending = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        send(&session, &[("", "much later")]).await;
    };
    let (line, ()) = tokio::join!(waiting, sending);
    assert_eq!(bodies(&[line]), ["much later"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_gives_signs_of_life() {
    let installation = with_device().await;
    let mut stream = Stream::of_admin(&installation, "").await;
    let start = tokio::time::Instant::now();
    assert_eq!(stream.next().await.as_deref(), Some(""));
    assert_eq!(stream.next().await.as_deref(), Some(""));
    assert_eq!(start.elapsed(), Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn a_long_log_is_read_in_order_and_whole() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    let numbers: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let messages: Vec<(&str, &str)> = numbers.iter().map(|n| ("", n.as_str())).collect();
    send(&session, &messages).await;
    let lines = Stream::of_admin(&installation, "from=start&follow=false")
        .await
        .rest()
        .await;
    assert_eq!(bodies(&lines), numbers);
}

#[tokio::test(start_paused = true)]
async fn a_chunk_is_bounded_however_much_there_is() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    let body = "x".repeat(16 * 1024);
    for _ in 0..16 {
        send(&session, &[("", body.as_str()); 16]).await;
    }
    let mut stream = Stream::of_admin(&installation, "from=start&follow=false").await;
    let (mut chunks, mut bytes) = (0, 0);
    while let Some(frame) = http_body_util::BodyExt::frame(&mut stream.body).await {
        let chunk = frame.unwrap().into_data().unwrap();
        assert!(chunk.len() < 512 * 1024, "{}", chunk.len());
        chunks += 1;
        bytes += chunk.len();
    }
    assert!(
        bytes > 256 * 16 * 1024 && chunks > 8,
        "{bytes} bytes in {chunks} chunks"
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_behind_the_retention_is_told_what_it_missed() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    send(&session, &[("", "0"), ("", "1"), ("", "2")]).await;
    let partition = partition_of("d1", 4);
    let mut follower = Stream::of_admin(
        &installation,
        &format!("from=offset:0&partition={partition}&max=2"),
    )
    .await;
    assert_eq!(bodies(&[follower.json().await]), ["0"]);
    let days = Duration::from_secs(3 * 24 * 3600);
    tokio::time::advance(days).await;
    send_at(&session, BEGINNING.plus(days), &[("", "3")]).await;
    let chores = installation
        .engine
        .run(tokio::time::sleep(Duration::from_secs(90)));
    chores.await.unwrap();
    let lines = Stream::of_admin(
        &installation,
        &format!("from=offset:1&partition={partition}&follow=false"),
    )
    .await
    .rest()
    .await;
    let expected = json!({
        "notice": "behindRetention", "partition": partition, "expectedOffset": "1", "resumedOffset": "3",
    });
    assert_eq!(
        (lines.len(), &lines[0], &lines[1]["offset"]),
        (2, &expected, &json!("3"))
    );
    let whole = Stream::of_admin(&installation, "from=start&follow=false")
        .await
        .rest()
        .await;
    assert_eq!(
        bodies(&whole),
        ["3"],
        "from the start there is nothing to miss"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let installation = with_device().await;
    let key = &installation.hub.policy("service").unwrap().primary;
    let token = sign_token(
        "hub.test",
        key,
        BEGINNING.plus(Duration::from_secs(15)),
        Some("service"),
    );
    let stream = Stream::open(&installation, "", &token).await;
    let mut stream = stream;
    let mut last = None;
    while let Some(line) = stream.next().await {
        last = Some(line);
    }
    assert_eq!(last.as_deref(), Some(r#"{"notice":"tokenExpired"}"#));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_cannot_be_meant_is_refused() {
    let installation = with_device().await;
    let other = (partition_of("d1", 4) + 1) % 4;
    let cases = [
        ("source=all".to_owned(), "400 ArgumentInvalid"),
        ("from=yesterday".to_owned(), "400 ArgumentInvalid"),
        ("from=offset:1".to_owned(), "400 ArgumentInvalid"),
        ("partition=4".to_owned(), "404 GenericNotFound"),
        ("partition=-1".to_owned(), "400 ArgumentInvalid"),
        (
            format!("device=d1&partition={other}"),
            "400 ArgumentInvalid",
        ),
        ("device=a%20b".to_owned(), "400 ArgumentInvalid"),
        ("max=0".to_owned(), "400 ArgumentInvalid"),
        ("follow=maybe".to_owned(), "400 ArgumentInvalid"),
        ("since=start".to_owned(), "400 ArgumentInvalid"),
        ("from=start&from=end".to_owned(), "400 ArgumentInvalid"),
        (
            "source=twinChangeEvents&partition=0".to_owned(),
            "400 ArgumentInvalid",
        ),
    ];
    for (query, expected) in cases {
        let answer = Ask::admin("GET", &format!("/hubs/hub/events?{query}"))
            .send(&installation, "")
            .await;
        assert_eq!(refused(&answer), expected, "{query}");
    }
}
