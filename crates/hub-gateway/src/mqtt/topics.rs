//! Topics: what a device publishes to and subscribes to, and what the hub publishes to it.
//!
//! Forms: IoT Hub documentation "Communicate with an IoT hub using MQTT"; `mqtt_topic_iothub.py` of the
//! Python SDK; `iothubtransport_mqtt_common.c` of the C SDK.

use hub_domain::IdentityId;
use hub_engine::methods::{MethodCall, MethodCallId};
use hub_engine::sessions::Subscription;

/// Longest request id in bytes: SDKs use UUIDs or small numbers.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// What a published topic means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Published<'a> {
    /// Telemetry with its property bag as received.
    Telemetry { bag: &'a [u8] },
    /// Read the twin.
    TwinGet { request_id: &'a str },
    /// Patch reported properties, perhaps only at a version.
    TwinPatch {
        request_id: &'a str,
        version: Option<u64>,
    },
    /// The answer to a method call.
    MethodAnswer { status: i32, call: MethodCallId },
    /// Issue a certificate.
    IssueCertificate { request_id: &'a str },
}

/// The topic is none that a device may publish to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device may not publish to this topic")]
pub(crate) struct UnknownTopic;

/// The topics of one identity.
pub(crate) struct Topics {
    /// `devices/{device}/` or `devices/{device}/modules/{module}/`.
    base: Box<str>,
    is_module: bool,
}

impl Topics {
    pub(crate) fn new(id: &IdentityId) -> Self {
        let base = match &id.module {
            None => format!("devices/{}/", id.device),
            Some(module) => format!("devices/{}/modules/{module}/", id.device),
        };
        Self {
            base: base.into(),
            is_module: id.module.is_some(),
        }
    }

    /// What the device means by publishing to `topic`.
    pub(crate) fn parse<'a>(&self, topic: &'a str) -> Result<Published<'a>, UnknownTopic> {
        if let Some(rest) = topic.strip_prefix(&*self.base) {
            let bag = rest.strip_prefix("messages/events").ok_or(UnknownTopic)?;
            // The slash is often missing in hand-written clients.
            return match bag.strip_prefix('/') {
                // azure-iot-device (Node) ends the topic of an output with a slash (mqtt.ts, `sendOutputEvent`); one that
                // belongs to a value is percent-encoded.
                Some(bag) => Ok(Published::Telemetry {
                    bag: bag.strip_suffix('/').unwrap_or(bag).as_bytes(),
                }),
                None if bag.is_empty() => Ok(Published::Telemetry { bag: b"" }),
                None => Err(UnknownTopic),
            };
        }
        if let Some(query) = topic.strip_prefix("$iothub/twin/GET/?") {
            return Ok(Published::TwinGet {
                request_id: Query::parse(query)?.request_id,
            });
        }
        if let Some(query) = topic.strip_prefix("$iothub/twin/PATCH/properties/reported/?") {
            let query = Query::parse(query)?;
            return Ok(Published::TwinPatch {
                request_id: query.request_id,
                version: query.version,
            });
        }
        if let Some(query) = topic.strip_prefix("$iothub/credentials/POST/issueCertificate/?")
            && !self.is_module
        {
            return Ok(Published::IssueCertificate {
                request_id: Query::parse(query)?.request_id,
            });
        }
        if let Some(rest) = topic.strip_prefix("$iothub/methods/res/") {
            let (status, query) = rest.split_once("/?").ok_or(UnknownTopic)?;
            let status = status.parse().map_err(|_| UnknownTopic)?;
            let call = u32::from_str_radix(Query::parse(query)?.request_id, 16)
                .map_err(|_| UnknownTopic)?;
            return Ok(Published::MethodAnswer {
                status,
                call: MethodCallId(call),
            });
        }
        Err(UnknownTopic)
    }

    /// What the device means by subscribing to `filter`; `None` for anything the hub does not offer.
    pub(crate) fn subscription(&self, filter: &str) -> Option<Subscription> {
        match filter {
            "$iothub/methods/POST/#" => return Some(Subscription::Methods),
            "$iothub/twin/res/#" => return Some(Subscription::TwinAnswers),
            "$iothub/twin/PATCH/properties/desired/#" => return Some(Subscription::Desired),
            // Documentation prints the second one.
            "$iothub/credentials/res/#" | "$iothub/credential/#" if !self.is_module => {
                return Some(Subscription::Certificates);
            }
            _ => {}
        }
        match filter.strip_prefix(&*self.base)? {
            "messages/devicebound/#" => Some(Subscription::Messages),
            "inputs/#" if self.is_module => Some(Subscription::Inputs),
            "#" if self.is_module => Some(Subscription::ModuleAll),
            _ => None,
        }
    }

    /// Where a cloud-to-device message with this property bag goes.
    pub(crate) fn message(&self, bag: &str) -> String {
        format!("{}messages/devicebound/{bag}", self.base)
    }
}

/// The will's topic must be the device's own telemetry topic.
pub(crate) fn will_bag<'a>(topics: &Topics, topic: &'a str) -> Result<&'a [u8], UnknownTopic> {
    match topics.parse(topic)? {
        Published::Telemetry { bag } => Ok(bag),
        Published::TwinGet { .. }
        | Published::TwinPatch { .. }
        | Published::MethodAnswer { .. }
        | Published::IssueCertificate { .. } => Err(UnknownTopic),
    }
}

/// Where the answer to a twin request goes.
pub(crate) fn twin_answer(status: u16, request_id: &str, version: Option<u64>) -> String {
    match version {
        None => format!("$iothub/twin/res/{status}/?$rid={request_id}"),
        Some(version) => format!("$iothub/twin/res/{status}/?$rid={request_id}&$version={version}"),
    }
}

