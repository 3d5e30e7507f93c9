//! Telemetry over HTTPS.

use hub_domain::message::decode_telemetry_properties;
use hub_engine::{Caller, OpContext, Position, ReadLimit};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{ask, register, token};
use crate::testing::{Answer, BEGINNING, Installation};

const EVENTS: (&str, &str) = ("POST", "/devices/d1/messages/events");
const BATCH: (&str, &str) = ("content-type", "application/vnd.microsoft.iothub.json");

/// Everything in the hub's log, a line per message: source, sorted properties, body.
async fn log(hub: &Installation) -> Vec<String> {
    let ctx = OpContext {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    };
    let limit = ReadLimit {
        records: 1_000,
        bytes: 10_000_000,
    };
    let mut lines = Vec::new();
    for partition in 0..hub.hub.partition_count {
        let records = hub
            .engine
            .events
            .telemetry(&ctx, hub.hub.no, partition, Position::Start, limit)
            .await
            .unwrap();
        for record in records {
            let properties = decode_telemetry_properties(&record.bag).unwrap();
            let pairs: Vec<_> = properties
                .system
                .iter()
                .chain(&properties.application)
                .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("(none)")))
                .collect();
            lines.push(format!(
                "{}/{} {} {}",
                record.source.device,
                record.source.module,
                pairs.join("&"),
                String::from_utf8_lossy(&record.body)
            ));
        }
    }
    lines
}

async fn send(
    hub: &Installation,
    token: &str,
    headers: &[(&str, &str)],
    body: impl Into<axum::body::Body>,
) -> Answer {
    ask(hub, EVENTS, token, headers, body).await
}

#[tokio::test]
async fn a_message_keeps_its_body_and_every_kind_of_property() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let headers = [
        ("iothub-to", "/devices/d1/messages/events"),
        ("IoTHub-MessageId", "m-1"),
        ("iothub-correlationid", "c"),
        ("iothub-userid", "u"),
        ("iothub-contenttype", "application/json"),
        ("iothub-contentencoding", "utf-8"),
        ("iothub-creation-time-utc", "2026-01-31T12:00:00Z"),
        ("iothub-interface-id", "urn:x"),
        ("dt-subject", "thermostat"),
        ("iothub-connection-device-id", "somebody-else"),
        ("iothub-app-level", "a b&c=d"),
        ("iothub-app-empty", ""),
        ("user-agent", "test"),
    ];
    let answer = send(&hub, &token("d1", &key), &headers, "{\"a\":1}").await;
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (204, ""));
    assert_eq!(
        log(&hub).await,
        [
            "d1/ $.ce=utf-8&$.cid=c&$.ct=application/json&$.ctime=2026-01-31T12:00:00Z&$.ifid=urn:x&$.mid=m-1\
             &$.sub=thermostat&$.uid=u&empty=&level=a b&c=d {\"a\":1}"
        ]
    );
}

#[tokio::test]
async fn modules_send_in_their_own_name_and_bodies_may_be_empty() {
    let hub = Installation::new().await;
    register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let module = r#"{"deviceId":"d1","moduleId":"m 1"}"#;
    let refused = hub.owner("PUT", "/devices/d1/modules/m%201", module).await;
    assert_eq!(refused.refused(), "400 ArgumentInvalid");
    let module = r#"{"deviceId":"d1","moduleId":"m#1"}"#;
    let key = register(&hub, "d1/modules/m%231", module).await;
    let answer = ask(
        &hub,
        ("POST", "/devices/d1/modules/m%231/messages/events/"),
        &token("d1/modules/m#1", &key),
        &[("iothub-outputname", "out")],
        "",
    )
    .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(log(&hub).await, ["d1/m#1 $.on=out "]);
}

