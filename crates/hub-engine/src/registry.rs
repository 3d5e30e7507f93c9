//! The identity registry: devices and modules.

use std::sync::Arc;

use hub_domain::identity::{Activity, STATUS_REASON_CHARS_MAX, Thumbprint};
use hub_domain::limits::PAGE_MAX;
use hub_domain::twin::Twin;
use hub_domain::{
    Authentication, DeviceId, ErrorCode, Etag, Fact, FactKind, GenerationId, HubNo, Identity,
    IdentityId, ModuleId, Permission, Status, SymmetricKey,
};
use hub_storage::store::{Op, StoredIdentity, Unit};
use hub_storage::{Conflict, StoreError};

use crate::activity::Activities;
use crate::hubs::random_key;
use crate::{EngineParts, Error, ErrorKind, OpContext};

/// Operations on identities. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    parts: EngineParts,
    activities: Arc<Activities>,
}

/// An identity as back ends see it.
#[derive(Clone)]
pub struct IdentityView {
    /// The registry part.
    pub identity: Identity,
    /// Connection state and last activity, true at this moment.
    pub activity: Activity,
    /// Queued cloud-to-device messages.
    pub message_count: u64,
}

/// The registry part of an identity as a back end writes it.
#[derive(Clone)]
pub struct NewIdentity {
    /// Who.
    pub id: IdentityId,
    /// Whether it may connect.
    pub status: Status,
    /// Why, up to 128 characters.
    pub status_reason: Option<String>,
    /// How it proves itself.
    pub authentication: NewAuthentication,
    /// True for a device that runs modules.
    pub iot_edge: bool,
    /// The edge scope the device belongs to.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Vec<String>,
    /// Who manages the module.
    pub managed_by: Option<String>,
}

/// The whole registry part of an identity that exists.
pub type IdentityUpdate = NewIdentity;

/// How an identity is to prove itself.
#[derive(Clone)]
pub enum NewAuthentication {
    /// Tokens. A missing key is generated at creation and kept at replacement.
    Sas {
        /// First key.
        primary: Option<SymmetricKey>,
        /// Second key.
        secondary: Option<SymmetricKey>,
    },
    /// A certificate with one of two thumbprints.
    SelfSigned {
        /// First thumbprint.
        primary: Option<Thumbprint>,
        /// Second thumbprint.
        secondary: Option<Thumbprint>,
    },
    /// A certificate issued by a registered authority.
    CertificateAuthority,
    /// Cannot connect by itself.
    None,
}

/// The guard of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// None was given.
    Absent,
    /// Whatever is there, but something must be.
    Any,
    /// This etag, unquoted.
    Etag(String),
}

impl IfMatch {
    /// # Errors
    /// `PreconditionFailed` when another etag was asked for.
    pub(crate) fn check(&self, actual: &str) -> Result<(), Error> {
        match self {
            Self::Absent | Self::Any => Ok(()),
            Self::Etag(expected) if expected == actual => Ok(()),
            Self::Etag(_) => Err(Error::new(
                ErrorKind::PreconditionFailed,
                "the etag is not the present one, read it again",
            )),
        }
    }

    /// True when a write may be repeated on a newer state.
    pub(crate) const fn allows_retry(&self) -> bool {
        matches!(self, Self::Absent | Self::Any)
    }
}

/// Device counts of a hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistryStatistics {
    /// All devices.
    pub devices: u64,
    /// Enabled ones.
    pub enabled: u64,
    /// Connected at this moment.
    pub connected: u64,
}

/// How often a write without a guard is decided anew when others were faster.
pub(crate) const RETRIES_MAX: u32 = 5;

impl Registry {
    pub(crate) const fn new(parts: EngineParts, activities: Arc<Activities>) -> Self {
        Self { parts, activities }
    }

    pub(crate) fn view(&self, stored: StoredIdentity) -> IdentityView {
        let activity = self.activities.of(stored.ordinal, stored.activity);
        IdentityView {
            identity: stored.identity,
            activity,
            message_count: stored.message_count,
        }
    }

    /// The stored identity, for the engine's own modules.
    pub(crate) async fn stored(
        &self,
        hub: HubNo,
        id: &IdentityId,
    ) -> Result<StoredIdentity, Error> {
        self.parts
            .store
            .identity(hub, id)
            .await?
            .ok_or_else(|| Error::device_not_found(id))
    }

