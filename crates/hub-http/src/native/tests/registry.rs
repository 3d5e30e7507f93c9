//! Devices and modules.

use serde_json::{Value, json};

use super::{Ask, ask, refused, with_device};
use crate::HttpConfig;
use crate::testing::Installation;

const DEVICE: &str = "/hubs/hub/devices/d1";
const MODULE: &str = "/hubs/hub/devices/d1/modules/m1";

#[tokio::test]
async fn a_device_is_created_with_keys_and_a_connection_string() {
    let installation = with_device().await;
    let device = ask(&installation, "GET", DEVICE, Value::Null).await.ok();
    let key = device["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    assert_eq!(
        device["connectionString"],
        format!("HostName=hub.test;DeviceId=d1;SharedAccessKey={key}")
    );
    assert_eq!(device["status"], "enabled");
    assert_eq!(device["connectionState"], "Disconnected");
    assert_eq!(
        device.get("lastActivityTime"),
        None,
        "never is an absent time"
    );
    let again = ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": "d1" }),
    )
    .await;
    assert_eq!(refused(&again), "409 DeviceAlreadyExists");
}

#[tokio::test]
async fn a_device_is_replaced_and_keeps_keys_that_are_left_out() {
    let installation = with_device().await;
    let before = ask(&installation, "GET", DEVICE, Value::Null).await.ok();
    let settings = json!({ "status": "disabled", "statusReason": "broken" });
    let after = ask(&installation, "PUT", DEVICE, settings).await.ok();
    assert_eq!(after["authentication"], before["authentication"]);
    assert_eq!(
        (&after["status"], &after["statusReason"]),
        (&json!("disabled"), &json!("broken"))
    );
    assert_ne!(after["etag"], before["etag"]);
    assert_eq!(after["generationId"], before["generationId"]);
}

#[tokio::test]
async fn a_write_with_a_stale_etag_is_refused() {
    let installation = with_device().await;
    for (verb, path) in [
        ("PUT", DEVICE),
        ("PUT", MODULE),
        ("DELETE", MODULE),
        ("DELETE", DEVICE),
    ] {
        let body = if verb == "PUT" { "{}" } else { "" };
        let etag = ask(&installation, "GET", path, Value::Null).await.ok()["etag"]
            .as_str()
            .unwrap()
            .to_owned();
        let stale = Ask::admin(verb, path)
            .guard("\"c3RhbGU=\"")
            .send(&installation, body)
            .await;
        assert_eq!(refused(&stale), "412 PreconditionFailed", "{verb} {path}");
        let guard = format!("\"{etag}\"");
        let done = Ask::admin(verb, path)
            .guard(&guard)
            .send(&installation, body)
            .await;
        assert!(done.status.is_success(), "{verb} {path}: {}", done.text());
    }
    assert_eq!(
        refused(&ask(&installation, "GET", DEVICE, Value::Null).await),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn devices_are_listed_in_pages() {
    let installation = Installation::new().await;
    for id in ["c", "a", "b#?%"] {
        ask(
            &installation,
            "POST",
            "/hubs/hub/devices",
            json!({ "deviceId": id }),
        )
        .await;
    }
    let mut seen = Vec::new();
    let mut path = "/hubs/hub/devices?max=2".to_owned();
    loop {
        let page = ask(&installation, "GET", &path, Value::Null).await.ok();
        seen.extend(
            page["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|device| device["deviceId"].clone()),
        );
        let Some(next) = page["next"].as_str() else {
            break;
        };
        let next: String =
            percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC)
                .collect();
        path = format!("/hubs/hub/devices?max=2&after={next}");
    }
    assert_eq!(seen, ["a", "b#?%", "c"]);
    for wrong in ["max=0", "max=1001", "max=x", "after=", "top=1"] {
        let answer = ask(
            &installation,
            "GET",
            &format!("/hubs/hub/devices?{wrong}"),
            Value::Null,
        )
        .await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{wrong}");
    }
}

#[tokio::test]
async fn ids_with_any_allowed_character_are_reached() {
    let installation = Installation::new().await;
    let id = "-:.+%_#*?!(),=@;$'";
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": id }),
    )
    .await;
    let encoded: String =
        percent_encoding::utf8_percent_encode(id, percent_encoding::NON_ALPHANUMERIC).collect();
    let device = ask(
        &installation,
        "GET",
        &format!("/hubs/hub/devices/{encoded}"),
        Value::Null,
    )
    .await
    .ok();
    assert_eq!(device["deviceId"], id);
    let wrong = ask(&installation, "GET", "/hubs/hub/devices/a%20b", Value::Null).await;
    assert_eq!(refused(&wrong), "400 ArgumentInvalid");
}

#[tokio::test]
async fn authentication_is_given_in_every_form() {
    let installation = Installation::new().await;
    let thumbprint = "AB".repeat(20);
    let forms = [
        json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": thumbprint } }),
        json!({ "type": "certificateAuthority" }),
        json!({ "type": "none" }),
        json!({ "type": "sas", "symmetricKey": { "primaryKey": "AAAAAAAAAAAAAAAAAAAAAA==", "secondaryKey": "BBBBBBBBBBBBBBBBBBBBBA==" } }),
    ];
    for (number, form) in forms.into_iter().enumerate() {
        let new = json!({ "deviceId": format!("d{number}"), "authentication": form });
        let device = ask(&installation, "POST", "/hubs/hub/devices", new).await;
        assert_eq!(device.json()["authentication"], form, "{}", device.text());
    }
    let wrong = [
        json!({ "type": "selfSigned" }),
        json!({ "type": "selfSigned", "x509Thumbprint": { "primaryThumbprint": "xyz" } }),
        json!({ "type": "sas", "symmetricKey": { "primaryKey": "short" } }),
        json!({ "type": "none", "symmetricKey": {} }),
        json!({ "type": "sas", "x509Thumbprint": {} }),
        json!({ "type": "other" }),
    ];
    for form in wrong {
        let new = json!({ "deviceId": "wrong", "authentication": form });
        let answer = ask(&installation, "POST", "/hubs/hub/devices", new).await;
        assert_eq!(refused(&answer), "400 ArgumentInvalid", "{form}");
    }
}

#[tokio::test]
async fn modules_are_created_listed_replaced_and_deleted() {
    let installation = with_device().await;
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices/d1/modules",
        json!({ "moduleId": "m2", "managedBy": "me" }),
    )
    .await;
    let listed = ask(
        &installation,
        "GET",
        "/hubs/hub/devices/d1/modules",
        Value::Null,
    )
    .await
    .ok();
    let ids: Vec<_> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|module| module["moduleId"].clone())
        .collect();
    assert_eq!(ids, ["m1", "m2"]);
    let page = ask(
        &installation,
        "GET",
        "/hubs/hub/devices/d1/modules?max=1",
        Value::Null,
    )
    .await
    .ok();
    assert_eq!(page["next"], "m1");
    let module = ask(&installation, "PUT", MODULE, json!({ "managedBy": "you" }))
        .await
        .ok();
    assert_eq!(module["managedBy"], "you");
    let key = module["authentication"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    assert_eq!(
        module["connectionString"],
        format!("HostName=hub.test;DeviceId=d1;ModuleId=m1;SharedAccessKey={key}")
    );
    assert_eq!(
        ask(&installation, "DELETE", MODULE, Value::Null)
            .await
            .status,
        204
    );
    assert_eq!(
        refused(&ask(&installation, "GET", MODULE, Value::Null).await),
        "404 ModuleNotFound"
    );
    let lonely = ask(
        &installation,
        "POST",
        "/hubs/hub/devices/none/modules",
        json!({ "moduleId": "m" }),
    )
    .await;
    assert_eq!(refused(&lonely), "404 DeviceNotFound");
}

