//! A whole service in memory, and its answers as short texts.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use hub_domain::provisioning::{
    Attestation, EnrollmentGroupId, ProvisioningLimits, Registration, RegistrationId,
    ServicePermission, ServicePermissions, Terms, derived_key,
};
use hub_domain::twin::BackEndPatch;
use hub_domain::{DeviceId, HostName, HubName, IdentityId, Status, SymmetricKey, Timestamp};
use hub_engine::{
    Engine, EngineParts, Environment, Files, IdentityView, IfMatch, NewAuthentication, NewHub,
    NewIdentity, OpContext, TwinView,
};
use hub_provisioning::{
    Caller, Context, Credential, DeviceCall, Error, NewAttestation, NewEnrollment, NewGroup,
    OperationStatus, Outside, Parts, Provisioning, RegisterRequest, Registered,
};
use hub_storage::Store as _;
use hub_storage::bus::LocalBus;
use hub_storage::memory::{MemoryBlobs, MemoryLogs, MemoryStore};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_700_000_000);

/// A clock that tests set, and numbers that look random.
pub(crate) struct Scripted {
    seconds: AtomicI64,
    random: AtomicU64,
}

impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        BEGINNING.plus(Duration::from_secs(
            u64::try_from(self.seconds.load(Ordering::SeqCst)).unwrap(),
        ))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            let state = self
                .random
                .fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = (mixed ^ (mixed >> 27)).to_le_bytes()[3];
        }
    }
}

pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) service: Arc<Provisioning>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) environment: Arc<Scripted>,
    limits: ProvisioningLimits,
    parts: EngineParts,
    trust: Option<String>,
    running: Vec<JoinHandle<()>>,
}

impl World {
    /// A service with these hubs.
    pub(crate) async fn with(hosts: &[&str]) -> Self {
        Self::trusting(hosts, None).await
    }

    /// A service with these hubs, which trusts certificates besides those of the system.
    pub(crate) async fn trusting(hosts: &[&str], trust: Option<String>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let environment = Arc::new(Scripted {
            seconds: AtomicI64::new(0),
            random: AtomicU64::new(1),
        });
        let parts = EngineParts {
            files: Files::new(Arc::new(MemoryBlobs::default())),
            store: Arc::clone(&store) as _,
            logs: Arc::new(MemoryLogs::new()),
            bus: Arc::new(LocalBus::new(|duration| {
                Box::pin(tokio::time::sleep(duration))
            })),
            environment: Arc::clone(&environment) as _,
        };
        let engine = Engine::open(parts.clone()).await.unwrap();
        for host in hosts {
            let label = host.split('.').next().unwrap();
            let new = NewHub {
                name: HubName::parse(label).unwrap(),
                host: HostName::parse(host).unwrap(),
                aliases: Vec::new(),
                partition_count: 2,
            };
            engine
                .hubs
                .create(&system(&*environment), new)
                .await
                .unwrap();
        }
        let limits = ProvisioningLimits::NONE;
        let service = open(&engine, &store, &environment, limits, trust.as_deref()).await;
        let mut world = Self {
            engine,
            service,
            store,
            environment,
            limits,
            parts,
            trust,
            running: Vec::new(),
        };
        world.run();
        world
    }

    /// The same with one hub, and limits.
    pub(crate) async fn limited(limits: ProvisioningLimits) -> Self {
        let mut world = Self::with(&["a.test"]).await;
        world.limits = limits;
        world.crash().await;
        world
    }

    fn run(&mut self) {
        let service = Arc::clone(&self.service);
        self.running.push(tokio::spawn(async move {
            service.run(std::future::pending()).await
        }));
        let engine = Arc::clone(&self.engine);
        self.running.push(tokio::spawn(async move {
            engine.run(std::future::pending()).await.unwrap();
        }));
    }

