//! Devices over HTTPS.

use hub_domain::SymmetricKey;
use serde_json::{Value, json};

use super::{ask, device_token, enroll, refused, register, scope};
use crate::testing::{Answer, Installation};

// Read from a TPM in software.
const ENDORSEMENT_KEY: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAnXhYo+vGg30IVRAF++pA1Ap1EddOK3hDtwU/tsHViuFE7QirLIAegIT3TPzb66b4aOHqq4oFd4qaFqBxAdYL97Mz/HS5t299qdMpUKx91fBL4GSbFHtxCkC0LTZEJwKdsQUnRXIDMuopqV9Iz9/T9vL/0ce02G7nClNvPemf7rVH8CjmPm36lEgZgsa4BtIgd07B5Wu5mfx48yPICQKadHsj1Fc2Gkf8z/x8zFpkmuHUBquVC3Hl61YewN6yZBsHLVYoA18k2lhD/Muu4COZclhtcMTRph4T23DvreECIcGQpELduPVIogZyfKXCePeXoWyl33L/JZAAO1dTw3jZPQ==";
const STORAGE_ROOT_KEY: &str = "ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABAJEli15Y+vkPr4rlsMJ2w7cx1VJc/lH0n7ioWa7L7qdtvSlz+BxKb9krxxYWZRzEDTkBHs8ahr9RrfTKMgjnfiBmRER5VLzf7DkU5nXIsdMhX61aX4N4YVsYqflxoy2IkPKByVOheaUYnasxcipr/5tpsSxpLylzNjXfs4YRNjxskBtmGH7i2DKi5aXjDWGVFdomLW44p3xrhGuq3FaBZMr7j4QEdB4TyCDAToBf1Eibdj+m/chpc+SPLchWhE1FAGlWT863+mHL2JuPVmr1JaiKZk6GIKbQ8TDWBL9V8s5v/uFvt9zBlNmId47j+fOW/N+wo1ak/mF/fuLMxPmeM7M=";

async fn send(
    installation: &Installation,
    method: &str,
    target: &str,
    token: Option<&str>,
    body: &str,
) -> Answer {
    let mut request = installation.request(method, target);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    installation.send(request, body.to_owned()).await
}

#[tokio::test]
async fn a_device_registers_and_asks_what_became_of_it() {
    let installation = Installation::new().await;
    let key = enroll(&installation, "d1").await;
    let scope = scope(&installation);
    let token = device_token(&scope, "d1", &key);
    let path = format!("/{scope}/registrations/d1");
    let target = format!("{path}/register?api-version=2019-03-31&forceRegistration=true");
    let begun = send(
        &installation,
        "PUT",
        &target,
        Some(&token),
        r#"{"registrationId":"d1"}"#,
    )
    .await;
    assert_eq!(begun.status, 202, "{}", begun.text());
    let body = begun.json();
    assert_eq!(body["status"], "assigning");
    assert_eq!(body["registrationState"]["registrationId"], "d1");
    let seconds: u64 = begun.header("retry-after").parse().unwrap();
    assert!(seconds > 0);
    let location = begun.header("location");
    let expected = format!(
        "https://hub.test{path}/operations/{}?api-version=2019-03-31",
        body["operationId"].as_str().unwrap()
    );
    assert_eq!(location, expected);
    let target = location.strip_prefix("https://hub.test").unwrap();
    let done = send(&installation, "GET", target, Some(&token), "{}")
        .await
        .ok();
    assert_eq!(done["status"], "assigned");
    let state = &done["registrationState"];
    assert_eq!(state["assignedHub"], "hub.test");
    assert_eq!(state["deviceId"], "d1");
    let device = installation.owner("GET", "/devices/d1", "").await.ok();
    assert_eq!(
        device["authentication"]["symmetricKey"]["primaryKey"],
        key.to_base64()
    );
    let target = format!("{path}?api-version=2021-06-01");
    let known = send(
        &installation,
        "POST",
        &target,
        Some(&token),
        r#"{"registrationId":"d1"}"#,
    )
    .await;
    assert_eq!(known.ok()["assignedHub"], "hub.test");
    let known = send(&installation, "POST", &target, Some(&token), "").await;
    assert_eq!(known.status, 200);
    let with_request = send(
        &installation,
        "POST",
        &target,
        Some(&token),
        r#"{"csr":"AAAA"}"#,
    )
    .await;
    assert_eq!(refused(&with_request), "400 400004");
}

