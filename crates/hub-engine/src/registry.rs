//! The identity registry: devices and modules.

mod keys;
mod late_modules;
mod provision;
mod rules;

use std::sync::Arc;

use hub_domain::identity::{Activity, Thumbprint};
use hub_domain::limits::PAGE_MAX;
use hub_domain::quota::Throttle;
use hub_domain::{
    Authentication, DeviceId, ErrorCode, Etag, GenerationId, HubNo, Identity, IdentityId, ModuleId,
    Permission, Status, SymmetricKey,
};
use hub_storage::store::{Op, StoredIdentity, Unit};
use hub_storage::{Conflict, StoreError};

use crate::activity::Activities;
use crate::hubs::random_key;
use crate::quotas::Quotas;
use crate::room::check_room;
use crate::{EngineParts, Error, ErrorKind, OpContext};
pub use keys::KeyRoll;
pub use provision::{ProvisionedDevice, ProvisionedUnit, RemovalUnit, Standing, initial_twin};
use rules::{
    SYSTEM_MODULES, check, create_error, create_op, created_fact, edge_scope, is_system_module,
    parent_scopes, updated_fact,
};

/// Operations on identities. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    parts: EngineParts,
    activities: Arc<Activities>,
    quotas: Arc<Quotas>,
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

/// A device keeps its modules itself (`aziot-identityd` does, with the device's credentials); for all else it takes a
/// permission.
fn require(
    ctx: &OpContext,
    hub: HubNo,
    id: &IdentityId,
    permission: Permission,
) -> Result<(), Error> {
    if id.module.is_some() && ctx.caller.is_device(hub, &id.device) {
        return Ok(());
    }
    ctx.caller.require(hub, permission)
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
const RETRIES_MAX: u32 = 5;

impl Registry {
    pub(crate) const fn new(
        parts: EngineParts,
        activities: Arc<Activities>,
        quotas: Arc<Quotas>,
    ) -> Self {
        Self {
            parts,
            activities,
            quotas,
        }
    }

    /// The meters of the hubs, for the engine's own modules.
    pub(crate) fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
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
    /// Needs `RegistryWrite`, or for a module to be its device. It exists (409001, 409301); a module's device does not (404001); the module id
    /// is reserved (401100); the device has 50 modules (413003); a text is too long (400004).
    pub async fn create(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        new: NewIdentity,
    ) -> Result<IdentityView, Error> {
        require(ctx, hub, &new.id, Permission::RegistryWrite)?;
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
        check_room(&*self.parts.store)?;
        check(&new)?;
        self.check_room_for(hub).await?;
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
                SYSTEM_MODULES.map(|module| self.system_module(ctx, &identity.id.device, module)),
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

    /// The profile's bound on identities. Two creations at once may pass it by one.
    async fn check_room_for(&self, hub: HubNo) -> Result<(), Error> {
        let Some(max) = self.quotas.profile(hub).identities_max() else {
            return Ok(());
        };
        if self.parts.store.statistics(hub).await?.devices < max {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::QuotaExceeded,
            format!("the hub has {max} devices, as many as its profile allows"),
        )
        .with_code(ErrorCode::TooManyDevices))
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

    fn system_module(&self, ctx: &OpContext, device: &DeviceId, module: &str) -> Identity {
        let module =
            ModuleId::parse(module).expect("invariant: the two system module ids are valid");
        self.new_identity(
            ctx,
            NewIdentity {
                id: IdentityId::module(device.clone(), module),
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
    /// Needs `RegistryRead`, or for a module to be its device. It does not exist (404001, 404010).
    pub async fn fetch(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
    ) -> Result<IdentityView, Error> {
        require(ctx, hub, id, Permission::RegistryRead)?;
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
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
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
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
    /// Needs `RegistryRead`, or to be the device. The device does not exist (404001).
    pub async fn modules(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &DeviceId,
    ) -> Result<Vec<IdentityView>, Error> {
        if !ctx.caller.is_device(hub, device) {
            ctx.caller.require(hub, Permission::RegistryRead)?;
        }
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
        self.stored(hub, &IdentityId::device(device.clone()))
            .await?;
        let stored = self.parts.store.modules(hub, device).await?;
        Ok(stored.into_iter().map(|stored| self.view(stored)).collect())
    }

    /// Replaces the registry part of an identity. Disabling it or changing its keys cuts its connections. A device
    /// that becomes an edge device gets the system modules it lacks.
    ///
    /// # Errors
    /// Needs `RegistryWrite`, or for a module to be its device. It does not exist; another etag (412001); a text is too long (400004).
    pub async fn replace(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        update: IdentityUpdate,
        if_match: IfMatch,
    ) -> Result<IdentityView, Error> {
        require(ctx, hub, &update.id, Permission::RegistryWrite)?;
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
        check_room(&*self.parts.store)?;
        check(&update)?;
        let mut attempt = 0;
        loop {
            let stored = self.stored(hub, &update.id).await?;
            if_match.check(&stored.identity.etag.0)?;
            let next = self.next_identity(ctx, &stored.identity, update.clone());
            let mut unit = Unit::new(
                Op::ReplaceIdentity {
                    identity: stored.ordinal,
                    next: Box::new(next.clone()),
                    expected: stored.identity.etag.clone(),
                },
                vec![updated_fact(ctx, hub, &stored.identity, &next)],
            );
            if next.iot_edge && !stored.identity.iot_edge {
                for module in self.missing_system_modules(ctx, hub, &next).await? {
                    unit.ops.push(create_op(hub, &module));
                    unit.facts.push(created_fact(ctx, hub, &module));
                }
            }
            match self.parts.store.submit(unit).await {
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

    async fn missing_system_modules(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &Identity,
    ) -> Result<Vec<Identity>, Error> {
        let device = &device.id.device;
        let present = self.parts.store.modules(hub, device).await?;
        let is_missing = |module: &&str| {
            let mut present = present.iter();
            present.all(|stored| stored.identity.id.module_text() != *module)
        };
        let missing = SYSTEM_MODULES.into_iter().filter(is_missing);
        Ok(missing
            .map(|module| self.system_module(ctx, device, module))
            .collect())
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
    /// Needs `RegistryWrite`, or for a module to be its device. It does not exist; another etag (412001).
    pub async fn delete(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        id: &IdentityId,
        if_match: IfMatch,
    ) -> Result<(), Error> {
        require(ctx, hub, id, Permission::RegistryWrite)?;
        self.quotas.take(ctx, hub, Throttle::RegistryOperations)?;
        check_room(&*self.parts.store)?;
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
            let before = *self.parts.store.fact_head().borrow();
            let unit = self.unit_of_deletion(ctx, hub, &stored).await?;
            match self.parts.store.submit(unit).await {
                Ok(committed) if id.module.is_none() => {
                    return self
                        .tell_late_modules(ctx, hub, id, before..committed.last_fact)
                        .await;
                }
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
        // Nobody named a version, so nobody's version was the wrong one.
        StoreError::Conflict(Conflict::VersionMismatch) if if_match.allows_retry() => {
            Err(Error::new(
                ErrorKind::Unavailable,
                format!("{id} is being changed too often, try again"),
            ))
        }
        StoreError::Conflict(Conflict::NotFound) => Err(Error::device_not_found(id)),
        other => Err(other.into()),
    }
}
