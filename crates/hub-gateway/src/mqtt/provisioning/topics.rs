//! The topics of provisioning ("Communicate with DPS using the MQTT protocol"; `mqtt_topic_provisioning.py` of the Python
//! SDK; `mqtt.ts` of the Node SDK).

use percent_encoding::percent_decode_str;

/// The one filter that a device may subscribe to.
pub(super) const REPLIES: &str = "$dps/registrations/res/#";

/// Longest request id in bytes: SDKs use UUIDs or small numbers.
const REQUEST_ID_BYTES_MAX: usize = 256;

/// What a published topic asks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// As it was sent: the reply repeats it unchanged.
    pub(super) request_id: &'a str,
    pub(super) of: Operation,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Register,
    Status { operation: Box<str> },
}

/// The topic is none that a device may publish to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a device that registers may not publish to this topic")]
pub(super) struct UnknownTopic;

/// What a device means by publishing to `topic`.
pub(super) fn parse(topic: &str) -> Result<Asked<'_>, UnknownTopic> {
    if let Some(query) = topic.strip_prefix("$dps/registrations/PUT/iotdps-register/?") {
        let query = Query::parse(query)?;
        return Ok(Asked {
            request_id: query.request_id,
            of: Operation::Register,
        });
    }
    if let Some(query) = topic.strip_prefix("$dps/registrations/GET/iotdps-get-operationstatus/?") {
        let query = Query::parse(query)?;
        let operation = query.operation.filter(|operation| !operation.is_empty());
        return Ok(Asked {
            request_id: query.request_id,
            of: Operation::Status {
                operation: operation.ok_or(UnknownTopic)?,
            },
        });
    }
    Err(UnknownTopic)
}

/// Where a reply goes. Python takes the third piece between dollar signs for the properties, so there are two of them, and
/// reads the time to wait as a whole number without one.
pub(super) fn reply(status: u16, request_id: &str, retry_after_seconds: Option<u64>) -> String {
    match retry_after_seconds {
        None => format!("$dps/registrations/res/{status}/?$rid={request_id}"),
        Some(seconds) => {
            format!("$dps/registrations/res/{status}/?$rid={request_id}&retry-after={seconds}")
        }
    }
}

struct Query<'a> {
    request_id: &'a str,
    operation: Option<Box<str>>,
}

impl<'a> Query<'a> {
    fn parse(text: &'a str) -> Result<Self, UnknownTopic> {
        let mut request_id = None;
        let mut operation = None;
        for part in text.split('&') {
            if let Some(value) = part.strip_prefix("$rid=") {
                request_id = Some(value);
            } else if let Some(value) = part.strip_prefix("operationId=") {
                let value = percent_decode_str(value).decode_utf8();
                operation = Some(value.map_err(|_| UnknownTopic)?.as_ref().into());
            }
        }
        // A reply that repeats another dollar sign could not be read.
        let is_fit = |id: &&str| {
            !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && !id.contains(['$', '=', '?', '/'])
        };
        Ok(Self {
            request_id: request_id.filter(is_fit).ok_or(UnknownTopic)?,
            operation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(topic: &str, expected: &str) {
        let shown = match parse(topic) {
            Ok(Asked {
                request_id,
                of: Operation::Register,
            }) => format!("register {request_id}"),
            Ok(Asked {
                request_id,
                of: Operation::Status { operation },
            }) => format!("status {request_id} {operation}"),
            Err(UnknownTopic) => "unknown".to_owned(),
        };
        assert_eq!(shown, expected, "{topic}");
    }

    #[test]
    fn topics_of_the_official_clients() {
        check(
            "$dps/registrations/PUT/iotdps-register/?$rid=1",
            "register 1",
        );
        check(
            "$dps/registrations/PUT/iotdps-register/?$rid=8f2d0f3c-9a3e-4a43-9f19-0b5b2ab2a6b9",
            "register 8f2d0f3c-9a3e-4a43-9f19-0b5b2ab2a6b9",
        );
        check(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=5.9c36c1.4ff2-b1",
            "status 2 5.9c36c1.4ff2-b1",
        );
        check(
            "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=5%2Ea&$rid=a%20b",
            "status a%20b 5.a",
        );
    }

    #[test]
    fn other_topics_are_not_for_devices() {
        let long = format!(
            "$dps/registrations/PUT/iotdps-register/?$rid={}",
            "x".repeat(REQUEST_ID_BYTES_MAX + 1)
        );
        for topic in [
            "",
            "$dps/registrations/PUT/iotdps-register/",
            "$dps/registrations/PUT/iotdps-register/?",
            "$dps/registrations/PUT/iotdps-register/?rid=1",
            "$dps/registrations/PUT/iotdps-register/?$rid=",
            "$dps/registrations/PUT/iotdps-register/?$rid=1$rid=2",
            "$dps/registrations/PUT/iotdps-register/x/?$rid=1",
            "$dps/registrations/PUT/iotdps-register?$rid=1",
            "$dps/registrations/GET/iotdps-register/?$rid=1",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=",
            "$dps/registrations/GET/iotdps-get-operationstatus/?operationId=1",
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=%ff",
            "$dps/registrations/PUT/iotdps-get-operationstatus/?$rid=1&operationId=1",
            "$dps/registrations/res/200/?$rid=1",
            "$iothub/twin/GET/?$rid=1",
            "devices/d1/messages/events/",
            &long,
        ] {
            check(topic, "unknown");
        }
    }

    #[test]
    fn replies_have_two_dollar_signs_and_whole_seconds() {
        assert_eq!(
            reply(202, "1", Some(3)),
            "$dps/registrations/res/202/?$rid=1&retry-after=3"
        );
        assert_eq!(
            reply(200, "a-b", None),
            "$dps/registrations/res/200/?$rid=a-b"
        );
    }
}
