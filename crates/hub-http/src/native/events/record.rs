//! A message of the log as an event, in the words of the built-in Event Hubs endpoint.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::native::{BodyEncoding, Event, EventSource, Moment};
use hub_domain::message::{SystemProperty, TelemetryProperties, decode_telemetry_properties};
use hub_engine::{LogRecord, RecordFlags};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

/// Deepest nesting of a body that is shown as JSON. Common readers stop at 128, the event around it included.
const DEPTH_MAX: usize = 100;

/// System properties by the name that AMQP gives them ("AMQP support", message properties).
const NAMES: [(SystemProperty, &str); 7] = [
    (SystemProperty::MessageId, "message-id"),
    (SystemProperty::CorrelationId, "correlation-id"),
    (SystemProperty::UserId, "user-id"),
    (SystemProperty::To, "to"),
    (SystemProperty::ContentType, "content-type"),
    (SystemProperty::ContentEncoding, "content-encoding"),
    (SystemProperty::Expiry, "absolute-expiry-time"),
];

/// System properties that the endpoint shows as annotations.
const ANNOTATED: [SystemProperty; 2] = [SystemProperty::InterfaceId, SystemProperty::Component];

pub(super) fn event_of(partition: u16, record: &LogRecord) -> Event<Box<RawValue>> {
    // A bag that cannot be read was refused at ingest; if one is there all the same, the body is still worth showing.
    let bag = decode_telemetry_properties(&record.bag).unwrap_or_default();
    let source = &record.source;
    let content_type = bag.system(SystemProperty::ContentType);
    let (body_encoding, body) = body_of(
        content_type,
        bag.system(SystemProperty::ContentEncoding),
        &record.body,
    );
    Event {
        source: EventSource::of(source.message_source),
        device_id: source.device.clone(),
        module_id: Some(source.module.clone()).filter(|module| !module.is_empty()),
        partition: Some(partition),
        offset: record.sequence.to_string(),
        sequence_number: record.sequence,
        enqueued_time: Moment(record.enqueued),
        annotations: annotations(record, &bag),
        system_properties: system_properties(&bag),
        properties: application_properties(record.flags, bag),
        body_encoding,
        body,
    }
}

fn system_properties(bag: &TelemetryProperties) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::new();
    for (key, value) in &bag.system {
        let property = SystemProperty::from_mqtt_name(key);
        if property.is_some_and(|property| {
            ANNOTATED.contains(&property) || property == SystemProperty::CreationTime
        }) {
            continue;
        }
        let short = NAMES
            .iter()
            .find(|(known, _)| property == Some(*known))
            .map(|(_, name)| *name);
        let name = short
            .or(property.map(SystemProperty::json_name))
            .unwrap_or(key);
        properties.insert(name.to_owned(), value.clone().unwrap_or_default());
    }
    properties
}

/// What the hub adds to the sender's properties: "Communicate with an IoT hub using MQTT" (retain flag, will).
fn application_properties(
    flags: RecordFlags,
    bag: TelemetryProperties,
) -> BTreeMap<String, String> {
    let creation = bag.system(SystemProperty::CreationTime).map(str::to_owned);
    let mut properties: BTreeMap<String, String> = bag
        .application
        .into_iter()
        .map(|(name, value)| (name, value.unwrap_or_default()))
        .collect();
    let mut add = |name: &str, value: &str| properties.insert(name.to_owned(), value.to_owned());
    if let Some(creation) = creation {
        add(SystemProperty::CreationTime.json_name(), &creation);
    }
    if flags.has(RecordFlags::RETAIN) {
        add("mqtt-retain", "true");
    }
    if flags.has(RecordFlags::DUP) {
        add("mqtt-dup", "true");
    }
    if flags.has(RecordFlags::WILL) {
        add("iothub-MessageType", "Will");
    }
    properties
}

