//! A whole hub behind a real listener, and raw clients.

mod client;
mod packets;
mod web;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage};
use hub_domain::provisioning::ProvisioningLimits;
use hub_domain::sas::sign_token;
use hub_domain::twin::BackEndPatch;
use hub_domain::{
    HostName, Hub as HubRecord, HubName, IdentityId, Permission, Permissions, Status, SymmetricKey,
    Timestamp,
};
use hub_engine::methods::{MethodAnswer, MethodRequest};
use hub_engine::{
    Caller, Engine, EngineParts, Environment, Error, IfMatch, NewAuthentication, NewHub,
    NewIdentity, OpContext, Position, ReadLimit, RecordFlags,
};
use hub_gateway::{
    Admission, AdmissionConfig, Amqp, CloseCause, Counters, Heads, Mqtt, bind, serve_https,
    serve_mqtt, server_config,
};
use hub_provisioning::{Outside, Parts, Provisioning};
use hub_storage::bus::LocalBus;
use hub_storage::memory::{Faults as _, MemoryLog, MemoryLogs, MemoryStore};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;

pub(crate) use client::{Client, Login};
pub(crate) use packets::{
    PUBACK, disconnect, pingreq, puback, publish, publish_flagged, subscribe, unsubscribe,
};
pub(crate) use web::Web;

/// How long anything that must happen may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// How long nothing must happen for a test to believe that it does not.
pub(crate) const QUIET: Duration = Duration::from_millis(150);
/// The moment at which every test's clock stands.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_769_860_800);

/// A clock that stands still, and bytes that count.
struct Scripted(AtomicU64);

impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        BEGINNING
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            chunk.copy_from_slice(&next.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// The hub `hub.test`, served on a loopback port. What runs ends with this value.
pub(crate) struct Hub {
    pub(crate) engine: Arc<Engine>,
    pub(crate) provisioning: Arc<Provisioning>,
    pub(crate) record: Arc<HubRecord>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) address: SocketAddr,
    pub(crate) web_address: SocketAddr,
    counters: Arc<Counters>,
    certificate: CertificateDer<'static>,
    _running: JoinSet<()>,
}

impl Hub {
    pub(crate) async fn new() -> Self {
        Self::with(AdmissionConfig::default()).await
    }

    pub(crate) async fn with(admission: AdmissionConfig) -> Self {
        Self::served(admission, ProvisioningLimits::NONE).await
    }

    /// A hub whose provisioning service has these limits.
    pub(crate) async fn limited(limits: ProvisioningLimits) -> Self {
        Self::served(AdmissionConfig::default(), limits).await
    }

