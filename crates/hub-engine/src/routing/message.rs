//! A message of the log as conditions see it.

use std::borrow::Cow;

use hub_domain::Timestamp;
use hub_domain::message::{SystemProperty, TelemetryProperties, decode_telemetry_properties};
use hub_domain::twin::Twin;
use hub_query::{Message, Needs, TwinParts, json_body};
use hub_storage::log::{RecordFlags, TelemetrySource};
use serde_json::Value;

/// A message with as much of it decoded as conditions need.
pub(super) struct Routed<'a> {
    source: &'a TelemetrySource,
    flags: RecordFlags,
    properties: TelemetryProperties,
    body: Option<Value>,
    twin: Option<&'a Twin>,
    enqueued: Timestamp,
}

/// A message as it goes to the log.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a> {
    pub(super) flags: RecordFlags,
    pub(super) bag: &'a [u8],
    pub(super) body: &'a [u8],
}

impl<'a> Routed<'a> {
    pub(super) fn new(
        source: &'a TelemetrySource,
        raw: Raw<'a>,
        needs: Needs,
        twin: Option<&'a Twin>,
        enqueued: Timestamp,
    ) -> Self {
        let properties = if needs.properties || needs.body {
            // A bag that cannot be read was refused by the head.
            decode_telemetry_properties(raw.bag).unwrap_or_default()
        } else {
            TelemetryProperties::default()
        };
        let body = needs
            .body
            .then(|| {
                let system = |property| properties.system(property);
                json_body(
                    system(SystemProperty::ContentType),
                    system(SystemProperty::ContentEncoding),
                    raw.body,
                )
            })
            .flatten();
        Self {
            source,
            flags: raw.flags,
            properties,
            body,
            twin,
            enqueued,
        }
    }

    /// What the protocol said of the message counts as application properties ("Communicate with an IoT hub using MQTT").
    fn flag(&self, name: &str) -> Option<&'static str> {
        let flags = [
            ("mqtt-retain", RecordFlags::RETAIN, "true"),
            ("mqtt-dup", RecordFlags::DUP, "true"),
            ("iothub-MessageType", RecordFlags::WILL, "Will"),
        ];
        let mut flags = flags.into_iter();
        flags
            .find(|(known, flag, _)| known.eq_ignore_ascii_case(name) && self.flags.has(*flag))
            .map(|(_, _, value)| value)
    }
}

/// Names of what the hub itself stamps, in routing and as annotation.
const STAMPED: [(&str, &str); 6] = [
    ("connectionDeviceId", "iothub-connection-device-id"),
    ("connectionModuleId", "iothub-connection-module-id"),
    (
        "connectionDeviceGenerationId",
        "iothub-connection-auth-generation-id",
    ),
    ("connectionAuthMethod", "iothub-connection-auth-method"),
    ("enqueuedTime", "iothub-enqueuedtime"),
    ("iothub-message-source", "messageSource"),
];

impl Message for Routed<'_> {
    fn application(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut properties = self.properties.application.iter();
        let found = properties.find(|(key, _)| key.eq_ignore_ascii_case(name));
        match found {
            Some((_, value)) => Some(Cow::Borrowed(value.as_deref().unwrap_or_default())),
            None => self.flag(name).map(Cow::Borrowed),
        }
    }

    fn system(&self, name: &str) -> Option<Cow<'_, str>> {
        let text = |text: &'static str, part: &str| {
            (text.eq_ignore_ascii_case(name) && !part.is_empty()).then(|| part.to_owned())
        };
        let source = self.source;
        let enqueued = self.enqueued.to_rfc3339();
        let stamped = STAMPED.iter().zip([
            source.device.as_str(),
            source.module.as_str(),
            source.generation.as_str(),
            source.auth_method.as_str(),
            enqueued.as_str(),
            source.message_source.message_source(),
        ]);
        for ((short, long), part) in stamped {
            if let Some(found) = text(short, part).or_else(|| text(long, part)) {
                return Some(Cow::Owned(found));
            }
        }
        if let Some(model) = text("dt-dataschema", &source.model_id) {
            return Some(Cow::Owned(model));
        }
        SystemProperty::ALL
            .into_iter()
            .filter(|property| property.json_name().eq_ignore_ascii_case(name))
            .find_map(|property| self.properties.system(property))
            .map(Cow::Borrowed)
    }

    fn body(&self) -> Option<&Value> {
        self.body.as_ref()
    }

    fn twin(&self) -> Option<TwinParts<'_>> {
        self.twin.map(parts_of)
    }
}

pub(super) fn parts_of(twin: &Twin) -> TwinParts<'_> {
    TwinParts {
        tags: &twin.back_end.tags,
        desired: &twin.back_end.desired.properties,
        reported: &twin.reported.properties,
    }
}
