//! What back ends do over AMQP: send to devices, and take what happened to it ("AMQP support", service client).

pub(super) mod queue;

use bytes::Bytes;
use hub_amqp::{MessageId, Sections, Value};
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage, FeedbackAck, SystemProperty};
use hub_domain::{IdentityId, Timestamp};
use hub_engine::{Error, ErrorKind};

use super::addresses::{Address, DeviceAddress};
use super::telemetry::{body_of, id_text};
use super::text::text_of;

/// Messages of one link that may be under way.
pub(super) const SEND_WINDOW: u32 = 100;
/// Largest message: 64 KiB, and what AMQP adds to it. A larger one is rejected, not a reason to end the link.
pub(super) const MESSAGE_BYTES_MAX: u64 = 256 * 1024;

/// Reads a message to a device.
///
/// # Errors
/// `Invalid` or `TooLarge`, saying what is wrong with it; `NotFound` when it goes nowhere.
pub(super) fn parse_message(
    message: &[u8],
    now: Timestamp,
) -> Result<(IdentityId, CloudToDeviceMessage), Error> {
    let sections = Sections::parse(message)
        .map_err(|error| invalid("the message cannot be decoded").with_source(error))?;
    let properties = sections.properties.unwrap_or_default();
    let to = properties
        .to
        .ok_or_else(|| invalid("the message has no `to`"))?;
    let Ok(Address::Device(id, DeviceAddress::Messages)) = Address::parse(to) else {
        let text = "`to` is not /devices/{device}/messages/devicebound";
        return Err(Error::new(ErrorKind::NotFound, text));
    };
    let body = body_of(&sections.body).ok_or_else(|| invalid("the body has no bytes"))?;
    let text = |id: MessageId<'_>| id_text(id).into_owned();
    let mut draft = CloudToDeviceDraft::new(&id, Bytes::copy_from_slice(&body), now);
    to.clone_into(&mut draft.to);
    draft.message_id = properties.message_id.map(text);
    draft.correlation_id = properties.correlation_id.map(text);
    draft.user_id = properties
        .user_id
        .and_then(|bytes| text_of(Value::Binary(bytes)))
        .map(|text| text.into_owned());
    draft.content_type = properties.content_type.map(str::to_owned);
    draft.content_encoding = properties.content_encoding.map(str::to_owned);
    // Clients that mean "none" send the epoch or the year one.
    draft.expiry = properties
        .absolute_expiry_time
        .filter(|millis| *millis > 0)
        .map(Timestamp::from_millis);
    for (key, value) in &sections.application_properties {
        let Some(key) = key.as_str() else { continue };
        let value = text_of(value).map(|text| text.into_owned());
        if key != SystemProperty::Ack.mqtt_name() {
            draft.properties.push((key.to_owned(), value));
            continue;
        }
        draft.ack = FeedbackAck::parse(value.as_deref().unwrap_or_default())
            .ok_or_else(|| invalid("iothub-ack must be none, positive, negative or full"))?;
    }
    let message = CloudToDeviceMessage::parse(draft).map_err(|error| {
        let kind = match error.code() {
            hub_domain::ErrorCode::MessageTooLarge => ErrorKind::TooLarge,
            _ => ErrorKind::Invalid,
        };
        Error::new(kind, error.to_string()).with_code(error.code())
    })?;
    Ok((id, message))
}

fn invalid(text: &str) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
