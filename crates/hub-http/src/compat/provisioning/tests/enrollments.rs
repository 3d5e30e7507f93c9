//! Enrollments and groups.

use serde_json::{Value, json};

use super::{ask, enroll, refused, register, symmetric, with_headers};
use crate::testing::Installation;

#[tokio::test]
async fn an_enrollment_is_written_read_and_deleted() {
    let installation = Installation::new().await;
    let made = ask(
        &installation,
        "PUT",
        "/enrollments/Sensor-1",
        symmetric("Sensor-1"),
    )
    .await;
    let made = made.ok();
    assert_eq!(made["registrationId"], "Sensor-1");
    assert!(made["attestation"]["symmetricKey"]["primaryKey"].is_string());
    assert_eq!(made["provisioningStatus"], "enabled");
    let read = ask(&installation, "GET", "/enrollments/sensor-1", Value::Null)
        .await
        .ok();
    assert_eq!(read["attestation"], json!({ "type": "symmetricKey" }));
    assert_eq!(read["etag"], made["etag"]);
    // What was read is sent back with one change: the keys stay.
    let mut changed = read.clone();
    changed["provisioningStatus"] = json!("disabled");
    let etag = read["etag"].as_str().unwrap();
    let guard = [("if-match", etag)];
    let written = with_headers(
        &installation,
        "PUT",
        "/enrollments/sensor-1",
        &guard,
        changed.clone(),
    )
    .await;
    let written = written.ok();
    assert_eq!(written["provisioningStatus"], "disabled");
    assert_eq!(
        written["attestation"]["symmetricKey"],
        made["attestation"]["symmetricKey"]
    );
    let mechanism = ask(
        &installation,
        "POST",
        "/enrollments/sensor-1/attestationmechanism",
        Value::Null,
    )
    .await;
    assert_eq!(mechanism.ok(), written["attestation"]);
    let stale = with_headers(
        &installation,
        "PUT",
        "/enrollments/sensor-1",
        &guard,
        changed,
    )
    .await;
    assert_eq!(refused(&stale), "412 412201");
    let again = ask(
        &installation,
        "PUT",
        "/enrollments/sensor-1",
        symmetric("sensor-1"),
    )
    .await;
    assert_eq!(refused(&again), "409 409201");
    let stale = with_headers(
        &installation,
        "DELETE",
        "/enrollments/sensor-1",
        &guard,
        Value::Null,
    );
    assert_eq!(refused(&stale.await), "412 412201");
    let gone = ask(
        &installation,
        "DELETE",
        "/enrollments/sensor-1",
        Value::Null,
    )
    .await;
    assert_eq!((gone.status.as_u16(), gone.text()), (204, String::new()));
    let read = ask(&installation, "GET", "/enrollments/sensor-1", Value::Null).await;
    assert_eq!(refused(&read), "404 404201");
}

#[tokio::test]
async fn a_group_is_found_whatever_the_case_of_its_path() {
    let installation = Installation::new().await;
    let group = json!({ "enrollmentGroupId": "g1", "attestation": { "type": "symmetricKey" } });
    let made = ask(&installation, "PUT", "/enrollmentGroups/g1", group)
        .await
        .ok();
    let path = "/enrollmentgroups/g1/attestationmechanism";
    let mechanism = ask(&installation, "POST", path, Value::Null).await.ok();
    assert_eq!(mechanism, made["attestation"]);
    let read = ask(&installation, "GET", "/enrollmentGroups/G1", Value::Null)
        .await
        .ok();
    assert_eq!(read["attestation"], json!({ "type": "symmetricKey" }));
    let gone = ask(&installation, "DELETE", "/enrollmentGroups/g1", Value::Null).await;
    assert_eq!(gone.status, 204);
}

#[tokio::test]
async fn an_enrollment_shows_what_became_of_its_device() {
    let installation = Installation::new().await;
    let key = enroll(&installation, "d1").await;
    let before = ask(&installation, "GET", "/enrollments/d1", Value::Null)
        .await
        .ok();
    assert_eq!(before["registrationState"], Value::Null);
    register(&installation, "d1", &key).await;
    let after = ask(&installation, "GET", "/enrollments/d1", Value::Null)
        .await
        .ok();
    assert_eq!(after["registrationState"]["assignedHub"], "hub.test");
    let state = ask(&installation, "GET", "/registrations/d1", Value::Null)
        .await
        .ok();
    assert_eq!(state, after["registrationState"]);
    let guard = [("if-match", "\"other\"")];
    let stale = with_headers(
        &installation,
        "DELETE",
        "/registrations/d1",
        &guard,
        Value::Null,
    );
    assert_eq!(refused(&stale.await), "412 412201");
    let etag = state["etag"].as_str().unwrap();
    let guard = [("if-match", etag)];
    let gone = with_headers(
        &installation,
        "DELETE",
        "/registrations/d1",
        &guard,
        Value::Null,
    );
    assert_eq!(gone.await.status, 204);
    let state = ask(&installation, "GET", "/registrations/d1", Value::Null).await;
    assert_eq!(refused(&state), "404 404201");
}

#[tokio::test]
async fn bulk_operations_do_what_they_can() {
    let installation = Installation::new().await;
    enroll(&installation, "a").await;
    let bulk = |mode: &str, items: Value| json!({ "mode": mode, "enrollments": items });
    let items =
        json!([symmetric("a"), symmetric("b"), { "registrationId": "c", "attestation": {} }]);
    let result = ask(
        &installation,
        "POST",
        "/enrollments/",
        bulk("create", items),
    )
    .await
    .ok();
    assert_eq!(result["isSuccessful"], false);
    let mut errors: Vec<String> = result["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {}",
                one["registrationId"].as_str().unwrap(),
                one["errorCode"]
            )
        })
        .collect();
    errors.sort();
    assert_eq!(errors, ["a 409201", "c 400005"], "{result}");
    let b = ask(&installation, "GET", "/enrollments/b", Value::Null)
        .await
        .ok();
    let mut with_etag = symmetric("b");
    with_etag["etag"] = b["etag"].clone();
    with_etag["deviceId"] = json!("device-b");
    let items = json!([with_etag]);
    let result = ask(
        &installation,
        "POST",
        "/enrollments",
        bulk("updateIfMatchETag", items),
    )
    .await;
    assert_eq!(result.ok(), json!({ "isSuccessful": true, "errors": [] }));
    let b = ask(&installation, "GET", "/enrollments/b", Value::Null)
        .await
        .ok();
    assert_eq!(b["deviceId"], "device-b");
    let items = json!([{ "registrationId": "a" }, { "registrationId": "b" }]);
    let result = ask(&installation, "POST", "/enrollments", bulk("delete", items)).await;
    assert_eq!(result.ok()["isSuccessful"], true);
    let groups = json!({ "mode": "create", "enrollmentGroups": [
        { "enrollmentGroupId": "g1", "attestation": { "type": "symmetricKey" } },
        { "enrollmentGroupId": "g2", "attestation": { "type": "tpm", "tpm": { "endorsementKey": "AAEC" } } },
    ] });
    let result = ask(&installation, "POST", "/enrollmentGroups", groups)
        .await
        .ok();
    assert_eq!(result["errors"][0]["enrollmentGroupId"], "g2");
}