/// Where the answer to a request for a certificate goes: five levels, as clients count (Azure/azure-iot-sdk-java,
/// `MqttCertificateSigning.java`).
pub(crate) fn certificate_answer(status: u16, request_id: &str) -> String {
    format!("$iothub/credentials/res/{status}/?$rid={request_id}")
}

/// Where a desired patch goes.
pub(crate) fn desired_patch(version: u64) -> String {
    format!("$iothub/twin/PATCH/properties/desired/?$version={version}")
}

/// Where a method call goes.
pub(crate) fn method_call(call: &MethodCall) -> String {
    format!("$iothub/methods/POST/{}/?$rid={:x}", call.name, call.id.0)
}

struct Query<'a> {
    request_id: &'a str,
    version: Option<u64>,
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, UnknownTopic> {
        let mut request_id = None;
        let mut version = None;
        for part in text.split('&') {
            if let Some(value) = part.strip_prefix("$rid=") {
                request_id = Some(value);
            } else if let Some(value) = part.strip_prefix("$version=") {
                version = Some(value.parse().map_err(|_| UnknownTopic)?);
            }
        }
        let request_id = request_id.filter(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX);
        Ok(Self {
            request_id: request_id.ok_or(UnknownTopic)?,
            version,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Topics {
        Topics::new(&IdentityId::parse("d1").unwrap())
    }

    fn module() -> Topics {
        Topics::new(&IdentityId::parse("d1/m1").unwrap())
    }

    #[test]
    fn telemetry_topics_with_and_without_the_last_slash() {
        let parsed = |topics: Topics, topic: &'static str| topics.parse(topic).ok();
        assert_eq!(
            parsed(device(), "devices/d1/messages/events/a=1"),
            Some(Published::Telemetry { bag: b"a=1" })
        );
        assert_eq!(
            parsed(device(), "devices/d1/messages/events"),
            Some(Published::Telemetry { bag: b"" })
        );
        assert_eq!(
            parsed(module(), "devices/d1/modules/m1/messages/events/%24.on=o/"),
            Some(Published::Telemetry { bag: b"%24.on=o" })
        );
        assert_eq!(parsed(device(), "devices/d1/messages/eventsx"), None);
        assert_eq!(
            parsed(device(), "devices/d2/messages/events/"),
            None,
            "another device"
        );
        assert_eq!(
            parsed(device(), "devices/d1/modules/m1/messages/events/"),
            None,
            "its module"
        );
        assert_eq!(
            parsed(module(), "devices/d1/modules/m1/messages/events/"),
            Some(Published::Telemetry { bag: b"" })
        );
    }

    #[test]
    fn twin_and_method_topics() {
        let topics = device();
        assert_eq!(
            topics.parse("$iothub/twin/GET/?$rid=x-1"),
            Ok(Published::TwinGet { request_id: "x-1" })
        );
        assert_eq!(
            topics.parse("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=3"),
            Ok(Published::TwinPatch {
                request_id: "7",
                version: Some(3)
            })
        );
        assert_eq!(
            topics.parse("$iothub/methods/res/200/?$rid=1f"),
            Ok(Published::MethodAnswer {
                status: 200,
                call: MethodCallId(31)
            })
        );
        for bad in [
            "$iothub/twin/GET/?",
            "$iothub/twin/GET/?$rid=",
            "$iothub/twin/PATCH/properties/desired/?$rid=1",
            "$iothub/methods/res/x/?$rid=1",
            "$iothub/methods/res/200/?$rid=zz",
            "other",
        ] {
            assert_eq!(topics.parse(bad), Err(UnknownTopic), "{bad}");
        }
    }

    #[test]
    fn topics_of_certificates_are_those_of_devices() {
        let topic = "$iothub/credentials/POST/issueCertificate/?$rid=156089087";
        let request_id = "156089087";
        assert_eq!(
            device().parse(topic),
            Ok(Published::IssueCertificate { request_id })
        );
        for bad in [
            "$iothub/credentials/POST/issueCertificate/",
            "$iothub/credentials/POST/issueCertificate/?$rid=",
            "$iothub/credentials/POST/issueCertificate?$rid=1",
            "$iothub/credentials/POST/other/?$rid=1",
            "$iothub/credentials/res/200/?$rid=1",
        ] {
            assert_eq!(device().parse(bad), Err(UnknownTopic), "{bad}");
        }
        for filter in ["$iothub/credentials/res/#", "$iothub/credential/#"] {
            assert_eq!(
                device().subscription(filter),
                Some(Subscription::Certificates)
            );
            assert_eq!(module().subscription(filter), None);
        }
        assert_eq!(module().parse(topic), Err(UnknownTopic));
        assert_eq!(
            certificate_answer(202, request_id),
            "$iothub/credentials/res/202/?$rid=156089087"
        );
    }

    #[test]
    fn filters_of_devices_and_modules() {
        assert_eq!(
            device().subscription("devices/d1/messages/devicebound/#"),
            Some(Subscription::Messages)
        );
        assert_eq!(device().subscription("devices/d1/#"), None);
        assert_eq!(device().subscription("#"), None);
        assert_eq!(
            module().subscription("devices/d1/modules/m1/#"),
            Some(Subscription::ModuleAll)
        );
        assert_eq!(
            module().subscription("devices/d1/modules/m1/inputs/#"),
            Some(Subscription::Inputs)
        );
        assert_eq!(
            module().subscription("devices/d1/messages/devicebound/#"),
            None
        );
    }
}
