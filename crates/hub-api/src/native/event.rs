//! The event stream: one JSON document per line.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use hub_domain::Timestamp;
use hub_domain::routing::Source;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ErrorDetail, Moment};

/// One line of the stream. An empty line says that the stream is alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum EventLine {
    /// Something about the stream itself.
    Notice(Notice),
    /// An event.
    Event(Box<Event>),
}

/// A message of a device, or a committed fact about one.
///
/// `Body` is what holds the body: a value for readers, the text as it came for writers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Event"))]
#[serde(rename_all = "camelCase")]
pub struct Event<Body = Value> {
    /// What kind of event.
    pub source: EventSource,
    /// Which device.
    pub device_id: String,
    /// Which module, when it is a module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// The partition of a message; facts have one stream for all devices and no partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u16>,
    /// Where the event stands in its stream; `from=offset:` takes it.
    pub offset: String,
    /// The same as a number.
    pub sequence_number: u64,
    /// When the hub took it.
    pub enqueued_time: Moment,
    /// What protocol and sender said of the message: `message-id`, `content-type`, …
    pub system_properties: BTreeMap<String, String>,
    /// The sender's own properties.
    pub properties: BTreeMap<String, String>,
    /// What the hub says of the message, named as the built-in Event Hubs endpoint names it.
    pub annotations: BTreeMap<String, Value>,
    /// How `body` holds the bytes.
    pub body_encoding: BodyEncoding,
    /// The body.
    pub body: Body,
}

/// How an event holds its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum BodyEncoding {
    /// The document itself: the content type is `application/json`, the encoding `utf-8`, and the bytes are JSON.
    Json,
    /// A text with the base64 of the bytes.
    Base64,
}

/// Something about the stream itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// What.
    pub notice: NoticeKind,
    /// Which partition, when it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u16>,
    /// The first offset that is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_offset: Option<String>,
    /// The offset at which the stream goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed_offset: Option<String>,
    /// Why the stream ends, when an operation failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorDetail>,
}

/// What a notice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum NoticeKind {
    /// Events between two offsets are gone, for retention removed them before they were read.
    BehindRetention,
    /// The token that opened the stream expired; the stream ends.
    TokenExpired,
    /// The hub could not go on; the stream ends.
    Failed,
}

/// What kind of event, as the message source names it. The stream of `Telemetry` is that of the built-in endpoint: it has
/// the messages of devices, and the events that routes bring there, each with its own source. The streams of twin changes
/// and of lives have what happened whether or not it is routed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum EventSource {
    /// Messages of devices and modules.
    #[default]
    Telemetry,
    /// Twin writes.
    #[serde(rename = "twinChangeEvents")]
    TwinChangeEvents,
    /// Identities that were created and deleted.
    #[serde(rename = "deviceLifecycleEvents")]
    DeviceLifecycleEvents,
    /// Connections that began and ended, where they are routed.
    #[serde(rename = "deviceConnectionStateEvents")]
    DeviceConnectionStateEvents,
    /// States of jobs, where they are routed.
    #[serde(rename = "deviceJobLifecycleEvents")]
    DeviceJobLifecycleEvents,
    /// Changes of digital twins, where they are routed.
    #[serde(rename = "digitalTwinChangeEvents")]
    DigitalTwinChangeEvents,
}

impl EventSource {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Telemetry,
        Self::TwinChangeEvents,
        Self::DeviceLifecycleEvents,
        Self::DeviceConnectionStateEvents,
        Self::DeviceJobLifecycleEvents,
        Self::DigitalTwinChangeEvents,
    ];

    /// The kind of what a route looks at.
    pub const fn of(source: Source) -> Self {
        match source {
            Source::DeviceMessages => Self::Telemetry,
            Source::TwinChangeEvents => Self::TwinChangeEvents,
            Source::DeviceLifecycleEvents => Self::DeviceLifecycleEvents,
            Source::DeviceConnectionStateEvents => Self::DeviceConnectionStateEvents,
            Source::DeviceJobLifecycleEvents => Self::DeviceJobLifecycleEvents,
            Source::DigitalTwinChangeEvents => Self::DigitalTwinChangeEvents,
        }
    }

    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Telemetry => "Telemetry",
            Self::TwinChangeEvents => "twinChangeEvents",
            Self::DeviceLifecycleEvents => "deviceLifecycleEvents",
            Self::DeviceConnectionStateEvents => "deviceConnectionStateEvents",
            Self::DeviceJobLifecycleEvents => "deviceJobLifecycleEvents",
            Self::DigitalTwinChangeEvents => "digitalTwinChangeEvents",
        }
    }

    /// Reads the spelling on the wire, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.as_str().eq_ignore_ascii_case(text))
    }
}

impl fmt::Display for EventSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a stream begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartPosition {
    /// At the oldest event that is kept.
    Start,
    /// After the newest event there is when the stream opens.
    #[default]
    End,
    /// At the event of this offset, or the next one there is.
    Offset(u64),
    /// At the first event enqueued at or after this moment.
    Time(Timestamp),
}

/// The text is no start position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a position: start, end, offset:NUMBER or time:2026-01-31T12:00:00Z")]
pub struct StartPositionError(String);

impl FromStr for StartPosition {
    type Err = StartPositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || StartPositionError(text.chars().take(60).collect());
        match text.split_once(':') {
            None if text == "start" => Ok(Self::Start),
            None if text == "end" => Ok(Self::End),
            Some(("offset", offset)) => offset.parse().map(Self::Offset).map_err(|_| error()),
            Some(("time", time)) => Timestamp::parse_rfc3339(time)
                .map(Self::Time)
                .map_err(|_| error()),
            None | Some(_) => Err(error()),
        }
    }
}

impl fmt::Display for StartPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Offset(offset) => write!(f, "offset:{offset}"),
            Self::Time(time) => write!(f, "time:{time}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_what_they_print() {
        for text in [
            "start",
            "end",
            "offset:12",
            "time:2026-01-31T12:00:00.0000000Z",
        ] {
            assert_eq!(
                text.parse::<StartPosition>().map(|p| p.to_string()),
                Ok(text.to_owned())
            );
        }
        for bad in ["", "begin", "offset:", "offset:-1", "time:now", "offset"] {
            assert!(bad.parse::<StartPosition>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_line_is_a_notice_or_an_event() {
        let notice = r#"{"notice":"behindRetention","partition":1,"expectedOffset":"3","resumedOffset":"9"}"#;
        let line: EventLine = serde_json::from_str(notice).unwrap();
        assert!(matches!(&line, EventLine::Notice(n) if n.notice == NoticeKind::BehindRetention));
        assert_eq!(serde_json::to_string(&line).unwrap(), notice);
        let event = r#"{"source":"Telemetry","deviceId":"d1","partition":0,"offset":"7","sequenceNumber":7,"enqueuedTime":"1970-01-01T00:00:01.0000000Z","systemProperties":{},"properties":{"a":"1"},"annotations":{"x-opt-offset":"7"},"bodyEncoding":"json","body":null}"#;
        let line: EventLine = serde_json::from_str(event).unwrap();
        assert!(matches!(&line, EventLine::Event(e) if e.device_id == "d1" && e.body.is_null()));
        assert_eq!(serde_json::to_string(&line).unwrap(), event);
    }
}
