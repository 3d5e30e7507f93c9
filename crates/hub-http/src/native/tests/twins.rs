//! Twins.

use serde_json::{Value, json};

use super::{Ask, ask, connect, refused, with_device};
use crate::testing::BEGINNING;

const TWIN: &str = "/hubs/hub/devices/d1/twin";

#[tokio::test]
async fn a_new_twin_is_the_initial_one() {
    let installation = with_device().await;
    let twin = ask(&installation, "GET", TWIN, Value::Null).await.ok();
    let section = json!({ "$metadata": { "$lastUpdated": "0001-01-01T00:00:00Z" }, "$version": 1 });
    let expected = json!({
        "deviceId": "d1", "etag": "AAAAAAAAAAE=", "version": 2, "status": "enabled",
        "connectionState": "Disconnected", "tags": {},
        "properties": { "desired": section, "reported": section },
    });
    assert_eq!(twin, expected);
}

#[tokio::test]
async fn a_patch_merges_and_null_removes() {
    let installation = with_device().await;
    let first =
        json!({ "tags": { "floor": 1 }, "properties": { "desired": { "a": 1, "b": { "c": 2 } } } });
    ask(&installation, "PATCH", TWIN, first).await.ok();
    let second = json!({ "properties": { "desired": { "a": null, "b": { "d": 3 } } } });
    let twin = ask(&installation, "PATCH", TWIN, second).await.ok();
    assert_eq!(twin["tags"], json!({ "floor": 1 }));
    let desired = &twin["properties"]["desired"];
    assert_eq!(
        (desired.get("a"), &desired["b"], &desired["$version"]),
        (None, &json!({ "c": 2, "d": 3 }), &json!(3))
    );
}

#[tokio::test]
async fn a_replacement_empties_what_it_leaves_out() {
    let installation = with_device().await;
    let first = json!({ "tags": { "floor": 1 }, "properties": { "desired": { "a": 1 } } });
    ask(&installation, "PATCH", TWIN, first).await.ok();
    let twin = ask(
        &installation,
        "PUT",
        TWIN,
        json!({ "properties": { "desired": { "b": 2 } } }),
    )
    .await
    .ok();
    assert_eq!(twin["tags"], json!({}));
    let desired = &twin["properties"]["desired"];
    assert_eq!((desired.get("a"), &desired["b"]), (None, &json!(2)));
}

#[tokio::test]
async fn what_was_read_can_be_sent_back() {
    let installation = with_device().await;
    let read = ask(&installation, "GET", TWIN, Value::Null).await.ok();
    let back =
        json!({ "tags": read["tags"], "properties": { "desired": read["properties"]["desired"] } });
    assert_eq!(ask(&installation, "PUT", TWIN, back).await.status, 200);
}

#[tokio::test]
async fn a_stale_etag_changes_nothing() {
    let installation = with_device().await;
    let change = r#"{"tags":{"a":1}}"#;
    for verb in ["PATCH", "PUT"] {
        let stale = Ask::admin(verb, TWIN)
            .guard("\"AAAAAAAAAAk=\"")
            .send(&installation, change)
            .await;
        assert_eq!(refused(&stale), "412 PreconditionFailed");
    }
    let right = Ask::admin("PATCH", TWIN)
        .guard("\"AAAAAAAAAAE=\"")
        .send(&installation, change)
        .await;
    assert_eq!(right.ok()["etag"], "AAAAAAAAAAI=");
    let any = Ask::admin("PATCH", TWIN)
        .guard("*")
        .send(&installation, change)
        .await;
    assert_eq!(any.status, 200);
}

#[tokio::test]
async fn what_the_device_reports_is_seen_and_modules_have_twins_of_their_own() {
    let installation = with_device().await;
    let session = connect(&installation, "d1/m1").await;
    let patch = json!({ "state": "on" }).as_object().unwrap().clone();
    session
        .patch_reported(BEGINNING, patch, None)
        .await
        .unwrap();
    let module = ask(
        &installation,
        "GET",
        "/hubs/hub/devices/d1/modules/m1/twin",
        Value::Null,
    )
    .await
    .ok();
    assert_eq!(module["properties"]["reported"]["state"], "on");
    assert_eq!(
        (&module["moduleId"], &module["connectionState"]),
        (&json!("m1"), &json!("Connected"))
    );
    let device = ask(&installation, "GET", TWIN, Value::Null).await.ok();
    assert_eq!(device["properties"]["reported"].get("state"), None);
    let patched = ask(
        &installation,
        "PATCH",
        "/hubs/hub/devices/d1/modules/m1/twin",
        json!({ "tags": { "a": 1 } }),
    )
    .await;
    assert_eq!(patched.ok()["tags"], json!({ "a": 1 }));
}

#[tokio::test]
async fn a_change_that_breaks_a_rule_is_refused() {
    let installation = with_device().await;
    for wrong in [
        json!({ "tags": { "a.b": 1 } }),
        json!({ "reported": {} }),
        json!({ "properties": { "reported": {} } }),
    ] {
        assert_eq!(
            refused(&ask(&installation, "PATCH", TWIN, wrong.clone()).await),
            "400 ArgumentInvalid",
            "{wrong}"
        );
    }
    let none = ask(
        &installation,
        "GET",
        "/hubs/hub/devices/none/twin",
        Value::Null,
    )
    .await;
    assert_eq!(refused(&none), "404 DeviceNotFound");
}
