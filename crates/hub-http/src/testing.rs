//! A whole hub in memory behind the HTTP face, for tests.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use hub_domain::provisioning::ProvisioningLimits;
use hub_domain::sas::sign_token;
use hub_domain::{HostName, Hub, HubName, SymmetricKey, Timestamp};
use hub_engine::{Caller, Engine, EngineParts, Environment, NewHub, OpContext};
use hub_provisioning::{Outside, Provisioning};
use hub_storage::bus::LocalBus;
use hub_storage::memory::{MemoryBlobs, MemoryLogs, MemoryStore};
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::{AdminToken, HttpConfig, HttpService};

/// The first moment of every test.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_769_860_800);
/// The token that opens `/api/v1`.
pub(crate) const ADMIN_TOKEN: &str = "local-admin-token";

/// A clock that follows tokio's paused one, and bytes that count.
struct Scripted {
    start: Instant,
    next: Mutex<u64>,
}

impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        BEGINNING.plus(self.start.elapsed())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let mut next = self.next.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            *next += 1;
            chunk.copy_from_slice(&next.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// An installation with the hub `hub.test`.
pub(crate) struct Installation {
    pub(crate) engine: Arc<Engine>,
    pub(crate) provisioning: Arc<Provisioning>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) service: HttpService,
    /// Where uploads go.
    pub(crate) blobs: MemoryBlobs,
    /// Where all else is kept.
    pub(crate) store: Arc<MemoryStore>,
}

impl Installation {
    pub(crate) async fn new() -> Self {
        Self::with(HttpConfig::default()).await
    }

    pub(crate) async fn with(config: HttpConfig) -> Self {
        Self::served(config, ProvisioningLimits::NONE).await
    }

    /// An installation whose provisioning service has these limits.
    pub(crate) async fn limited(limits: ProvisioningLimits) -> Self {
        Self::served(HttpConfig::default(), limits).await
    }

    async fn served(config: HttpConfig, limits: ProvisioningLimits) -> Self {
        let environment = Scripted {
            start: Instant::now(),
            next: Mutex::new(0),
        };
        let blobs = MemoryBlobs::default();
        let environment: Arc<dyn Environment> = Arc::new(environment);
        let store = Arc::new(MemoryStore::new());
        let engine = Engine::open(EngineParts {
            files: hub_engine::Files::new(Arc::new(blobs.clone())),
            store: Arc::clone(&store) as _,
            logs: Arc::new(MemoryLogs::new()),
            bus: Arc::new(LocalBus::new(|duration| {
                Box::pin(tokio::time::sleep(duration))
            })),
            environment: Arc::clone(&environment),
        })
        .await
        .unwrap();
        let hub = create_hub(&engine, "hub").await;
        let provisioning = Provisioning::open(hub_provisioning::Parts {
            engine: Arc::clone(&engine),
            store: Arc::clone(&store) as _,
            environment,
            outside: Outside::new(None).unwrap(),
            limits,
        })
        .await
        .unwrap();
        let token = AdminToken::new(ADMIN_TOKEN);
        let service = HttpService::new(
            Arc::clone(&engine),
            Arc::clone(&provisioning),
            token,
            "0.0.0",
            config,
        );
        Self {
            engine,
            provisioning,
            hub,
            service,
            blobs,
            store,
        }
    }

    /// Adds a hub with the host `{name}.test`.
    pub(crate) async fn add_hub(&self, name: &str) -> Arc<Hub> {
        create_hub(&self.engine, name).await
    }

    /// A token of the hub's policy of that name.
    pub(crate) fn token(&self, policy: &str) -> String {
        token_of(&self.hub, policy, &self.hub.policy(policy).unwrap().primary)
    }

    /// Sends a request as `iothubowner`.
    pub(crate) async fn owner(&self, method: &str, target: &str, body: &str) -> Answer {
        self.send(
            self.request(method, target)
                .header("authorization", self.token("iothubowner")),
            body.to_owned(),
        )
        .await
    }

    /// As [`Self::owner`], with an `If-Match`.
    pub(crate) async fn guarded(
        &self,
        method: &str,
        target: &str,
        guard: &str,
        body: &str,
    ) -> Answer {
        let request = self
            .request(method, target)
            .header("authorization", self.token("iothubowner"));
        self.send(request.header("if-match", guard), body.to_owned())
            .await
    }

    /// A request to the hub without a caller. A target without a query gets an api-version.
    pub(crate) fn request(&self, method: &str, target: &str) -> http::request::Builder {
        let version = if target.contains('?') {
            ""
        } else {
            "?api-version=2021-04-12"
        };
        Request::builder()
            .method(method)
            .uri(format!("{target}{version}"))
            .header("host", self.hub.host.as_str())
            .header("content-type", "application/json; charset=utf-8")
    }

    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Body>,
    ) -> Answer {
        let request = request.body(body.into()).unwrap();
        Answer::read(
            self.service
                .router()
                .oneshot(request)
                .await
                .unwrap()
                .map(Body::new),
        )
        .await
    }
}

/// A token for the whole hub.
pub(crate) fn token_of(hub: &Hub, policy: &str, key: &SymmetricKey) -> String {
    sign_token(
        hub.host.as_str(),
        key,
        Timestamp::from_seconds(4_000_000_000),
        Some(policy),
    )
}

async fn create_hub(engine: &Engine, name: &str) -> Arc<Hub> {
    let now = engine.environment().now();
    let ctx = OpContext {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now,
    };
    let new = NewHub {
        name: HubName::parse(name).unwrap(),
        host: HostName::parse(&format!("{name}.test")).unwrap(),
        aliases: Vec::new(),
        partition_count: 4,
    };
    engine.hubs.create(&ctx, new).await.unwrap()
}

/// An answer with its whole body.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) async fn read(response: http::Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body of a success, checked to be one.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self.json()
    }

    /// The refusal as SDKs take it apart: status, code, text. Checks that all places say the same.
    pub(crate) fn refusal(&self) -> String {
        let body = self.json();
        let message = body["Message"].as_str().unwrap();
        let (code, text) = message.split_once(';').unwrap();
        let code = code.strip_prefix("ErrorCode:").unwrap();
        assert_eq!(self.header("iothub-errorcode"), code);
        assert_eq!(
            self.header("content-type"),
            "application/json; charset=utf-8"
        );
        assert!(!text.is_empty() && !text.contains(';'), "{text}");
        let tracking = format!(
            "Tracking ID:{}-G:0-TimeStamp:01/31/2026 12:",
            self.header("x-ms-request-id")
        );
        assert!(
            body["ExceptionMessage"]
                .as_str()
                .unwrap()
                .starts_with(&tracking),
            "{body}"
        );
        format!("{} {code}: {text}", self.status.as_u16())
    }

    /// Status and code of a refusal.
    pub(crate) fn refused(&self) -> String {
        self.refusal().split(": ").next().unwrap().to_owned()
    }
}
