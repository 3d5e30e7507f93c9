//! The hubs that devices can be assigned to.

use axum::Json;
use http::StatusCode;
use hub_api::native::{LinkedHub, LinkedHubChange, LinkedHubs, NewLinkedHub};
use hub_domain::provisioning::{self as domain, Link, Region};
use hub_domain::{HostName, SymmetricKey};
use hub_engine::{Error, ErrorKind};
use hub_provisioning::{Error as ProvisioningError, HubLink};

use super::super::{Document, Failure, Scope};
use super::Administration;

pub(in super::super) async fn list(scope: Scope) -> Result<Json<LinkedHubs>, Failure> {
    let Administration { service, .. } = Administration::of(&scope)?;
    let items = service.service.linked_hubs().iter().map(shown).collect();
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
    let Administration { service, .. } = Administration::of(&scope)?;
    let host = host(&scope)?;
    let hubs = service.service.linked_hubs();
    let hub = hubs.iter().find(|hub| hub.host == host);
    hub.map(|hub| Json(shown(hub)))
        .ok_or_else(|| not_linked(&host))
}

fn not_linked(host: &HostName) -> Failure {
    let text = format!("no hub {host} is linked");
    Failure::from(Error::new(ErrorKind::NotFound, text))
}

pub(in super::super) async fn patch(
    scope: Scope,
    Document(change): Document<LinkedHubChange>,
) -> Result<Json<LinkedHub>, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    let host = host(&scope)?;
    if let Some(text) = &change.connection_string {
        let (other, link) = reach(text)?;
        if other != host {
            return Err(Failure::invalid(
                "the connection string is that of another hub, link it as one of its own",
            ));
        }
        let decide = |current: &domain::ProvisioningService| {
            let mut next = current.clone();
            let hub = next
                .settings
                .linked_hubs
                .iter_mut()
                .find(|hub| hub.host == host && matches!(hub.link, Link::Remote { .. }));
            match hub {
                Some(hub) => hub.link = link.clone(),
                None => {
                    let text = format!("no hub {host} of another installation is linked");
                    return Err(ProvisioningError::new(ErrorKind::NotFound, text));
                }
            }
            Ok(next)
        };
        service.service.update(&ctx, decide).await?;
    }
    let link = HubLink {
        weight: change.allocation_weight,
        allocatable: change.apply_allocation_policy,
        region: region(change.region.as_deref())?,
    };
    let hub = service.service.set_link(&ctx, &host, link).await?;
    Ok(Json(shown(&hub)))
}

pub(in super::super) async fn delete(scope: Scope) -> Result<StatusCode, Failure> {
    let Administration { service, ctx } = Administration::of(&scope)?;
    service.service.unlink_hub(&ctx, &host(&scope)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn host(scope: &Scope) -> Result<HostName, Failure> {
    HostName::parse(scope.parameter("host")).map_err(|error| Failure::invalid(error.to_string()))
}

fn region(text: Option<&str>) -> Result<Option<Region>, Failure> {
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
