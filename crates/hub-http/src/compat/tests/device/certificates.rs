//! Devices that show a certificate instead of a token.

use axum::body::Body;
use hub_engine::CertificateDer;

use super::{ask, register, token};
use crate::Client;
use crate::request::Peer;
use crate::testing::{Answer, Installation};

/// Signed by itself, valid from 2020 to 2049.
const CERTIFICATE: &str = include_str!("device.pem");
const EVENTS: &str = "/devices/d1/messages/events?api-version=2021-04-12";

fn der() -> CertificateDer<'static> {
    use base64::Engine as _;
    let digits: String = CERTIFICATE
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(digits);
    CertificateDer::from(bytes.unwrap())
}

fn thumbprint() -> String {
    use sha1::Digest as _;
    let digest = sha1::Sha1::digest(der());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn send(hub: &Installation, certificates: Vec<CertificateDer<'static>>) -> Answer {
    let client = Client {
        certificates,
        ..Client::new("127.0.0.1:1".parse().unwrap())
    };
    let request = hub.request("POST", EVENTS).extension(Peer::new(client));
    hub.send(request, Body::from("hello")).await
}

#[tokio::test]
async fn a_certificate_stands_in_for_the_authorization_header() {
    let hub = Installation::new().await;
    let settings = format!(
        r#"{{"deviceId":"d1","authentication":{{"type":"selfSigned","x509Thumbprint":{{"primaryThumbprint":"{}"}}}}}}"#,
        thumbprint()
    );
    let created = hub.owner("PUT", "/devices/d1", &settings).await;
    assert_eq!(created.status, 200, "{}", created.text());
    let refused = send(&hub, Vec::new()).await;
    assert_eq!(refused.refused(), "401 IotHubUnauthorized");
    let accepted = send(&hub, vec![der()]).await;
    assert_eq!(accepted.status, 204, "{}", accepted.text());
    let key = register(&hub, "d2", r#"{"deviceId":"d2"}"#).await;
    let token = token("d1", &key);
    let refused = ask(&hub, ("POST", EVENTS), &token, &[], "").await;
    assert_eq!(refused.refused(), "401 IotHubUnauthorized");
}

#[tokio::test]
async fn a_certificate_does_not_open_a_device_with_keys() {
    let hub = Installation::new().await;
    register(&hub, "d1", r#"{"deviceId":"d1"}"#).await;
    let refused = send(&hub, vec![der()]).await;
    assert_eq!(refused.refused(), "401 IotHubUnauthorized");
}
