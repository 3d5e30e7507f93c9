//! Cloud-to-device messages sent over REST.

use bytes::Bytes;
use hub_domain::message::{CloudToDeviceDraft, FeedbackAck, SystemProperty};
use hub_domain::{IdentityId, Timestamp};

use super::read::InputError;

/// Starts the header of an application property.
const APPLICATION_PREFIX: &str = "iothub-app-";

/// The message that headers and body of a `messages/deviceBound` request make. System properties are
/// the headers that devices read them from, application properties start with `iothub-app-`. Other
/// headers, `Content-Type` among them, say something about the request and not the message.
///
/// # Errors
/// When the expiry is no moment or the acknowledgement is unknown.
pub fn draft_from_headers<'a>(
    id: &IdentityId,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    body: Bytes,
    now: Timestamp,
) -> Result<CloudToDeviceDraft, InputError> {
    let mut draft = CloudToDeviceDraft::new(id, body, now);
    for (name, value) in headers {
        if let Some(key) = application_property(name) {
            draft
                .properties
                .push((key.to_owned(), Some(value.to_owned())));
        } else if let Some(property) = SystemProperty::from_http_header(name) {
            set(&mut draft, property, value)?;
        }
    }
    Ok(draft)
}

pub(super) fn application_property(header: &str) -> Option<&str> {
    let (prefix, key) = header.split_at_checked(APPLICATION_PREFIX.len())?;
    (prefix.eq_ignore_ascii_case(APPLICATION_PREFIX) && !key.is_empty()).then_some(key)
}

fn set(
    draft: &mut CloudToDeviceDraft,
    property: SystemProperty,
    value: &str,
) -> Result<(), InputError> {
    let text = Some(value.to_owned());
    match property {
        SystemProperty::MessageId => draft.message_id = text,
        SystemProperty::CorrelationId => draft.correlation_id = text,
        SystemProperty::UserId => draft.user_id = text,
        SystemProperty::ContentType => draft.content_type = text,
        SystemProperty::ContentEncoding => draft.content_encoding = text,
        SystemProperty::Expiry => {
            let moment = Timestamp::parse_rfc3339(value)
                .map_err(|error| InputError::invalid(property.http_header(), error))?;
            draft.expiry = Some(moment);
        }
        SystemProperty::Ack => {
            draft.ack = FeedbackAck::parse(value).ok_or_else(|| {
                let reason = "it must be none, positive, negative or full";
                InputError::invalid(property.http_header(), reason)
            })?;
        }
        // The path says where it goes; the rest is for the other direction.
        SystemProperty::To
        | SystemProperty::CreationTime
        | SystemProperty::InterfaceId
        | SystemProperty::Component
        | SystemProperty::OutputName
        | SystemProperty::ConnectionDeviceId
        | SystemProperty::ConnectionModuleId
        | SystemProperty::TraceId
        | SystemProperty::TraceContext => {}
    }
    Ok(())
}
