//! Devices.

use axum::Json;
use http::StatusCode;
use hub_api::native::{Device, DeviceSettings, Page};
use hub_domain::{DeviceId, IdentityId};

use super::hubs::page;
use super::identity_wire::{device, device_of};
use super::{Document, Failure, Guarded, Query, Scope};

pub(super) async fn list(scope: Scope, query: Query) -> Result<Json<Page<Device>>, Failure> {
    let (after, max) = page(query)?;
    let after = after.map(|text| DeviceId::parse(&text)).transpose();
    let after = after.map_err(|error| Failure::invalid(format!("the parameter after: {error}")))?;
    let hub = scope.hub()?;
    let views = scope
        .engine()
        .registry
        .list(&scope.ctx, hub.no, after.as_ref(), max)
        .await?;
    let items: Vec<Device> = views.iter().map(|view| device_of(hub, view)).collect();
    // A full page may be the last one; then the next one is empty.
    let next = items
        .last()
        .filter(|_| items.len() == max)
        .map(|device| device.device_id.clone());
    Ok(Json(Page { items, next }))
}

pub(super) async fn create(
    scope: Scope,
    Document(settings): Document<DeviceSettings>,
) -> Result<(StatusCode, Json<Device>), Failure> {
    let hub = scope.hub()?;
    let id = settings
        .device_id
        .as_deref()
        .ok_or_else(|| Failure::invalid("a new device needs a deviceId"))?;
    let id = DeviceId::parse(id).map_err(|error| Failure::invalid(error.to_string()))?;
    let new = device(id, settings)?;
    let view = scope
        .engine()
        .registry
        .create(&scope.ctx, hub.no, new)
        .await?;
    Ok((StatusCode::CREATED, Json(device_of(hub, &view))))
}

pub(super) async fn get(scope: Scope) -> Result<Json<Device>, Failure> {
    let hub = scope.hub()?;
    let id = IdentityId::device(scope.device()?);
    let view = scope
        .engine()
        .registry
        .fetch(&scope.ctx, hub.no, &id)
        .await?;
    Ok(Json(device_of(hub, &view)))
}

pub(super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(settings): Document<DeviceSettings>,
) -> Result<Json<Device>, Failure> {
    let hub = scope.hub()?;
    let id = scope.device()?;
    if settings
        .device_id
        .as_deref()
        .is_some_and(|given| given != id.as_str())
    {
        return Err(Failure::invalid(
            "the deviceId of the body is not the one of the path",
        ));
    }
    let update = device(id, settings)?;
    let view = scope
        .engine()
        .registry
        .replace(&scope.ctx, hub.no, update, if_match)
        .await?;
    Ok(Json(device_of(hub, &view)))
}

/// Deletes the device or module of the path.
pub(super) async fn delete(
    scope: Scope,
    Guarded(if_match): Guarded,
) -> Result<StatusCode, Failure> {
    let hub = scope.hub()?;
    let id = scope.identity()?;
    scope
        .engine()
        .registry
        .delete(&scope.ctx, hub.no, &id, if_match)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