    /// Creates a device or module with an empty twin; an edge device with its two system modules.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. It exists (409001, 409301); a module's device does not (404001); the module id
    /// is reserved (401100); the device has 50 modules (413003); a text is too long (400004).
    pub async fn create(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        new: NewIdentity,
    ) -> Result<IdentityView, Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        check(&new)?;
        if new.id.module.as_ref().is_some_and(is_system_module) {
            return Err(Error::new(
                ErrorKind::NotAllowed,
                "module ids that begin with $edge are made with their device",
            )
            .with_code(ErrorCode::SystemModuleModifyUnauthorizedAccess));
        }
        let identity = self.new_identity(ctx, new);
        let mut created = vec![identity.clone()];
        if identity.iot_edge {
            created.extend(
                ["$edgeAgent", "$edgeHub"].map(|module| self.system_module(ctx, &identity, module)),
            );
        }
        let unit = Unit {
            op_id: None,
            ops: created
                .iter()
                .map(|identity| create_op(hub, identity))
                .collect(),
            facts: created
                .iter()
                .map(|identity| created_fact(ctx, hub, identity))
                .collect(),
        };
        match self.parts.store.submit(unit).await {
            Ok(_) => Ok(IdentityView {
                identity,
                activity: Activity::NONE,
                message_count: 0,
            }),
            Err(error) => Err(create_error(&identity.id, error)),
        }
    }

    fn new_identity(&self, ctx: &OpContext, new: NewIdentity) -> Identity {
        let generation = GenerationId::from_creation(ctx.now);
        let device_scope = edge_scope(&new, &generation);
        Identity {
            generation,
            etag: self.random_etag(),
            status: new.status,
            status_reason: new.status_reason,
            status_updated: hub_domain::Timestamp::NEVER,
            authentication: self.authentication(new.authentication, None),
            iot_edge: new.iot_edge,
            parent_scopes: parent_scopes(new.parent_scopes, device_scope.as_deref(), new.iot_edge),
            device_scope,
            managed_by: new.managed_by,
            id: new.id,
        }
    }

    fn system_module(&self, ctx: &OpContext, device: &Identity, module: &str) -> Identity {
        let module =
            ModuleId::parse(module).expect("invariant: the two system module ids are valid");
        self.new_identity(
            ctx,
            NewIdentity {
                id: IdentityId::module(device.id.device.clone(), module),
                status: Status::Enabled,
                status_reason: None,
                authentication: NewAuthentication::Sas {
                    primary: None,
                    secondary: None,
                },
                iot_edge: false,
                device_scope: None,
                parent_scopes: Vec::new(),
                managed_by: Some("iotEdge".to_owned()),
            },
        )
    }

    fn random_etag(&self) -> Etag {
        let mut bytes = [0; 8];
        self.parts.environment.fill_random(&mut bytes);
        Etag::from_random(bytes)
    }

    /// Missing keys are the former ones, or new.
    fn authentication(
        &self,
        new: NewAuthentication,
        former: Option<&Authentication>,
    ) -> Authentication {
        match new {
            NewAuthentication::Sas { primary, secondary } => {
                let former = former.and_then(Authentication::keys);
                let environment = &*self.parts.environment;
                let key = |given: Option<SymmetricKey>, former: Option<&SymmetricKey>| {
                    given
                        .or_else(|| former.cloned())
                        .unwrap_or_else(|| random_key(environment))
                };
                Authentication::Sas {
                    primary: key(primary, former.map(|keys| keys.0)),
                    secondary: key(secondary, former.map(|keys| keys.1)),
                }
            }
            NewAuthentication::SelfSigned { primary, secondary } => {
                Authentication::SelfSigned { primary, secondary }
            }
            NewAuthentication::CertificateAuthority => Authentication::CertificateAuthority,
            NewAuthentication::None => Authentication::None,
        }
    }

    /// One identity.
    ///
    /// # Errors
    /// Needs `RegistryRead`. It does not exist (404001, 404010).
    pub async fn fetch(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
    ) -> Result<IdentityView, Error> {
        ctx.caller.require(hub, Permission::RegistryRead)?;
        let stored = self.stored(hub, id).await?;
        Ok(self.view(stored))
    }

    /// Devices in the order of their ids, after `after`, at most `max` (1 to 1,000).
    ///
    /// # Errors
    /// Needs `RegistryRead`. `max` is out of range (400004).
    pub async fn list(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Result<Vec<IdentityView>, Error> {
        ctx.caller.require(hub, Permission::RegistryRead)?;
        if !(1..=PAGE_MAX).contains(&max) {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!("a page has 1 to {PAGE_MAX} devices, not {max}"),
            ));
        }
        let stored = self.parts.store.devices(hub, after, max).await?;
        Ok(stored.into_iter().map(|stored| self.view(stored)).collect())
    }

    /// The modules of a device.
    ///
    /// # Errors
    /// Needs `RegistryRead`. The device does not exist (404001).
    pub async fn modules(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &DeviceId,
    ) -> Result<Vec<IdentityView>, Error> {
        ctx.caller.require(hub, Permission::RegistryRead)?;
        self.stored(hub, &IdentityId::device(device.clone()))
            .await?;
        let stored = self.parts.store.modules(hub, device).await?;
        Ok(stored.into_iter().map(|stored| self.view(stored)).collect())
    }

    /// Replaces the registry part of an identity. Disabling it or changing its keys cuts its connections.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. It does not exist; another etag (412001); a text is too long (400004).
    pub async fn replace(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        update: IdentityUpdate,
        if_match: IfMatch,
    ) -> Result<IdentityView, Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        check(&update)?;
        let mut attempt = 0;
        loop {
            let stored = self.stored(hub, &update.id).await?;
            if_match.check(&stored.identity.etag.0)?;
            let next = self.next_identity(ctx, &stored.identity, update.clone());
            let fact = updated_fact(ctx, hub, &stored.identity, &next);
            let op = Op::ReplaceIdentity {
                identity: stored.ordinal,
                next: Box::new(next.clone()),
                expected: stored.identity.etag.clone(),
            };
            match self.parts.store.submit(Unit::new(op, vec![fact])).await {
                Ok(_) => {
                    return Ok(self.view(StoredIdentity {
                        identity: next,
                        ..stored
                    }));
                }
                Err(error) => attempt = retry(error, &if_match, attempt, &update.id)?,
            }
        }
    }

    fn next_identity(
        &self,
        ctx: &OpContext,
        former: &Identity,
        update: IdentityUpdate,
    ) -> Identity {
        let status_updated = if update.status == former.status {
            former.status_updated
        } else {
            ctx.now
        };
        let device_scope = match (&update.device_scope, update.iot_edge) {
            (None, true) if former.iot_edge => former.device_scope.clone(),
            _ => edge_scope(&update, &former.generation),
        };
        Identity {
            id: former.id.clone(),
            generation: former.generation.clone(),
            etag: self.random_etag(),
            status: update.status,
            status_reason: update.status_reason,
            status_updated,
            authentication: self
                .authentication(update.authentication, Some(&former.authentication)),
            iot_edge: update.iot_edge,
            parent_scopes: parent_scopes(
                update.parent_scopes,
                device_scope.as_deref(),
                update.iot_edge,
            ),
            device_scope,
            managed_by: update.managed_by,
        }
    }

    /// Deletes an identity; a device with its modules. Their connections are cut.
    ///
    /// # Errors
    /// Needs `RegistryWrite`. It does not exist; another etag (412001).
    pub async fn delete(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        ctx.caller.require(hub, Permission::RegistryWrite)?;
        if id.module.as_ref().is_some_and(is_system_module) {
            return Err(
                Error::new(ErrorKind::NotAllowed, "this module goes with its device")
                    .with_code(ErrorCode::SystemModuleModifyUnauthorizedAccess),
            );
        }
        let mut attempt = 0;
        loop {
            let stored = self.stored(hub, id).await?;
            if_match.check(&stored.identity.etag.0)?;
            let modules = match &id.module {
                None => self.parts.store.modules(hub, &id.device).await?,
                Some(_) => Vec::new(),
            };
            let facts = modules
                .iter()
                .chain([&stored])
                .map(|gone| deleted_fact(ctx, hub, &gone.identity))
                .collect();
            let op = Op::DeleteIdentity {
                identity: stored.ordinal,
                expected: Some(stored.identity.etag.clone()),
            };
            match self.parts.store.submit(Unit::new(op, facts)).await {
                Ok(_) => return Ok(()),
                Err(error) => attempt = retry(error, &if_match, attempt, id)?,
            }
        }
    }

    /// Device counts.
    ///
    /// # Errors
    /// Needs `RegistryRead` or `ServiceConnect`.
    pub async fn statistics(
        &self,
        ctx: &OpContext,
        hub: HubNo,
    ) -> Result<RegistryStatistics, Error> {
        let read = ctx.caller.require(hub, Permission::RegistryRead);
        read.or_else(|_| ctx.caller.require(hub, Permission::ServiceConnect))?;
        let counts = self.parts.store.statistics(hub).await?;
        let connected = self.parts.bus.connected_devices(hub);
        Ok(RegistryStatistics {
            devices: counts.devices,
            enabled: counts.enabled,
            connected,
        })
    }
}

