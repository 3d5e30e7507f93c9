//! Devices, modules and their counts.

use serde_json::json;

use crate::testing::Installation;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[tokio::test]
async fn a_device_is_created_with_generated_keys_and_read_back() {
    let hub = Installation::new().await;
    let body = json!({"deviceId": "d1", "authentication": {"type": "sas", "symmetricKey": {"primaryKey": "", "secondaryKey": ""}}});
    let answer = hub.owner("PUT", "/devices/d1", &body.to_string()).await;
    let created = answer.ok();
    assert_eq!(
        answer.header("content-type"),
        "application/json; charset=utf-8"
    );
    assert_eq!(
        answer.header("etag"),
        format!("\"{}\"", created["etag"].as_str().unwrap())
    );
    let keys = &created["authentication"]["symmetricKey"];
    assert_ne!(keys["primaryKey"], keys["secondaryKey"]);
    assert_eq!(keys["primaryKey"].as_str().unwrap().len(), 44);
    assert_eq!(
        (&created["status"], &created["connectionState"]),
        (&json!("enabled"), &json!("Disconnected"))
    );
    assert_eq!(hub.owner("GET", "/devices/d1", "").await.ok(), created);
}

#[tokio::test]
async fn a_put_without_a_guard_creates_once() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    assert_eq!(
        hub.owner("PUT", "/devices/d1", "{}").await.refused(),
        "409 DeviceAlreadyExists"
    );
    hub.owner("PUT", "/devices/d1/modules/m1", "{}").await.ok();
    let again = hub.owner("PUT", "/devices/d1/modules/m1", "{}").await;
    assert_eq!(again.refused(), "409 ModuleAlreadyExistsOnDevice");
}

