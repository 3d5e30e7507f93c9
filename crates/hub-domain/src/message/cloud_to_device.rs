//! Cloud-to-device messages.

use bytes::Bytes;

use super::SystemProperty;
use super::property_bag::push_encoded;
use crate::ids::is_identity_byte;
use crate::limits::{CLOUD_TO_DEVICE_BYTES_MAX, MESSAGE_ID_CHARS_MAX};
use crate::{ErrorCode, IdentityId, Timestamp};

/// A message from a back end to a device or module, within its limits.
///
/// Its fields can be read anywhere; one that exists came through [`Self::parse`] or out of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloudToDeviceMessage {
    /// The sender's id of the message.
    pub message_id: Option<String>,
    /// The id of the message that this one answers.
    pub correlation_id: Option<String>,
    /// Who made the message.
    pub user_id: Option<String>,
    /// Where it goes, as its sender spelled it: `/devices/{device}/messages/devicebound`.
    pub to: String,
    /// The media type of the body.
    pub content_type: Option<String>,
    /// The character or content encoding of the body.
    pub content_encoding: Option<String>,
    /// When it ends; the hub's default time to live is added by whoever queues it.
    pub expiry: Option<Timestamp>,
    /// Which outcomes the sender wants to hear of.
    pub ack: FeedbackAck,
    /// Application properties in their order.
    pub properties: Vec<(String, Option<String>)>,
    /// The payload.
    pub body: Bytes,
    /// When the hub took it.
    pub enqueued: Timestamp,
}

/// A message as a back end sent it, unchecked. Fields as in [`CloudToDeviceMessage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudToDeviceDraft {
    /// The sender's id of the message.
    pub message_id: Option<String>,
    /// The id of the message that this one answers.
    pub correlation_id: Option<String>,
    /// Who made the message.
    pub user_id: Option<String>,
    /// Where it goes.
    pub to: String,
    /// The media type of the body.
    pub content_type: Option<String>,
    /// The character or content encoding of the body.
    pub content_encoding: Option<String>,
    /// When it ends.
    pub expiry: Option<Timestamp>,
    /// Which outcomes the sender wants to hear of.
    pub ack: FeedbackAck,
    /// Application properties in their order.
    pub properties: Vec<(String, Option<String>)>,
    /// The payload.
    pub body: Bytes,
    /// When the hub took it.
    pub enqueued: Timestamp,
}

/// A cloud-to-device message that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudToDeviceError {
    /// It is too large.
    #[error(
        "the message has {bytes} bytes with its properties, more than {CLOUD_TO_DEVICE_BYTES_MAX}"
    )]
    TooLarge {
        /// Its size as documented.
        bytes: usize,
    },
    /// The message id is empty or too long.
    #[error("the message id must have 1 to {MESSAGE_ID_CHARS_MAX} characters")]
    MessageIdLength,
    /// The message id has a character outside the documented set.
    #[error("the message id has the character {0:?}, which is not allowed")]
    MessageIdCharacter(char),
}

impl CloudToDeviceError {
    /// The code to answer with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::MessageIdLength | Self::MessageIdCharacter(_) => ErrorCode::ArgumentInvalid,
        }
    }
}

impl CloudToDeviceDraft {
    /// A message for `id` with nothing but a body.
    pub fn new(id: &IdentityId, body: Bytes, enqueued: Timestamp) -> Self {
        Self {
            message_id: None,
            correlation_id: None,
            user_id: None,
            to: address(id),
            content_type: None,
            content_encoding: None,
            expiry: None,
            ack: FeedbackAck::None,
            properties: Vec::new(),
            body,
            enqueued,
        }
    }
}

impl CloudToDeviceMessage {
    /// Checks the message id and the size.
    ///
    /// # Errors
    /// When the message id breaks its rule or the message is too large.
    pub fn parse(draft: CloudToDeviceDraft) -> Result<Self, CloudToDeviceError> {
        if let Some(message_id) = &draft.message_id {
            check_message_id(message_id)?;
        }
        let message = Self::from_record(draft);
        let bytes = message.size();
        if bytes > CLOUD_TO_DEVICE_BYTES_MAX {
            Err(CloudToDeviceError::TooLarge { bytes })
        } else {
            Ok(message)
        }
    }