    /// Everything that lives in memory is gone, and it begins anew over the same store.
    pub(crate) async fn crash(&mut self) {
        for task in self.running.drain(..) {
            task.abort();
            let _ = task.await;
        }
        self.engine = Engine::open(self.parts.clone()).await.unwrap();
        let (limits, trust) = (self.limits, self.trust.as_deref());
        self.service = open(&self.engine, &self.store, &self.environment, limits, trust).await;
        self.run();
    }

    /// What the service draws next.
    pub(crate) fn next_key(&self) -> SymmetricKey {
        let next = Scripted {
            seconds: AtomicI64::new(0),
            random: AtomicU64::new(self.environment.random.load(Ordering::SeqCst)),
        };
        let mut bytes = [0; 32];
        next.fill_random(&mut bytes);
        SymmetricKey::from_bytes(&bytes).unwrap()
    }

    pub(crate) fn later(&self, seconds: i64) {
        self.environment
            .seconds
            .fetch_add(seconds, Ordering::SeqCst);
    }

    /// The server starts with another host name.
    pub(crate) async fn rename(&self, host: &str) {
        let ctx = system(self.engine.environment());
        let host = HostName::parse(host).unwrap();
        self.engine.hubs.rename_first(&ctx, &host).await.unwrap();
    }

    pub(crate) fn admin(&self) -> Context {
        self.caller(Caller::Admin)
    }

    pub(crate) fn caller(&self, caller: Caller) -> Context {
        Context {
            caller,
            request_id: "test".to_owned(),
            now: self.environment.now(),
        }
    }

    pub(crate) fn policy(&self, permissions: &[ServicePermission]) -> Context {
        self.caller(Caller::Policy {
            name: "p".to_owned(),
            permissions: ServicePermissions::of(permissions),
        })
    }

    /// Enrolls one device with the keys 1 and 2.
    pub(crate) async fn enroll(&self, id: &str, terms: Terms) {
        self.enroll_as(id, None, terms).await;
    }

    /// The same with a name of its own for the device.
    pub(crate) async fn enroll_as(&self, id: &str, device: Option<&str>, terms: Terms) {
        let new = NewEnrollment {
            id: registration(id),
            device: device.map(|device| DeviceId::parse(device).unwrap()),
            attestation: NewAttestation::SymmetricKey {
                primary: Some(key(1)),
                secondary: Some(key(2)),
            },
            terms,
            information: None,
        };
        self.service
            .enrollments
            .put(&self.admin(), new, IfMatch::Absent)
            .await
            .unwrap();
    }

    /// Replaces the terms of a device's enrollment.
    pub(crate) async fn change_terms(&self, id: &str, change: impl FnOnce(&mut Terms)) {
        let ctx = self.admin();
        let enrollments = &self.service.enrollments;
        let former = enrollments.fetch(&ctx, &registration(id)).await.unwrap();
        let mut terms = former.terms;
        change(&mut terms);
        let new = NewEnrollment {
            id: former.id,
            device: former.device,
            attestation: NewAttestation::Unchanged,
            terms,
            information: None,
        };
        enrollments.put(&ctx, new, IfMatch::Any).await.unwrap();
    }

    /// Gives the device of an enrollment another name.
    pub(crate) async fn rename_device(&self, id: &str, device: &str) {
        let ctx = self.admin();
        let enrollments = &self.service.enrollments;
        let former = enrollments.fetch(&ctx, &registration(id)).await.unwrap();
        let new = NewEnrollment {
            id: former.id,
            device: DeviceId::parse(device).ok(),
            attestation: NewAttestation::Unchanged,
            terms: former.terms,
            information: None,
        };
        enrollments.put(&ctx, new, IfMatch::Any).await.unwrap();
    }

    /// A group with the keys 3 and 4.
    pub(crate) async fn enroll_group(&self, id: &str, terms: Terms) {
        let new = NewGroup {
            id: EnrollmentGroupId::parse(id).unwrap(),
            attestation: NewAttestation::SymmetricKey {
                primary: Some(key(3)),
                secondary: Some(key(4)),
            },
            terms,
        };
        self.service
            .groups
            .put(&self.admin(), new, IfMatch::Absent)
            .await
            .unwrap();
    }

