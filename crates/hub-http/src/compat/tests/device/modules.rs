//! A device keeps its modules with its own credentials.

use super::{ask, key_of, register, token};
use crate::testing::Installation;

#[tokio::test]
async fn a_device_makes_reads_changes_and_removes_its_modules() {
    let hub = Installation::new().await;
    let key = register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let token = token("d1", &key);
    let m1 = "/devices/d1/modules/m1?api-version=2017-11-08-preview";
    let body = r#"{"deviceId":"d1","moduleId":"m1","managedBy":"iotEdge","authentication":{"type":"sas"}}"#;
    let created = ask(&hub, ("PUT", m1), &token, &[], body).await.ok();
    assert_eq!(created["managedBy"], "iotEdge");
    key_of(&created);
    let seen = ask(&hub, ("GET", m1), &token, &[], "").await.ok();
    assert_eq!(seen, created);
    let all = ask(&hub, ("GET", "/devices/d1/modules"), &token, &[], "")
        .await
        .ok();
    assert_eq!(all[0], created);
    let guard = [("if-match", "*")];
    let changed = ask(
        &hub,
        ("PUT", m1),
        &token,
        &guard,
        r#"{"deviceId":"d1","moduleId":"m1"}"#,
    )
    .await;
    assert_ne!(changed.ok()["etag"], created["etag"]);
    assert_eq!(
        ask(&hub, ("DELETE", m1), &token, &guard, "").await.status,
        204
    );
    let gone = ask(&hub, ("GET", m1), &token, &[], "").await;
    assert_eq!(gone.refused(), "404 ModuleNotFound");
}

#[tokio::test]
async fn system_modules_and_the_device_itself_are_not_in_its_hands() {
    let hub = Installation::new().await;
    let edge = r#"{"deviceId":"d1","capabilities":{"iotEdge":true}}"#;
    let key = register(&hub, "d1", edge).await;
    let token = token("d1", &key);
    let delete = ("DELETE", "/devices/d1/modules/$edgeHub");
    let refused = ask(&hub, delete, &token, &[("if-match", "*")], "").await;
    assert_eq!(
        refused.refused(),
        "401 SystemModuleModifyUnauthorizedAccess"
    );
    for request in [
        ("GET", "/devices/d1"),
        ("DELETE", "/devices/d1"),
        ("GET", "/twins/d1"),
    ] {
        let refused = ask(&hub, request, &token, &[], "").await;
        assert_eq!(refused.status, 401, "{request:?}");
    }
}
