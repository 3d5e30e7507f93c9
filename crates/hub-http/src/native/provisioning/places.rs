//! Where callers are, and how far that is from the hubs.

use std::time::Duration;

use axum::Json;
use http::StatusCode;
use hub_api::native::{AddressRange, AddressRanges, Latencies, Latency, LatencyValue, RegionName};
use hub_domain::HostName;
use hub_domain::provisioning::{self as domain, Region};

use super::super::{Document, Failure, Scope};
use super::Administration;

pub(in super::super) async fn list_ranges(scope: Scope) -> Result<Json<AddressRanges>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let ranges = service.service.address_ranges(&ctx)?;
    let items = ranges.iter().map(shown).collect();
    Ok(Json(AddressRanges { items }))
}

fn shown(range: &domain::AddressRange) -> AddressRange {
    AddressRange {
        range: range.to_string(),
        region: range.region.to_string(),
    }
}

pub(in super::super) async fn replace_ranges(
    scope: Scope,
    Document(AddressRanges { items }): Document<AddressRanges>,
) -> Result<Json<AddressRanges>, Failure> {
    {
        let Administration { service, ctx } = Administration::of(&scope)?;
        let ranges = items
            .iter()
            .map(|item| range(&item.range, region(&item.region)?));
        let ranges = ranges.collect::<Result<_, Failure>>()?;
        service.service.replace_address_ranges(&ctx, ranges).await?;
    }
    list_ranges(scope).await
}

pub(in super::super) async fn put_range(
    scope: Scope,
    Document(RegionName { region: name }): Document<RegionName>,
) -> Result<Json<AddressRange>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let range = range(scope.parameter("range"), region(&name)?)?;
    let put = shown(&range);
    service.service.put_address_range(&ctx, range).await?;
    Ok(Json(put))
}

pub(in super::super) async fn delete_range(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let range = range(scope.parameter("range"), region("any")?)?;
    service.service.delete_address_range(&ctx, &range).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn range(text: &str, region: Region) -> Result<domain::AddressRange, Failure> {
    domain::AddressRange::parse(text, region).ok_or_else(|| {
        Failure::invalid("the range must be an address and a prefix, such as 10.0.0.0/8")
    })
}

pub(in super::super) async fn list_latencies(scope: Scope) -> Result<Json<Latencies>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let latencies = service.service.latencies(&ctx)?;
    let items = latencies
        .iter()
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

pub(in super::super) async fn replace_latencies(
    scope: Scope,
    Document(given): Document<Latencies>,
) -> Result<Json<Latencies>, Failure> {
    {
        let Administration { service, ctx } = Administration::of(&scope)?;
        let latencies = latencies(&given)?;
        service.service.replace_latencies(&ctx, latencies).await?;
    }
    list_latencies(scope).await
}

pub(in super::super) async fn patch_latencies(
    scope: Scope,
    Document(given): Document<Latencies>,
) -> Result<Json<Latencies>, Failure> {
    {
        let Administration { service, ctx } = Administration::of(&scope)?;
        let latencies = latencies(&given)?;
        service.service.set_latencies(&ctx, latencies).await?;
    }
    list_latencies(scope).await
}

fn latencies(given: &Latencies) -> Result<Vec<(Region, HostName, Duration)>, Failure> {
    let one = |item: &Latency| {
        let latency = Duration::from_micros(item.microseconds);
        Ok((region(&item.region)?, host(&item.host_name)?, latency))
    };
    given.items.iter().map(one).collect()
}

pub(in super::super) async fn put_latency(
    scope: Scope,
    Document(LatencyValue { microseconds }): Document<LatencyValue>,
) -> Result<Json<Latency>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (region, hub) = place(&scope)?;
    let latency = Duration::from_micros(microseconds);
    let put = latency_of(&region, &hub, latency);
    let service = &service.service;
    service
        .set_latencies(&ctx, vec![(region, hub, latency)])
        .await?;
    Ok(Json(put))
}

pub(in super::super) async fn delete_latency(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (region, hub) = place(&scope)?;
    service.service.delete_latency(&ctx, &region, &hub).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn place(scope: &Scope) -> Result<(Region, HostName), Failure> {
    Ok((
        region(scope.parameter("region"))?,
        host(scope.parameter("host"))?,
    ))
}

fn region(text: &str) -> Result<Region, Failure> {
    Region::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}

fn host(text: &str) -> Result<HostName, Failure> {
    HostName::parse(text).map_err(|error| Failure::invalid(error.to_string()))
}
