//! The provisioning service's REST as its clients see it, over the service in memory.

mod access;
mod bad_input;
mod device;
mod enrollments;
mod queries;

use hub_domain::provisioning::OWNER_POLICY;
use hub_domain::sas::sign_token;
use hub_domain::{SymmetricKey, Timestamp};
use hub_provisioning::{Caller, Context};
use serde_json::{Value, json};

use crate::testing::{Answer, BEGINNING, Installation};

/// An hour after the end of every test.
const LATER: Timestamp = Timestamp::from_seconds(4_000_000_000);

/// A token of a policy of the service.
fn token(installation: &Installation, policy: &str) -> String {
    sign_token("hub.test", &key(installation, policy), LATER, Some(policy))
}

/// The first key of a policy of the service.
fn key(installation: &Installation, policy: &str) -> SymmetricKey {
    let service = &installation.provisioning.service;
    service.policy(&admin(), policy).unwrap().primary
}

/// The administrator's request.
fn admin() -> Context {
    Context {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

/// Asks as the owner of the service.
async fn ask(installation: &Installation, method: &str, target: &str, body: Value) -> Answer {
    with_headers(installation, method, target, &[], body).await
}

async fn with_headers(
    installation: &Installation,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: Value,
) -> Answer {
    let mut request = installation
        .request(method, target)
        .header("authorization", token(installation, OWNER_POLICY));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    installation.send(request, body).await
}

/// Status and code of a refusal, whose body is checked to be whole.
fn refused(answer: &Answer) -> String {
    let body = answer.json();
    let code = body["errorCode"].as_u64().unwrap();
    assert_eq!(answer.header("x-ms-error-code"), code.to_string(), "{body}");
    assert_eq!(code / 1000, u64::from(answer.status.as_u16()), "{body}");
    assert_eq!(body["trackingId"], answer.header("x-ms-request-id"));
    assert!(!body["message"].as_str().unwrap().is_empty());
    assert!(body["timestampUtc"].is_string() && body["info"].is_object());
    format!("{} {code}", answer.status.as_u16())
}

fn symmetric(id: &str) -> Value {
    json!({ "registrationId": id, "attestation": { "type": "symmetricKey" } })
}

/// Enrolls a device; its first key.
async fn enroll(installation: &Installation, id: &str) -> SymmetricKey {
    let target = format!("/enrollments/{id}");
    let made = ask(installation, "PUT", &target, symmetric(id)).await.ok();
    let key = &made["attestation"]["symmetricKey"]["primaryKey"];
    SymmetricKey::parse(key.as_str().unwrap()).unwrap()
}

/// A device's token, in the form that all clients have.
fn device_token(scope: &str, id: &str, key: &SymmetricKey) -> String {
    sign_token(
        &format!("{scope}/registrations/{id}"),
        key,
        LATER,
        Some("registration"),
    )
}

fn scope(installation: &Installation) -> String {
    installation.provisioning.service.id_scope().to_string()
}

/// Registers a device over HTTPS to the end; the last answer.
async fn register(installation: &Installation, id: &str, key: &SymmetricKey) -> Value {
    let scope = scope(installation);
    let token = device_token(&scope, id, key);
    let send = async |method: &str, target: String, body: Value| {
        let request = installation
            .request(method, &target)
            .header("authorization", &token);
        installation.send(request, body.to_string()).await
    };
    let path = format!("/{scope}/registrations/{id}");
    let begun = send(
        "PUT",
        format!("{path}/register"),
        json!({ "registrationId": id }),
    )
    .await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let operation = begun.json()["operationId"].as_str().unwrap().to_owned();
    let done = send("GET", format!("{path}/operations/{operation}"), Value::Null).await;
    done.ok()
}
