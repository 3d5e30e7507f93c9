//! Cloud-to-device messages over AMQP ("AMQP support"; `AmqpIotMessageConverter.cs`, `amqp_message.ts`).

use std::time::Duration;

use hub_amqp::{MessageId, MessageWriter, Properties, Value};
use hub_domain::Timestamp;
use hub_domain::message::{FeedbackAck, SystemProperty};
use hub_engine::{LockToken, StoredMessage};

/// Messages of one fetch.
pub(crate) const FETCH_MAX: u32 = 16;

/// The lock token of a message, which is its delivery tag as well: C# clients take that for the bytes of a GUID.
pub(crate) fn tag(stored: &StoredMessage, now: Timestamp) -> [u8; 16] {
    LockToken::new(stored.no, now, Duration::ZERO).to_bytes()
}

/// Appends a message as a device receives it.
pub(crate) fn write(out: &mut Vec<u8>, stored: &StoredMessage, tag: [u8; 16]) {
    let message = &stored.message;
    let delivery_count = u8::try_from(stored.delivery_count).unwrap_or(u8::MAX);
    let properties = Properties {
        message_id: message.message_id.as_deref().map(MessageId::String),
        correlation_id: message.correlation_id.as_deref().map(MessageId::String),
        user_id: message.user_id.as_deref().map(str::as_bytes),
        to: Some(&message.to),
        content_type: message.content_type.as_deref(),
        content_encoding: message.content_encoding.as_deref(),
        absolute_expiry_time: message.expiry.map(Timestamp::millis),
        ..Properties::default()
    };
    let mut writer = MessageWriter::new(out);
    writer
        .message_annotations(|map| {
            map.symbol(
                "iothub-enqueuedtime",
                Value::Timestamp(message.enqueued.millis()),
            )
            .symbol("iothub-deliverycount", Value::Ubyte(delivery_count))
            .symbol("x-opt-sequence-number", Value::Ulong(stored.no.0))
            .symbol("x-opt-lock-token", Value::Uuid(tag));
        })
        .properties(&properties);
    let is_acknowledged = message.ack != FeedbackAck::None;
    if is_acknowledged || !message.properties.is_empty() {
        writer.application_properties(|map| {
            if is_acknowledged {
                let name = SystemProperty::Ack.mqtt_name();
                map.string(name, Value::String(message.ack.as_str()));
            }
            for (key, value) in &message.properties {
                map.string(key, value.as_deref().map_or(Value::Null, Value::String));
            }
        });
    }
    writer.data(&message.body);
}
