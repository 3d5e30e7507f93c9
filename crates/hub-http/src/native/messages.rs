//! Cloud-to-device messages.

use std::time::Duration;

use axum::Json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use hub_api::native::{
    Ack, Delivery, MessageBody, Moment, NewMessage, PurgedMessages, ReceivedMessage, SentMessage,
};
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage, FeedbackAck};
use hub_domain::{HubNo, IdentityId};
use hub_engine::messages::LockToken;
use hub_engine::{ErrorKind, StoredMessage};
use serde_json::value::RawValue;

use super::{Document, Failure, Query, Scope};

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

/// The next message of a device, for whoever may connect in its place.
pub(super) async fn receive(scope: Scope, mut query: Query) -> Result<Json<Delivery>, Failure> {
    let (hub, id) = (scope.hub()?.no, IdentityId::device(scope.device()?));
    let lock = query.take("lockSeconds")?.map(Duration::from_secs);
    query.finish()?;
    let messages = &scope.engine().messages;
    let received = messages.receive(&scope.ctx, hub, &id, lock).await?;
    Ok(Json(received.map_or_else(Delivery::default, |received| {
        Delivery {
            lock_token: Some(received.token.to_string()),
            locked_until: Some(Moment(received.token.expires())),
            message: Some(shown(&received.stored)),
        }
    })))
}

pub(super) async fn complete(scope: Scope) -> Result<StatusCode, Failure> {
    let (hub, id, token) = delivery(&scope)?;
    let messages = &scope.engine().messages;
    messages.complete(&scope.ctx, hub, &id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn reject(scope: Scope) -> Result<StatusCode, Failure> {
    let (hub, id, token) = delivery(&scope)?;
    let messages = &scope.engine().messages;
    messages.reject(&scope.ctx, hub, &id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn abandon(scope: Scope) -> Result<StatusCode, Failure> {
    let (hub, id, token) = delivery(&scope)?;
    let messages = &scope.engine().messages;
    messages.abandon(&scope.ctx, hub, &id, token).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn delivery(scope: &Scope) -> Result<(HubNo, IdentityId, LockToken), Failure> {
    let token = LockToken::parse(scope.parameter("delivery"))
        .map_err(|error| Failure::invalid(error.to_string()))?;
    Ok((scope.hub()?.no, IdentityId::device(scope.device()?), token))
}

fn shown(stored: &StoredMessage) -> ReceivedMessage {
    let message = &stored.message;
    let properties = message.properties.iter();
    ReceivedMessage {
        number: stored.no.0,
        to: message.to.clone(),
        enqueued_time: Moment(message.enqueued),
        expiry_time_utc: message.expiry.map(Moment),
        delivery_count: stored.delivery_count,
        message_id: message.message_id.clone(),
        correlation_id: message.correlation_id.clone(),
        user_id: message.user_id.clone(),
        content_type: message.content_type.clone(),
        content_encoding: message.content_encoding.clone(),
        ack: match message.ack {
            FeedbackAck::None => Ack::None,
            FeedbackAck::Positive => Ack::Positive,
            FeedbackAck::Negative => Ack::Negative,
            FeedbackAck::Full => Ack::Full,
        },
        properties: properties
            .map(|(name, value)| (name.clone(), value.clone().unwrap_or_default()))
            .collect(),
        body: match std::str::from_utf8(&message.body) {
            Ok(text) => MessageBody::Text(text.to_owned()),
            Err(_) => MessageBody::Base64(STANDARD.encode(&message.body)),
        },
    }
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
