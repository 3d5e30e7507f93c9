//! The service itself: its scope, policies, linked hubs and settings, kept as one record with a revision.

mod linked_hubs;
mod places;
mod policies;

use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::Revision;
use hub_domain::provisioning::{
    AllocationPolicy, IdScope, ProvisioningService, ProvisioningSettings, ServicePermission,
    ServicePermissions, ServicePolicy, ServicePolicyName,
};
use hub_engine::{ErrorKind, Turns};
use hub_storage::store::{Op, Unit};
use hub_storage::{Conflict, StoreError};

use crate::parts::Parts;
use crate::{Context, Error};

pub use linked_hubs::HubLink;
pub use policies::{NewServicePolicy, ServicePolicyChange};

/// How often a change is decided anew when others were faster.
const RETRIES_MAX: u32 = 5;

/// The service's own record, in memory. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    parts: Parts,
    current: Arc<RwLock<Arc<ProvisioningService>>>,
    turns: Turns,
}

impl Service {
    /// Reads the record, or makes it at the first start.
    pub(crate) async fn open(parts: Parts) -> Result<Self, Error> {
        let service = match parts.store.provisioning_service().await? {
            Some(service) => service,
            None => create(&parts).await?,
        };
        Ok(Self {
            parts,
            current: Arc::new(RwLock::new(Arc::new(service))),
            turns: Turns::default(),
        })
    }

    /// What devices name the service by.
    pub fn id_scope(&self) -> IdScope {
        self.current().id_scope.clone()
    }

    /// The record as it stands, with all its keys.
    pub(crate) fn current(&self) -> Arc<ProvisioningService> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the record: `decide` makes the next one from the stored one, and is asked again when another writer was
    /// faster. The id scope stays what it is.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; whatever `decide` gives.
    pub(crate) async fn update(
        &self,
        ctx: &Context,
        decide: impl Fn(&ProvisioningService) -> Result<ProvisioningService, Error>,
    ) -> Result<Arc<ProvisioningService>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        self.parts.check_room()?;
        let turn = self.turns.take().await;
        let mut attempt = 0;
        loop {
            let former = self.current();
            let next = ProvisioningService {
                id_scope: former.id_scope.clone(),
                revision: former.revision.next(),
                ..decide(&former)?
            };
            let unit = Unit::new(
                Op::ReplaceProvisioningService {
                    next: Box::new(next.clone()),
                    expected: Some(former.revision),
                },
                Vec::new(),
            );
            let room = self.clone();
            let commit = async move {
                room.parts.store.submit(unit).await?;
                Ok(room.replace(next))
            };
            match turn.to_its_end(commit).await {
                Ok(replaced) => return Ok(replaced),
                Err(StoreError::Conflict(Conflict::VersionMismatch)) if attempt < RETRIES_MAX => {
                    attempt += 1;
                    let stored = self.parts.store.provisioning_service().await?;
                    self.replace(stored.ok_or_else(|| {
                        Error::new(ErrorKind::Internal, "the provisioning service is gone")
                    })?);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn replace(&self, next: ProvisioningService) -> Arc<ProvisioningService> {
        let next = Arc::new(next);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&next);
        next
    }

    /// How a hub is chosen where an enrollment says nothing.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn allocation(&self, ctx: &Context) -> Result<AllocationPolicy, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.current().settings.allocation)
    }

    /// Sets how a hub is chosen where an enrollment says nothing.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; the custom policy, whose webhook only an enrollment can name.
    pub async fn set_allocation(
        &self,
        ctx: &Context,
        policy: AllocationPolicy,
    ) -> Result<(), Error> {
        if policy == AllocationPolicy::Custom {
            return Err(Error::invalid(
                "the custom policy needs a webhook, which an enrollment names, not the service",
            ));
        }
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            next.settings.allocation = policy;
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }
}

/// The first start: a scope, and an owner with new keys.
async fn create(parts: &Parts) -> Result<ProvisioningService, Error> {
    let service = ProvisioningService {
        id_scope: IdScope::from_random(parts.random()),
        policies: vec![ServicePolicy {
            name: ServicePolicyName::owner(),
            permissions: ServicePermissions::of(&ServicePermission::ALL),
            primary: parts.random_key(),
            secondary: parts.random_key(),
        }],
        settings: ProvisioningSettings::default(),
        revision: Revision::default(),
    };
    let op = Op::ReplaceProvisioningService {
        next: Box::new(service.clone()),
        expected: None,
    };
    parts.store.submit(Unit::new(op, Vec::new())).await?;
    Ok(service)
}
