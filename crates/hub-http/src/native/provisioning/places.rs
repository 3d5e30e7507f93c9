//! Where callers are, and how far that is from the hubs.

use std::time::Duration;

use axum::Json;
use http::StatusCode;
use hub_api::native::{AddressRange, AddressRanges, Latencies, Latency, LatencyValue, RegionName};
use hub_domain::HostName;
use hub_domain::provisioning::{self as domain, Region};
use hub_engine::ErrorKind;
use hub_provisioning::Error;

use super::super::{Document, Failure, Scope};
use super::Administration;

/// Most address ranges: each is looked at for each registration under the nearest-hub policy.
const RANGES_MAX: usize = 10_000;
/// Most latencies.
const LATENCIES_MAX: usize = 10_000;

pub(in super::super) async fn list_ranges(scope: Scope) -> Result<Json<AddressRanges>, Failure> {
    let Administration { service, .. } = Administration::of(&scope)?;
    let current = service.service.current();
    let items = current.settings.address_ranges.iter().map(shown).collect();
    Ok(Json(AddressRanges { items }))
}

fn shown(range: &domain::AddressRange) -> AddressRange {
    AddressRange {
        range: range.to_string(),
        region: range.region.to_string(),
    }
}

pub(in super::super) async fn put_range(
    scope: Scope,
    Document(RegionName { region }): Document<RegionName>,
) -> Result<Json<AddressRange>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let range = range(&scope, parse_region(&region)?)?;
    let decide = |current: &domain::ProvisioningService| {
        let mut next = current.clone();
        let ranges = &mut next.settings.address_ranges;
        ranges.retain(|one| !is_same(one, &range));
        if ranges.len() >= RANGES_MAX {
            let text = format!("there are {RANGES_MAX} address ranges at most");
            return Err(Error::new(ErrorKind::QuotaExceeded, text));
        }
        ranges.push(range.clone());
        Ok(next)
    };
    service.service.update(&ctx, decide).await?;
    Ok(Json(shown(&range)))
}

pub(in super::super) async fn delete_range(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let any = Region::parse("any").map_err(|error| Failure::invalid(error.to_string()))?;
    let range = range(&scope, any)?;
    let decide = |current: &domain::ProvisioningService| {
        let mut next = current.clone();
        let ranges = &mut next.settings.address_ranges;
        let before = ranges.len();
        ranges.retain(|one| !is_same(one, &range));
        if ranges.len() == before {
            let text = format!("nothing is said of {range}");
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        Ok(next)
    };
    service.service.update(&ctx, decide).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn range(scope: &Scope, region: Region) -> Result<domain::AddressRange, Failure> {
    let text = scope.parameter("range");
    domain::AddressRange::parse(text, region).ok_or_else(|| {
        Failure::invalid("the range must be an address and a prefix, such as 10.0.0.0/8")
    })
}

fn is_same(one: &domain::AddressRange, other: &domain::AddressRange) -> bool {
    one.network == other.network && one.prefix == other.prefix
}

pub(in super::super) async fn list_latencies(scope: Scope) -> Result<Json<Latencies>, Failure> {
    let Administration { service, .. } = Administration::of(&scope)?;
    let current = service.service.current();
    let latencies = current.settings.latencies.iter();
    let items = latencies
        .map(|(region, hub, latency)| latency_of(region, hub, latency))
        .collect();
    Ok(Json(Latencies { items }))
}

fn latency_of(region: &Region, hub: &HostName, latency: Duration) -> Latency {
    Latency {
        region: region.to_string(),
        host_name: hub.to_string(),
        microseconds: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
    }
}

pub(in super::super) async fn put_latency(
    scope: Scope,
    Document(LatencyValue { microseconds }): Document<LatencyValue>,
) -> Result<Json<Latency>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (region, hub) = place(&scope)?;
    if !service
        .service
        .linked_hubs()
        .iter()
        .any(|one| one.host == hub)
    {
        return Err(Failure::invalid(format!("no hub {hub} is linked")));
    }
    let latency = Duration::from_micros(microseconds);
    let decide = |current: &domain::ProvisioningService| {
        let mut next = current.clone();
        let latencies = &mut next.settings.latencies;
        if latencies.iter().count() >= LATENCIES_MAX && latencies.get(&region, &hub).is_none() {
            let text = format!("there are {LATENCIES_MAX} latencies at most");
            return Err(Error::new(ErrorKind::QuotaExceeded, text));
        }
        latencies.set(region.clone(), hub.clone(), latency);
        Ok(next)
    };
    service.service.update(&ctx, decide).await?;
    Ok(Json(latency_of(&region, &hub, latency)))
}

pub(in super::super) async fn delete_latency(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (region, hub) = place(&scope)?;
    let decide = |current: &domain::ProvisioningService| {
        let mut next = current.clone();
        if !next.settings.latencies.remove(&region, &hub) {
            let text = format!("nothing is said of {region} and {hub}");
            return Err(Error::new(ErrorKind::NotFound, text));
        }
        Ok(next)
    };
    service.service.update(&ctx, decide).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn place(scope: &Scope) -> Result<(Region, HostName), Failure> {
    let hub = HostName::parse(scope.parameter("host"))
        .map_err(|error| Failure::invalid(error.to_string()))?;
    Ok((parse_region(scope.parameter("region"))?, hub))
}

fn parse_region(text: &str) -> Result<Region, Failure> {
    Region::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}
