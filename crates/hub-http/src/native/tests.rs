//! The native interface as its clients see it, over the engine in memory.

mod access;
mod certificates;
mod client;
mod deadlines;
mod facts;
mod files;
mod hubs;
mod keys;
mod messages;
mod methods;
mod provisioning;
mod registry;
mod routing;
mod settings;
mod telemetry;
mod twins;

use std::sync::Arc;

use hub_api::native::BASE_PATH;
use hub_domain::sas::sign_token;
use hub_domain::{IdentityId, SymmetricKey, Timestamp};
use hub_engine::sessions::{Credential, OpenRequest, Persistence, Session};
use serde_json::{Value, json};

use crate::testing::{ADMIN_TOKEN, Answer, BEGINNING, Installation};

/// A request to `/api/v1`, with whatever proof and guard.
struct Ask<'a> {
    verb: &'a str,
    path: &'a str,
    authorization: Option<String>,
    guard: Option<&'a str>,
}

impl<'a> Ask<'a> {
    fn admin(verb: &'a str, path: &'a str) -> Self {
        let authorization = Some(format!("Bearer {ADMIN_TOKEN}"));
        Self {
            verb,
            path,
            authorization,
            guard: None,
        }
    }

    fn with(verb: &'a str, path: &'a str, authorization: Option<String>) -> Self {
        Self {
            verb,
            path,
            authorization,
            guard: None,
        }
    }

    fn guard(mut self, guard: &'a str) -> Self {
        self.guard = Some(guard);
        self
    }

    async fn send(self, installation: &Installation, body: &str) -> Answer {
        let mut request = http::Request::builder()
            .method(self.verb)
            .uri(format!("{BASE_PATH}{}", self.path))
            .header("content-type", "application/json");
        if let Some(authorization) = self.authorization {
            request = request.header("authorization", authorization);
        }
        if let Some(guard) = self.guard {
            request = request.header("if-match", guard);
        }
        installation.send(request, body.to_owned()).await
    }
}

/// Asks as the administrator.
async fn ask(installation: &Installation, verb: &str, path: &str, body: Value) -> Answer {
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    Ask::admin(verb, path).send(installation, &body).await
}

/// Status and name of a refusal, whose body is checked to be whole.
fn refused(answer: &Answer) -> String {
    let body = answer.json();
    let error = &body["error"];
    let name = error["name"].as_str().unwrap();
    assert_eq!(
        error["code"].as_u64().unwrap() / 1000,
        u64::from(answer.status.as_u16()),
        "{body}"
    );
    assert_eq!(error["requestId"], answer.header("x-ms-request-id"));
    assert!(!error["message"].as_str().unwrap().is_empty());
    format!("{} {name}", answer.status.as_u16())
}

/// An installation with the device `d1` and its module `m1`.
async fn with_device() -> Installation {
    let installation = Installation::new().await;
    let device = ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": "d1" }),
    )
    .await;
    assert_eq!(device.status, 201, "{}", device.text());
    let module = ask(
        &installation,
        "POST",
        "/hubs/hub/devices/d1/modules",
        json!({ "moduleId": "m1" }),
    )
    .await;
    assert_eq!(module.status, 201, "{}", module.text());
    installation
}

/// Opens a session with the identity's own key.
async fn connect(installation: &Installation, id: &str) -> Session {
    let id = IdentityId::parse(id).unwrap();
    let (path, resource) = match &id.module {
        None => (
            format!("/hubs/hub/devices/{}", id.device),
            format!("hub.test/devices/{}", id.device),
        ),
        Some(module) => (
            format!("/hubs/hub/devices/{}/modules/{module}", id.device),
            format!("hub.test/devices/{}/modules/{module}", id.device),
        ),
    };
    let identity = ask(installation, "GET", &path, Value::Null).await.ok();
    let key = SymmetricKey::parse(
        identity["authentication"]["symmetricKey"]["primaryKey"]
            .as_str()
            .unwrap(),
    )
    .unwrap();
    let token = sign_token(
        &resource,
        &key,
        Timestamp::from_seconds(4_000_000_000),
        None,
    );
    let request = OpenRequest {
        hub: Arc::clone(&installation.hub),
        id,
        credential: Credential::Token(&token),
        model_id: None,
        persistence: Persistence::Transient,
    };
    installation
        .engine
        .sessions
        .open(BEGINNING, request)
        .await
        .unwrap()
        .session
}

/// An open event stream, read line by line.
struct Stream {
    body: axum::body::Body,
    buffer: Vec<u8>,
}

impl Stream {
    async fn open(installation: &Installation, query: &str, authorization: &str) -> Self {
        let request = http::Request::builder()
            .uri(format!("{BASE_PATH}/hubs/hub/events?{query}"))
            .header("authorization", authorization)
            .body(axum::body::Body::empty())
            .unwrap();
        let response = tower::ServiceExt::oneshot(installation.service.router(), request)
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self {
            body: response.into_body(),
            buffer: Vec::new(),
        }
    }

    async fn of_admin(installation: &Installation, query: &str) -> Self {
        Self::open(installation, query, &format!("Bearer {ADMIN_TOKEN}")).await
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8(line).unwrap().trim_end().to_owned());
            }
            let frame = http_body_util::BodyExt::frame(&mut self.body).await?;
            self.buffer
                .extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
    }

    async fn json(&mut self) -> Value {
        serde_json::from_str(&self.next().await.expect("the stream goes on")).unwrap()
    }

    /// All lines to the end.
    async fn rest(mut self) -> Vec<Value> {
        let mut lines = Vec::new();
        while let Some(line) = self.next().await {
            lines.push(serde_json::from_str(&line).unwrap());
        }
        lines
    }
}
