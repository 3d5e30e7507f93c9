//! Messages of devices: from AMQP sections to the property bag and body that the log keeps.
//!
//! Places of the properties: "Create and read IoT Hub messages", `amqp_message.ts` of the Node SDK,
//! `uamqp_messaging.c` of the C SDK.

use std::borrow::Cow;

use hub_amqp::{Body, MessageId, Properties, Sections, Value};
use hub_domain::Timestamp;
use hub_domain::fault::FaultRequest;
use hub_domain::message::{SystemProperty, TelemetryError, push_encoded, telemetry_size};
use hub_engine::RecordFlags;
use hub_engine::sessions::TelemetryBatch;

use super::text::{text_of, uuid_text};

/// The message format of a batch: each data section is a whole message (`BatchMessageFormat` of the C SDK).
pub(crate) const BATCH_FORMAT: u32 = 0x8001_3700;
/// Largest message of a telemetry link: 256 KiB, and what AMQP adds to it.
pub(crate) const MESSAGE_BYTES_MAX: u64 = 256 * 1024 + 64 * 1024;

/// Application properties that are system properties elsewhere.
const SYSTEM_APPLICATION_PROPERTIES: [(&str, SystemProperty); 2] = [
    ("iothub-outputname", SystemProperty::OutputName),
    ("iothub-creation-time-utc", SystemProperty::CreationTime),
];
/// Annotations that are system properties.
const SYSTEM_ANNOTATIONS: [(&str, SystemProperty); 4] = [
    ("iothub-interface-id", SystemProperty::InterfaceId),
    ("dt-subject", SystemProperty::Component),
    ("Diagnostic-Id", SystemProperty::TraceId),
    ("Correlation-Context", SystemProperty::TraceContext),
];

/// Where a device's telemetry is collected.
#[derive(Default)]
pub(crate) struct Collected {
    pub(crate) batch: TelemetryBatch,
    /// The property bags that may ask for a fault.
    pub(crate) faults: Vec<String>,
}

impl Collected {
    fn push(&mut self, bag: String, body: &[u8]) {
        self.batch
            .push(RecordFlags::default(), bag.as_bytes(), body);
        if FaultRequest::may_be(bag.as_bytes()) {
            self.faults.push(bag);
        }
    }
}

/// A message that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadMessage {
    /// Its bytes are none.
    #[error("the message cannot be decoded")]
    Decode(#[from] hub_amqp::DecodeError),
    /// Its body is a list or a value that has no bytes.
    #[error("the body must be data, a text or bytes")]
    Body,
    /// It is too large.
    #[error(transparent)]
    Size(#[from] TelemetryError),
}

/// Adds what was sent, all of it or nothing.
pub(crate) fn push(
    collected: &mut Collected,
    format: u32,
    message: &[u8],
) -> Result<(), BadMessage> {
    if format == BATCH_FORMAT {
        return push_batch(collected, message);
    }
    let sections = Sections::parse(message)?;
    let (bag, body) = convert(&sections)?;
    collected.push(bag, &body);
    Ok(())
}

fn push_batch(collected: &mut Collected, message: &[u8]) -> Result<(), BadMessage> {
    let sections = Sections::parse(message)?;
    let Body::Data(parts) = sections.body else {
        return Err(BadMessage::Body);
    };
    let mut converted = Vec::new();
    let mut bytes = 0;
    for part in parts.iter() {
        let inner = Sections::parse(part)?;
        let (bag, body) = convert(&inner)?;
        bytes += bag.len() + body.len();
        converted.push((bag, body));
    }
    // A batch may be as large as a message; what its properties' encoding adds is not counted against it.
    let bytes_max = usize::try_from(MESSAGE_BYTES_MAX).unwrap_or(usize::MAX);
    if bytes > bytes_max {
        return Err(TelemetryError::TooLarge { bytes }.into());
    }
    for (bag, body) in converted {
        collected.push(bag, &body);
    }
    Ok(())
}

pub(crate) fn convert<'a>(sections: &Sections<'a>) -> Result<(String, Cow<'a, [u8]>), BadMessage> {
    let body = body_of(&sections.body).ok_or(BadMessage::Body)?;
    let bag = bag_of(sections);
    telemetry_size(bag.as_bytes(), body.len())?;
    Ok((bag, body))
}

/// The bytes of a body; `None` when it has none.
pub(super) fn body_of<'a>(body: &Body<'a>) -> Option<Cow<'a, [u8]>> {
    match body {
        Body::Empty => Some(Cow::Borrowed(&[])),
        Body::Data(sections) => Some(match body.single_data() {
            Some(bytes) => Cow::Borrowed(bytes),
            None => Cow::Owned(sections.iter().flatten().copied().collect()),
        }),
        Body::Value(Value::Binary(bytes)) => Some(Cow::Borrowed(bytes)),
        Body::Value(Value::String(text)) => Some(Cow::Borrowed(text.as_bytes())),
        Body::Value(Value::Null) => Some(Cow::Borrowed(&[])),
        Body::Value(_) | Body::Sequences(_) => None,
    }
}

