//! Cloud-to-device messages as records: the length of a JSON head (u32, little-endian), the head, the body.

use std::borrow::Cow;

use bytes::{Buf, Bytes};
use hub_domain::Timestamp;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage, FeedbackAck};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json, unreadable};
use crate::StoreError;

const WHAT: &str = "cloud-to-device message";

#[derive(Serialize, Deserialize)]
struct HeadRecord<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_id: Option<Cow<'a, str>>,
    to: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_encoding: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry: Option<i64>,
    #[serde(default, skip_serializing_if = "AckRecord::is_none")]
    ack: AckRecord,
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    properties: Cow<'a, [(String, Option<String>)]>,
    enqueued: i64,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AckRecord {
    #[default]
    None,
    Positive,
    Negative,
    Full,
}

impl AckRecord {
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde calls it with a reference"
    )]
    const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }
}

/// The record of `message`.
pub fn encode_message(message: &CloudToDeviceMessage) -> Vec<u8> {
    let head = to_json(&HeadRecord {
        message_id: message.message_id.as_deref().map(Cow::from),
        correlation_id: message.correlation_id.as_deref().map(Cow::from),
        user_id: message.user_id.as_deref().map(Cow::from),
        to: message.to.as_str().into(),
        content_type: message.content_type.as_deref().map(Cow::from),
        content_encoding: message.content_encoding.as_deref().map(Cow::from),
        expiry: message.expiry.map(Timestamp::micros),
        ack: match message.ack {
            FeedbackAck::None => AckRecord::None,
            FeedbackAck::Positive => AckRecord::Positive,
            FeedbackAck::Negative => AckRecord::Negative,
            FeedbackAck::Full => AckRecord::Full,
        },
        properties: message.properties.as_slice().into(),
        enqueued: message.enqueued.micros(),
    });
    let head_bytes =
        u32::try_from(head.len()).expect("a message is at most 64 KiB with its properties");
    let mut out = Vec::with_capacity(4 + head.len() + message.body.len());
    out.extend_from_slice(&head_bytes.to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(&message.body);
    out
}

/// Reads what [`encode_message`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_message(mut bytes: &[u8]) -> Result<CloudToDeviceMessage, StoreError> {
    let head_bytes = bytes.try_get_u32_le().map_err(|_| unreadable(WHAT))? as usize;
    let (head, body) = bytes
        .split_at_checked(head_bytes)
        .ok_or_else(|| unreadable(WHAT))?;
    let record: HeadRecord<'static> = from_json(WHAT, head)?;
    Ok(CloudToDeviceMessage::from_record(CloudToDeviceDraft {
        message_id: record.message_id.map(Cow::into_owned),
        correlation_id: record.correlation_id.map(Cow::into_owned),
        user_id: record.user_id.map(Cow::into_owned),
        to: record.to.into_owned(),
        content_type: record.content_type.map(Cow::into_owned),
        content_encoding: record.content_encoding.map(Cow::into_owned),
        expiry: record.expiry.map(Timestamp::from_micros),
        ack: match record.ack {
            AckRecord::None => FeedbackAck::None,
            AckRecord::Positive => FeedbackAck::Positive,
            AckRecord::Negative => FeedbackAck::Negative,
            AckRecord::Full => FeedbackAck::Full,
        },
        properties: record.properties.into_owned(),
        body: Bytes::copy_from_slice(body),
        enqueued: Timestamp::from_micros(record.enqueued),
    }))
}