    async fn served(admission: AdmissionConfig, limits: ProvisioningLimits) -> Self {
        let (store, logs) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLogs::new()));
        let engine = Engine::open(EngineParts {
            files: hub_engine::Files::new(Arc::new(hub_storage::memory::MemoryBlobs::default())),
            store: Arc::clone(&store) as Arc<_>,
            logs: Arc::clone(&logs) as Arc<_>,
            bus: Arc::new(LocalBus::new(|duration| {
                Box::pin(tokio::time::sleep(duration))
            })),
            environment: Arc::new(Scripted(AtomicU64::new(0))),
        })
        .await
        .unwrap();
        let record = create_hub(&engine).await;
        let provisioning = Provisioning::open(Parts {
            engine: Arc::clone(&engine),
            store: Arc::clone(&store) as Arc<_>,
            environment: Arc::new(Scripted(AtomicU64::new(1_000_000))),
            outside: Outside::new(None).unwrap(),
            limits,
        })
        .await
        .unwrap();
        let log = logs.open_memory(&record).unwrap();
        log.hold();
        let (tls, certificate) = server_tls();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let web_listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let web_address = web_listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let admission = Admission::new(admission);
        let mut running = JoinSet::new();
        let head = Mqtt::new(Arc::clone(&engine), Some(Arc::clone(&provisioning)));
        running.spawn(serve_mqtt(
            listener,
            Arc::clone(&tls),
            Arc::clone(&head),
            Arc::clone(&admission),
            Arc::clone(&counters),
            std::future::pending(),
        ));
        running.spawn(serve_https(
            web_listener,
            tls,
            Heads {
                mqtt: head,
                amqp: Amqp::new(Arc::clone(&engine), None, 5_671),
            },
            admission,
            Arc::clone(&counters),
            web::upgrade,
            std::future::pending(),
        ));
        let dispatching = Arc::clone(&engine);
        running.spawn(async move { dispatching.run(std::future::pending()).await.unwrap() });
        // The chores trim the log when they begin; a test's faults are not meant for that.
        while log.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        log.resume();
        Self {
            engine,
            provisioning,
            record,
            store,
            log,
            address,
            web_address,
            counters,
            certificate,
            _running: running,
        }
    }

    /// A hub with the device `d1`.
    pub(crate) async fn with_device() -> Self {
        let hub = Self::new().await;
        hub.given("d1").await;
        hub
    }

    /// Creates an identity with the key of [`key`].
    pub(crate) async fn given(&self, id: &str) {
        self.given_with(identity(id, Status::Enabled)).await;
    }

    /// Creates this identity.
    pub(crate) async fn given_with(&self, new: NewIdentity) {
        self.engine
            .registry
            .create(&context(&self.record), self.record.no, new)
            .await
            .unwrap();
    }

    pub(crate) async fn disable(&self, id: &str) {
        let update = identity(id, Status::Disabled);
        self.engine
            .registry
            .replace(&context(&self.record), self.record.no, update, IfMatch::Any)
            .await
            .unwrap();
    }

    /// True when the hub has the identity.
    pub(crate) async fn exists(&self, id: &IdentityId) -> bool {
        let (registry, ctx) = (&self.engine.registry, context(&self.record));
        registry.fetch(&ctx, self.record.no, id).await.is_ok()
    }

    /// A client that is connected as `id` with a kept session.
    pub(crate) async fn connect(&self, id: &str) -> Client {
        self.open(Login::of(id)).await
    }

    /// A client that was accepted.
    pub(crate) async fn open(&self, login: Login) -> Client {
        let mut client = self.tls().await;
        client.send(&login.packet()).await;
        let answer = client.next().await;
        assert!(answer.starts_with("connack 0"), "{answer}");
        client
    }

    /// A client behind its TLS handshake that has sent nothing.
    pub(crate) async fn tls(&self) -> Client {
        self.with_config(anonymous(self)).await
    }

    /// A client with TLS of its own that has sent nothing.
    pub(crate) async fn with_config(&self, config: Arc<ClientConfig>) -> Client {
        self.try_with_config(config).await.unwrap()
    }

    pub(crate) async fn try_with_config(
        &self,
        config: Arc<ClientConfig>,
    ) -> std::io::Result<Client> {
        Client::with_config(self.address, config, None).await
    }

    /// A WebSocket that has sent nothing yet.
    pub(crate) async fn web(&self) -> Web {
        self.web_with_config(anonymous(self)).await
    }

    /// As [`Hub::web`], with TLS of its own.
    pub(crate) async fn web_with_config(&self, config: Arc<ClientConfig>) -> Web {
        Web::new(self.web_address, config).await
    }

    /// As [`Hub::open`], with a small receive buffer in the kernel.
    pub(crate) async fn open_narrow(&self, login: Login) -> Client {
        let mut client = Client::with_config(self.address, anonymous(self), Some(16 * 1024))
            .await
            .unwrap();
        client.send(&login.packet()).await;
        client.check("connack 0").await;
        client
    }

    /// What CONNECT with `login` is answered, and that the connection ends then.
    pub(crate) async fn refusal(&self, login: Login) -> String {
        let mut client = self.tls().await;
        client.send(&login.packet()).await;
        let answer = client.next().await;
        client.check_closed().await;
        answer
    }

    /// Waits until connections ended for just these causes: `refused 1, keep_alive 2`.
    pub(crate) async fn check_ended(&self, expected: &str) {
        let ended = || {
            let counts = CloseCause::ALL.iter().filter_map(|cause| {
                let count = self.counters.of(*cause);
                (count > 0).then(|| format!("{} {count}", cause.as_str()))
            });
            counts.collect::<Vec<_>>().join(", ")
        };
        let settled = async {
            while ended() != expected {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(DEADLINE, settled).await.is_err() {
            panic!("expected {expected:?}, got {:?}", ended());
        }
    }

    /// All telemetry as `{device} {bag} {body} {flags}`, one a line. Long bodies are told by their length.
    pub(crate) async fn telemetry(&self) -> String {
        let mut lines = Vec::new();
        for partition in 0..self.record.partition_count {
            let limit = ReadLimit {
                records: 1_000,
                bytes: usize::MAX,
            };
            let events = &self.engine.events;
            let records = events
                .telemetry(
                    &context(&self.record),
                    self.record.no,
                    partition,
                    Position::Start,
                    limit,
                )
                .await
                .unwrap();
            for record in records {
                let mut line = format!(
                    "{} [{}] {}",
                    record.source.device,
                    String::from_utf8_lossy(&record.bag),
                    packets::shown(&record.body)
                );
                for (flag, name) in [
                    (RecordFlags::RETAIN, " retain"),
                    (RecordFlags::DUP, " dup"),
                    (RecordFlags::WILL, " will"),
                ] {
                    if record.flags.has(flag) {
                        line.push_str(name);
                    }
                }
                lines.push(line);
            }
        }
        lines.join("\n")
    }

    /// Waits until the telemetry is this.
    pub(crate) async fn check_telemetry(&self, expected: &str) {
        let settled = async {
            while self.telemetry().await != expected {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(DEADLINE, settled).await.is_err() {
            panic!("expected:\n{expected}\nstored:\n{}", self.telemetry().await);
        }
    }

    /// Patches the desired section; returns its version.
    pub(crate) async fn patch_desired(&self, id: &str, desired: serde_json::Value) -> u64 {
        let patch = BackEndPatch {
            tags: None,
            desired: Some(desired.as_object().unwrap().clone()),
        };
        let id = IdentityId::parse(id).unwrap();
        let patched = self
            .engine
            .twins
            .patch(
                &context(&self.record),
                self.record.no,
                &id,
                patch,
                IfMatch::Any,
            )
            .await
            .unwrap();
        patched.twin.back_end.desired.version
    }

    /// The reported section as JSON.
    pub(crate) async fn reported(&self, id: &str) -> String {
        let id = IdentityId::parse(id).unwrap();
        let twins = &self.engine.twins;
        let view = twins
            .fetch(&context(&self.record), self.record.no, &id)
            .await
            .unwrap();
        serde_json::to_string(&view.twin.reported.properties).unwrap()
    }

    /// Queues a message for `id`.
    pub(crate) async fn send(&self, id: &str, body: impl Into<Vec<u8>>) {
        self.send_with(id, body, Vec::new()).await;
    }

    pub(crate) async fn send_with(
        &self,
        id: &str,
        body: impl Into<Vec<u8>>,
        properties: Vec<(String, Option<String>)>,
    ) {
        let id = IdentityId::parse(id).unwrap();
        let mut draft = CloudToDeviceDraft::new(&id, Bytes::from(body.into()), BEGINNING);
        draft.properties = properties;
        let message = CloudToDeviceMessage::parse(draft).unwrap();
        let messages = &self.engine.messages;
        messages
            .send(&context(&self.record), self.record.no, &id, message)
            .await
            .unwrap();
    }

    /// How many messages wait for `id`.
    pub(crate) async fn waiting(&self, id: &str) -> u64 {
        let id = IdentityId::parse(id).unwrap();
        let registry = &self.engine.registry;
        let view = registry
            .fetch(&context(&self.record), self.record.no, &id)
            .await
            .unwrap();
        view.message_count
    }

    /// Waits until so many messages wait for `id`.
    pub(crate) async fn check_waiting(&self, id: &str, expected: u64) {
        let settled = async {
            while self.waiting(id).await != expected {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(DEADLINE, settled).await.is_err() {
            panic!("expected {expected}, {} wait", self.waiting(id).await);
        }
    }

    /// A call of a method; it waits 30 s for its answer.
    pub(crate) fn invoke(
        &self,
        id: &str,
        name: &str,
        payload: &[u8],
    ) -> impl Future<Output = Result<MethodAnswer, Error>> + Send + 'static + use<> {
        let (engine, hub, ctx) = (
            Arc::clone(&self.engine),
            self.record.no,
            context(&self.record),
        );
        let id = IdentityId::parse(id).unwrap();
        let request = MethodRequest {
            name: name.to_owned(),
            payload: Some(Bytes::copy_from_slice(payload)),
            connect: Duration::ZERO,
            response: Duration::from_secs(30),
        };
        async move { engine.methods.invoke(&ctx, hub, &id, request).await }
    }
}

/// The key of every identity.
pub(crate) fn key() -> SymmetricKey {
    SymmetricKey::from_bytes(&[7; 32]).unwrap()
}

/// A token of `id` that ends at `expires`.
pub(crate) fn token(id: &str, expires: Timestamp) -> String {
    let resource = match id.split_once('/') {
        None => format!("hub.test/devices/{id}"),
        Some((device, module)) => format!("hub.test/devices/{device}/modules/{module}"),
    };
    sign_token(&resource, &key(), expires, None)
}

fn identity(id: &str, status: Status) -> NewIdentity {
    NewIdentity {
        id: IdentityId::parse(id).unwrap(),
        status,
        status_reason: None,
        authentication: NewAuthentication::Sas {
            primary: Some(key()),
            secondary: Some(key()),
        },
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

/// An enabled identity that proves itself so.
pub(crate) fn identity_with(id: &str, authentication: NewAuthentication) -> NewIdentity {
    NewIdentity {
        authentication,
        ..identity(id, Status::Enabled)
    }
}

/// What clients trust.
pub(crate) fn server_roots(hub: &Hub) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(hub.certificate.clone()).unwrap();
    roots
}

/// TLS without a certificate.
fn anonymous(hub: &Hub) -> Arc<ClientConfig> {
    let config = ClientConfig::builder()
        .with_root_certificates(server_roots(hub))
        .with_no_client_auth();
    Arc::new(config)
}

fn context(hub: &HubRecord) -> OpContext {
    OpContext {
        caller: Caller::Policy {
            hub: hub.no,
            name: "test".to_owned(),
            permissions: Permissions::of(&Permission::ALL),
        },
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

async fn create_hub(engine: &Engine) -> Arc<HubRecord> {
    let ctx = OpContext {
        caller: Caller::Admin,
        request_id: "set-up".to_owned(),
        now: BEGINNING,
    };
    let new = NewHub {
        name: HubName::parse("hub").unwrap(),
        host: HostName::parse("hub.test").unwrap(),
        aliases: Vec::new(),
        partition_count: 4,
    };
    engine.hubs.create(&ctx, new).await.unwrap()
}

fn server_tls() -> (Arc<rustls::ServerConfig>, CertificateDer<'static>) {
    let issued = rcgen::generate_simple_self_signed(vec!["hub.test".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).unwrap();
    let certificate = CertificateDer::from(issued.cert.der().to_vec());
    let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&key).unwrap();
    let key = CertifiedKey::new(vec![certificate.clone()], key);
    let resolver = SingleCertAndKey::from(key);
    let config = server_config(Arc::new(resolver), &[]).unwrap();
    (config, certificate)
}
