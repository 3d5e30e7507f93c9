//! A whole hub behind a real AMQP listener.

mod client;

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
    NewIdentity, OpContext, Position, ReadLimit,
};
use hub_gateway::{
    Admission, AdmissionConfig, Amqp, CloseCause, Counters, bind, serve_amqp, server_config,
};
use hub_provisioning::{Outside, Parts, Provisioning};
use hub_storage::bus::LocalBus;
use hub_storage::memory::{Faults as _, MemoryLog, MemoryLogs, MemoryStore};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinSet;
use tokio::time::Instant;

pub(crate) use client::{Client, Message, Reader};

/// How long anything that must happen may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// When every test begins.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_769_860_800);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A clock that begins at [`BEGINNING`] and goes with the test's, and bytes that count.
struct Scripted {
    began: Instant,
    random: Arc<AtomicU64>,
}

impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        BEGINNING.plus(self.began.elapsed())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let next = self.random.fetch_add(1, Ordering::Relaxed) + 1;
            chunk.copy_from_slice(&next.to_be_bytes()[..chunk.len()]);
        }
    }
}

/// The hub `hub.test`, served on a loopback port. What runs ends with this value.
pub(crate) struct Hub {
    pub(crate) engine: Arc<Engine>,
    pub(crate) provisioning: Arc<Provisioning>,
    pub(crate) record: Arc<HubRecord>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) address: SocketAddr,
    /// Counts what the provisioning service draws.
    drawn: Arc<AtomicU64>,
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
        let store = Arc::new(MemoryStore::new());
        let logs = Arc::new(MemoryLogs::new());
        let began = Instant::now();
        let environment = |random: &Arc<AtomicU64>| -> Arc<dyn Environment> {
            Arc::new(Scripted {
                began,
                random: Arc::clone(random),
            })
        };
        let drawn = Arc::new(AtomicU64::new(1_000_000));
        let engine = Engine::open(EngineParts {
            files: hub_engine::Files::new(Arc::new(hub_storage::memory::MemoryBlobs::default())),
            store: Arc::clone(&store) as Arc<_>,
            logs: Arc::clone(&logs) as Arc<_>,
            bus: Arc::new(LocalBus::new(|duration| {
                Box::pin(tokio::time::sleep(duration))
            })),
            environment: environment(&Arc::default()),
        })
        .await
        .unwrap();
        let record = create_hub(&engine, "hub").await;
        let log = logs.open_memory(&record).unwrap();
        log.hold();
        let provisioning = Provisioning::open(Parts {
            engine: Arc::clone(&engine),
            store,
            environment: environment(&drawn),
            outside: Outside::new(None).unwrap(),
            limits,
        })
        .await
        .unwrap();
        let (tls, certificate) = server_tls();
        let listener = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let counters = Arc::new(Counters::default());
        let mut running = JoinSet::new();
        running.spawn(serve_amqp(
            listener,
            tls,
            Amqp::new(Arc::clone(&engine), Some(Arc::clone(&provisioning)), 5_671),
            Admission::new(admission),
            Arc::clone(&counters),
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
            log,
            address,
            drawn,
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

    /// A further hub with the host `{name}.test`.
    pub(crate) async fn add_hub(&self, name: &str) -> Arc<HubRecord> {
        create_hub(&self.engine, name).await
    }

    /// Creates an identity with the key of [`key`].
    pub(crate) async fn given(&self, id: &str) {
        self.given_in(&self.record, identity(id, Status::Enabled))
            .await;
    }

    /// Creates an identity that proves itself like this.
    pub(crate) async fn given_with(&self, id: &str, authentication: NewAuthentication) {
        let new = NewIdentity {
            authentication,
            ..identity(id, Status::Enabled)
        };
        self.given_in(&self.record, new).await;
    }

    /// Creates an identity in any hub.
    pub(crate) async fn given_in(&self, hub: &HubRecord, new: NewIdentity) {
        let registry = &self.engine.registry;
        let ctx = context_of(hub, self.engine.environment().now());
        registry.create(&ctx, hub.no, new).await.unwrap();
    }

    /// Lets an identity prove itself in another way.
    pub(crate) async fn replace_with(&self, id: &str, authentication: NewAuthentication) {
        let update = NewIdentity {
            authentication,
            ..identity(id, Status::Enabled)
        };
        let registry = &self.engine.registry;
        registry
            .replace(&self.context(), self.record.no, update, IfMatch::Any)
            .await
            .unwrap();
    }

    pub(crate) async fn disable(&self, id: &str) {
        let update = identity(id, Status::Disabled);
        let registry = &self.engine.registry;
        registry
            .replace(&self.context(), self.record.no, update, IfMatch::Any)
            .await
            .unwrap();
    }

    /// A client whose connection and session are open; nothing is proved.
    pub(crate) async fn open(&self) -> Client {
        let mut client = self.client(hub_amqp::Login::Bare).await;
        client.open("hub.test").await;
        client
    }

    /// A client that has sent nothing yet.
    pub(crate) async fn client(&self, login: hub_amqp::Login<'_>) -> Client {
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        self.client_with(config, login).await
    }

    /// As [`Hub::client`], with a certificate.
    pub(crate) async fn client_with_certificate(
        &self,
        (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>),
    ) -> Client {
        let config = ClientConfig::builder()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(vec![certificate], key);
        self.client_with(config.unwrap(), hub_amqp::Login::Bare)
            .await
    }

    /// As [`Hub::client`], with TLS of its own.
    pub(crate) async fn client_with(
        &self,
        config: ClientConfig,
        login: hub_amqp::Login<'_>,
    ) -> Client {
        Client::new(self.address, config, login).await
    }

    /// What clients trust.
    pub(crate) fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        roots
    }

    /// A client that put the token of `id`.
    pub(crate) async fn device(&self, id: &str) -> Client {
        let mut client = self.open().await;
        client
            .prove(&resource(id), &token(id, self.in_a_day()))
            .await;
        client
    }

    /// A client that put a token of a policy for the whole hub.
    pub(crate) async fn back_end(&self, policy: &str) -> Client {
        let mut client = self.open().await;
        let token = self.policy_token(policy, "hub.test", self.in_a_day());
        client.prove("hub.test", &token).await;
        client
    }

    /// What the provisioning service draws next as a key.
    pub(crate) fn next_key(&self) -> SymmetricKey {
        let next = Scripted {
            began: Instant::now(),
            random: Arc::new(AtomicU64::new(self.drawn.load(Ordering::Relaxed))),
        };
        let mut bytes = [0; 32];
        next.fill_random(&mut bytes);
        SymmetricKey::from_bytes(&bytes).unwrap()
    }

    pub(crate) fn in_a_day(&self) -> Timestamp {
        self.engine.environment().now().plus(DAY)
    }

    pub(crate) fn policy_token(&self, policy: &str, resource: &str, expires: Timestamp) -> String {
        let key = &self.record.policy(policy).unwrap().primary;
        sign_token(resource, key, expires, Some(policy))
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

    /// All telemetry as `{device} [{bag}] {body}`, one a line. Long bodies are told by their length.
    pub(crate) async fn telemetry(&self) -> String {
        self.telemetry_of(&self.record).await
    }

    /// That of any hub.
    pub(crate) async fn telemetry_of(&self, hub: &HubRecord) -> String {
        let mut lines = Vec::new();
        for partition in 0..hub.partition_count {
            let limit = ReadLimit {
                records: 1_000,
                bytes: usize::MAX,
            };
            let ctx = context_of(hub, self.engine.environment().now());
            let events = &self.engine.events;
            let records = events
                .telemetry(&ctx, hub.no, partition, Position::Start, limit)
                .await
                .unwrap();
            lines.extend(records.iter().map(|record| {
                let bag = String::from_utf8_lossy(&record.bag);
                format!("{} [{bag}] {}", record.source.device, shown(&record.body))
            }));
        }
        lines.join("\n")
    }

    /// Patches the desired section.
    pub(crate) async fn patch_desired(&self, id: &str, desired: serde_json::Value) {
        let patch = BackEndPatch {
            tags: None,
            desired: Some(desired.as_object().unwrap().clone()),
        };
        let id = IdentityId::parse(id).unwrap();
        let twins = &self.engine.twins;
        twins
            .patch(&self.context(), self.record.no, &id, patch, IfMatch::Any)
            .await
            .unwrap();
    }

    /// Queues a message for `id`.
    pub(crate) async fn send(&self, id: &str, body: &str) {
        let id = IdentityId::parse(id).unwrap();
        let now = self.engine.environment().now();
        let mut draft = CloudToDeviceDraft::new(&id, Bytes::from(body.to_owned()), now);
        draft.message_id = Some("m1".to_owned());
        draft.properties = vec![("a".to_owned(), Some("b".to_owned()))];
        let message = CloudToDeviceMessage::parse(draft).unwrap();
        let messages = &self.engine.messages;
        messages
            .send(&self.context(), self.record.no, &id, message)
            .await
            .unwrap();
    }

    /// Waits until so many messages wait for `id`.
    pub(crate) async fn check_waiting(&self, id: &str, expected: u64) {
        let id = IdentityId::parse(id).unwrap();
        let waiting = async || {
            let registry = &self.engine.registry;
            let view = registry
                .fetch(&self.context(), self.record.no, &id)
                .await
                .unwrap();
            view.message_count
        };
        let settled = async {
            while waiting().await != expected {
                tokio::task::yield_now().await;
            }
        };
        if tokio::time::timeout(DEADLINE, settled).await.is_err() {
            panic!("expected {expected}, {} wait", waiting().await);
        }
    }

    /// A call of a method; it waits 30 s for its answer.
    pub(crate) fn invoke(
        &self,
        id: &str,
        name: &str,
        payload: &[u8],
    ) -> impl Future<Output = Result<MethodAnswer, Error>> + Send + 'static + use<> {
        let (engine, hub, ctx) = (Arc::clone(&self.engine), self.record.no, self.context());
        let id = IdentityId::parse(id).unwrap();
        let request = MethodRequest {
            name: name.to_owned(),
            payload: Some(Bytes::copy_from_slice(payload)),
            connect: Duration::from_secs(20),
            response: Duration::from_secs(30),
        };
        async move { engine.methods.invoke(&ctx, hub, &id, request).await }
    }

    fn context(&self) -> OpContext {
        context_of(&self.record, self.engine.environment().now())
    }
}

