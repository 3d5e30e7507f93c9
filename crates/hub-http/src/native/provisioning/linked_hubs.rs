//! The hubs that devices can be assigned to.

use axum::Json;
use http::StatusCode;
use hub_api::native::{LinkedHub, LinkedHubChange, LinkedHubCheck, LinkedHubs, NewLinkedHub};
use hub_domain::provisioning::{self as domain, Link, Region};
use hub_domain::{HostName, SymmetricKey};
use hub_provisioning::HubLink;

use super::super::{Document, Failure, Scope};
use super::Administration;

pub(in super::super) async fn list(scope: Scope) -> Result<Json<LinkedHubs>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let hubs = service.service.list_linked_hubs(&ctx)?;
    let items = hubs.iter().map(shown).collect();
    Ok(Json(LinkedHubs { items }))
}

pub(in super::super) async fn create(
    scope: Scope,
    Document(new): Document<NewLinkedHub>,
) -> Result<(StatusCode, Json<LinkedHub>), Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let (host, link) = reach(&new.connection_string)?;
    let hub = domain::LinkedHub {
        host,
        link,
        weight: new.allocation_weight.unwrap_or(1),
        allocatable: new.apply_allocation_policy.unwrap_or(true),
        region: region(new.region.as_deref())?,
    };
    let linked = service.service.link_hub(&ctx, hub).await?;
    Ok((StatusCode::CREATED, Json(shown(&linked))))
}

pub(in super::super) async fn get(scope: Scope) -> Result<Json<LinkedHub>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let hub = service.service.linked_hub(&ctx, &host(&scope)?)?;
    Ok(Json(shown(&hub)))
}

pub(in super::super) async fn patch(
    scope: Scope,
    Document(change): Document<LinkedHubChange>,
) -> Result<Json<LinkedHub>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let host = host(&scope)?;
    let reach = change.connection_string.as_deref().map(reach).transpose()?;
    let settings = HubLink {
        weight: change.allocation_weight,
        allocatable: change.apply_allocation_policy,
        region: change.region.map(|text| region(Some(&text))).transpose()?,
    };
    let service = &service.service;
    let hub = service.set_link(&ctx, &host, settings, reach).await?;
    Ok(Json(shown(&hub)))
}

pub(in super::super) async fn check(scope: Scope) -> Result<Json<LinkedHubCheck>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let host = host(&scope)?;
    let checked = service.registrations.check_link(&ctx, &host).await?;
    Ok(Json(LinkedHubCheck {
        host_name: checked.host.to_string(),
        is_usable: checked.failure.is_none(),
        failure: checked.failure,
    }))
}

pub(in super::super) async fn delete(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    service.service.unlink_hub(&ctx, &host(&scope)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn host(scope: &Scope) -> Result<HostName, Failure> {
    HostName::parse(scope.parameter("host")).map_err(|error| Failure::invalid(error.to_string()))
}

/// An empty text is none.
fn region(text: Option<&str>) -> Result<Option<Region>, Failure> {
    let text = text.filter(|text| !text.is_empty());
    let region = text.map(Region::parse).transpose();
    region.map_err(|error| Failure::invalid(error.to_string()))
}

/// `HostName=…;SharedAccessKeyName=…;SharedAccessKey=…`; the host may have a port.
fn reach(connection_string: &str) -> Result<(HostName, Link), Failure> {
    let part = |wanted: &str| {
        let mut parts = connection_string
            .split(';')
            .filter_map(|part| part.split_once('='));
        parts.find_map(|(name, value)| {
            name.trim()
                .eq_ignore_ascii_case(wanted)
                .then(|| value.trim())
        })
    };
    let missing = |name: &str| Failure::invalid(format!("the connection string has no {name}"));
    let address = part("HostName").ok_or_else(|| missing("HostName"))?;
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => {
            let port = port
                .parse()
                .map_err(|_| Failure::invalid("the port of HostName is no number"))?;
            (host, Some(port))
        }
        None => (address, None),
    };
    let host = HostName::parse(host).map_err(|error| Failure::invalid(error.to_string()))?;
    let policy = part("SharedAccessKeyName").ok_or_else(|| missing("SharedAccessKeyName"))?;
    let key = part("SharedAccessKey").ok_or_else(|| missing("SharedAccessKey"))?;
    let key = SymmetricKey::parse(key)
        .map_err(|error| Failure::invalid(format!("SharedAccessKey: {error}")))?;
    let policy = policy.to_owned();
    Ok((host, Link::Remote { policy, key, port }))
}

fn shown(hub: &domain::LinkedHub) -> LinkedHub {
    let policy = match &hub.link {
        Link::Own => None,
        Link::Remote { policy, .. } => Some(policy.clone()),
    };
    LinkedHub {
        host_name: hub.host.to_string(),
        is_own: policy.is_none(),
        policy,
        allocation_weight: hub.weight,
        apply_allocation_policy: hub.allocatable,
        region: hub.region.as_ref().map(ToString::to_string),
    }
}
