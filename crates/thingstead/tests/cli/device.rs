//! A device that registers, over HTTPS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use super::server::Server;

/// Long after the test.
const EXPIRY: u64 = 4_000_000_000;

/// Registers by a key and asks for the outcome; the status of the first answer, and its body.
pub(crate) fn register(server: &Server, id: &str, key: &str) -> (u16, Value) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(ask(server, id, key))
}

async fn ask(server: &Server, id: &str, key: &str) -> (u16, Value) {
    let hub = server.json("hub show");
    let authority = std::fs::read(hub["caCertificate"].as_str().unwrap()).unwrap();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only(reqwest::Certificate::from_pem(&authority))
        .build()
        .unwrap();
    let scope = hub["provisioning"]["idScope"].as_str().unwrap();
    let url = format!(
        "https://localhost:{}/{scope}/registrations/{id}/register?api-version=2021-06-01",
        hub["ports"]["https"]
    );
    let response = client
        .put(url)
        .header(
            "authorization",
            token(&format!("{scope}/registrations/{id}"), key),
        )
        .header("content-type", "application/json")
        .body(json!({ "registrationId": id }).to_string())
        .send()
        .await
        .unwrap();
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn token(resource: &str, key: &str) -> String {
    let resource = resource.replace('/', "%2F");
    let key = STANDARD.decode(key).unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{resource}\n{EXPIRY}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    let signature = signature
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    format!("SharedAccessSignature sr={resource}&sig={signature}&se={EXPIRY}&skn=registration")
}
