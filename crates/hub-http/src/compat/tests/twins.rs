//! Twins of devices and modules.

use serde_json::{Value, json};

use crate::testing::Installation;

async fn hub_with_device() -> Installation {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    hub.owner("PUT", "/devices/d1/modules/m1", "{}").await.ok();
    hub
}

#[tokio::test]
async fn a_new_twin_is_empty_at_version_two() {
    let hub = hub_with_device().await;
    for path in ["/twins/d1", "/twins/d1/modules/m1"] {
        let answer = hub.owner("GET", path, "").await;
        let twin = answer.ok();
        assert_eq!(answer.header("etag"), "\"AAAAAAAAAAE=\"");
        assert_eq!(
            (&twin["version"], &twin["etag"]),
            (&json!(2), &json!("AAAAAAAAAAE="))
        );
        assert_eq!(twin["properties"]["desired"]["$version"], 1);
        assert_eq!(
            twin["properties"]["reported"]["$metadata"]["$lastUpdated"],
            "0001-01-01T00:00:00Z"
        );
    }
    assert_eq!(
        hub.owner("GET", "/twins/d2", "").await.refused(),
        "404 DeviceNotFound"
    );
    assert_eq!(
        hub.owner("GET", "/twins/d1/modules/m2", "").await.refused(),
        "404 ModuleNotFound"
    );
}

#[tokio::test]
async fn a_patch_merges_and_null_removes() {
    let hub = hub_with_device().await;
    let patch = |body: Value| {
        let hub = &hub;
        async move {
            hub.guarded("PATCH", "/twins/d1", "\"*\"", &body.to_string())
                .await
                .ok()
        }
    };
    patch(json!({"tags": {"a": 1, "b": 2}, "properties": {"desired": {"x": {"y": 1, "z": 2}}}}))
        .await;
    let twin = patch(
        json!({"tags": {"a": null}, "properties": {"desired": {"x": {"y": null, "w": [1, null]}}}}),
    )
    .await;
    assert_eq!(twin["tags"], json!({"b": 2}));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (&desired["x"], &desired["$version"]),
        (&json!({"z": 2, "w": [1, null]}), &json!(3))
    );
    assert_eq!(desired["$metadata"]["x"]["w"]["$lastUpdatedVersion"], 3);
    assert_eq!(desired["$metadata"]["x"]["z"]["$lastUpdatedVersion"], 2);
    assert!(
        desired["$metadata"]["$lastUpdated"]
            .as_str()
            .unwrap()
            .starts_with("2026-01-31T12:00:00.")
    );
    assert_eq!(
        (&twin["version"], &twin["etag"]),
        (&json!(4), &json!("AAAAAAAAAAM="))
    );
}

#[tokio::test]
async fn a_put_replaces_tags_and_desired() {
    let hub = hub_with_device().await;
    let path = "/twins/d1/modules/m1";
    let first = json!({"tags": {"a": 1}, "properties": {"desired": {"x": 1, "y": 2}}}).to_string();
    hub.owner("PATCH", path, &first).await.ok();
    let twin = hub
        .owner("PUT", path, r#"{"properties":{"desired":{"y":3}}}"#)
        .await
        .ok();
    assert_eq!(twin["tags"], json!({}));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (&desired["y"], desired.get("x"), &desired["$version"]),
        (&json!(3), None, &json!(3))
    );
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let hub = hub_with_device().await;
    let body = r#"{"tags":{"a":1}}"#;
    let etag = hub
        .guarded("PATCH", "/twins/d1", "\"AAAAAAAAAAE=\"", body)
        .await
        .ok()["etag"]
        .clone();
    for method in ["PATCH", "PUT"] {
        let stale = hub
            .guarded(
                method,
                "/twins/d1",
                "\"AAAAAAAAAAE=\"",
                r#"{"tags":{"a":2}}"#,
            )
            .await;
        assert_eq!(stale.refused(), "412 PreconditionFailed");
    }
    let twin = hub.owner("GET", "/twins/d1", "").await.ok();
    assert_eq!((&twin["tags"], &twin["etag"]), (&json!({"a": 1}), &etag));
    assert_eq!(
        hub.guarded("PATCH", "/twins/d2", "*", body).await.refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn a_twin_read_and_sent_back_whole_is_accepted() {
    let hub = hub_with_device().await;
    let patch = json!({"tags": {"a": 1}, "properties": {"desired": {"x": {"y": 1}}}}).to_string();
    let before = hub.owner("PATCH", "/twins/d1", &patch).await.ok();
    let etag = format!("\"{}\"", before["etag"].as_str().unwrap());
    let after = hub
        .guarded("PATCH", "/twins/d1", &etag, &before.to_string())
        .await
        .ok();
    assert_eq!(after["tags"], before["tags"]);
    assert_eq!(
        after["properties"]["desired"]["x"],
        before["properties"]["desired"]["x"]
    );
    let etag = format!("\"{}\"", after["etag"].as_str().unwrap());
    let replaced = hub
        .guarded("PUT", "/twins/d1", &etag, &after.to_string())
        .await
        .ok();
    assert_eq!(replaced["tags"], before["tags"]);
    assert_eq!(
        replaced["properties"]["desired"]["x"],
        before["properties"]["desired"]["x"]
    );
}

#[tokio::test]
async fn what_breaks_a_twin_rule_is_named_and_changes_nothing() {
    let hub = hub_with_device().await;
    let mut deep = json!(1);
    for _ in 0..12 {
        deep = json!({ "k": deep });
    }
    for (body, part) in [
        (json!({"tags": {"a.b": 1}}), "tags.a.b"),
        (
            json!({"properties": {"desired": {"$x": 1}}}),
            "properties.desired.$x",
        ),
        (
            json!({"properties": {"desired": {"n": 9_007_199_254_740_993_i64}}}),
            "properties.desired.n",
        ),
        (json!({"tags": {"s": "x".repeat(5000)}}), "tags.s"),
        (json!({"tags": {"deep": deep}}), "nested deeper"),
        (
            json!({"tags": {"a": "x".repeat(4000), "b": "x".repeat(4000), "c": "x".repeat(400)}}),
            "tags would have",
        ),
    ] {
        let answer = hub.owner("PATCH", "/twins/d1", &body.to_string()).await;
        let refusal = answer.refusal();
        assert!(
            refusal.starts_with("400 ArgumentInvalid: ") && refusal.contains(part),
            "{refusal}"
        );
    }
    assert_eq!(hub.owner("GET", "/twins/d1", "").await.ok()["version"], 2);
}

#[tokio::test]
async fn a_status_change_shows_in_the_twin() {
    let hub = hub_with_device().await;
    hub.guarded(
        "PUT",
        "/devices/d1",
        "*",
        r#"{"status":"disabled","statusReason":"lost"}"#,
    )
    .await
    .ok();
    let twin = hub.owner("GET", "/twins/d1", "").await.ok();
    assert_eq!(
        (&twin["status"], &twin["statusReason"]),
        (&json!("disabled"), &json!("lost"))
    );
    assert!(
        twin["statusUpdateTime"]
            .as_str()
            .unwrap()
            .starts_with("2026-01-31T12:00:00.")
    );
}
