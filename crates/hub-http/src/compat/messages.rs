//! Cloud-to-device messages.

use axum::response::Response;
use hub_api::compat::{PurgeResult, draft_from_headers};
use hub_domain::ErrorCode;
use hub_domain::message::CloudToDeviceMessage;

use super::refusal::Refusal;
use super::{Call, json, no_content};

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
    let mut headers = Vec::new();
    for (name, value) in &call.parts.headers {
        // Only the message's own headers have to be text.
        if name.as_str().starts_with("iothub-") {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
                Refusal::new(ErrorCode::ArgumentInvalid, format!("{name} is not UTF-8"))
            })?;
            headers.push((name.as_str(), text));
        }
    }
    let draft = draft_from_headers(&id, headers, call.body.clone(), call.ctx.now)?;
    let message = CloudToDeviceMessage::parse(draft)
        .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
    call.engine
        .messages
        .send(&call.ctx, call.hub.no, &id, message)
        .await?;
    Ok(no_content())
}