/// Counts an attempt that lost against another writer, or gives the error back.
pub(crate) fn retry(
    error: StoreError,
    if_match: &IfMatch,
    attempt: u32,
    id: &IdentityId,
) -> Result<u32, Error> {
    match error {
        StoreError::Conflict(Conflict::VersionMismatch)
            if if_match.allows_retry() && attempt < RETRIES_MAX =>
        {
            Ok(attempt + 1)
        }
        StoreError::Conflict(Conflict::NotFound) => Err(Error::device_not_found(id)),
        other => Err(other.into()),
    }
}

fn is_system_module(module: &ModuleId) -> bool {
    matches!(module.as_str(), "$edgeAgent" | "$edgeHub")
}

fn check(new: &NewIdentity) -> Result<(), Error> {
    let invalid = |text: String| Err(Error::new(ErrorKind::Invalid, text));
    if new
        .status_reason
        .as_ref()
        .is_some_and(|reason| reason.chars().count() > STATUS_REASON_CHARS_MAX)
    {
        return invalid(format!(
            "statusReason has more than {STATUS_REASON_CHARS_MAX} characters"
        ));
    }
    if new.id.module.is_some()
        && (new.iot_edge || new.device_scope.is_some() || !new.parent_scopes.is_empty())
    {
        return invalid("a module has no edge capability and no scopes, its device has".to_owned());
    }
    if let NewAuthentication::SelfSigned {
        primary: None,
        secondary: None,
    } = new.authentication
    {
        return invalid("selfSigned authentication needs a thumbprint".to_owned());
    }
    Ok(())
}

