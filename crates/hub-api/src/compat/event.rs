//! Telemetry that devices send over HTTPS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::message::{PropertyBag, SystemProperty};
use serde_json::{Map, Value};

use super::message::application_property;
use super::read::{InputError, JsonType, not_json, wrong_type};

/// The media type of a request with several messages (`http.ts`, `sendEventBatch`).
pub const EVENT_BATCH_MEDIA_TYPE: &str = "application/vnd.microsoft.iothub.json";

/// One message as a device sent it: properties by the names of their headers, and the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventInput {
    /// The properties, in the form in which the log keeps them.
    pub properties: PropertyBag,
    /// The payload.
    pub body: Vec<u8>,
}

impl EventInput {
    /// Reads the body of a batch: `[{"body": base64, "base64Encoded": true, "properties": {header: value}}]`.
    ///
    /// # Errors
    /// When it is not such an array, or a body is not base64; the text names the message.
    pub fn parse_batch(body: &[u8]) -> Result<Vec<Self>, InputError> {
        let value: Value = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
        let Value::Array(items) = value else {
            return Err(wrong_type(String::new(), JsonType::Array, &value));
        };
        items
            .into_iter()
            .enumerate()
            .map(|(at, item)| match item {
                Value::Object(members) => Self::parse_item(&format!("[{at}]"), &members),
                other => Err(wrong_type(format!("[{at}]"), JsonType::Object, &other)),
            })
            .collect()
    }

    fn parse_item(path: &str, members: &Map<String, Value>) -> Result<Self, InputError> {
        Ok(Self {
            properties: batch_properties(path, members.get("properties"))?,
            body: batch_body(path, members)?,
        })
    }
}

fn batch_body(path: &str, members: &Map<String, Value>) -> Result<Vec<u8>, InputError> {
    let is_base64 = match members.get("base64Encoded") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(flag)) => *flag,
        Some(other) => {
            let path = format!("{path}.base64Encoded");
            return Err(wrong_type(path, JsonType::Boolean, other));
        }
    };
    let path = format!("{path}.body");
    match members.get("body") {
        None => Err(InputError::Missing { path }),
        Some(Value::String(text)) if is_base64 => STANDARD
            .decode(text)
            .map_err(|_| InputError::invalid(path, "it is not base64")),
        // The C client sends text as it is (`iothubtransporthttp.c`).
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(other) => Err(wrong_type(path, JsonType::Text, other)),
    }
}

fn batch_properties(path: &str, value: Option<&Value>) -> Result<PropertyBag, InputError> {
    let path = format!("{path}.properties");
    let members = match value {
        None | Some(Value::Null) => return Ok(PropertyBag::default()),
        Some(Value::Object(members)) => members,
        Some(other) => return Err(wrong_type(path, JsonType::Object, other)),
    };
    let mut bag = PropertyBag::default();
    for (name, value) in members {
        let value = match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
            Value::Array(_) | Value::Object(_) => {
                return Err(wrong_type(format!("{path}.{name}"), JsonType::Text, value));
            }
        };
        push_event_property(&mut bag, name, value.as_deref())?;
    }
    Ok(bag)
}

/// Adds the property that a header of a `messages/events` request is, if it is one. Application properties start
/// with `iothub-app-`; where the message goes and who sent it is for the hub to say.
///
/// # Errors
/// When an application property has a name that only system properties may have.
pub fn push_event_property(
    bag: &mut PropertyBag,
    header: &str,
    value: Option<&str>,
) -> Result<(), InputError> {
    if let Some(key) = application_property(header) {
        if key.starts_with("$.") {
            return Err(InputError::invalid(
                header,
                "names of application properties do not begin with $.",
            ));
        }
        bag.push(key, value);
    } else if let Some(property) = SystemProperty::from_http_header(header) {
        match property {
            SystemProperty::To
            | SystemProperty::ConnectionDeviceId
            | SystemProperty::ConnectionModuleId => {}
            SystemProperty::MessageId
            | SystemProperty::CorrelationId
            | SystemProperty::UserId
            | SystemProperty::ContentType
            | SystemProperty::ContentEncoding
            | SystemProperty::Expiry
            | SystemProperty::CreationTime
            | SystemProperty::InterfaceId
            | SystemProperty::Component
            | SystemProperty::OutputName
            | SystemProperty::TraceId
            | SystemProperty::TraceContext
            | SystemProperty::Ack => bag.push(property.mqtt_name(), value),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<(String, String)>, String> {
        let inputs = EventInput::parse_batch(text.as_bytes()).map_err(|e| e.to_string())?;
        Ok(inputs
            .iter()
            .map(|input| {
                let body = String::from_utf8_lossy(&input.body).into_owned();
                (input.properties.encode(), body)
            })
            .collect())
    }

    #[test]
    fn a_batch_as_the_clients_write_it_is_read() {
        let text = r#"[
            {"body":"aGVsbG8="},
            {"body":"plain \"text\"","base64Encoded":false},
            {"body":"","base64Encoded":true,"properties":{"iothub-app-Key 1":"a b","iothub-messageid":"m1",
             "iothub-contenttype":"text/plain","iothub-to":"/x","other":"y","iothub-app-n":7,"iothub-app-z":null}}
        ]"#;
        let read = parse(text).unwrap();
        assert_eq!(read[0], (String::new(), "hello".to_owned()));
        assert_eq!(read[1].1, "plain \"text\"");
        let properties: Vec<_> = read[2].0.split('&').collect();
        for expected in [
            "Key%201=a%20b",
            "%24.mid=m1",
            "%24.ct=text%2Fplain",
            "n=7",
            "z",
        ] {
            assert!(properties.contains(&expected), "{expected}: {properties:?}");
        }
        assert_eq!(properties.len(), 5);
        assert_eq!(parse("[]").unwrap(), []);
    }

    #[test]
    fn what_is_no_batch_is_refused_by_place() {
        for (text, error) in [
            ("{", "the body is not valid JSON at line 1 column 1"),
            ("{}", "the body must be an array, not an object"),
            ("[1]", "[0] must be an object, not a number"),
            ("[{}]", "[0].body is missing"),
            (r#"[{"body":"a"},{}]"#, "[0].body: it is not base64"),
            (
                r#"[{"body":{}}]"#,
                "[0].body must be a string, not an object",
            ),
            (
                r#"[{"body":"","base64Encoded":"yes"}]"#,
                "[0].base64Encoded must be a boolean, not a string",
            ),
            (
                r#"[{"body":"","properties":[]}]"#,
                "[0].properties must be an object, not an array",
            ),
            (
                r#"[{"body":"","properties":{"iothub-app-a":[]}}]"#,
                "[0].properties.iothub-app-a must be a string, not an array",
            ),
            (
                r#"[{"body":"","properties":{"iothub-app-$.mid":"x"}}]"#,
                "iothub-app-$.mid: names of application properties do not begin with $.",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }
}
