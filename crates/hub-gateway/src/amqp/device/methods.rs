//! Direct methods over AMQP: calls and answers on a pair of links, told apart by their correlation ids.
//!
//! `amqp_device_method_client.ts` of the Node SDK, `iothubtransportamqp_methods.c`: the id of a call must be a UUID.

use hub_amqp::{Connection, LinkId, MessageId, MessageWriter, Properties, Sections, Value};
use hub_engine::methods::{MethodCall, MethodCallId};

use super::super::reply::send;
use super::super::telemetry::body_of;
use super::super::text::parse_uuid;

const NAME: &str = "IoThub-methodname";
const STATUS: &str = "IoThub-status";

/// Sends a call. Its correlation id is the call's number and what the session's calls end with.
pub(crate) fn call(amqp: &mut Connection, link: LinkId, call: &MethodCall, suffix: &[u8; 12]) {
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .properties(&Properties {
            correlation_id: Some(MessageId::Uuid(correlation(call.id, suffix))),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string(NAME, Value::String(&call.name));
        })
        .data(call.payload.as_deref().unwrap_or_default());
    send(amqp, link, &message);
}

fn correlation(id: MethodCallId, suffix: &[u8; 12]) -> [u8; 16] {
    let mut uuid = [0; 16];
    uuid[..4].copy_from_slice(&id.0.to_be_bytes());
    uuid[4..].copy_from_slice(suffix);
    uuid
}

/// A device's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) call: MethodCallId,
    pub(crate) status: i32,
    pub(crate) payload: Vec<u8>,
}

/// Reads an answer.
///
/// # Errors
/// Says what is missing.
pub(crate) fn parse(message: &[u8], suffix: &[u8; 12]) -> Result<Answer, &'static str> {
    let sections = Sections::parse(message).map_err(|_| "the answer is not a message")?;
    let properties = sections.properties.unwrap_or_default();
    let uuid = match properties.correlation_id {
        Some(MessageId::Uuid(uuid)) => Some(uuid),
        Some(MessageId::String(text)) => parse_uuid(text),
        Some(MessageId::Binary(bytes)) => bytes.try_into().ok(),
        Some(MessageId::Ulong(_)) | None => None,
    };
    let uuid = uuid.ok_or("the answer's correlation id is not that of a call")?;
    let (call, rest) = uuid.split_at(4);
    if rest != suffix {
        return Err("the answer is not to a call of this session");
    }
    let call = call.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
    let status = sections.application_properties.get(STATUS);
    let status = match status {
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => value.as_i64().and_then(|status| i32::try_from(status).ok()),
        None => None,
    };
    Ok(Answer {
        call: MethodCallId(call),
        status: status.ok_or("the answer has no IoThub-status")?,
        payload: body_of(&sections.body)
            .ok_or("the answer's body has no bytes")?
            .into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: MessageId<'_>, status: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        MessageWriter::new(&mut out)
            .properties(&Properties {
                correlation_id: Some(id),
                ..Properties::default()
            })
            .application_properties(|map| {
                map.string(STATUS, status);
            })
            .data(b"{}");
        out
    }

    #[test]
    fn an_answer_names_its_call_by_uuid_or_text() {
        let suffix = [7; 12];
        let uuid = correlation(MethodCallId(258), &suffix);
        let expected = Ok(Answer {
            call: MethodCallId(258),
            status: 200,
            payload: b"{}".to_vec(),
        });
        let text = super::super::super::text::uuid_text(uuid);
        for (id, status) in [
            (MessageId::Uuid(uuid), Value::Int(200)),
            (MessageId::String(&text), Value::Ulong(200)),
            (MessageId::Binary(&uuid), Value::String("200")),
        ] {
            assert_eq!(parse(&answer(id, status), &suffix), expected);
        }
        for (id, status) in [
            (MessageId::Uuid([1; 16]), Value::Int(200)),
            (MessageId::Ulong(1), Value::Int(200)),
            (MessageId::Uuid(uuid), Value::Null),
            (MessageId::Uuid(uuid), Value::Long(i64::MAX)),
        ] {
            assert!(parse(&answer(id, status), &suffix).is_err());
        }
    }
}
