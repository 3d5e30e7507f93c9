//! Events as lines for people.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::native::{BodyEncoding, Event, EventSource, Notice, NoticeKind};
use serde_json::Value;

use crate::text::{printable, shortened};

/// Characters of a body that one line shows.
const BODY_CHARACTERS_MAX: usize = 400;
/// Characters of the time that people need: to the millisecond.
const TIME_CHARACTERS: usize = "2026-01-31T12:00:00.000".len();

/// `time  who  where  body  properties`
pub(crate) fn event(event: &Event) -> String {
    let time: String = event
        .enqueued_time
        .to_string()
        .chars()
        .take(TIME_CHARACTERS)
        .collect();
    let who = match &event.module_id {
        None => event.device_id.clone(),
        Some(module) => format!("{}/{module}", event.device_id),
    };
    let place = match event.partition {
        None => format!("#{}", event.offset),
        Some(partition) => format!("{partition}#{}", event.offset),
    };
    let mut line = format!(
        "{time}Z  {}  {}  {}",
        printable(&who),
        printable(&place),
        body(event)
    );
    if let Some(operation) = event
        .properties
        .get("opType")
        .filter(|_| event.source != EventSource::Telemetry)
    {
        line.push_str("  ");
        line.push_str(&printable(operation));
        return line;
    }
    for (name, value) in &event.properties {
        line.push_str("  ");
        line.push_str(&printable(&shortened(
            &format!("{name}={value}"),
            BODY_CHARACTERS_MAX,
        )));
    }
    line
}

/// JSON as it is, text as text, other bytes as their number and beginning.
fn body(event: &Event) -> String {
    let text = match (event.body_encoding, &event.body) {
        (BodyEncoding::Json, body) => body.to_string(),
        (BodyEncoding::Base64, Value::String(base64)) => {
            match STANDARD.decode(base64).map(String::from_utf8) {
                Ok(Ok(text)) => text,
                Ok(Err(bytes)) => format!(
                    "({} bytes, base64 {})",
                    bytes.as_bytes().len(),
                    shortened(base64, 40)
                ),
                Err(_) => base64.clone(),
            }
        }
        (BodyEncoding::Base64, body) => body.to_string(),
    };
    printable(&shortened(&text, BODY_CHARACTERS_MAX))
}

/// A line about the stream itself.
pub(crate) fn notice(notice: &Notice) -> String {
    match notice.notice {
        NoticeKind::BehindRetention => {
            let of = |offset: &Option<String>| {
                offset.as_deref().map_or_else(|| "?".to_owned(), printable)
            };
            let place = notice
                .partition
                .map(|partition| format!(" of partition {partition}"))
                .unwrap_or_default();
            format!(
                "! events {} up to {}{place} are gone: retention removed them before they were read",
                of(&notice.expected_offset),
                of(&notice.resumed_offset)
            )
        }
        NoticeKind::TokenExpired => "! the token that opened the stream expired".to_owned(),
        NoticeKind::Failed => {
            let why = notice.error.as_ref().map_or_else(String::new, |error| {
                format!(": {}", printable(&error.message))
            });
            format!("! the stream ended{why}")
        }
    }
}