fn annotations(record: &LogRecord, bag: &TelemetryProperties) -> BTreeMap<String, Value> {
    let source = &record.source;
    let time = record.enqueued.to_rfc3339();
    let mut annotations = common_annotations(
        EventSource::of(source.message_source),
        record.sequence,
        &time,
    );
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            annotations.insert(name.to_owned(), Value::from(value));
        }
    };
    add("iothub-connection-device-id", &source.device);
    add("iothub-connection-module-id", &source.module);
    add("iothub-connection-auth-generation-id", &source.generation);
    add("iothub-connection-auth-method", &source.auth_method);
    add("dt-dataschema", &source.model_id);
    for property in ANNOTATED {
        add(
            property.json_name(),
            bag.system(property).unwrap_or_default(),
        );
    }
    annotations
}

/// The annotations that every event has, whatever its source.
pub(super) fn common_annotations(
    source: EventSource,
    number: u64,
    time: &str,
) -> BTreeMap<String, Value> {
    [
        ("iothub-enqueuedtime", Value::from(time)),
        ("iothub-message-source", Value::from(source.as_str())),
        ("x-opt-enqueued-time", Value::from(time)),
        ("x-opt-offset", Value::from(number.to_string())),
        ("x-opt-sequence-number", Value::from(number)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// JSON as it came, where its sender says that it is JSON and it is; else base64 ("Message routing query syntax",
/// body queries, asks for the same type and encoding).
fn body_of(
    content_type: Option<&str>,
    encoding: Option<&str>,
    body: &[u8],
) -> (BodyEncoding, Box<RawValue>) {
    let is_said = content_type.is_some_and(is_json)
        && encoding.is_some_and(|text| text.eq_ignore_ascii_case("utf-8"));
    match is_said.then(|| json_of(body)).flatten() {
        Some(json) => (BodyEncoding::Json, json),
        None => {
            let text = to_raw_value(&STANDARD.encode(body)).expect("a text always serializes");
            (BodyEncoding::Base64, text)
        }
    }
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/json")
}

fn json_of(body: &[u8]) -> Option<Box<RawValue>> {
    // Parsed as a whole, for the text alone may hold what no reader takes: halves of surrogate pairs, endless depth.
    let value: Value = serde_json::from_slice(body).ok()?;
    if depth(&value) > DEPTH_MAX {
        return None;
    }
    if body.contains(&b'\n') || body.contains(&b'\r') {
        // Line ends between tokens would end the event's line.
        return to_raw_value(&value).ok();
    }
    let text = std::str::from_utf8(body).ok()?.trim();
    RawValue::from_string(text.to_owned()).ok()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(elements) => 1 + elements.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(content_type: &str, encoding: &str, body: &[u8]) -> String {
        let (kind, text) = body_of(Some(content_type), Some(encoding), body);
        format!("{kind:?} {}", text.get())
    }

    #[test]
    fn a_body_is_json_when_its_sender_says_so_and_it_is() {
        assert_eq!(
            shown("application/json", "utf-8", br#"{"b":1.50, "a":2}"#),
            r#"Json {"b":1.50, "a":2}"#
        );
        assert_eq!(
            shown("application/json; charset=utf-8", "UTF-8", b" 1 "),
            "Json 1"
        );
        assert_eq!(
            shown("application/json", "utf-8", b"{\"a\":\n1}"),
            r#"Json {"a":1}"#
        );
        assert_eq!(shown("application/json", "utf-8", b"{"), "Base64 \"ew==\"");
        assert_eq!(shown("application/json", "", b"{}"), "Base64 \"e30=\"");
        assert_eq!(shown("text/plain", "utf-8", b"{}"), "Base64 \"e30=\"");
        assert_eq!(
            shown("application/json", "utf-8", br#""\ud800""#),
            "Base64 \"Ilx1ZDgwMCI=\""
        );
        assert_eq!(shown("application/json", "utf-8", b""), "Base64 \"\"");
    }

    #[test]
    fn a_body_nested_deeper_than_readers_go_is_base64() {
        let nested = |levels: usize| [vec![b'['; levels], vec![b']'; levels]].concat();
        assert!(shown("application/json", "utf-8", &nested(DEPTH_MAX)).starts_with("Json"));
        assert!(shown("application/json", "utf-8", &nested(DEPTH_MAX + 1)).starts_with("Base64"));
    }
}
