//! Modules call methods.

use super::super::methods::{answer_one, call, connect};
use super::{ask, register, token};
use crate::testing::Installation;

const CALLER: [(&str, &str); 1] = [("x-ms-edge-moduleId", "edge/m1")];

/// An edge device with the modules `m1` and `m2`, a leaf behind it, and a device that has nothing to do with it.
async fn hub_with_edge() -> (Installation, String) {
    let hub = Installation::new().await;
    let edge = r#"{"deviceId":"edge","capabilities":{"iotEdge":true}}"#;
    let created = hub.owner("PUT", "/devices/edge", edge).await.ok();
    let scope = created["deviceScope"].as_str().unwrap();
    let leaf = format!(r#"{{"deviceId":"leaf","deviceScope":"{scope}"}}"#);
    register(&hub, "leaf", &leaf).await;
    register(&hub, "stranger", r#"{"deviceId":"stranger"}"#).await;
    register(&hub, "edge/modules/m2", "{}").await;
    let key = register(&hub, "edge/modules/m1", "{}").await;
    let token = token("edge/modules/m1", &key);
    (hub, token)
}

#[tokio::test(start_paused = true)]
async fn a_module_reaches_the_modules_beside_it_its_device_and_the_devices_behind_it() {
    let (hub, token) = hub_with_edge().await;
    for (id, path) in [
        ("edge/m2", "/twins/edge/modules/m2/methods"),
        ("edge", "/twins/edge/methods"),
        ("leaf", "/twins/leaf/methods"),
    ] {
        let session = connect(&hub, id).await;
        let body = call("1");
        let called = ask(&hub, ("POST", path), &token, &CALLER, body);
        let (answer, (name, payload)) = tokio::join!(called, answer_one(&session, 7, b"[2]"));
        assert_eq!((name.as_str(), payload.as_deref()), ("reboot", Some("1")));
        assert_eq!(
            answer.ok(),
            serde_json::json!({"status": 7, "payload": [2]})
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_module_reaches_nothing_else() {
    let (hub, token) = hub_with_edge().await;
    for path in ["/twins/stranger/methods", "/twins/nobody/methods"] {
        let answer = ask(&hub, ("POST", path), &token, &CALLER, call("1")).await;
        assert_eq!(answer.refused(), "401 IotHubUnauthorizedAccess", "{path}");
    }
}

#[tokio::test]
async fn a_caller_that_names_itself_wrongly_is_refused() {
    let (hub, token) = hub_with_edge().await;
    let path = ("POST", "/twins/edge/modules/m2/methods");
    for name in ["", "edge", "edge/", "edge/m2", "leaf/m1", "edge/m1/x"] {
        let answer = ask(
            &hub,
            path,
            &token,
            &[("x-ms-edge-moduleId", name)],
            call("1"),
        )
        .await;
        assert_eq!(answer.refused(), "401 IotHubUnauthorized", "{name}");
    }
    let answer = ask(&hub, path, &token, &[], call("1")).await;
    assert_eq!(answer.refused(), "401 IotHubUnauthorized");
}
