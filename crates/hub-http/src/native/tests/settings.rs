//! What of a hub may be set while it runs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Ask, ask, refused, with_device};

const SETTINGS: &str = "/hubs/hub/settings";

#[tokio::test]
async fn a_change_touches_what_it_names_and_holds_at_once() {
    let installation = with_device().await;
    let before = ask(&installation, "GET", SETTINGS, Value::Null).await.ok();
    assert_eq!(
        before["fileUpload"],
        json!({ "ticketTtlSeconds": 3_600, "notifications": true })
    );
    let change = json!({ "fileUpload": { "ticketTtlSeconds": 60, "notifications": false } });
    let after = ask(&installation, "PATCH", SETTINGS, change.clone())
        .await
        .ok();
    assert_eq!(after["fileUpload"], change["fileUpload"]);
    assert_eq!(after["cloudToDevice"], before["cloudToDevice"]);
    assert_eq!(after["quotaProfile"], before["quotaProfile"]);
    assert_eq!(
        ask(&installation, "GET", SETTINGS, Value::Null).await.ok(),
        after
    );
    let hub = installation.engine.hubs.by_name("hub").unwrap();
    assert_eq!(hub.settings.file_upload.ticket_ttl, Duration::from_secs(60));

    let half = json!({ "fileUpload": { "notifications": true } });
    let after = ask(&installation, "PATCH", SETTINGS, half).await.ok();
    assert_eq!(
        after["fileUpload"],
        json!({ "ticketTtlSeconds": 60, "notifications": true })
    );
}

#[tokio::test]
async fn what_no_hub_can_have_is_refused_and_changes_nothing() {
    let installation = with_device().await;
    let before = ask(&installation, "GET", SETTINGS, Value::Null).await.ok();
    for wrong in [
        json!({ "fileUpload": { "ticketTtlSeconds": 59 } }),
        json!({ "fileUpload": { "ticketTtlSeconds": 86_401 } }),
        json!({ "fileUpload": { "notifications": "yes" } }),
        json!({ "fileUpload": { "typo": 1 } }),
        json!({ "cloudToDevice": { "maxDeliveryCount": 0 } }),
        json!({ "quotaProfile": "S9" }),
        json!({ "typo": 1 }),
    ] {
        let answer = ask(&installation, "PATCH", SETTINGS, wrong).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid");
    }
    let after = ask(&installation, "GET", SETTINGS, Value::Null).await.ok();
    assert_eq!(after, before);
}

#[tokio::test]
async fn only_the_administrator_changes_them() {
    let installation = with_device().await;
    let owner = Some(installation.token("iothubowner"));
    let change = r#"{"fileUpload":{"notifications":false}}"#;
    let answer = Ask::with("PATCH", SETTINGS, owner)
        .send(&installation, change)
        .await;
    assert_eq!(refused(&answer), "403 GenericForbidden");
}
