//! Cloud-to-device messages.

use std::time::Duration;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use hub_api::native::{Ack, MessageBody, NewMessage, PurgedMessages, SentMessage};
use hub_domain::IdentityId;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage, FeedbackAck};
use hub_engine::ErrorKind;
use serde_json::value::RawValue;

use super::{Document, Failure, Scope};

pub(super) async fn send(
    scope: Scope,
    Document(new): Document<NewMessage<Box<RawValue>>>,
) -> Result<(StatusCode, Json<SentMessage>), Failure> {
    let hub = scope.hub()?;
    let id = IdentityId::device(scope.device()?);
    let message_id = new.message_id.clone();
    let message = message(&scope, &id, new)?;
    let number = scope
        .engine()
        .messages
        .send(&scope.ctx, hub.no, &id, message)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(SentMessage {
            number: number.0,
            message_id,
        }),
    ))
}

pub(super) async fn purge(scope: Scope) -> Result<Json<PurgedMessages>, Failure> {
    let hub = scope.hub()?;
    let id = IdentityId::device(scope.device()?);
    let purged = scope
        .engine()
        .messages
        .purge(&scope.ctx, hub.no, &id)
        .await?;
    Ok(Json(PurgedMessages { purged }))
}

fn message(
    scope: &Scope,
    id: &IdentityId,
    new: NewMessage<Box<RawValue>>,
) -> Result<CloudToDeviceMessage, Failure> {
    let now = scope.ctx.now;
    let expiry = match (new.expiry_time_utc, new.ttl_seconds) {
        (Some(_), Some(_)) => {
            return Err(Failure::invalid(
                "expiryTimeUtc and ttlSeconds exclude each other",
            ));
        }
        (Some(moment), None) => Some(moment.0),
        (None, Some(seconds)) => Some(now.plus(Duration::from_secs(seconds))),
        (None, None) => None,
    };
    let draft = CloudToDeviceDraft {
        message_id: new.message_id,
        correlation_id: new.correlation_id,
        user_id: new.user_id,
        content_type: new.content_type,
        content_encoding: new.content_encoding,
        expiry,
        ack: match new.ack {
            Ack::None => FeedbackAck::None,
            Ack::Positive => FeedbackAck::Positive,
            Ack::Negative => FeedbackAck::Negative,
            Ack::Full => FeedbackAck::Full,
        },
        properties: new
            .properties
            .into_iter()
            .map(|(name, value)| (name, Some(value)))
            .collect(),
        ..CloudToDeviceDraft::new(id, body(new.body)?, now)
    };
    CloudToDeviceMessage::parse(draft).map_err(|error| {
        let kind = if error.code().http_status() == 413 {
            ErrorKind::TooLarge
        } else {
            ErrorKind::Invalid
        };
        Failure::coded(kind, error.code(), error.to_string())
    })
}

fn body(body: Option<MessageBody<Box<RawValue>>>) -> Result<Bytes, Failure> {
    Ok(match body {
        None => Bytes::new(),
        Some(MessageBody::Text(text)) => Bytes::from(text),
        Some(MessageBody::Json(json)) => Bytes::copy_from_slice(json.get().as_bytes()),
        Some(MessageBody::Base64(text)) => {
            let bytes = STANDARD
                .decode(text)
                .map_err(|_| Failure::invalid("body.base64 is not base64"))?;
            Bytes::from(bytes)
        }
    })
}