#[tokio::test]
async fn a_batch_is_kept_in_its_order_or_not_at_all() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let token = token("d1", &key);
    let body = r#"[{"body":"b25l","properties":{"iothub-app-n":"1","iothub-messageid":"x"}},
                   {"body":"two","base64Encoded":false},{"body":""}]"#;
    let answer = send(&hub, &token, &[BATCH], body).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    assert_eq!(
        log(&hub).await,
        ["d1/ $.mid=x&n=1 one", "d1/  two", "d1/  "]
    );
    assert_eq!(send(&hub, &token, &[BATCH], "[]").await.status, 204);
    for (body, refusal) in [
        (
            "[{\"body\":\"b25l\"},{\"body\":\"%\"}]",
            "400 ArgumentInvalid",
        ),
        ("{\"body\":\"b25l\"}", "400 DeserializationError"),
        ("nonsense", "400 DeserializationError"),
        ("[{}]", "400 ArgumentNull"),
    ] {
        assert_eq!(
            send(&hub, &token, &[BATCH], body).await.refused(),
            refusal,
            "{body}"
        );
    }
    assert_eq!(log(&hub).await.len(), 3);
}

#[tokio::test]
async fn the_size_is_counted_as_documented_up_to_its_last_byte() {
    const MAX: usize = 256 * 1024;
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let token = token("d1", &key);
    let headers = [("iothub-app-key", "value"), ("iothub-messageid", "id")];
    let rest = "key".len() + "value".len() + "id".len();
    let fits = "x".repeat(MAX - rest);
    assert_eq!(send(&hub, &token, &headers, fits.clone()).await.status, 204);
    let over = format!("{fits}y");
    let refused = send(&hub, &token, &headers, over).await.refused();
    assert_eq!(refused, "413 MessageTooLarge");
    let batch = |bytes: usize| {
        let half = "x".repeat(MAX / 2);
        let rest = "y".repeat(bytes - MAX / 2);
        format!(
            r#"[{{"body":"{half}","base64Encoded":false}},{{"body":"{rest}","base64Encoded":false}}]"#
        )
    };
    assert_eq!(send(&hub, &token, &[BATCH], batch(MAX)).await.status, 204);
    let refused = send(&hub, &token, &[BATCH], batch(MAX + 1)).await.refused();
    assert_eq!(refused, "413 MessageTooLarge");
}

#[tokio::test]
async fn bad_headers_and_versions_are_told() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let token = token("d1", &key);
    let refused = send(&hub, &token, &[("iothub-app-$.mid", "x")], "").await;
    assert_eq!(refused.refused(), "400 ArgumentInvalid");
    let odd = http::HeaderValue::from_bytes(b"\xff").unwrap();
    let request = hub
        .request("POST", EVENTS.1)
        .header("authorization", &token);
    let refused = hub.send(request.header("iothub-app-a", odd), "").await;
    assert_eq!(refused.refused(), "400 ArgumentInvalid");
    let refused = ask(
        &hub,
        ("POST", "/devices/d1/messages/events?x=1"),
        &token,
        &[],
        "",
    )
    .await;
    assert_eq!(refused.refused(), "400 InvalidProtocolVersion");
    let refused = ask(&hub, ("GET", EVENTS.1), &token, &[], "").await;
    assert_eq!(refused.refused(), "405 GenericMethodNotAllowed");
    assert_eq!(refused.header("allow"), "POST");
    assert!(log(&hub).await.is_empty());
}

#[tokio::test]
async fn property_names_keep_their_case() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let (mut near, far) = tokio::io::duplex(65536);
    let service = hub.service.clone();
    let served = tokio::spawn(async move {
        let peer = "127.0.0.1:1".parse().unwrap();
        let client = crate::Client::new(peer);
        service.serve(far, client, std::future::pending()).await;
    });
    let request = format!(
        "POST /devices/d1/messages/events?api-version=2021-04-12 HTTP/1.1\r\nHost: hub.test\r\nAuthorization: {}\r\n\
         iothub-app-fillLevel: 7\r\nIoTHub-App-Other: 8\r\niothub-app-low: 9\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
        token("d1", &key)
    );
    near.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    served.await.unwrap();
    assert_eq!(log(&hub).await, ["d1/ Other=8&fillLevel=7&low=9 x"]);
}

#[tokio::test]
async fn what_a_device_sends_is_its_last_activity_and_no_connection() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    assert_eq!(send(&hub, &token("d1", &key), &[], "x").await.status, 204);
    let device = hub.owner("GET", "/devices/d1", "").await.ok();
    assert_eq!(device["connectionState"], "Disconnected");
    let time = device["lastActivityTime"].as_str().unwrap();
    assert!(time.starts_with("2026-01-31T12:00:0"), "{time}");
}