    /// The message of a stored record, which was checked when it was queued.
    pub fn from_record(record: CloudToDeviceDraft) -> Self {
        let CloudToDeviceDraft {
            message_id,
            correlation_id,
            user_id,
            to,
            content_type,
            content_encoding,
            expiry,
            ack,
            properties,
            body,
            enqueued,
        } = record;
        Self {
            message_id,
            correlation_id,
            user_id,
            to,
            content_type,
            content_encoding,
            expiry,
            ack,
            properties,
            body,
            enqueued,
        }
    }

    /// The size as documented, the same count as for telemetry: body, system property values,
    /// application property names and values.
    pub fn size(&self) -> usize {
        let system: usize = self.system_properties().map(|(_, value)| value.len()).sum();
        let application: usize = self
            .properties
            .iter()
            .map(|(key, value)| key.len() + value.as_ref().map_or(0, String::len))
            .sum();
        self.body.len() + system + application
    }

    /// True when the message may no longer be delivered.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expiry.is_some_and(|expiry| expiry <= now)
    }

    /// The property bag of the MQTT topic: system properties first, `%24.to` always among them, for
    /// the Java client finds the bag by its first `%24`.
    pub fn mqtt_property_bag(&self) -> String {
        let mut bag = String::new();
        for (property, value) in self.system_properties() {
            push_encoded(&mut bag, property.mqtt_name(), Some(&value));
        }
        for (key, value) in &self.properties {
            push_encoded(&mut bag, key, value.as_deref());
        }
        bag
    }

    /// The system properties that the message has, as text.
    pub fn system_properties(&self) -> impl Iterator<Item = (SystemProperty, String)> + '_ {
        let expiry = self.expiry.map(Timestamp::to_rfc3339);
        let ack = match self.ack {
            FeedbackAck::None => None,
            FeedbackAck::Positive | FeedbackAck::Negative | FeedbackAck::Full => {
                Some(self.ack.as_str().to_owned())
            }
        };
        [
            (SystemProperty::To, Some(self.to.clone())),
            (SystemProperty::MessageId, self.message_id.clone()),
            (SystemProperty::CorrelationId, self.correlation_id.clone()),
            (SystemProperty::UserId, self.user_id.clone()),
            (SystemProperty::ContentType, self.content_type.clone()),
            (
                SystemProperty::ContentEncoding,
                self.content_encoding.clone(),
            ),
            (SystemProperty::Expiry, expiry),
            (SystemProperty::Ack, ack),
        ]
        .into_iter()
        .filter_map(|(property, value)| Some((property, value?)))
    }
}

/// Which outcomes of a cloud-to-device message its sender wants to hear of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FeedbackAck {
    /// None.
    #[default]
    None,
    /// Completed.
    Positive,
    /// Rejected, expired or dead.
    Negative,
    /// All.
    Full,
}

impl FeedbackAck {
    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Full => "full",
        }
    }

    /// Reads the wire spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Positive, Self::Negative, Self::Full]
            .into_iter()
            .find(|ack| ack.as_str().eq_ignore_ascii_case(text))
    }

    /// True when completion is to be told.
    pub const fn wants_positive(self) -> bool {
        matches!(self, Self::Positive | Self::Full)
    }

    /// True when rejection, expiry and death are to be told.
    pub const fn wants_negative(self) -> bool {
        matches!(self, Self::Negative | Self::Full)
    }
}

fn address(id: &IdentityId) -> String {
    match &id.module {
        None => format!("/devices/{}/messages/devicebound", id.device),
        Some(module) => format!(
            "/devices/{}/modules/{module}/messages/devicebound",
            id.device
        ),
    }
}

/// "Create and read IoT Hub messages", `message-id`: up to 128 of the characters that ids have.
fn check_message_id(text: &str) -> Result<(), CloudToDeviceError> {
    if text.is_empty() || text.chars().count() > MESSAGE_ID_CHARS_MAX {
        return Err(CloudToDeviceError::MessageIdLength);
    }
    match text
        .chars()
        .find(|c| !u8::try_from(*c).is_ok_and(is_identity_byte))
    {
        Some(character) => Err(CloudToDeviceError::MessageIdCharacter(character)),
        None => Ok(()),
    }
}
