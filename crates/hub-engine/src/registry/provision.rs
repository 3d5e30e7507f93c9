//! What a provisioning service needs of the registry: writes that it commits together with its own records.

use std::ops::Range;

use hub_domain::twin::{BackEndReplacement, Twin, replace_back_end};
use hub_domain::{DeviceId, HubNo, Identity, IdentityId, Status, Timestamp};
use hub_storage::store::{FactNo, Op, Ordinal, StoredIdentity, Unit};

use super::rules::{
    check, create_op, created_fact, deleted_fact, same_credentials, twin_fact, updated_fact,
};
use super::{NewAuthentication, NewIdentity, Registry};
#[cfg(doc)]
use crate::Twins;
use crate::{Error, ErrorKind, OpContext};

/// A device as an enrollment wants it in a hub.
#[derive(Clone)]
pub struct ProvisionedDevice {
    /// Its id.
    pub id: DeviceId,
    /// How it proves itself.
    pub authentication: NewAuthentication,
    /// True for a device that runs modules.
    pub iot_edge: bool,
    /// Whether it may connect when it is created; one that is there stays what it is.
    pub standing: Standing,
}

/// Whether a device may connect, and why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Enabled or disabled.
    pub status: Status,
    /// What a back end said about it.
    pub reason: Option<String>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            status: Status::Enabled,
            reason: None,
        }
    }
}

/// What there is to write, and whether the device was there.
pub struct ProvisionedUnit {
    /// The writes; none when everything is as it should be.
    pub unit: Unit,
    /// The number of a device that was there. Its twin is not among the writes: [`Twins::submit_with`] adds it.
    pub existing: Option<Ordinal>,
}

/// What there is to write to take a device out of a hub.
pub struct RemovalUnit {
    /// The writes.
    pub unit: Unit,
    /// The newest fact before they were decided, for [`Registry::removed`].
    pub before: FactNo,
}

impl Registry {
    /// The writes that take a device out of a hub, with its modules; `None` when it is not there.
    ///
    /// The caller adds its own writes and submits, and tells [`Registry::removed`]; a conflict means that it has to ask
    /// again.
    ///
    /// # Errors
    /// Only the administrator and the engine itself may. The store cannot be read.
    pub async fn removal(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &DeviceId,
    ) -> Result<Option<RemovalUnit>, Error> {
        ctx.caller.require_admin()?;
        let id = IdentityId::device(device.clone());
        let before = *self.parts.store.fact_head().borrow();
        let Some(stored) = self.parts.store.identity(hub, &id).await? else {
            return Ok(None);
        };
        let unit = self.unit_of_deletion(ctx, hub, &stored).await?;
        Ok(Some(RemovalUnit { unit, before }))
    }

