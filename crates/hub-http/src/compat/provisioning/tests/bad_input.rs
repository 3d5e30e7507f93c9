//! Requests that break a rule.

use hub_domain::provisioning::OWNER_POLICY;
use serde_json::{Value, json};

use super::{ask, refused, symmetric, token};
use crate::testing::Installation;

#[tokio::test]
async fn wrong_methods_types_and_versions_are_told_apart() {
    let installation = Installation::new().await;
    let wrong = ask(&installation, "PATCH", "/enrollments/r1", json!({})).await;
    assert_eq!(refused(&wrong), "405 405000");
    assert_eq!(wrong.header("allow"), "GET, PUT, DELETE");
    let scope = super::scope(&installation);
    let wrong = ask(
        &installation,
        "DELETE",
        &format!("/{scope}/registrations/r1"),
        Value::Null,
    )
    .await;
    assert_eq!(refused(&wrong), "405 405000");
    assert_eq!(wrong.header("allow"), "POST");
    let request = installation
        .request("PUT", "/enrollments/r1")
        .header("authorization", token(&installation, OWNER_POLICY));
    let mut request = request;
    let headers = request.headers_mut().unwrap();
    headers.insert("content-type", http::HeaderValue::from_static("text/plain"));
    let wrong = installation.send(request, "{}").await;
    assert_eq!(wrong.status, 415, "{}", wrong.text());
    for version in [
        "2018-04-01",
        "2018-09-01-preview",
        "2021-10-01",
        "2025-07-01-preview",
    ] {
        let target = format!("/enrollments/r1?api-version={version}");
        let answer = ask(&installation, "GET", &target, Value::Null).await;
        assert_eq!(refused(&answer), "404 404201", "{version}");
    }
    for query in ["?x=1", "?api-version=", "?api-version=new"] {
        let target = format!("/enrollments/r1{query}");
        let answer = ask(&installation, "GET", &target, Value::Null).await;
        assert_eq!(answer.status, 400, "{query}");
        refused(&answer);
    }
}

#[tokio::test]
async fn enrollments_that_break_a_rule_are_refused() {
    let installation = Installation::new().await;
    let put = async |id: &str, body: Value| {
        let answer = ask(&installation, "PUT", &format!("/enrollments/{id}"), body).await;
        let text = answer.json()["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        format!("{} {text}", refused(&answer))
    };
    let mut static_policy = symmetric("r1");
    static_policy["allocationPolicy"] = json!("static");
    let mut unknown = symmetric("r1");
    unknown["attestation"] = json!({ "type": "x509", "x509": { "clientCertificates": {
        "primary": { "info": { "sha1Thumbprint": "AB" } } } } });
    let mut garbage = symmetric("r1");
    garbage["attestation"] = json!({ "type": "x509", "x509": { "clientCertificates": {
        "primary": { "certificate": "AAAA" } } } });
    let cases = [
        (
            put("r1", json!({})).await,
            "400 400005 attestation is missing",
        ),
        (
            put("r1", symmetric("r2")).await,
            "400 400004 registrationId in the body",
        ),
        (put("r$", symmetric("r$")).await, "400 400004 "),
        (
            put("%FF", symmetric("r1")).await,
            "400 400004 a name in the path is not UTF-8",
        ),
        (
            put("r1", static_policy).await,
            "400 400004 the static allocation policy",
        ),
        (
            put("r1", unknown).await,
            "400 400004 the enrollment has no certificate",
        ),
        (
            put("r1", garbage).await,
            "400 400004 a certificate of the enrollment cannot be read",
        ),
    ];
    for (found, expected) in cases {
        assert!(found.starts_with(expected), "{found} is not {expected}");
    }
    let request = installation
        .request("PUT", "/enrollments/r1")
        .header("authorization", token(&installation, OWNER_POLICY));
    let answer = installation.send(request, "{ no json").await;
    assert_eq!(answer.status, 400);
    refused(&answer);
}