#[tokio::test]
async fn a_body_that_cannot_be_meant_is_refused() {
    let installation = with_device().await;
    let wrong = [
        ("{", "400 ArgumentInvalid"),
        ("", "400 ArgumentInvalid"),
        ("[]", "400 ArgumentInvalid"),
        (r#"{"deviceId":"other"}"#, "400 ArgumentInvalid"),
        (r#"{"statsu":"disabled"}"#, "400 ArgumentInvalid"),
        (r#"{"status":"off"}"#, "400 ArgumentInvalid"),
    ];
    for (body, expected) in wrong {
        let answer = Ask::admin("PUT", DEVICE).send(&installation, body).await;
        assert_eq!(refused(&answer), expected, "{body}");
    }
    let without_id = Ask::admin("POST", "/hubs/hub/devices")
        .send(&installation, "{}")
        .await;
    assert_eq!(refused(&without_id), "400 ArgumentInvalid");
    let guarded = Ask::admin("PUT", DEVICE)
        .guard("\"a\", \"b\"")
        .send(&installation, "{}")
        .await;
    assert_eq!(refused(&guarded), "400 ArgumentInvalid");
}

#[tokio::test]
async fn a_body_is_json_and_within_its_bound() {
    let installation = Installation::with(HttpConfig {
        body_bytes_max: 64,
        ..HttpConfig::default()
    })
    .await;
    let large = format!(r#"{{"deviceId":"{}"}}"#, "x".repeat(64));
    let answer = Ask::admin("POST", "/hubs/hub/devices")
        .send(&installation, &large)
        .await;
    assert_eq!(refused(&answer), "413 GenericRequestEntityTooLarge");
    let request = http::Request::builder()
        .method("POST")
        .uri("/api/v1/hubs/hub/devices")
        .header(
            "authorization",
            format!("Bearer {}", crate::testing::ADMIN_TOKEN),
        )
        .header("content-type", "text/plain");
    let answer = installation.send(request, "{}").await;
    assert_eq!(refused(&answer), "415 GenericUnsupportedMediaType");
}
