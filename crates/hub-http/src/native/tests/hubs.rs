//! Hubs.

use hub_api::native::{Ports, Reach};
use serde_json::{Value, json};

use super::{Ask, ask, refused, with_device};
use crate::HttpConfig;
use crate::testing::Installation;

#[tokio::test]
async fn hubs_are_created_listed_and_shown() {
    let installation = Installation::new().await;
    let new = json!({ "name": "a-second", "hostName": "Second.Test", "aliases": ["b.test"], "partitionCount": 8 });
    let created = ask(&installation, "POST", "/hubs", new.clone()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let listed = ask(&installation, "GET", "/hubs", Value::Null).await.ok();
    let second = json!({
        "name": "a-second", "hostName": "second.test", "aliases": ["b.test"],
        "partitionCount": 8, "retentionDays": 1, "default": false,
    });
    assert_eq!(created.json(), second);
    assert_eq!(listed["items"][0], second);
    assert_eq!(listed["items"][1]["name"], "hub");
    assert_eq!(listed["items"][1]["default"], true);
    assert_eq!(
        refused(&ask(&installation, "POST", "/hubs", new).await),
        "409 GenericConflict"
    );
}

#[tokio::test]
async fn a_page_of_hubs_says_where_the_next_begins() {
    let installation = Installation::new().await;
    installation.add_hub("zweiter").await;
    let first = ask(&installation, "GET", "/hubs?max=1", Value::Null)
        .await
        .ok();
    assert_eq!(
        (&first["items"][0]["name"], &first["next"]),
        (&json!("hub"), &json!("hub"))
    );
    let second = ask(&installation, "GET", "/hubs?max=1&after=hub", Value::Null)
        .await
        .ok();
    assert_eq!(
        (&second["items"][0]["name"], &second["next"]),
        (&json!("zweiter"), &Value::Null)
    );
}

#[tokio::test]
async fn a_policy_sees_its_own_hub_only() {
    let installation = Installation::new().await;
    installation.add_hub("other").await;
    let answer = Ask::with("GET", "/hubs", Some(installation.token("device")))
        .send(&installation, "")
        .await;
    let items = answer.ok()["items"].clone();
    assert_eq!(
        (items.as_array().unwrap().len(), &items[0]["name"]),
        (1, &json!("hub"))
    );
}

#[tokio::test]
async fn the_administrator_sees_keys_and_a_policy_does_not() {
    let reach = Reach {
        ports: Ports {
            https: Some(8443),
            mqtt: Some(8883),
            amqp: None,
        },
        ca_certificate: Some("D/ca.pem".to_owned()),
    };
    let installation = Installation::with(HttpConfig {
        reach,
        ..HttpConfig::default()
    })
    .await;
    let shown = ask(&installation, "GET", "/hubs/hub", Value::Null)
        .await
        .ok();
    let owner = installation
        .hub
        .policy("iothubowner")
        .unwrap()
        .primary
        .to_base64();
    assert_eq!(
        shown["connectionStrings"]["iothubowner"],
        format!("HostName=hub.test;SharedAccessKeyName=iothubowner;SharedAccessKey={owner}")
    );
    assert_eq!(shown["ports"], json!({ "https": 8443, "mqtt": 8883 }));
    assert_eq!(shown["caCertificate"], "D/ca.pem");
    let owner = Ask::with("GET", "/hubs/hub", Some(installation.token("iothubowner")))
        .send(&installation, "")
        .await;
    assert_eq!(owner.ok().get("connectionStrings"), None);
}

#[tokio::test]
async fn statistics_count_devices() {
    let installation = with_device().await;
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": "d2", "status": "disabled" }),
    )
    .await;
    let _session = super::connect(&installation, "d1").await;
    let counts = ask(&installation, "GET", "/hubs/hub/statistics", Value::Null)
        .await
        .ok();
    let expected = json!({
        "totalDeviceCount": 2, "enabledDeviceCount": 1, "disabledDeviceCount": 1, "connectedDeviceCount": 1,
    });
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn what_is_no_operation_is_refused_in_our_own_form() {
    let installation = Installation::new().await;
    assert_eq!(
        refused(&ask(&installation, "GET", "/nothing", Value::Null).await),
        "404 GenericNotFound"
    );
    assert_eq!(
        refused(&ask(&installation, "DELETE", "/hubs", Value::Null).await),
        "405 GenericMethodNotAllowed"
    );
}
