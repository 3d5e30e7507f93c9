//! Direct methods.

use std::collections::BTreeMap;
use std::time::Duration;

use hub_domain::limits::{
    METHOD_CONNECT_TIMEOUT_MAX, METHOD_RESPONSE_TIMEOUT_DEFAULT, METHOD_RESPONSE_TIMEOUT_MAX,
    METHOD_RESPONSE_TIMEOUT_MIN,
};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::read::{InputError, JsonType, not_json, wrong_type};

/// The body of a method call. The payload is kept as received, byte for byte.
#[derive(Clone, Debug)]
pub struct MethodInput {
    /// The method's name.
    pub name: String,
    /// The JSON payload; `None` when the member is absent, `null` when it is null.
    pub payload: Option<Box<RawValue>>,
    /// How long to wait for the device to connect.
    pub connect: Duration,
    /// How long to wait for its answer.
    pub response: Duration,
}

impl MethodInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, the name is missing or empty, or a timeout is out of range.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        // Raw members keep the payload's bytes. A body that is JSON but no object gets its own error.
        let mut members: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(body).map_err(|error| {
                match serde_json::from_slice::<Value>(body) {
                    Ok(value) => wrong_type(String::new(), JsonType::Object, &value),
                    Err(_) => not_json(&error),
                }
            })?;
        let payload = members.remove("payload");
        let members = parsed(&members)?;
        Ok(Self {
            name: method_name(&members)?,
            payload,
            connect: seconds(&members, "connectTimeoutInSeconds", &CONNECT)?,
            response: seconds(&members, "responseTimeoutInSeconds", &RESPONSE)?,
        })
    }
}

/// Only the members that count: others may hold anything.
fn parsed(raw: &BTreeMap<String, Box<RawValue>>) -> Result<Map<String, Value>, InputError> {
    const READ: [&str; 3] = [
        "methodName",
        "connectTimeoutInSeconds",
        "responseTimeoutInSeconds",
    ];
    let mut members = Map::new();
    for name in READ {
        if let Some(value) = raw.get(name) {
            let value = serde_json::from_str(value.get()).map_err(|error| not_json(&error))?;
            members.insert(name.to_owned(), value);
        }
    }
    Ok(members)
}

struct Range {
    min: Duration,
    max: Duration,
    default: Duration,
}

const CONNECT: Range = Range {
    min: Duration::ZERO,
    max: METHOD_CONNECT_TIMEOUT_MAX,
    default: Duration::ZERO,
};
const RESPONSE: Range = Range {
    min: METHOD_RESPONSE_TIMEOUT_MIN,
    max: METHOD_RESPONSE_TIMEOUT_MAX,
    default: METHOD_RESPONSE_TIMEOUT_DEFAULT,
};

fn method_name(members: &Map<String, Value>) -> Result<String, InputError> {
    match members.get("methodName") {
        None | Some(Value::Null) => Err(InputError::Missing {
            path: "methodName".to_owned(),
        }),
        Some(Value::String(name)) if name.is_empty() => {
            Err(InputError::invalid("methodName", "it must not be empty"))
        }
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Err(wrong_type("methodName".to_owned(), JsonType::Text, other)),
    }
}

fn seconds(
    members: &Map<String, Value>,
    name: &str,
    range: &Range,
) -> Result<Duration, InputError> {
    let value = match members.get(name) {
        None | Some(Value::Null) => return Ok(range.default),
        Some(value) => value,
    };
    let whole = match value {
        Value::Number(number) if number.is_i64() || number.is_u64() => number.as_u64(),
        Value::Number(number) => return float_seconds(number.as_f64(), name, range),
        other => return Err(wrong_type(name.to_owned(), JsonType::Integer, other)),
    };
    // A negative number has no value as an unsigned one.
    whole
        .map(Duration::from_secs)
        .filter(|duration| (range.min..=range.max).contains(duration))
        .ok_or_else(|| out_of_range(name, range))
}

/// JSON has one number type: `30.0` is the integer 30.
fn float_seconds(value: Option<f64>, name: &str, range: &Range) -> Result<Duration, InputError> {
    match value {
        Some(value) if value.fract() == 0.0 => Duration::try_from_secs_f64(value)
            .ok()
            .filter(|duration| (range.min..=range.max).contains(duration))
            .ok_or_else(|| out_of_range(name, range)),
        Some(_) | None => Err(InputError::WrongType {
            path: name.to_owned(),
            expected: JsonType::Integer,
            found: JsonType::Number,
        }),
    }
}

fn out_of_range(name: &str, range: &Range) -> InputError {
    let (min, max) = (range.min.as_secs(), range.max.as_secs());
    InputError::invalid(name, format!("it must be from {min} to {max} seconds"))
}

/// The answer of a method call.
#[derive(Debug, Serialize)]
pub struct MethodResult {
    /// The device's own status.
    pub status: i32,
    /// What the device answered, byte for byte; null when it answered nothing.
    pub payload: Option<Box<RawValue>>,
}

impl MethodResult {
    /// The answer for a device's `status` and `payload`; `None` when the payload is no JSON.
    pub fn new(status: i32, payload: &[u8]) -> Option<Self> {
        if payload.is_empty() {
            return Some(Self {
                status,
                payload: None,
            });
        }
        let payload = serde_json::from_slice(payload).ok()?;
        Some(Self {
            status,
            payload: Some(payload),
        })
    }
}