fn context_of(hub: &HubRecord, now: Timestamp) -> OpContext {
    OpContext {
        caller: Caller::Policy {
            hub: hub.no,
            name: "test".to_owned(),
            permissions: Permissions::of(&Permission::ALL),
        },
        request_id: "test".to_owned(),
        now,
    }
}

/// A body as text, long ones by their length.
pub(crate) fn shown(body: &[u8]) -> String {
    if body.len() > 1_000 {
        return format!("{} bytes", body.len());
    }
    String::from_utf8_lossy(body).into_owned()
}

/// The key of every identity.
pub(crate) fn key() -> SymmetricKey {
    SymmetricKey::from_bytes(&[7; 32]).unwrap()
}

/// The path of an identity's own tokens.
pub(crate) fn resource(id: &str) -> String {
    match id.split_once('/') {
        None => format!("hub.test/devices/{id}"),
        Some((device, module)) => format!("hub.test/devices/{device}/modules/{module}"),
    }
}

/// A token of `id` that ends at `expires`.
pub(crate) fn token(id: &str, expires: Timestamp) -> String {
    sign_token(&resource(id), &key(), expires, None)
}

pub(crate) fn identity(id: &str, status: Status) -> NewIdentity {
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

async fn create_hub(engine: &Engine, name: &str) -> Arc<HubRecord> {
    let ctx = OpContext {
        caller: Caller::Admin,
        request_id: "set-up".to_owned(),
        now: BEGINNING,
    };
    let new = NewHub {
        name: HubName::parse(name).unwrap(),
        host: HostName::parse(&format!("{name}.test")).unwrap(),
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
    let config = server_config(Arc::new(SingleCertAndKey::from(key)), &[]).unwrap();
    (config, certificate)
}