    pub(crate) fn token(&self, id: &str, key: &SymmetricKey) -> String {
        let scope = self.service.service.id_scope();
        let expiry = self.environment.now().plus(Duration::from_secs(3600));
        hub_domain::sas::sign_token(
            &format!("{}/registrations/{id}", scope.as_str()),
            key,
            expiry,
            Some("registration"),
        )
    }

    /// Registers with a key, and waits for the outcome.
    pub(crate) async fn register(&self, id: &str, key: &SymmetricKey) -> Result<Value, String> {
        self.register_with(id, key, RegisterRequest::default())
            .await
    }

    pub(crate) async fn register_with(
        &self,
        id: &str,
        key: &SymmetricKey,
        request: RegisterRequest,
    ) -> Result<Value, String> {
        let begun = self.begin(id, key, request).await?;
        if begun.is_final() {
            return Ok(document(&begun));
        }
        self.outcome(id, key, begun.operation()).await
    }

    pub(crate) async fn begin(
        &self,
        id: &str,
        key: &SymmetricKey,
        request: RegisterRequest,
    ) -> Result<OperationStatus, String> {
        let token = self.token(id, key);
        let call = self.call(id, Credential::Token(&token));
        let registered = self.service.registrations.register(&call, request).await;
        match registered.map_err(said)? {
            Registered::Accepted(status) => Ok(*status),
            Registered::Challenge(_) => Err("challenged".to_owned()),
        }
    }

