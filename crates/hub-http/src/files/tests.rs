//! Uploads as a device makes them: begin, send, finish.

mod access;
mod blocks;

use axum::body::Body;
use hub_domain::SymmetricKey;
use serde_json::{Value, json};

use crate::compat::testing::{ask, register, token};
use crate::testing::{Answer, Installation};

const FILES: (&str, &str) = ("POST", "/devices/d1/files");
const NOTIFICATIONS: (&str, &str) = ("POST", "/devices/d1/files/notifications");
const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

/// A hub with the device `d1`.
struct World {
    hub: Installation,
    key: SymmetricKey,
}

impl World {
    async fn new() -> Self {
        let hub = Installation::new().await;
        let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
        Self { hub, key }
    }

    async fn ask(&self, request: (&str, &str), body: &str) -> Answer {
        ask(
            &self.hub,
            request,
            &token("d1", &self.key),
            &[],
            body.to_owned(),
        )
        .await
    }

    /// Begins an upload; the answer.
    async fn begin(&self, name: &str) -> Value {
        let body = json!({ "blobName": name }).to_string();
        self.ask(FILES, &body).await.ok()
    }

    /// Sends to the address of a begun upload, with more query.
    async fn put(
        &self,
        begun: &Value,
        more: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        self.send("PUT", &format!("{}{more}", target(begun)), headers, body)
            .await
    }

    async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = self.hub.request(method, target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.hub.send(request, body).await
    }

    async fn finish(&self, begun: &Value, is_success: bool) -> Answer {
        let body = json!({
            "correlationId": begun["correlationId"], "isSuccess": is_success,
            "statusCode": 200, "statusDescription": "done"
        });
        self.ask(NOTIFICATIONS, &body.to_string()).await
    }

    /// The content of a file, by the operator's way.
    async fn content(&self, name: &str) -> Option<String> {
        use futures_util::StreamExt as _;
        let ctx = hub_engine::OpContext {
            caller: hub_engine::Caller::Admin,
            request_id: "test".to_owned(),
            now: crate::testing::BEGINNING,
        };
        let name = hub_domain::upload::BlobName::parse(name).unwrap();
        let uploads = &self.hub.engine.uploads;
        let mut read = uploads.read(&ctx, self.hub.hub.no, name).await.ok()?;
        let mut whole = Vec::new();
        while let Some(part) = read.bytes.next().await {
            whole.extend_from_slice(&part.unwrap());
        }
        Some(String::from_utf8(whole).unwrap())
    }
}

/// Path and query as the recipes of the SDKs build them.
fn target(begun: &Value) -> String {
    let part = |name: &str| begun[name].as_str().unwrap().to_owned();
    format!(
        "/{}/{}{}",
        part("containerName"),
        part("blobName"),
        part("sasToken")
    )
}

/// The refusal of the storage face, checked to say the same in its header and body.
fn refused(answer: &Answer) -> String {
    let code = answer.header("x-ms-error-code");
    assert_eq!(answer.header("content-type"), "application/xml");
    assert!(answer.text().contains(&format!("<Code>{code}</Code>")));
    let id = answer.header("x-ms-request-id");
    assert!(answer.text().contains(&format!("RequestId:{id}")));
    format!("{} {code}", answer.status.as_u16())
}