/// The text of a message id.
pub(super) fn id_text(id: MessageId<'_>) -> Cow<'_, str> {
    match id {
        MessageId::String(text) => Cow::Borrowed(text),
        MessageId::Uuid(bytes) => uuid_text(bytes).into(),
        MessageId::Ulong(number) => number.to_string().into(),
        MessageId::Binary(bytes) => text_of(Value::Binary(bytes)).unwrap_or_default(),
    }
}

fn bag_of(sections: &Sections<'_>) -> String {
    let mut bag = String::new();
    if let Some(properties) = &sections.properties {
        push_properties(&mut bag, properties);
    }
    if !sections.message_annotations.is_empty() {
        for (name, property) in SYSTEM_ANNOTATIONS {
            let value = sections.message_annotations.get(name).and_then(text_of);
            push_system(&mut bag, property, value.as_deref());
        }
    }
    for (key, value) in &sections.application_properties {
        let Some(key) = key.as_str() else { continue };
        let value = text_of(value);
        let system = SYSTEM_APPLICATION_PROPERTIES
            .iter()
            .find(|(name, _)| *name == key);
        match system {
            Some((_, property)) => push_system(&mut bag, *property, value.as_deref()),
            None => push_encoded(&mut bag, key, value.as_deref()),
        }
    }
    bag
}

fn push_properties(bag: &mut String, properties: &Properties<'_>) {
    let message_id = properties.message_id.map(id_text);
    let correlation_id = properties.correlation_id.map(id_text);
    let user_id = properties
        .user_id
        .and_then(|bytes| text_of(Value::Binary(bytes)));
    let expiry = properties
        .absolute_expiry_time
        .map(|millis| Timestamp::from_millis(millis).to_rfc3339());
    for (property, value) in [
        (SystemProperty::MessageId, message_id.as_deref()),
        (SystemProperty::CorrelationId, correlation_id.as_deref()),
        (SystemProperty::UserId, user_id.as_deref()),
        (SystemProperty::To, properties.to),
        (SystemProperty::ContentType, properties.content_type),
        (SystemProperty::ContentEncoding, properties.content_encoding),
        (SystemProperty::Expiry, expiry.as_deref()),
    ] {
        push_system(bag, property, value);
    }
}

fn push_system(bag: &mut String, property: SystemProperty, value: Option<&str>) {
    if let Some(value) = value {
        push_encoded(bag, property.mqtt_name(), Some(value));
    }
}

#[cfg(test)]
mod tests {
    use hub_amqp::MessageWriter;

    use super::*;

    fn shown(message: &[u8]) -> String {
        let sections = match Sections::parse(message) {
            Ok(sections) => sections,
            Err(error) => return error.to_string(),
        };
        match convert(&sections) {
            Ok((bag, body)) => format!("{bag} | {}", String::from_utf8_lossy(&body)),
            Err(error) => error.to_string(),
        }
    }

    fn telemetry(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        MessageWriter::new(&mut out)
            .message_annotations(|map| {
                map.symbol("iothub-interface-id", Value::String("i"))
                    .symbol("dt-subject", Value::String("c"))
                    .symbol("other", Value::String("x"));
            })
            .properties(&Properties {
                message_id: Some(MessageId::Uuid([0x12; 16])),
                user_id: Some(b"u"),
                correlation_id: Some(MessageId::Ulong(7)),
                content_type: Some("application/json"),
                content_encoding: Some("utf-8"),
                absolute_expiry_time: Some(1_500),
                ..Properties::default()
            })
            .application_properties(|map| {
                map.string("iothub-outputname", Value::String("out"))
                    .string("a b", Value::String("ä"))
                    .string("n", Value::Int(-1))
                    .string("null", Value::Null);
            })
            .data(body);
        out
    }

    #[test]
    fn every_property_has_its_place_in_the_bag() {
        assert_eq!(
            shown(&telemetry(b"{}")),
            "%24.mid=12121212-1212-1212-1212-121212121212&%24.cid=7&%24.uid=u&%24.ct=application%2Fjson\
             &%24.ce=utf-8&%24.exp=1970-01-01T00%3A00%3A01.5000000Z&%24.ifid=i&%24.sub=c&%24.on=out\
             &a%20b=%C3%A4&n=-1&null | {}"
        );
    }

    #[test]
    fn bodies_are_data_text_or_bytes() {
        let body = |write: &dyn Fn(&mut MessageWriter<'_>)| {
            let mut out = Vec::new();
            write(&mut MessageWriter::new(&mut out));
            shown(&out)
        };
        assert_eq!(shown(b""), " | ");
        assert_eq!(
            body(&|w| {
                w.data(b"a").data(b"b");
            }),
            " | ab"
        );
        assert_eq!(
            body(&|w| {
                w.value(Value::String("t"));
            }),
            " | t"
        );
        assert_eq!(
            body(&|w| {
                w.value(Value::Int(1));
            }),
            "the body must be data, a text or bytes"
        );
        assert!(shown(&telemetry(&vec![0; 262_144])).contains("more than 262144"));
    }

    #[test]
    fn a_batch_is_taken_whole_or_not_at_all() {
        let batched = |parts: &[&[u8]]| {
            let mut out = Vec::new();
            let mut writer = MessageWriter::new(&mut out);
            for part in parts {
                writer.data(part);
            }
            out
        };
        let good = telemetry(b"1");
        let mut collected = Collected::default();
        push(&mut collected, BATCH_FORMAT, &batched(&[&good, &good])).unwrap();
        assert_eq!(collected.batch.count(), 2);
        assert!(push(&mut collected, BATCH_FORMAT, &batched(&[&good, b"\xff"])).is_err());
        assert!(push(&mut collected, BATCH_FORMAT, b"").is_err());
        assert_eq!(collected.batch.count(), 2);
        assert!(collected.faults.is_empty());
    }
}
