//! Twins of devices and modules.

use axum::Json;
use hub_api::native::{Moment, Twin, TwinChange, TwinProperties};
use hub_domain::twin::{BackEndPatch, Section, SectionView};
use hub_engine::TwinView;
use serde_json::{Map, Value};

use super::identity_wire::{connection_state_of, status_of};
use super::{Document, Failure, Guarded, Scope};

pub(super) async fn get(scope: Scope) -> Result<Json<Twin>, Failure> {
    let hub = scope.hub()?;
    let view = scope
        .engine()
        .twins
        .fetch(&scope.ctx, hub.no, &scope.identity()?)
        .await?;
    Ok(Json(twin_of(view)))
}

pub(super) async fn patch(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(change): Document<TwinChange>,
) -> Result<Json<Twin>, Failure> {
    let hub = scope.hub()?;
    let id = scope.identity()?;
    let view = scope
        .engine()
        .twins
        .patch(&scope.ctx, hub.no, &id, back_end(change), if_match)
        .await?;
    Ok(Json(twin_of(view)))
}

pub(super) async fn replace(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(change): Document<TwinChange>,
) -> Result<Json<Twin>, Failure> {
    let hub = scope.hub()?;
    let id = scope.identity()?;
    let view = scope
        .engine()
        .twins
        .replace(&scope.ctx, hub.no, &id, back_end(change), if_match)
        .await?;
    Ok(Json(twin_of(view)))
}

fn back_end(change: TwinChange) -> BackEndPatch {
    BackEndPatch {
        tags: change.tags,
        desired: change.properties.and_then(|properties| properties.desired),
    }
}

fn twin_of(view: TwinView) -> Twin {
    let TwinView { identity, twin } = view;
    Twin {
        device_id: identity.identity.id.device.to_string(),
        module_id: identity
            .identity
            .id
            .module
            .as_ref()
            .map(ToString::to_string),
        etag: twin.back_end.etag.to_string(),
        version: twin.version(),
        status: status_of(&identity.identity),
        connection_state: connection_state_of(&identity.activity),
        last_activity_time: Moment::of(identity.activity.last_activity),
        model_id: twin.model_id.clone(),
        properties: TwinProperties {
            desired: section(&twin.back_end.desired),
            reported: section(&twin.reported),
        },
        tags: twin.back_end.tags,
    }
}

/// A section with `$metadata` and `$version` inside.
pub(super) fn section(section: &Section) -> Map<String, Value> {
    match serde_json::to_value(SectionView::with_metadata(section)) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => unreachable!("a section with text keys serializes as an object"),
    }
}
