//! Twins of devices and modules.

use axum::response::Response;
use hub_api::compat::{Twin, TwinInput};
use hub_domain::twin::BackEndPatch;
use hub_engine::TwinView;

use super::etag::if_match;
use super::refusal::Refusal;
use super::{Call, json_with_etag};

pub(super) async fn get(call: Call) -> Result<Response, Refusal> {
    show(
        &call
            .engine
            .twins
            .fetch(&call.ctx, call.hub.no, &call.id()?)
            .await?,
    )
}

pub(super) async fn patch(call: Call) -> Result<Response, Refusal> {
    let guard = if_match(&call.parts.headers)?;
    let patch = body(&call)?;
    show(
        &call
            .engine
            .twins
            .patch(&call.ctx, call.hub.no, &call.id()?, patch, guard)
            .await?,
    )
}

pub(super) async fn replace(call: Call) -> Result<Response, Refusal> {
    let guard = if_match(&call.parts.headers)?;
    let replacement = body(&call)?;
    show(
        &call
            .engine
            .twins
            .replace(&call.ctx, call.hub.no, &call.id()?, replacement, guard)
            .await?,
    )
}

fn body(call: &Call) -> Result<BackEndPatch, Refusal> {
    let input = TwinInput::parse(&call.body)?;
    Ok(BackEndPatch {
        tags: input.tags,
        desired: input.desired,
    })
}

fn show(view: &TwinView) -> Result<Response, Refusal> {
    let TwinView { identity, twin } = view;
    let shown = Twin::new(
        &identity.identity,
        &identity.activity,
        identity.message_count,
        twin,
    );
    json_with_etag(&shown, &twin.back_end.etag.to_string())
}
