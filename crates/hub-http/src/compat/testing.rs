//! Requests of devices, for tests.

use axum::body::Body;
use hub_domain::sas::sign_token;
use hub_domain::{SymmetricKey, Timestamp};
use serde_json::Value;

use crate::testing::{Answer, Installation};

/// Registers a device at the path below `/devices/`, or a module; its first key.
pub(crate) async fn register(hub: &Installation, path: &str, settings: &str) -> SymmetricKey {
    let created = hub
        .owner("PUT", &format!("/devices/{path}"), settings)
        .await
        .ok();
    key_of(&created)
}

pub(crate) fn key_of(identity: &Value) -> SymmetricKey {
    let text = &identity["authentication"]["symmetricKey"]["primaryKey"];
    SymmetricKey::parse(text.as_str().unwrap()).unwrap()
}

/// A token of the identity at the path below `/devices/`.
pub(crate) fn token(path: &str, key: &SymmetricKey) -> String {
    let resource = format!("hub.test/devices/{path}");
    sign_token(&resource, key, Timestamp::from_seconds(4_000_000_000), None)
}

/// A request with a token and further headers.
pub(crate) async fn ask(
    hub: &Installation,
    (method, target): (&str, &str),
    token: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = hub.request(method, target).header("authorization", token);
    for (name, value) in headers {
        let map = request.headers_mut().unwrap();
        map.remove(*name);
        request = request.header(*name, *value);
    }
    hub.send(request, body).await
}
