//! Cloud-to-device messages.

use axum::response::Response;
use hub_api::compat::{PurgeResult, draft_from_headers};
use hub_domain::message::CloudToDeviceMessage;

use super::refusal::Refusal;
use super::{Call, json, message_headers, no_content};

pub(super) async fn purge(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let purged = call
        .engine
        .messages
        .purge(&call.ctx, call.hub.no, &id)
        .await?;
    json(&PurgeResult {
        total_messages_purged: purged,
        device_id: id.device.to_string(),
        module_id: id.module.map(|module| module.to_string()),
    })
}

pub(super) async fn send(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let headers = message_headers(&call.parts)?;
    let headers = headers.iter().map(|(name, value)| (name.as_str(), *value));
    let draft = draft_from_headers(&id, headers, call.body.clone(), call.ctx.now)?;
    let message = CloudToDeviceMessage::parse(draft)
        .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    call.engine
        .messages
        .send(&call.ctx, call.hub.no, &id, message)
        .await?;
    Ok(no_content())
}
