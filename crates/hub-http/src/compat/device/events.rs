//! Telemetry.

use axum::response::Response;
use http::header::CONTENT_TYPE;
use hub_api::compat::{EVENT_BATCH_MEDIA_TYPE, EventInput, push_event_property};
use hub_domain::ErrorCode;
use hub_domain::limits::TELEMETRY_BYTES_MAX;
use hub_domain::message::{PropertyBag, telemetry_size};
use hub_engine::RecordFlags;
use hub_engine::sessions::TelemetryBatch;

use super::super::refusal::Refusal;
use super::super::{message_headers, no_content};
use super::DeviceCall;

/// One message, or several in a body of their own media type; all of them are kept or none.
pub(super) async fn send(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let inputs = if is_batch(&call.parts.headers) {
        EventInput::parse_batch(&call.body)?
    } else {
        let mut properties = PropertyBag::default();
        for (name, value) in message_headers(&call.parts)? {
            push_event_property(&mut properties, &name, Some(value))?;
        }
        vec![EventInput {
            properties,
            body: call.body.to_vec(),
        }]
    };
    let mut batch = TelemetryBatch::new();
    let mut bytes = 0;
    for input in inputs {
        let bag = input.properties.encode();
        bytes += telemetry_size(bag.as_bytes(), input.body.len())
            .map_err(|error| Refusal::new(error.code(), error.to_string()))?;
        batch.push(RecordFlags::default(), bag.as_bytes(), &input.body);
    }
    // "The maximum size of a batch is that of a message" ("Quotas and throttling").
    if bytes > TELEMETRY_BYTES_MAX {
        return Err(Refusal::new(
            ErrorCode::MessageTooLarge,
            format!("the messages have {bytes} bytes together, more than {TELEMETRY_BYTES_MAX}"),
        ));
    }
    let telemetry = &call.engine.telemetry;
    telemetry.send(call.ctx.now, &caller, &mut batch).await?;
    Ok(no_content())
}

fn is_batch(headers: &http::HeaderMap) -> bool {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = value.and_then(|text| text.split(';').next());
    media_type.is_some_and(|text| text.trim().eq_ignore_ascii_case(EVENT_BATCH_MEDIA_TYPE))
}
