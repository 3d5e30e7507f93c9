//! Where callers are, and how far that is from the hubs.

use std::collections::BTreeSet;
use std::time::Duration;

use hub_domain::HostName;
use hub_domain::limits::{ADDRESS_RANGES_MAX, LATENCIES_MAX};
use hub_domain::provisioning::{
    AddressRange, Latencies, ProvisioningService, Region, ServicePermission,
};
use hub_engine::ErrorKind;

use super::Service;
use crate::{Context, Error};

impl Service {
    /// Where callers are by their addresses.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn address_ranges(&self, ctx: &Context) -> Result<Vec<AddressRange>, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.current().settings.address_ranges.clone())
    }

    /// Says where a range of addresses is, in the place of what was said of it.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; there are 10,000.
    pub async fn put_address_range(&self, ctx: &Context, range: AddressRange) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let ranges = &mut next.settings.address_ranges;
            ranges.retain(|one| !one.is_same(&range));
            ranges.push(range.clone());
            check_ranges(ranges.len())?;
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// Says where all ranges of addresses are, in the place of everything that was said.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; there are more than 10,000; a range is named twice.
    pub async fn replace_address_ranges(
        &self,
        ctx: &Context,
        ranges: Vec<AddressRange>,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        check_ranges(ranges.len())?;
        if let Some(twice) = named_twice(&ranges) {
            return Err(Error::invalid(format!("the range {twice} is named twice")));
        }
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            next.settings.address_ranges.clone_from(&ranges);
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// Forgets where a range of addresses is. Its region does not count.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; nothing is said of it.
    pub async fn delete_address_range(
        &self,
        ctx: &Context,
        range: &AddressRange,
    ) -> Result<(), Error> {
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let ranges = &mut next.settings.address_ranges;
            let before = ranges.len();
            ranges.retain(|one| !one.is_same(range));
            if ranges.len() == before {
                let text = format!("nothing is said of {range}");
                return Err(Error::new(ErrorKind::NotFound, text));
            }
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// How long callers of the regions take to the hubs.
    ///
    /// # Errors
    /// Needs `ServiceConfig`.
    pub fn latencies(&self, ctx: &Context) -> Result<Latencies, Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        Ok(self.current().settings.latencies.clone())
    }

    /// Says how long callers of regions take to hubs. What is not named stays.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; a hub is not linked; there are 10,000.
    pub async fn set_latencies(
        &self,
        ctx: &Context,
        latencies: Vec<(Region, HostName, Duration)>,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let latencies = self.of_linked(latencies)?;
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            for (region, hub, latency) in latencies.iter() {
                let known = &mut next.settings.latencies;
                known.set(region.clone(), hub.clone(), latency);
            }
            check_latencies(&next.settings.latencies)?;
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// Says how long callers of regions take to hubs, in the place of everything that was said.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; a hub is not linked; there are more than 10,000; a latency is named twice.
    pub async fn replace_latencies(
        &self,
        ctx: &Context,
        latencies: Vec<(Region, HostName, Duration)>,
    ) -> Result<(), Error> {
        ctx.require(ServicePermission::ServiceConfig)?;
        let latencies = self.of_linked(latencies)?;
        check_latencies(&latencies)?;
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            next.settings.latencies.clone_from(&latencies);
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }

    /// The latencies by the hosts that the hubs are linked by.
    fn of_linked(&self, given: Vec<(Region, HostName, Duration)>) -> Result<Latencies, Error> {
        let hubs = self.linked_hubs();
        let mut latencies = Latencies::default();
        for (region, host, latency) in given {
            let linked = self.linked_host(&host);
            if !hubs.iter().any(|hub| hub.host == linked) {
                return Err(Error::invalid(format!("no hub {host} is linked")));
            }
            if latencies.get(&region, &linked).is_some() {
                let text = format!("the latency from {region} to {host} is named twice");
                return Err(Error::invalid(text));
            }
            latencies.set(region, linked, latency);
        }
        Ok(latencies)
    }

    /// Forgets how long callers of a region take to a hub.
    ///
    /// # Errors
    /// Needs `ServiceConfig`; nothing is said of them.
    pub async fn delete_latency(
        &self,
        ctx: &Context,
        region: &Region,
        hub: &HostName,
    ) -> Result<(), Error> {
        let linked = self.linked_host(hub);
        let decide = |service: &ProvisioningService| {
            let mut next = service.clone();
            let latencies = &mut next.settings.latencies;
            if !(latencies.remove(region, &linked) | latencies.remove(region, hub)) {
                let text = format!("nothing is said of {region} and {hub}");
                return Err(Error::new(ErrorKind::NotFound, text));
            }
            Ok(next)
        };
        self.update(ctx, decide).await.map(drop)
    }
}

fn check_ranges(count: usize) -> Result<(), Error> {
    if count <= ADDRESS_RANGES_MAX {
        return Ok(());
    }
    let text = format!("there are {ADDRESS_RANGES_MAX} address ranges at most");
    Err(Error::new(ErrorKind::QuotaExceeded, text))
}

fn check_latencies(latencies: &Latencies) -> Result<(), Error> {
    if latencies.iter().count() <= LATENCIES_MAX {
        return Ok(());
    }
    let text = format!("there are {LATENCIES_MAX} latencies at most");
    Err(Error::new(ErrorKind::QuotaExceeded, text))
}

/// A range that holds the same addresses as one before it.
fn named_twice(ranges: &[AddressRange]) -> Option<&AddressRange> {
    let mut seen = BTreeSet::new();
    ranges
        .iter()
        .find(|range| !seen.insert((range.network, range.prefix)))
}
