//! The service itself: its scope, policies, linked hubs and settings, kept as one record with a revision.

use std::sync::{Arc, PoisonError, RwLock};

use hub_domain::provisioning::{
    IdScope, Link, LinkedHub, OWNER_POLICY, ProvisioningService, ProvisioningSettings, Region,
    ServicePermission, ServicePermissions, ServicePolicy,
};
use hub_domain::{HostName, HubNo, Revision};
use hub_engine::{ErrorKind, Turns};
use hub_storage::store::{Op, Unit};
use hub_storage::{Conflict, StoreError};

use crate::allocation::Candidate;
use crate::parts::Parts;
use crate::{Context, Error};

/// How often a change is decided anew when others were faster.
const RETRIES_MAX: u32 = 5;
/// Most hubs that can be linked by hand ("Quotas and limits": 50).
const LINKED_HUBS_MAX: usize = 50;
/// Largest weight of a hub ("Linked hub", `allocationWeight`).
const WEIGHT_MAX: u32 = 1_000;

/// The service's own record, in memory. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    parts: Parts,
    current: Arc<RwLock<Arc<ProvisioningService>>>,
    turns: Turns,
}

/// What is set for a linked hub; absent members stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubLink {
    /// Its share among hubs of the hashed policy, 1 to 1,000.
    pub weight: Option<u32>,
    /// False when the policies leave it out.
    pub allocatable: Option<bool>,
    /// Where it is.
    pub region: Option<Region>,
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

    /// The record as it stands. It holds keys: what of it may be shown is the caller's to decide.
    pub fn current(&self) -> Arc<ProvisioningService> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the record: `decide` makes the next one from the stored one, and is asked again when another writer was
    /// faster. The id scope stays what it is.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; whatever `decide` gives.
    pub async fn update(
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

    /// All hubs that devices can be assigned to: those of the installation, with what is set for them, then the others.
    pub fn linked_hubs(&self) -> Vec<LinkedHub> {
        let service = self.current();
        let set = &service.settings.linked_hubs;
        let own = self.parts.engine.hubs.list().into_iter().map(|hub| {
            let said = set.iter().find(|linked| {
                matches!(linked.link, Link::Own)
                    && (linked.host == hub.host || hub.answers_to(&linked.host))
            });
            let said = said.cloned();
            LinkedHub {
                host: hub.host.clone(),
                ..said.unwrap_or_else(|| LinkedHub::own(hub.host.clone()))
            }
        });
        let remote = set
            .iter()
            .filter(|linked| matches!(linked.link, Link::Remote { .. }))
            .cloned();
        own.chain(remote).collect()
    }

    /// The same hubs with all their names, for whoever chooses among them.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let own = self.parts.engine.hubs.list();
        let candidate = |linked: LinkedHub| match own.iter().find(|hub| hub.host == linked.host) {
            Some(hub) => Candidate {
                aliases: hub.aliases.clone(),
                label: hub.name.as_str().to_ascii_lowercase(),
                linked,
            },
            None => Candidate {
                aliases: Vec::new(),
                label: linked.host.to_string(),
                linked,
            },
        };
        self.linked_hubs().into_iter().map(candidate).collect()
    }

    /// The number of an own hub by the host it is linked by.
    pub(crate) fn own_hub(&self, host: &HostName) -> Option<HubNo> {
        let hubs = self.parts.engine.hubs.list();
        let hub = hubs.iter().find(|hub| hub.answers_to(host))?;
        Some(hub.no)
    }

    /// Links a hub of another installation.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; it is linked already; it is one of this installation; there are 50; the weight is out of
    /// its range.
    pub async fn link_hub(&self, ctx: &Context, hub: LinkedHub) -> Result<LinkedHub, Error> {
        check_weight(hub.weight)?;
        if self.own_hub(&hub.host).is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{} is a hub of this installation and linked by itself",
                    hub.host
                ),
            ));
        }
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.linked_hubs;
            if list.iter().any(|linked| linked.host == hub.host) {
                let text = format!("{} is linked already", hub.host);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
            if list.len() >= LINKED_HUBS_MAX {
                let text = format!("{LINKED_HUBS_MAX} hubs can be linked at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            list.push(hub.clone());
            Ok(next)
        };
        self.update(ctx, decide).await?;
        Ok(hub)
    }

    /// Sets weight, region and use of a linked hub, own or other.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; no such hub is linked; the weight is out of its range.
    pub async fn set_link(
        &self,
        ctx: &Context,
        host: &HostName,
        link: HubLink,
    ) -> Result<LinkedHub, Error> {
        if let Some(weight) = link.weight {
            check_weight(weight)?;
        }
        let is_own = self.own_hub(host).is_some();
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.linked_hubs;
            let place = list.iter().position(|linked| linked.host == *host);
            let hub = match place.and_then(|place| list.get_mut(place)) {
                Some(hub) => hub,
                None if is_own => list.push_mut(LinkedHub::own(host.clone())),
                None => return Err(Error::not_found("linked hub", host)),
            };
            hub.weight = link.weight.unwrap_or(hub.weight);
            hub.allocatable = link.allocatable.unwrap_or(hub.allocatable);
            if let Some(region) = &link.region {
                hub.region = Some(region.clone());
            }
            Ok(next)
        };
        self.update(ctx, decide).await?;
        let all = self.linked_hubs();
        let hub = all.into_iter().find(|linked| linked.host == *host);
        hub.ok_or_else(|| Error::not_found("linked hub", host))
    }

    /// Unlinks a hub of another installation, or forgets what was set for an own one. Devices that were assigned to it
    /// stay there until they register again.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; nothing is set for such a hub.
    pub async fn unlink_hub(&self, ctx: &Context, host: &HostName) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let before = next.settings.linked_hubs.len();
            next.settings
                .linked_hubs
                .retain(|linked| linked.host != *host);
            if next.settings.linked_hubs.len() == before {
                return Err(Error::not_found("linked hub", host));
            }
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }
}

fn check_weight(weight: u32) -> Result<(), Error> {
    if (1..=WEIGHT_MAX).contains(&weight) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the weight of a hub is 1 to {WEIGHT_MAX}, not {weight}"
    )))
}

/// The first start: a scope, and an owner with new keys.
async fn create(parts: &Parts) -> Result<ProvisioningService, Error> {
    let service = ProvisioningService {
        id_scope: IdScope::from_random(parts.random()),
        policies: vec![ServicePolicy {
            name: OWNER_POLICY.to_owned(),
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