#[tokio::test]
async fn a_file_is_begun_sent_whole_and_finished() {
    let world = World::new().await;
    let begun = world.begin("a/b.txt").await;
    assert_eq!(begun["hostName"], "hub.test");
    assert_eq!(begun["containerName"], "device-files");
    assert_eq!(begun["blobName"], "d1/a/b.txt");
    let headers = [
        BLOCK_BLOB,
        ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
        ("x-ms-version", "2025-01-05"),
        ("x-ms-client-request-id", "mine"),
        ("if-none-match", "*"),
    ];
    let sent = world.put(&begun, "", &headers, "hello").await;
    assert_eq!((sent.status.as_u16(), sent.text().as_str()), (201, ""));
    assert!(sent.header("etag").starts_with("\"0x"));
    assert!(sent.header("last-modified").ends_with(" GMT"));
    assert_eq!(sent.header("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    assert_eq!(sent.header("x-ms-version"), "2025-01-05");
    assert_eq!(sent.header("x-ms-client-request-id"), "mine");
    assert_eq!(world.content("d1/a/b.txt").await.as_deref(), Some("hello"));
    assert_eq!(world.finish(&begun, true).await.status, 204);
    // The ticket ends with the upload.
    let late = world.put(&begun, "", &[BLOCK_BLOB], "later").await;
    assert_eq!(refused(&late), "403 AuthenticationFailed");
    let again = world.finish(&begun, true).await;
    assert_eq!(again.refused(), "400 InvalidFileUploadCorrelationId");
}

#[tokio::test]
async fn nodes_notification_names_the_upload_in_the_path() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    world.put(&begun, "", &[BLOCK_BLOB], "x").await;
    let id = begun["correlationId"].as_str().unwrap();
    let path = format!("{}/{id}", NOTIFICATIONS.1);
    let body = r#"{"isSuccess":true,"statusCode":200,"statusDescription":"ok"}"#;
    assert_eq!(world.ask(("POST", &path), body).await.status, 204);
}

#[tokio::test]
async fn names_that_only_paths_make_difficult_are_sent_encoded_or_plain() {
    let world = World::new().await;
    for (name, encoded) in [
        ("\u{fc} 100%.txt", "d1/%C3%BC%20100%25.txt"),
        ("plain%41", "d1/plain%41"),
        ("a#b?c", "d1/a%23b%3Fc"),
    ] {
        let begun = world.begin(name).await;
        let ticket = begun["sasToken"].as_str().unwrap();
        let target = format!("/device-files/{encoded}{ticket}");
        let sent = world
            .send("PUT", &target, &[BLOCK_BLOB], name.to_owned())
            .await;
        assert_eq!(sent.status, 201, "{name}: {}", sent.text());
        let whole = format!("d1/{name}");
        assert_eq!(world.content(&whole).await.as_deref(), Some(name));
    }
}

#[tokio::test]
async fn a_finish_says_whether_there_is_a_file() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let early = world.finish(&begun, true).await;
    assert_eq!(early.refused(), "400 InvalidStorageEndpointOrBlob");
    let unsaid = json!({ "correlationId": begun["correlationId"] }).to_string();
    let unsaid = world.ask(NOTIFICATIONS, &unsaid).await;
    assert_eq!(unsaid.refused(), "400 InvalidFileUploadCompletionStatus");
    let unknown = r#"{"correlationId":"nobody's","isSuccess":true}"#;
    let unknown = world.ask(NOTIFICATIONS, unknown).await;
    assert_eq!(unknown.refused(), "400 InvalidFileUploadCorrelationId");
    assert_eq!(world.finish(&begun, false).await.status, 204);
    assert_eq!(world.content("d1/a").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_ticket_ends_after_an_hour_and_makes_room() {
    let world = World::new().await;
    let mut all = Vec::new();
    for number in 0..10 {
        all.push(world.begin(&format!("f{number}")).await);
    }
    let body = r#"{"blobName":"one more"}"#;
    let full = world.ask(FILES, body).await;
    assert_eq!(
        full.refused(),
        "403 DeviceMaximumActiveFileUploadLimitExceeded"
    );
    world.finish(&all[0], false).await;
    world.begin("one more").await;
    tokio::time::sleep(std::time::Duration::from_secs(3_601)).await;
    let late = world.put(&all[1], "", &[BLOCK_BLOB], "x").await;
    assert_eq!(refused(&late), "403 AuthenticationFailed");
    let late = world.finish(&all[1], true).await;
    assert_eq!(
        late.header("iothub-errorcode"),
        "ExpiredFileUploadCorrelationId"
    );
    world.begin("room again").await;
}

#[tokio::test]
async fn names_that_cannot_be_files_are_refused() {
    let world = World::new().await;
    for name in ["", "..", "a/../../d2/x", "a//b", "/a"] {
        let body = json!({ "blobName": name }).to_string();
        let answer = world.ask(FILES, &body).await;
        assert_eq!(answer.refused(), "400 ArgumentInvalid", "{name}");
    }
    assert_eq!(world.ask(FILES, "{}").await.refused(), "400 ArgumentNull");
    // The C client ends the path with a slash.
    let answer = world
        .ask(("POST", "/devices/d1/files/"), r#"{"blobName":"a"}"#)
        .await;
    answer.ok();
}

#[tokio::test]
async fn checks_that_the_client_asks_for_are_made() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let cases: [(&[(&str, &str)], &str); 9] = [
        (&[], "400 MissingRequiredHeader"),
        (&[("x-ms-blob-type", "PageBlob")], "400 InvalidHeaderValue"),
        (
            &[BLOCK_BLOB, ("content-md5", "AAAAAAAAAAAAAAAAAAAAAA==")],
            "400 Md5Mismatch",
        ),
        (
            &[
                BLOCK_BLOB,
                ("x-ms-blob-content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ],
            "400 Md5Mismatch",
        ),
        (&[BLOCK_BLOB, ("content-md5", "AAAA")], "400 InvalidMd5"),
        (
            &[BLOCK_BLOB, ("if-match", "\"0x1\"")],
            "412 ConditionNotMet",
        ),
        (&[BLOCK_BLOB, ("if-match", "*")], "412 ConditionNotMet"),
        (
            &[BLOCK_BLOB, ("if-match", "*"), ("if-none-match", "*")],
            "400 MultipleConditionHeadersNotSupported",
        ),
        (
            &[BLOCK_BLOB, ("x-ms-lease-id", "x")],
            "400 UnsupportedHeader",
        ),
    ];
    for (headers, expected) in cases {
        let answer = world.put(&begun, "", headers, "hello").await;
        assert_eq!(refused(&answer), expected, "{headers:?}");
        assert_eq!(world.content("d1/a").await, None, "{headers:?}");
    }
    let first = world.put(&begun, "", &[BLOCK_BLOB], "one").await;
    let kept = world
        .put(&begun, "", &[BLOCK_BLOB, ("if-none-match", "*")], "two")
        .await;
    assert_eq!(refused(&kept), "409 BlobAlreadyExists");
    let etag = first.header("etag").to_owned();
    let same = world
        .put(&begun, "", &[BLOCK_BLOB, ("if-match", &etag)], "three")
        .await;
    assert_eq!(same.status, 201);
    let stale = world
        .put(&begun, "", &[BLOCK_BLOB, ("if-match", &etag)], "four")
        .await;
    assert_eq!(refused(&stale), "412 ConditionNotMet");
    assert_eq!(world.content("d1/a").await.as_deref(), Some("three"));
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let parts = [
        Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"half of a ")),
        Err(std::io::Error::other("cut")),
    ];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let answer = world.put(&begun, "", &[BLOCK_BLOB], body).await;
    assert_eq!(refused(&answer), "400 IncompleteBody");
    assert_eq!(world.content("d1/a").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_given_up() {
    let world = World::new().await;
    let begun = world.begin("a").await;
    let body = Body::from_stream(futures_util::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let answer = world.put(&begun, "", &[BLOCK_BLOB], body).await;
    assert_eq!(refused(&answer), "500 OperationTimedOut");
}
