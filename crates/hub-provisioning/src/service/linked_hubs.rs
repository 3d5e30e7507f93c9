//! The hubs that devices can be assigned to, and what is set for them.

use hub_domain::limits::{ALLOCATION_WEIGHT_RANGE, LINKED_HUBS_MAX};
use hub_domain::provisioning::{Link, LinkedHub, ProvisioningService, Region, ServicePermission};
use hub_domain::{HostName, HubNo};
use hub_engine::ErrorKind;

use super::Service;
use crate::allocation::Candidate;
use crate::{Context, Error};

/// What is set for a linked hub; absent members stay as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HubLink {
    /// Its share among hubs of the hashed policy, 1 to 1,000.
    pub weight: Option<u32>,
    /// False when the policies leave it out.
    pub allocatable: Option<bool>,
    /// Where it is; `Some(None)` when that is not known any more.
    pub region: Option<Option<Region>>,
}

impl Service {
    /// All hubs that devices can be assigned to: those of the installation, with what is set for them, then the others.
    pub(crate) fn linked_hubs(&self) -> Vec<LinkedHub> {
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

    /// The host by which a hub is linked: one of this installation may be named by an alias.
    pub(super) fn linked_host(&self, host: &HostName) -> HostName {
        let hubs = self.parts.engine.hubs.list();
        let own = hubs.iter().find(|hub| hub.answers_to(host));
        own.map_or_else(|| host.clone(), |hub| hub.host.clone())
    }

    /// The hub of that name among those that devices can be assigned to.
    pub(super) fn find_linked(&self, host: &HostName) -> Result<LinkedHub, Error> {
        let wanted = self.linked_host(host);
        let mut hubs = self.linked_hubs().into_iter();
        hubs.find(|hub| hub.host == wanted)
            .ok_or_else(|| not_linked(host))
    }

    /// The hubs that devices can be assigned to, with the keys of those of other installations: what of them may be shown
    /// is the caller's to decide.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn list_linked_hubs(&self, ctx: &Context) -> Result<Vec<LinkedHub>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.linked_hubs())
    }

    /// One of [`Service::list_linked_hubs`], by its host name or an alias.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; no such hub is linked.
    pub fn linked_hub(&self, ctx: &Context, host: &HostName) -> Result<LinkedHub, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        self.find_linked(host)
    }

    /// Links a hub of another installation.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; it is linked already; it is one of this installation; there are 50; the weight is out of
    /// its range.
    pub async fn link_hub(&self, ctx: &Context, hub: LinkedHub) -> Result<LinkedHub, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        check_weight(hub.weight)?;
        if !is_remote(&hub) || self.own_hub(&hub.host).is_some() {
            let host = &hub.host;
            let text = format!(
                "{host} is a hub of this installation and linked by itself; one of another installation needs another host name"
            );
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.linked_hubs;
            if list.iter().any(|linked| linked.host == hub.host) {
                let text = format!("{} is linked already", hub.host);
                return Err(Error::new(ErrorKind::AlreadyExists, text));
            }
            if list.iter().filter(|linked| is_remote(linked)).count() >= LINKED_HUBS_MAX {
                let text = format!("{LINKED_HUBS_MAX} hubs can be linked at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            list.push(hub.clone());
            Ok(next)
        };
        self.update(ctx, decide).await?;
        Ok(hub)
    }

    /// Sets weight, region and use of a linked hub, own or other; with `reach` also how another installation's is reached,
    /// said with its host. All of it or nothing.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; no such hub is linked; the weight is out of its range; `reach` is that of another hub, or the
    /// hub one of this installation.
    pub async fn set_link(
        &self,
        ctx: &Context,
        host: &HostName,
        settings: HubLink,
        reach: Option<(HostName, Link)>,
    ) -> Result<LinkedHub, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        if let Some(weight) = settings.weight {
            check_weight(weight)?;
        }
        if reach.as_ref().is_some_and(|(other, _)| other != host) {
            return Err(Error::invalid(
                "the connection string is that of another hub, link it as one of its own",
            ));
        }
        let own = self.own_hub(host).map(|_| self.linked_host(host));
        if own.is_some() && reach.is_some() {
            let text =
                format!("{host} is a hub of this installation and needs no connection string");
            return Err(Error::invalid(text));
        }
        let link = reach.map(|(_, link)| link);
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.linked_hubs;
            let place = list.iter().position(|one| self.is_entry_of(one, host));
            let hub = match (place.and_then(|place| list.get_mut(place)), &own) {
                (Some(hub), _) => hub,
                (None, Some(own)) => list.push_mut(LinkedHub::own(own.clone())),
                (None, None) => return Err(not_linked(host)),
            };
            if let Some(own) = &own {
                hub.host = own.clone();
            }
            if let Some(link) = &link {
                hub.link = link.clone();
            }
            hub.weight = settings.weight.unwrap_or(hub.weight);
            hub.allocatable = settings.allocatable.unwrap_or(hub.allocatable);
            if let Some(region) = &settings.region {
                hub.region = region.clone();
            }
            Ok(next)
        };
        self.update(ctx, decide).await?;
        self.find_linked(host)
    }

    /// Unlinks a hub of another installation, or forgets what was set for an own one. Devices that were assigned to it
    /// stay there until they register again.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; nothing is set for such a hub.
    pub async fn unlink_hub(&self, ctx: &Context, host: &HostName) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let list = &mut next.settings.linked_hubs;
            let before = list.len();
            list.retain(|linked| !self.is_entry_of(linked, host));
            if list.len() == before {
                return Err(not_linked(host));
            }
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// True when the entry is that of the hub of this name. What is set for an own hub may stand by an alias: a host
    /// name of former times.
    fn is_entry_of(&self, entry: &LinkedHub, host: &HostName) -> bool {
        if entry.host == *host {
            return true;
        }
        let hubs = self.parts.engine.hubs.list();
        !is_remote(entry)
            && hubs
                .iter()
                .any(|hub| hub.answers_to(host) && hub.answers_to(&entry.host))
    }
}

const fn is_remote(hub: &LinkedHub) -> bool {
    matches!(hub.link, Link::Remote { .. })
}

fn not_linked(host: &HostName) -> Error {
    Error::new(ErrorKind::NotFound, format!("no hub {host} is linked"))
}

fn check_weight(weight: u32) -> Result<(), Error> {
    if ALLOCATION_WEIGHT_RANGE.contains(&weight) {
        return Ok(());
    }
    let (min, max) = (
        ALLOCATION_WEIGHT_RANGE.start(),
        ALLOCATION_WEIGHT_RANGE.end(),
    );
    Err(Error::invalid(format!(
        "the weight of a hub is {min} to {max}, not {weight}"
    )))
}
