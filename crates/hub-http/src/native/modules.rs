//! Modules.

use axum::Json;
use http::StatusCode;
use hub_api::native::{Module, ModuleSettings, Page};
use hub_domain::{IdentityId, ModuleId};

use super::hubs::page;
use super::identity_wire::{module, module_of};
use super::{Document, Failure, Guarded, Query, Scope};

pub(super) use super::devices::delete;

/// A device has few modules, so they are one page unless the caller asks for less.
pub(super) async fn list(scope: Scope, query: Query) -> Result<Json<Page<Module>>, Failure> {
    let (after, max) = page(query)?;
    let hub = scope.hub()?;
    let views = scope
        .engine()
        .registry
        .modules(&scope.ctx, hub.no, &scope.device()?)
        .await?;
    let after = after.as_deref().unwrap_or_default();
    let mut items: Vec<Module> = views.iter().map(|view| module_of(hub, view)).collect();
    items.retain(|module| module.module_id.as_str() > after);
    let more = items.len() > max;
    items.truncate(max);
    let next = items
        .last()
        .filter(|_| more)
        .map(|module| module.module_id.clone());
    Ok(Json(Page { items, next }))
}

pub(super) async fn create(
    scope: Scope,
    Document(settings): Document<ModuleSettings>,
) -> Result<(StatusCode, Json<Module>), Failure> {
    let hub = scope.hub()?;
    let id = settings
        .module_id
        .as_deref()
        .ok_or_else(|| Failure::invalid("a new module needs a moduleId"))?;
    let id = ModuleId::parse(id).map_err(|error| Failure::invalid(error.to_string()))?;
    let new = module(IdentityId::module(scope.device()?, id), settings)?;
    let view = scope
        .engine()
        .registry
        .create(&scope.ctx, hub.no, new)
        .await?;
    Ok((StatusCode::CREATED, Json(module_of(hub, &view))))
}

pub(super) async fn get(scope: Scope) -> Result<Json<Module>, Failure> {
    let hub = scope.hub()?;
    let view = scope
        .engine()
        .registry
        .fetch(&scope.ctx, hub.no, &scope.identity()?)
        .await?;
    Ok(Json(module_of(hub, &view)))
}

pub(super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(settings): Document<ModuleSettings>,
) -> Result<Json<Module>, Failure> {
    let hub = scope.hub()?;
    let id = scope.identity()?;
    if settings
        .module_id
        .as_deref()
        .is_some_and(|given| given != id.module_text())
    {
        return Err(Failure::invalid(
            "the moduleId of the body is not the one of the path",
        ));
    }
    let update = module(id, settings)?;
    let view = scope
        .engine()
        .registry
        .replace(&scope.ctx, hub.no, update, if_match)
        .await?;
    Ok(Json(module_of(hub, &view)))
}
