//! Cloud-to-device messages.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Moment;

/// A message for a device.
///
/// `Json` is what holds a JSON body: a value, or the text as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "NewMessage"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewMessage<Json = Value> {
    /// The sender's own id of the message, up to 128 characters; feedback names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id of what the message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Who sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The type of the body, such as `application/json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The encoding of the body, such as `utf-8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// When it is no longer worth delivering; the hub's own time to live when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_time_utc: Option<Moment>,
    /// The same in seconds from now; one of the two at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Which feedback the sender wants.
    #[serde(default)]
    pub ack: Ack,
    /// The sender's own properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// What the device gets; empty when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<MessageBody<Json>>,
}

impl<Json> Default for NewMessage<Json> {
    fn default() -> Self {
        Self {
            message_id: None,
            correlation_id: None,
            user_id: None,
            content_type: None,
            content_encoding: None,
            expiry_time_utc: None,
            ttl_seconds: None,
            ack: Ack::default(),
            properties: BTreeMap::new(),
            body: None,
        }
    }
}

/// The body of a message, in the form that suits the sender: `{"text":…}`, `{"base64":…}` or `{"json":…}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MessageBody"))]
#[serde(rename_all = "camelCase")]
pub enum MessageBody<Json = Value> {
    /// The bytes of the text in UTF-8.
    Text(String),
    /// The bytes that the base64 stands for.
    Base64(String),
    /// The text of the JSON as it stands there.
    Json(Json),
}

/// Which feedback the sender of a message wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Ack {
    /// None.
    #[default]
    None,
    /// When the device took it.
    Positive,
    /// When it was refused, expired or delivered too often.
    Negative,
    /// Both.
    Full,
}

/// A message was queued; it is durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SentMessage {
    /// Its number within the installation.
    pub number: u64,
    /// The id that the sender gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
}

/// A queue was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PurgedMessages {
    /// How many messages it held.
    pub purged: u64,
}

/// What was received in a device's place; without members when nothing waits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Names the delivery until it is completed, rejected or abandoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_token: Option<String>,
    /// When others may receive the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Moment>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<ReceivedMessage>,
}

/// A message as its device gets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ReceivedMessage {
    /// Its number within the installation.
    pub number: u64,
    /// Whom it is for.
    pub to: String,
    /// When it was queued.
    pub enqueued_time: Moment,
    /// When it is no longer worth delivering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry_time_utc: Option<Moment>,
    /// How often it was delivered before.
    pub delivery_count: u32,
    /// The sender's own id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The id of what the message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Who sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The type of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The encoding of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Which feedback its sender wants.
    pub ack: Ack,
    /// The sender's own properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// The body: `text` where it is UTF-8, else `base64`.
    pub body: MessageBody,
}