    /// Ends what began at the device between the decision to remove it ([`RemovalUnit::before`]) and the commit's newest
    /// fact.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn removed(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: &DeviceId,
        between: Range<FactNo>,
    ) -> Result<(), Error> {
        ctx.caller.require_admin()?;
        let id = IdentityId::device(device.clone());
        self.tell_late_modules(ctx, hub, &id, between).await
    }

    /// The writes that bring a device in line with its enrollment: created with `twin`, or where it exists its
    /// credentials and its edge capability replaced if they differ. Status, scopes and twin stay what they are.
    ///
    /// The caller adds its own writes and submits; a conflict means that it has to ask again.
    ///
    /// # Errors
    /// Only the administrator and the engine itself may. The hub has as many devices as its profile allows.
    pub async fn provision(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: ProvisionedDevice,
        twin: &Twin,
    ) -> Result<ProvisionedUnit, Error> {
        ctx.caller.require_admin()?;
        let id = IdentityId::device(device.id.clone());
        let stored = self.parts.store.identity(hub, &id).await?;
        let Some(stored) = stored else {
            let unit = self.unit_of_creation(ctx, hub, device, twin).await?;
            return Ok(ProvisionedUnit {
                unit,
                existing: None,
            });
        };
        let former = &stored.identity;
        let wanted = Identity {
            etag: self.random_etag(),
            authentication: self
                .authentication(device.authentication, Some(&former.authentication)),
            ..former.clone()
        };
        let is_same = same_credentials(&former.authentication, &wanted.authentication)
            && former.iot_edge == device.iot_edge;
        if is_same {
            return Ok(ProvisionedUnit {
                unit: Unit::default(),
                existing: Some(stored.ordinal),
            });
        }
        let update = NewIdentity {
            id,
            status: former.status,
            status_reason: former.status_reason.clone(),
            authentication: kept(&wanted),
            iot_edge: device.iot_edge,
            device_scope: former.device_scope.clone(),
            parent_scopes: former.parent_scopes.clone(),
            managed_by: former.managed_by.clone(),
        };
        let next = self.next_identity(ctx, former, update);
        let mut unit = Unit::new(
            Op::ReplaceIdentity {
                identity: stored.ordinal,
                next: Box::new(next.clone()),
                expected: former.etag.clone(),
            },
            vec![updated_fact(ctx, hub, former, &next)],
        );
        if next.iot_edge && !former.iot_edge {
            for module in self.missing_system_modules(ctx, hub, &next).await? {
                unit.ops.push(create_op(hub, &module));
                unit.facts.push(created_fact(ctx, hub, &module));
            }
        }
        Ok(ProvisionedUnit {
            unit,
            existing: Some(stored.ordinal),
        })
    }

    /// The writes that delete an identity as it is stored, and the modules of a device with it.
    pub(super) async fn unit_of_deletion(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        stored: &StoredIdentity,
    ) -> Result<Unit, Error> {
        let id = &stored.identity.id;
        let modules = match &id.module {
            None => self.parts.store.modules(hub, &id.device).await?,
            Some(_) => Vec::new(),
        };
        let mut facts = Vec::with_capacity(modules.len() + 1);
        for gone in modules.iter().chain([stored]) {
            let found = self.parts.store.twin(hub, &gone.identity.id).await?;
            let twin = found
                .filter(|(found, _)| found.ordinal == gone.ordinal)
                .map(|(_, twin)| twin);
            facts.push(deleted_fact(ctx, hub, &gone.identity, twin));
        }
        let op = Op::DeleteIdentity {
            identity: stored.ordinal,
            expected: Some(stored.identity.etag.clone()),
        };
        Ok(Unit::new(op, facts))
    }

    async fn unit_of_creation(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: ProvisionedDevice,
        twin: &Twin,
    ) -> Result<Unit, Error> {
        self.check_room_for(hub).await?;
        let new = NewIdentity {
            id: IdentityId::device(device.id),
            status: device.standing.status,
            status_reason: device.standing.reason,
            authentication: device.authentication,
            iot_edge: device.iot_edge,
            device_scope: None,
            parent_scopes: Vec::new(),
            managed_by: None,
        };
        check(&new)?;
        let identity = self.new_identity(ctx, new);
        let mut unit = Unit::new(
            Op::CreateIdentity {
                hub,
                identity: Box::new(identity.clone()),
                twin: Box::new(twin.clone()),
            },
            vec![created_fact(ctx, hub, &identity)],
        );
        unit.facts.extend(twin_fact(ctx, hub, &identity, twin));
        if identity.iot_edge {
            for module in super::SYSTEM_MODULES {
                let module = self.system_module(ctx, &identity.id.device, module);
                unit.ops.push(create_op(hub, &module));
                unit.facts.push(created_fact(ctx, hub, &module));
            }
        }
        Ok(unit)
    }
}

/// The credentials of an identity as something to be written.
fn kept(identity: &Identity) -> NewAuthentication {
    use hub_domain::Authentication as Has;
    match &identity.authentication {
        Has::Sas { primary, secondary } => NewAuthentication::Sas {
            primary: Some(primary.clone()),
            secondary: Some(secondary.clone()),
        },
        Has::SelfSigned { primary, secondary } => NewAuthentication::SelfSigned {
            primary: primary.clone(),
            secondary: secondary.clone(),
        },
        Has::CertificateAuthority => NewAuthentication::CertificateAuthority,
        Has::None => NewAuthentication::None,
    }
}

/// A new twin with these tags and desired properties.
///
/// # Errors
/// They break a rule of twins.
pub fn initial_twin(content: &BackEndReplacement, now: Timestamp) -> Result<Twin, Error> {
    let mut twin = Twin::new();
    let change = replace_back_end(&twin.back_end, content, now).map_err(|error| {
        Error::new(ErrorKind::Invalid, error.to_string()).with_code(error.code())
    })?;
    twin.back_end = change.next;
    Ok(twin)
}
