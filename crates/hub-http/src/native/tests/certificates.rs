//! Authorities, over their whole life.

use serde_json::json;

use super::{Ask, ask, refused};
use crate::testing::Installation;

/// An authority that is valid until 2051, and a certificate of version 1 that it issued to `v1-device`.
const AUTHORITY: &str = include_str!("authority.pem");
const DEVICE: &str = include_str!("device.pem");
const PATH: &str = "/hubs/hub/certificates";

#[tokio::test]
async fn an_authority_is_registered_shown_replaced_and_forgotten() {
    let hub = Installation::new().await;
    let new = json!({ "name": "Factory", "certificate": AUTHORITY });
    let created = ask(&hub, "POST", PATH, new.clone()).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let created = created.json();
    assert_eq!(created["isVerified"], false);
    assert_eq!(created["subject"], "CN=authority of v1");
    assert_eq!(created["certificate"], AUTHORITY);
    assert_eq!(created["thumbprint"].as_str().unwrap().len(), 40);
    assert!(created["expiry"].as_str().unwrap().starts_with("2051-"));
    assert_eq!(
        refused(&ask(&hub, "POST", PATH, new).await),
        "409 GenericConflict"
    );
    let one = format!("{PATH}/factory");
    assert_eq!(ask(&hub, "GET", &one, json!(null)).await.ok(), created);
    let listed = ask(&hub, "GET", PATH, json!(null)).await.ok();
    assert_eq!(listed, json!({ "items": [created] }));
    let next = json!({ "certificate": AUTHORITY, "isVerified": true }).to_string();
    let stale = Ask::admin("PUT", &one)
        .guard("\"x\"")
        .send(&hub, &next)
        .await;
    assert_eq!(refused(&stale), "412 PreconditionFailed");
    let replaced = Ask::admin("PUT", &one).send(&hub, &next).await.ok();
    assert_eq!(replaced["isVerified"], true);
    assert_ne!(replaced["etag"], created["etag"]);
    assert_eq!(ask(&hub, "DELETE", &one, json!(null)).await.status, 204);
    let gone = ask(&hub, "GET", &one, json!(null)).await;
    assert_eq!(refused(&gone), "404 CertificateNotFound");
}

#[tokio::test]
async fn possession_is_proved_with_a_code() {
    let hub = Installation::new().await;
    let new = json!({ "name": "factory", "certificate": AUTHORITY });
    ask(&hub, "POST", PATH, new).await;
    let code_path = format!("{PATH}/factory/verificationCode");
    let with_code = ask(&hub, "POST", &code_path, json!(null)).await.ok();
    assert_eq!(with_code["verificationCode"].as_str().unwrap().len(), 48);
    let verify = format!("{PATH}/factory/verify");
    let proof = json!({ "certificate": DEVICE });
    let answer = ask(&hub, "POST", &verify, proof).await;
    assert_eq!(refused(&answer), "400 ArgumentInvalid");
    assert!(
        answer.text().contains("is not the verification code"),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn what_is_no_certificate_of_an_authority_is_refused() {
    let hub = Installation::new().await;
    for body in [
        json!({ "name": "a b", "certificate": AUTHORITY }),
        json!({ "name": "a", "certificate": DEVICE }),
        json!({ "name": "a", "certificate": "?" }),
        json!({ "name": "a", "certificate": "AAAA" }),
        json!({ "name": "a", "certificate": AUTHORITY, "isVerifed": true }),
        json!({ "certificate": AUTHORITY }),
    ] {
        let answer = ask(&hub, "POST", PATH, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}