#[tokio::test]
async fn a_put_with_a_guard_updates_what_has_that_etag() {
    let hub = Installation::new().await;
    let body =
        json!({"authentication": {"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}});
    let created = hub
        .owner("PUT", "/devices/d1", &body.to_string())
        .await
        .ok();
    let etag = created["etag"].as_str().unwrap();
    let disable =
        json!({"deviceId": "d1", "status": "disabled", "statusReason": "lost"}).to_string();

    assert_eq!(
        hub.guarded("PUT", "/devices/d1", "\"other\"", &disable)
            .await
            .refused(),
        "412 PreconditionFailed"
    );
    let updated = hub
        .guarded("PUT", "/devices/d1", &format!("\"{etag}\""), &disable)
        .await
        .ok();
    assert_eq!(
        (&updated["status"], &updated["statusReason"]),
        (&json!("disabled"), &json!("lost"))
    );
    assert_eq!(
        updated["authentication"]["symmetricKey"]["primaryKey"], KEY,
        "absent keys are kept"
    );
    assert_ne!(updated["etag"], created["etag"]);
    assert_eq!(updated["generationId"], created["generationId"]);
    assert_eq!(
        hub.guarded("PUT", "/devices/d1", etag, &disable)
            .await
            .refused(),
        "412 PreconditionFailed"
    );
    for any in ["*", "\"*\"", "'*'"] {
        hub.guarded("PUT", "/devices/d1", any, "{}").await.ok();
    }
    assert_eq!(
        hub.guarded("PUT", "/devices/d2", "*", "{}").await.refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn a_device_read_and_put_back_whole_stays_the_same() {
    let hub = Installation::new().await;
    let first = hub
        .owner("PUT", "/devices/d1", r#"{"capabilities":{"iotEdge":true}}"#)
        .await
        .ok();
    let mut second = hub
        .guarded("PUT", "/devices/d1", "\"*\"", &first.to_string())
        .await
        .ok();
    assert!(
        second["deviceScope"]
            .as_str()
            .unwrap()
            .starts_with("ms-azure-iot-edge://d1-")
    );
    second["etag"] = first["etag"].clone();
    assert_eq!(second, first);
}

#[tokio::test]
async fn deletion_heeds_its_guard_and_takes_the_modules() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    hub.owner("PUT", "/devices/d1/modules/m1", "{}").await.ok();
    assert_eq!(
        hub.guarded("DELETE", "/devices/d1", "\"x\"", "")
            .await
            .refused(),
        "412 PreconditionFailed"
    );
    let answer = hub.guarded("DELETE", "/devices/d1", "\"*\"", "").await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(answer.header("content-type"), "");
    assert_eq!(
        hub.owner("GET", "/devices/d1", "").await.refused(),
        "404 DeviceNotFound"
    );
    assert_eq!(
        hub.owner("GET", "/devices/d1/modules/m1", "")
            .await
            .refused(),
        "404 ModuleNotFound"
    );
    assert_eq!(
        hub.owner("DELETE", "/devices/d1", "").await.refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn ids_are_decoded_once_and_fixed_parts_match_without_case() {
    let hub = Installation::new().await;
    let body = json!({"deviceId": "a%#+b"}).to_string();
    hub.owner("PUT", "/Devices/a%25%23+b/", &body).await.ok();
    let read = hub
        .owner("GET", "/DEVICES/a%25%23%2Bb/?api-version=2021-04-12", "")
        .await
        .ok();
    assert_eq!(read["deviceId"], "a%#+b");
    hub.owner(
        "PUT",
        "/devices/a%25%23+b/MODULES/%24m",
        r#"{"moduleId":"$m"}"#,
    )
    .await
    .ok();
    assert_eq!(
        hub.owner("GET", "/twins/a%25%23+b/Modules/$m", "")
            .await
            .ok()["moduleId"],
        "$m"
    );
    assert_eq!(
        hub.owner("GET", "/devices/A%25%23+b", "").await.refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn ids_that_break_their_rule_are_refused() {
    let hub = Installation::new().await;
    let long = format!("/devices/{}", "x".repeat(129));
    for path in [
        "/devices/a%2Fb",
        "/devices/a%20b",
        "/devices/%C3%A4",
        "/devices/%FF",
        "/devices//modules",
        &long,
    ] {
        assert_eq!(
            hub.owner("GET", path, "").await.refused(),
            "400 ArgumentInvalid",
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_id_in_the_body_must_be_the_one_in_the_path() {
    let hub = Installation::new().await;
    let answer = hub
        .owner("PUT", "/devices/d1", r#"{"deviceId":"d2"}"#)
        .await;
    assert_eq!(
        answer.refusal(),
        "400 ArgumentInvalid: deviceId is not the one in the path"
    );
    hub.owner("PUT", "/devices/d1", r#"{"deviceId":null}"#)
        .await
        .ok();
    let answer = hub
        .owner(
            "PUT",
            "/devices/d1/modules/m1",
            r#"{"deviceId":"d1","moduleId":"M1"}"#,
        )
        .await;
    assert_eq!(
        answer.refusal(),
        "400 ArgumentInvalid: moduleId is not the one in the path"
    );
}

#[tokio::test]
async fn lists_are_ordered_and_cut_at_top() {
    let hub = Installation::new().await;
    for id in ["b", "a", "c"] {
        hub.owner("PUT", &format!("/devices/{id}"), "{}").await.ok();
    }
    let list = async |query: &str| {
        let listed = hub
            .owner(
                "GET",
                &format!("/devices/?api-version=2021-04-12{query}"),
                "",
            )
            .await
            .ok();
        listed
            .as_array()
            .unwrap()
            .iter()
            .map(|d| d["deviceId"].as_str().unwrap().to_owned())
            .collect::<String>()
    };
    assert_eq!(list("").await, "abc");
    assert_eq!(list("&top=2").await, "ab");
    assert_eq!(list("&TOP=0").await, "abc");
    assert_eq!(list("&top=100000").await, "abc");
    let answer = hub
        .owner("GET", "/devices?api-version=2021-04-12&top=two", "")
        .await;
    assert_eq!(
        answer.refusal(),
        "400 ArgumentInvalid: top must be an integer"
    );
}

#[tokio::test]
async fn an_edge_device_has_its_two_modules() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/e1", r#"{"capabilities":{"iotEdge":true}}"#)
        .await
        .ok();
    let modules = hub.owner("GET", "/devices/e1/modules", "").await.ok();
    let ids: Vec<_> = modules
        .as_array()
        .unwrap()
        .iter()
        .map(|m| m["moduleId"].clone())
        .collect();
    assert_eq!(ids, [json!("$edgeAgent"), json!("$edgeHub")]);
    let remove = hub
        .owner("DELETE", "/devices/e1/modules/$edgeHub", "")
        .await;
    assert_eq!(remove.refused(), "401 SystemModuleModifyUnauthorizedAccess");
    assert_eq!(
        hub.owner("GET", "/devices/no/modules", "").await.refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn modules_are_created_updated_and_guarded_like_devices() {
    let hub = Installation::new().await;
    assert_eq!(
        hub.owner("PUT", "/devices/d1/modules/m1", "{}")
            .await
            .refused(),
        "404 DeviceNotFound"
    );
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    let body = json!({"moduleId": "m1", "deviceId": "d1", "managedBy": "me", "authentication": {"type": "certificateAuthority"}});
    let created = hub
        .owner("PUT", "/devices/d1/modules/m1", &body.to_string())
        .await
        .ok();
    assert_eq!(
        (&created["managedBy"], &created["authentication"]["type"]),
        (&json!("me"), &json!("certificateAuthority"))
    );
    let update = json!({"managedBy": "you", "authentication": {"x509Thumbprint": {"primaryThumbprint": "ab".repeat(20)}}});
    let stale = hub
        .guarded(
            "PUT",
            "/devices/d1/modules/m1",
            "\"x\"",
            &update.to_string(),
        )
        .await;
    assert_eq!(stale.refused(), "412 PreconditionFailed");
    let updated = hub
        .guarded(
            "PUT",
            "/devices/d1/modules/m1",
            "\"*\"",
            &update.to_string(),
        )
        .await
        .ok();
    assert_eq!(
        (&updated["managedBy"], &updated["authentication"]["type"]),
        (&json!("you"), &json!("selfSigned"))
    );
    assert_eq!(
        hub.guarded("DELETE", "/devices/d1/modules/m1", "*", "")
            .await
            .status,
        204
    );
    assert_eq!(
        hub.owner("GET", "/devices/d1/modules", "").await.ok(),
        json!([])
    );
}

#[tokio::test]
async fn statistics_count_devices_and_not_modules() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", r#"{"status":"disabled"}"#)
        .await
        .ok();
    hub.owner("PUT", "/devices/d2", "{}").await.ok();
    hub.owner("PUT", "/devices/d2/modules/m1", "{}").await.ok();
    let counts = hub.owner("GET", "/statistics/devices", "").await.ok();
    assert_eq!(
        counts,
        json!({"totalDeviceCount": 2, "enabledDeviceCount": 1, "disabledDeviceCount": 1})
    );
    let connected = hub.owner("GET", "/statistics/service", "").await.ok();
    assert_eq!(connected, json!({"connectedDeviceCount": 0}));
}

#[tokio::test]
async fn messages_are_queued_counted_and_purged() {
    let hub = Installation::new().await;
    hub.owner("PUT", "/devices/d1", "{}").await.ok();
    let send = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = hub.request("POST", "/devices/d1/messages/DeviceBound");
        request.headers_mut().unwrap().remove("content-type");
        request = request.header("authorization", hub.token("service"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        hub.send(request, body).await
    };
    assert_eq!(
        send(
            &[("iothub-messageid", "m1"), ("iothub-app-x", "1")],
            b"hello".to_vec()
        )
        .await
        .status,
        204
    );
    assert_eq!(
        send(&[("content-type", "text/plain")], b"\xff\x00".to_vec())
            .await
            .status,
        204
    );
    assert_eq!(
        send(&[("iothub-expiry", "soon")], Vec::new())
            .await
            .refused(),
        "400 ArgumentInvalid"
    );
    let past = send(&[("iothub-expiry", "2020-01-01T00:00:00Z")], Vec::new()).await;
    assert_eq!(past.refused(), "403 InvalidMessageExpiryTime");
    assert_eq!(
        send(&[("iothub-messageid", "a b")], Vec::new())
            .await
            .refused(),
        "400 ArgumentInvalid"
    );
    assert_eq!(
        send(&[], vec![0; 64 * 1024]).await.refused(),
        "413 MessageTooLarge"
    );
    assert_eq!(
        hub.owner("GET", "/devices/d1", "").await.ok()["cloudToDeviceMessageCount"],
        2
    );
    let purged = hub.owner("DELETE", "/devices/d1/commands", "").await.ok();
    assert_eq!(
        purged,
        json!({"totalMessagesPurged": 2, "deviceId": "d1", "moduleId": null})
    );
    assert_eq!(
        hub.owner("GET", "/devices/d1", "").await.ok()["cloudToDeviceMessageCount"],
        0
    );
    assert_eq!(
        hub.owner("DELETE", "/devices/no/commands", "")
            .await
            .refused(),
        "404 DeviceNotFound"
    );
    assert_eq!(
        hub.owner("POST", "/devices/no/messages/deviceBound", "x")
            .await
            .refused(),
        "404 DeviceNotFound"
    );
}

#[tokio::test]
async fn keys_become_new_for_many_at_once_and_what_failed_is_told() {
    let hub = Installation::new().await;
    let keys =
        json!({"authentication": {"symmetricKey": {"primaryKey": KEY, "secondaryKey": KEY}}});
    hub.owner("PUT", "/devices/d1", &keys.to_string())
        .await
        .ok();
    hub.owner("PUT", "/devices/d1/modules/m1", &keys.to_string())
        .await
        .ok();
    let none = json!({"authentication": {"type": "certificateAuthority"}});
    hub.owner("PUT", "/devices/d2", &none.to_string())
        .await
        .ok();
    let body = json!({"policyKey": "secondaryKey", "devices": [
        {"id": "d1"}, {"id": "d1", "moduleId": "m1"}, {"id": "d2"}, {"id": "gone"},
    ]});
    let answer = hub
        .owner("POST", "/devices/keys/regenerate", &body.to_string())
        .await
        .ok();
    assert_eq!(answer["policyKey"], "secondaryKey");
    let rotated = json!([{"id": "d1"}, {"id": "d1", "moduleId": "m1"}]);
    assert_eq!(answer["rotatedKeys"], rotated);
    let failed: Vec<_> = answer["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["id"].clone(), error["errorCode"].clone()))
        .collect();
    assert_eq!(
        failed,
        [
            (json!("d2"), json!(400_003)),
            (json!("gone"), json!(404_001))
        ]
    );
    for path in ["/devices/d1", "/devices/d1/modules/m1"] {
        let identity = hub.owner("GET", path, "").await.ok();
        let keys = &identity["authentication"]["symmetricKey"];
        assert_eq!(keys["primaryKey"], KEY, "{path}");
        assert_ne!(keys["secondaryKey"], KEY, "{path}");
    }
    let before = hub.owner("GET", "/devices/d1", "").await.ok();
    let swap = json!({"policyKey": "swap", "devices": [{"id": "d1"}]}).to_string();
    hub.owner("POST", "/devices/keys/regenerate", &swap)
        .await
        .ok();
    let after = hub.owner("GET", "/devices/d1", "").await.ok();
    let key = |device: &serde_json::Value, which: &str| {
        device["authentication"]["symmetricKey"][which].clone()
    };
    assert_eq!(key(&after, "primaryKey"), key(&before, "secondaryKey"));
    assert_eq!(key(&after, "secondaryKey"), key(&before, "primaryKey"));
}

#[tokio::test]
async fn what_is_no_request_for_new_keys_is_refused() {
    let hub = Installation::new().await;
    let many: Vec<_> = (0..101)
        .map(|number| json!({"id": format!("d{number}")}))
        .collect();
    for (body, expected) in [
        (json!({"devices": []}), "400 ArgumentInvalid"),
        (
            json!({"policyKey": "both", "devices": []}),
            "400 ArgumentInvalid",
        ),
        (json!({"policyKey": "swap"}), "400 ArgumentInvalid"),
        (
            json!({"policyKey": "swap", "devices": ["d1"]}),
            "400 ArgumentInvalid",
        ),
        (
            json!({"policyKey": "swap", "devices": many}),
            "400 ArgumentInvalid",
        ),
    ] {
        let answer = hub
            .owner("POST", "/devices/keys/regenerate", &body.to_string())
            .await;
        assert_eq!(answer.refused(), expected, "{body}");
    }
}