fn edge_scope(new: &NewIdentity, generation: &GenerationId) -> Option<String> {
    let own = || {
        format!(
            "ms-azure-iot-edge://{}-{}",
            new.id.device,
            generation.as_str()
        )
    };
    if new.iot_edge {
        Some(own())
    } else {
        new.device_scope.clone()
    }
}

/// A leaf's parent scope is its own device scope (Node end-to-end tests); an edge device's is its parent's.
fn parent_scopes(given: Vec<String>, device_scope: Option<&str>, iot_edge: bool) -> Vec<String> {
    match device_scope {
        Some(scope) if !iot_edge => vec![scope.to_owned()],
        _ => given,
    }
}

fn create_op(hub: HubNo, identity: &Identity) -> Op {
    Op::CreateIdentity {
        hub,
        identity: Box::new(identity.clone()),
        twin: Box::new(Twin::new()),
    }
}

fn created_fact(ctx: &OpContext, hub: HubNo, identity: &Identity) -> Fact {
    let kind = FactKind::IdentityCreated {
        generation: identity.generation.clone(),
    };
    Fact {
        hub,
        id: identity.id.clone(),
        at: ctx.now,
        kind,
    }
}

fn deleted_fact(ctx: &OpContext, hub: HubNo, identity: &Identity) -> Fact {
    let kind = FactKind::IdentityDeleted {
        generation: identity.generation.clone(),
    };
    Fact {
        hub,
        id: identity.id.clone(),
        at: ctx.now,
        kind,
    }
}

fn updated_fact(ctx: &OpContext, hub: HubNo, former: &Identity, next: &Identity) -> Fact {
    let kind = FactKind::IdentityUpdated {
        enabled: next.is_enabled(),
        credentials_changed: !same_credentials(&former.authentication, &next.authentication),
    };
    Fact {
        hub,
        id: next.id.clone(),
        at: ctx.now,
        kind,
    }
}

fn same_credentials(former: &Authentication, next: &Authentication) -> bool {
    use Authentication::{CertificateAuthority, None, Sas, SelfSigned};
    match (former, next) {
        (
            Sas {
                primary: p,
                secondary: s,
            },
            Sas { primary, secondary },
        ) => p == primary && s == secondary,
        (
            SelfSigned {
                primary: p,
                secondary: s,
            },
            SelfSigned { primary, secondary },
        ) => p == primary && s == secondary,
        (CertificateAuthority, CertificateAuthority) | (None, None) => true,
        (Sas { .. } | SelfSigned { .. } | CertificateAuthority | None, _) => false,
    }
}

fn create_error(id: &IdentityId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::AlreadyExists) => {
            let (what, code) = match id.module {
                None => ("device", ErrorCode::DeviceAlreadyExists),
                Some(_) => ("module", ErrorCode::ModuleAlreadyExistsOnDevice),
            };
            Error::new(
                ErrorKind::AlreadyExists,
                format!("the {what} {id} is registered already"),
            )
            .with_code(code)
        }
        StoreError::Conflict(Conflict::NotFound) => {
            Error::device_not_found(&IdentityId::device(id.device.clone()))
        }
        other => other.into(),
    }
}