#[tokio::test]
async fn a_device_without_a_good_proof_learns_nothing() {
    let installation = Installation::new().await;
    let key = enroll(&installation, "d1").await;
    let scope = scope(&installation);
    let wrong = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    register(&installation, "d1", &key).await;
    let cases = [
        None,
        Some(device_token(&scope, "d1", &wrong)),
        Some(device_token(&scope, "d2", &key)),
        Some("nonsense".to_owned()),
    ];
    for token in &cases {
        for (method, rest) in [
            ("PUT", "/register"),
            ("GET", "/operations/5.x"),
            ("POST", ""),
        ] {
            let target = format!("/{scope}/registrations/d1{rest}");
            let answer = send(&installation, method, &target, token.as_deref(), "{}").await;
            assert_eq!(refused(&answer), "401 401002", "{method} {rest} {token:?}");
        }
    }
    let other = "/0neFFFFFFFF/registrations/d1/register";
    let token = device_token("0neFFFFFFFF", "d1", &key);
    let answer = send(&installation, "PUT", other, Some(&token), "{}").await;
    assert_eq!(answer.status, 404, "{}", answer.text());
    let admin = crate::testing::ADMIN_TOKEN;
    let request = http::Request::builder()
        .uri("/api/v1/provisioning/refusals")
        .header("authorization", format!("Bearer {admin}"));
    let noted = installation.send(request, "").await.ok();
    assert!(!noted["items"].as_array().unwrap().is_empty(), "{noted}");
}

#[tokio::test]
async fn a_disabled_device_is_told_so() {
    let installation = Installation::new().await;
    let mut body = super::symmetric("d1");
    body["provisioningStatus"] = json!("disabled");
    let made = ask(&installation, "PUT", "/enrollments/d1", body)
        .await
        .ok();
    let key = made["attestation"]["symmetricKey"]["primaryKey"]
        .as_str()
        .unwrap();
    let key = SymmetricKey::parse(key).unwrap();
    let scope = scope(&installation);
    let token = device_token(&scope, "d1", &key);
    let target = format!("/{scope}/registrations/d1/register");
    let answer = send(&installation, "PUT", &target, Some(&token), "{}").await;
    assert_eq!(
        answer.status,
        202,
        "C# takes no other status: {}",
        answer.text()
    );
    assert_eq!(answer.json()["status"], "disabled");
    assert!(!answer.headers.contains_key("retry-after"));
    let location = answer.header("location");
    let target = location.strip_prefix("https://hub.test").unwrap();
    let asked = send(&installation, "GET", target, Some(&token), "")
        .await
        .ok();
    assert_eq!(asked["status"], "disabled");
    assert_eq!(asked["operationId"], answer.json()["operationId"]);
    let device = installation.owner("GET", "/devices/d1", "").await;
    assert_eq!(device.status, 404);
}

#[tokio::test]
async fn a_device_with_a_tpm_is_challenged() {
    let installation = Installation::new().await;
    let enrollment = json!({
        "registrationId": "d1",
        "attestation": { "type": "tpm", "tpm": { "endorsementKey": ENDORSEMENT_KEY } },
    });
    ask(&installation, "PUT", "/enrollments/d1", enrollment)
        .await
        .ok();
    let scope = scope(&installation);
    let target = format!("/{scope}/registrations/d1/register");
    let keys =
        json!({ "tpm": { "endorsementKey": ENDORSEMENT_KEY, "storageRootKey": STORAGE_ROOT_KEY } });
    let wrong = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    let stale = device_token(&scope, "d1", &wrong);
    for token in [None, Some(&*stale)] {
        let answer = send(&installation, "PUT", &target, token, &keys.to_string()).await;
        assert_eq!(refused(&answer), "401 401002");
        let challenge = answer.json();
        assert_eq!(challenge["keyName"], "registration");
        assert!(challenge["authenticationKey"].is_string(), "{challenge}");
    }
    let other = json!({ "tpm": { "endorsementKey": STORAGE_ROOT_KEY, "storageRootKey": STORAGE_ROOT_KEY } });
    let answer = send(
        &installation,
        "PUT",
        &target,
        Some(&stale),
        &other.to_string(),
    )
    .await;
    assert_eq!(refused(&answer), "401 401002");
    assert!(answer.json()["authenticationKey"].is_null());
}

#[tokio::test]
async fn paths_of_the_hub_stay_the_hubs() {
    let installation = Installation::new().await;
    installation
        .owner(
            "PUT",
            "/devices/registrations",
            r#"{"deviceId":"registrations"}"#,
        )
        .await
        .ok();
    let modules = installation
        .owner("GET", "/devices/registrations/modules", "")
        .await;
    assert_eq!(modules.ok(), json!([]));
    let twin = installation.owner("GET", "/twins/registrations", "").await;
    assert_eq!(twin.ok()["deviceId"], "registrations");
    let unknown = ask(&installation, "GET", "/enrollments/a/b/c", Value::Null).await;
    assert_eq!(refused(&unknown), "404 404000");
}
