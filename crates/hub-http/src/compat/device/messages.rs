//! Cloud-to-device messages: fetched one by one, held by a lock, settled by its token.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderName, HeaderValue};
use hub_domain::ErrorCode;
use hub_domain::message::{FeedbackAck, SystemProperty};
use hub_engine::messages::{LockToken, ReceivedMessage};
use percent_encoding::{CONTROLS, NON_ALPHANUMERIC, percent_encode};

use super::super::no_content;
use super::super::refusal::Refusal;
use super::DeviceCall;

/// How long the caller wants to hold what it gets, in seconds.
const LOCK_TIMEOUT: &str = "iothub-messagelocktimeout";

pub(super) async fn receive(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let lock = lock_timeout(&call.parts.headers)?;
    let messages = &call.engine.messages;
    let received = messages
        .receive(&call.ctx, call.hub.no, caller.id(), lock)
        .await?;
    received.map_or_else(|| Ok(no_content()), |received| render(&received))
}

pub(super) async fn complete_or_reject(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let token = token(&call)?;
    let messages = &call.engine.messages;
    // The parameter has no value.
    if call.query.value("reject").is_some() {
        messages
            .reject(&call.ctx, call.hub.no, caller.id(), token)
            .await?;
    } else {
        messages
            .complete(&call.ctx, call.hub.no, caller.id(), token)
            .await?;
    }
    Ok(no_content())
}

pub(super) async fn abandon(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let token = token(&call)?;
    let messages = &call.engine.messages;
    messages
        .abandon(&call.ctx, call.hub.no, caller.id(), token)
        .await?;
    Ok(no_content())
}

fn lock_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Refusal> {
    let Some(value) = headers.get(LOCK_TIMEOUT) else {
        return Ok(None);
    };
    let seconds = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let seconds = seconds.ok_or_else(|| {
        let text = format!("{LOCK_TIMEOUT} must be a number of seconds");
        Refusal::new(ErrorCode::ArgumentInvalid, text)
    })?;
    Ok(Some(Duration::from_secs(seconds)))
}

/// A text that no hub gave as a token holds no message either.
fn token(call: &super::Call) -> Result<LockToken, Refusal> {
    LockToken::parse(call.ids.token())
        .map_err(|error| Refusal::new(ErrorCode::DeviceMessageLockLost, error.to_string()))
}

/// The message with its properties as headers (`http.js`, `toMessage`; `iothubtransporthttp.c`).
fn render(received: &ReceivedMessage) -> Result<Response, Refusal> {
    let stored = &received.stored;
    let message = &stored.message;
    let mut response = Response::new(Body::from(message.body.clone()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    let mut add = |name: &str, value: &str| {
        let pair = (header_name(name), header_value(value));
        if let (Some(name), Some(value)) = pair {
            headers.append(name, value);
        }
    };
    // C drops a message whose token is not quoted, Node cuts the first and last character off.
    add(ETAG.as_str(), &format!("\"{}\"", received.token));
    let system = [
        (SystemProperty::MessageId, message.message_id.as_deref()),
        (
            SystemProperty::CorrelationId,
            message.correlation_id.as_deref(),
        ),
        (SystemProperty::UserId, message.user_id.as_deref()),
        (SystemProperty::To, Some(message.to.as_str())),
        (SystemProperty::ContentType, message.content_type.as_deref()),
        (
            SystemProperty::ContentEncoding,
            message.content_encoding.as_deref(),
        ),
    ];
    for (property, value) in system {
        if let Some(value) = value {
            add(property.http_header(), value);
        }
    }
    // The names by which the C client reads these two.
    for (name, value) in [
        ("contenttype", &message.content_type),
        ("contentencoding", &message.content_encoding),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    if let Some(expiry) = message.expiry {
        add(SystemProperty::Expiry.http_header(), &expiry.to_rfc3339());
    }
    if message.ack != FeedbackAck::None {
        add(SystemProperty::Ack.http_header(), message.ack.as_str());
    }
    add("iothub-sequencenumber", &stored.no.0.to_string());
    add("iothub-enqueuedtime", &message.enqueued.to_rfc3339());
    add("iothub-deliverycount", &stored.delivery_count.to_string());
    for (key, value) in &message.properties {
        add(
            &format!("iothub-app-{key}"),
            value.as_deref().unwrap_or_default(),
        );
    }
    Ok(response)
}

/// What a header's name cannot spell is percent-encoded.
fn header_name(name: &str) -> Option<HeaderName> {
    HeaderName::from_bytes(name.as_bytes()).ok().or_else(|| {
        const PLAIN: &percent_encoding::AsciiSet = &NON_ALPHANUMERIC
            .remove(b'-')
            .remove(b'_')
            .remove(b'.')
            .remove(b'%');
        let encoded = percent_encode(name.as_bytes(), PLAIN).to_string();
        HeaderName::from_bytes(encoded.as_bytes()).ok()
    })
}

/// Text beyond ASCII goes as its bytes of UTF-8, control characters are percent-encoded.
fn header_value(value: &str) -> Option<HeaderValue> {
    HeaderValue::from_bytes(value.as_bytes()).ok().or_else(|| {
        let encoded = percent_encode(value.as_bytes(), CONTROLS).to_string();
        HeaderValue::from_str(&encoded).ok()
    })
}
