//! The topics of a device ("Communicate with an IoT hub using the MQTT protocol").

use hub_mqtt::QoS;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What the SDKs do not encode in a property bag.
const BAG: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Where direct methods arrive.
pub(crate) const METHODS_FILTER: &str = "$iothub/methods/POST/#";
/// Where answers about the twin arrive.
pub(crate) const TWIN_ANSWERS_FILTER: &str = "$iothub/twin/res/#";
/// Where desired patches arrive.
pub(crate) const DESIRED_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";

/// Where messages for the device arrive.
pub(crate) fn messages_filter(device: &str) -> String {
    format!("devices/{device}/messages/devicebound/#")
}

/// The topic of a telemetry message with its properties.
pub(crate) fn telemetry(device: &str, properties: &[(&str, &str)]) -> String {
    let mut topic = format!("devices/{device}/messages/events/");
    for (index, (key, value)) in properties.iter().enumerate() {
        if index > 0 {
            topic.push('&');
        }
        topic.extend(utf8_percent_encode(key, BAG));
        topic.push('=');
        topic.extend(utf8_percent_encode(value, BAG));
    }
    topic
}

/// The topic that asks for the twin.
pub(crate) fn twin_get(request: u64) -> String {
    format!("$iothub/twin/GET/?$rid={request}")
}

/// The topic of a reported patch.
pub(crate) fn reported_patch(request: u64) -> String {
    format!("$iothub/twin/PATCH/properties/reported/?$rid={request}")
}

/// The topic of a method's answer; `request` as it came.
pub(crate) fn method_answer(status: u16, request: &str) -> String {
    format!("$iothub/methods/res/{status}/?$rid={request}")
}

/// The name with which a device logs in.
pub(crate) fn user_name(host: &str, device: &str) -> String {
    let agent = concat!("thingstead-sim%2F", env!("CARGO_PKG_VERSION"));
    format!("{host}/{device}/?api-version=2021-04-12&DeviceClientType={agent}")
}

/// What a hub sends to a device, read from the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Inbound<'a> {
    /// A direct method.
    Method {
        /// Its name.
        name: &'a str,
        /// What the answer must repeat.
        request: &'a str,
    },
    /// The answer to a twin request.
    TwinAnswer {
        /// As in HTTP.
        status: u16,
        /// The number of the request; other text is none of ours.
        request: Option<u64>,
    },
    /// A desired patch.
    Desired,
    /// A message for the device.
    Message,
    /// Something else.
    Unknown,
}

impl<'a> Inbound<'a> {
    pub(crate) fn parse(topic: &'a str) -> Self {
        if let Some(rest) = topic.strip_prefix("$iothub/methods/POST/") {
            return match rest.split_once("/?") {
                Some((name, query)) => Self::Method {
                    name,
                    request: parameter(query, "$rid").unwrap_or_default(),
                },
                None => Self::Unknown,
            };
        }
        if let Some(rest) = topic.strip_prefix("$iothub/twin/res/") {
            let Some((status, query)) = rest.split_once("/?") else {
                return Self::Unknown;
            };
            return match status.parse() {
                Ok(status) => Self::TwinAnswer {
                    status,
                    request: parameter(query, "$rid").and_then(|text| text.parse().ok()),
                },
                Err(_) => Self::Unknown,
            };
        }
        if topic.starts_with("$iothub/twin/PATCH/properties/desired/") {
            return Self::Desired;
        }
        if topic.starts_with("devices/") && topic.contains("/messages/devicebound/") {
            return Self::Message;
        }
        Self::Unknown
    }
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The quality of service on the command line.
pub(crate) fn parse_qos(text: &str) -> Result<QoS, String> {
    match text {
        "0" => Ok(QoS::AtMostOnce),
        "1" => Ok(QoS::AtLeastOnce),
        _ => Err("must be 0 or 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_percent_encoded_as_the_sdks_do() {
        let bag = [
            ("$.ct", "application/json"),
            ("place", "hall 7 & yard"),
            ("empty", ""),
        ];
        assert_eq!(
            telemetry("d-1", &bag),
            "devices/d-1/messages/events/%24.ct=application%2Fjson&place=hall%207%20%26%20yard&empty="
        );
        assert_eq!(telemetry("d", &[]), "devices/d/messages/events/");
    }

    #[test]
    fn what_the_hub_sends_is_told_apart_by_topic() {
        let table = [
            (
                "$iothub/methods/POST/reboot/?$rid=1f",
                Inbound::Method {
                    name: "reboot",
                    request: "1f",
                },
            ),
            (
                "$iothub/twin/res/204/?$rid=12&$version=3",
                Inbound::TwinAnswer {
                    status: 204,
                    request: Some(12),
                },
            ),
            (
                "$iothub/twin/res/200/?$rid=other",
                Inbound::TwinAnswer {
                    status: 200,
                    request: None,
                },
            ),
            (
                "$iothub/twin/PATCH/properties/desired/?$version=7",
                Inbound::Desired,
            ),
            (
                "devices/d/messages/devicebound/%24.to=%2Fdevices%2Fd",
                Inbound::Message,
            ),
            ("$iothub/methods/POST/reboot", Inbound::Unknown),
            ("$iothub/twin/res/many/?$rid=1", Inbound::Unknown),
            ("other", Inbound::Unknown),
        ];
        for (topic, expected) in table {
            assert_eq!(Inbound::parse(topic), expected, "{topic}");
        }
    }

    #[test]
    fn requests_say_what_they_are() {
        assert_eq!(twin_get(3), "$iothub/twin/GET/?$rid=3");
        assert_eq!(
            reported_patch(4),
            "$iothub/twin/PATCH/properties/reported/?$rid=4"
        );
        assert_eq!(method_answer(404, "a"), "$iothub/methods/res/404/?$rid=a");
        assert!(user_name("hub.test", "d").starts_with("hub.test/d/?api-version=2021-04-12&"));
        assert_eq!(messages_filter("d"), "devices/d/messages/devicebound/#");
    }

    #[test]
    fn quality_two_is_not_offered() {
        assert_eq!(parse_qos("0"), Ok(QoS::AtMostOnce));
        assert_eq!(parse_qos("1"), Ok(QoS::AtLeastOnce));
        assert!(parse_qos("2").is_err());
    }
}