    pub(crate) async fn outcome(
        &self,
        id: &str,
        key: &SymmetricKey,
        operation: &str,
    ) -> Result<Value, String> {
        let token = self.token(id, key);
        let registrations = &self.service.registrations;
        let wait = async {
            loop {
                let call = self.call(id, Credential::Token(&token));
                let status = registrations.status(&call, operation).await.map_err(said)?;
                if status.is_final() {
                    return Ok(document(&status));
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("the registration ends")
    }

    /// The registration once nothing is left to do for it.
    pub(crate) async fn settled(&self, id: &str) -> Registration {
        let wait = async {
            loop {
                let found = self.store.registration(&registration(id)).await.unwrap();
                if let Some(found) = found.filter(|found| !found.is_unfinished()) {
                    return found;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), wait)
            .await
            .expect("the registration is finished")
    }

    pub(crate) fn call<'a>(&self, id: &str, credential: Credential<'a>) -> DeviceCall<'a> {
        // Leaked: a handful of bytes per test.
        let scope: &'static str = self.service.service.id_scope().as_str().to_owned().leak();
        DeviceCall {
            id_scope: scope,
            id: registration(id),
            credential,
            address: None,
            now: self.environment.now(),
        }
    }

    /// A device in a hub, when it is there.
    pub(crate) async fn identity(&self, hub: &str, device: &str) -> Option<IdentityView> {
        let hub = self.engine.hubs.by_name(hub).unwrap();
        let id = IdentityId::parse(device).unwrap();
        let ctx = system(&*self.environment);
        self.engine.registry.fetch(&ctx, hub.no, &id).await.ok()
    }

    /// A back end makes a device.
    pub(crate) async fn create(&self, hub: &str, device: &str) {
        let hub = self.engine.hubs.by_name(hub).unwrap();
        let new = NewIdentity {
            id: IdentityId::parse(device).unwrap(),
            status: Status::Enabled,
            status_reason: None,
            authentication: NewAuthentication::Sas {
                primary: None,
                secondary: None,
            },
            iot_edge: false,
            device_scope: None,
            parent_scopes: Vec::new(),
            managed_by: Some("somebody".to_owned()),
        };
        let ctx = system(&*self.environment);
        let registry = &self.engine.registry;
        registry.create(&ctx, hub.no, new).await.unwrap();
    }

    /// An operator disables a device.
    pub(crate) async fn disable(&self, hub: &str, device: &str, reason: &str) {
        let identity = self.identity(hub, device).await.unwrap().identity;
        let hub = self.engine.hubs.by_name(hub).unwrap();
        let next = NewIdentity {
            id: identity.id,
            status: Status::Disabled,
            status_reason: Some(reason.to_owned()),
            authentication: NewAuthentication::Sas {
                primary: None,
                secondary: None,
            },
            iot_edge: identity.iot_edge,
            device_scope: None,
            parent_scopes: Vec::new(),
            managed_by: None,
        };
        let ctx = system(&*self.environment);
        let registry = &self.engine.registry;
        registry
            .replace(&ctx, hub.no, next, IfMatch::Any)
            .await
            .unwrap();
    }

    /// A back end writes another tag.
    pub(crate) async fn live(&self, hub: &str, device: &str, tag: &str) {
        self.write(hub, device, "by", json!(tag)).await.unwrap();
    }

    /// A back end writes a tag.
    pub(crate) async fn write(
        &self,
        hub: &str,
        device: &str,
        name: &str,
        value: Value,
    ) -> Result<TwinView, hub_engine::Error> {
        let hub = self.engine.hubs.by_name(hub).unwrap();
        let id = IdentityId::parse(device).unwrap();
        let ctx = system(&*self.environment);
        let patch = BackEndPatch {
            tags: Some([(name.to_owned(), value)].into_iter().collect()),
            desired: None,
        };
        let twins = &self.engine.twins;
        twins.patch(&ctx, hub.no, &id, patch, IfMatch::Any).await
    }

    pub(crate) async fn twin(&self, hub: &str, device: &str) -> TwinView {
        let hub = self.engine.hubs.by_name(hub).unwrap();
        let id = IdentityId::parse(device).unwrap();
        let ctx = system(&*self.environment);
        self.engine.twins.fetch(&ctx, hub.no, &id).await.unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for task in &self.running {
            task.abort();
        }
    }
}

async fn open(
    engine: &Arc<Engine>,
    store: &Arc<MemoryStore>,
    environment: &Arc<Scripted>,
    limits: ProvisioningLimits,
    trust: Option<&str>,
) -> Arc<Provisioning> {
    Provisioning::open(Parts {
        engine: Arc::clone(engine),
        store: Arc::clone(store) as _,
        environment: Arc::clone(environment) as _,
        outside: Outside::new(trust.map(str::as_bytes)).unwrap(),
        limits,
    })
    .await
    .unwrap()
}

pub(crate) fn system(environment: &dyn Environment) -> OpContext {
    OpContext {
        caller: hub_engine::Caller::System,
        request_id: "test".to_owned(),
        now: environment.now(),
    }
}

pub(crate) fn registration(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

pub(crate) fn key(fill: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[fill; 32]).unwrap()
}

/// The key of a device in the group of [`World::enroll_group`].
pub(crate) fn group_key(id: &str) -> SymmetricKey {
    derived_key(&key(3), id)
}

pub(crate) fn document(status: &OperationStatus) -> Value {
    serde_json::from_str(&status.document()).unwrap()
}

pub(crate) fn said(error: Error) -> String {
    format!("{} {}", error.code(), error.message())
}

/// Status, hub, device and substatus in a line.
pub(crate) fn line(outcome: &Value) -> String {
    let state = &outcome["registrationState"];
    let text = |name: &str| state[name].as_str().unwrap_or("-").to_owned();
    match state["errorCode"].as_u64() {
        Some(code) => format!("{} {code} {}", text("status"), text("errorMessage")),
        None => format!(
            "{} {} {} {}",
            text("status"),
            text("assignedHub"),
            text("deviceId"),
            text("substatus")
        ),
    }
}

pub(crate) fn keys_of(attestation: &Attestation) -> [SymmetricKey; 2] {
    match attestation {
        Attestation::SymmetricKey { primary, secondary } => [primary.clone(), secondary.clone()],
        _ => panic!("the enrollment has no keys"),
    }
}
