//! Rolling the keys of devices and modules.

use serde_json::{Value, json};

use super::{Ask, ask, connect, refused, with_device};
use crate::testing::Installation;

const DEVICE: &str = "/hubs/hub/devices/d1";
const MODULE: &str = "/hubs/hub/devices/d1/modules/m1";

async fn keys(installation: &Installation, path: &str) -> (String, String) {
    let identity = ask(installation, "GET", path, Value::Null).await.ok();
    keys_of(&identity)
}

fn keys_of(identity: &Value) -> (String, String) {
    let key = |which: &str| {
        let key = &identity["authentication"]["symmetricKey"][which];
        key.as_str().unwrap().to_owned()
    };
    (key("primaryKey"), key("secondaryKey"))
}

async fn roll(installation: &Installation, path: &str, slot: &str) -> (String, String) {
    let path = format!("{path}/rollKeys");
    let answer = ask(installation, "POST", &path, json!({ "slot": slot })).await;
    keys_of(&answer.ok())
}

#[tokio::test]
async fn one_key_becomes_new_while_the_other_stays() {
    let installation = with_device().await;
    for path in [DEVICE, MODULE] {
        let (first, second) = keys(&installation, path).await;
        let after = roll(&installation, path, "secondary").await;
        assert!(after.0 == first && after.1 != second, "{path}");
        let (first, second) = after;
        let swapped = roll(&installation, path, "swap").await;
        assert_eq!(swapped, (second.clone(), first.clone()), "{path}");
        let after = roll(&installation, path, "primary").await;
        assert!(after.0 != second && after.1 == first, "{path}");
        let both = roll(&installation, path, "both").await;
        assert!(both.0 != after.0 && both.1 != after.1, "{path}");
        assert_eq!(keys(&installation, path).await, both, "it is kept");
    }
}

#[tokio::test]
async fn an_etag_guards_it() {
    let installation = with_device().await;
    for path in [DEVICE, MODULE] {
        let etag = ask(&installation, "GET", path, Value::Null).await.ok()["etag"].clone();
        let before = keys(&installation, path).await;
        let (roll, slot) = (format!("{path}/rollKeys"), r#"{"slot":"both"}"#);
        let stale = Ask::admin("POST", &roll).guard("\"c3RhbGU=\"");
        let stale = stale.send(&installation, slot).await;
        assert_eq!(refused(&stale), "412 PreconditionFailed", "{path}");
        assert_eq!(keys(&installation, path).await, before, "{path}");
        let guard = format!("\"{}\"", etag.as_str().unwrap());
        let done = Ask::admin("POST", &roll).guard(&guard);
        let done = done.send(&installation, slot).await.ok();
        assert_ne!(done["etag"], etag);
    }
}

#[tokio::test]
async fn who_cannot_be_rolled_is_told_why() {
    let installation = with_device().await;
    let certified =
        json!({ "deviceId": "d2", "authentication": { "type": "certificateAuthority" } });
    ask(&installation, "POST", "/hubs/hub/devices", certified).await;
    for (path, expected) in [
        ("/hubs/hub/devices/d2/rollKeys", "400 InvalidOperation"),
        ("/hubs/hub/devices/gone/rollKeys", "404 DeviceNotFound"),
        (
            "/hubs/hub/devices/d1/modules/gone/rollKeys",
            "404 ModuleNotFound",
        ),
    ] {
        let answer = ask(&installation, "POST", path, json!({ "slot": "primary" })).await;
        assert_eq!(refused(&answer), expected, "{path}");
    }
    for body in [
        json!({}),
        json!({ "slot": "third" }),
        json!({ "slot": "swap", "x": 1 }),
    ] {
        let answer = ask(
            &installation,
            "POST",
            &format!("{DEVICE}/rollKeys"),
            body.clone(),
        )
        .await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{body}");
    }
}

#[tokio::test]
async fn several_are_rolled_each_by_itself() {
    let installation = with_device().await;
    let before = (
        keys(&installation, DEVICE).await,
        keys(&installation, MODULE).await,
    );
    let certified =
        json!({ "deviceId": "d2", "authentication": { "type": "certificateAuthority" } });
    ask(&installation, "POST", "/hubs/hub/devices", certified).await;
    let body = json!({ "slot": "secondary", "identities": [
        { "deviceId": "gone" }, { "deviceId": "d1" }, { "deviceId": "a b" }, { "deviceId": "d2" },
        { "deviceId": "d1", "moduleId": "m1" },
    ] });
    let result = ask(&installation, "POST", "/hubs/hub/rollKeys", body)
        .await
        .ok();
    let rolled = json!([{ "deviceId": "d1" }, { "deviceId": "d1", "moduleId": "m1" }]);
    assert_eq!(result["rolled"], rolled);
    let failed: Vec<_> = result["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {}", one["identity"]["deviceId"], one["error"]["code"]))
        .collect();
    assert_eq!(
        failed,
        ["\"gone\" 404001", "\"a b\" 400004", "\"d2\" 400003"]
    );
    for (path, before) in [(DEVICE, before.0), (MODULE, before.1)] {
        let after = keys(&installation, path).await;
        assert!(after.0 == before.0 && after.1 != before.1, "{path}");
    }
}

#[tokio::test]
async fn what_names_nobody_or_somebody_twice_is_refused() {
    let installation = with_device().await;
    let before = keys(&installation, DEVICE).await;
    let many: Vec<_> = (0..101)
        .map(|number| json!({ "deviceId": format!("d{number}") }))
        .collect();
    for identities in [
        json!([]),
        json!([{ "deviceId": "d1" }, { "deviceId": "d1" }]),
        json!([{ "moduleId": "m1" }]),
        json!(many),
    ] {
        let body = json!({ "slot": "primary", "identities": identities });
        let answer = ask(&installation, "POST", "/hubs/hub/rollKeys", body).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{identities}");
    }
    assert_eq!(keys(&installation, DEVICE).await, before);
}

#[tokio::test]
async fn a_connected_device_is_cut_and_comes_back_with_the_other_key() {
    let installation = with_device().await;
    let session = connect(&installation, "d1").await;
    roll(&installation, DEVICE, "secondary").await;
    drop(session);
    // With the primary key, which stays.
    connect(&installation, "d1").await;
}
