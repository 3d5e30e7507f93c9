//! Direct methods.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// A call of a direct method.
///
/// `Payload` is what holds the payload: a value, or the text as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MethodCall"))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MethodCall<Payload = Value> {
    /// The method's name.
    pub method_name: String,
    /// Any JSON, null too; absent is no payload at all.
    #[serde(
        default,
        deserialize_with = "present",
        bound(deserialize = "Payload: Deserialize<'de>"),
        skip_serializing_if = "Option::is_none"
    )]
    pub payload: Option<Payload>,
    /// How long the device may take to answer, 5 to 300; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_timeout_in_seconds: Option<u64>,
    /// How long to wait for the device to connect, 0 to 300; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_timeout_in_seconds: Option<u64>,
}

/// What the device answered.
///
/// `Payload` is what holds the payload: a value, or the text as it came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "MethodResult"))]
pub struct MethodResult<Payload = Value> {
    /// The device's own number.
    pub status: i32,
    /// Any JSON; null when the device sent nothing.
    pub payload: Payload,
}

/// Keeps a null that is there apart from a member that is not.
fn present<'de, D: Deserializer<'de>, P: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<P>, D::Error> {
    P::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_null_payload_is_a_payload() {
        let with: MethodCall =
            serde_json::from_str(r#"{"methodName":"m","payload":null}"#).unwrap();
        let without: MethodCall = serde_json::from_str(r#"{"methodName":"m"}"#).unwrap();
        assert_eq!(with.payload, Some(Value::Null));
        assert_eq!(without.payload, None);
        assert_eq!(
            serde_json::to_string(&with).unwrap(),
            r#"{"methodName":"m","payload":null}"#
        );
        assert_eq!(
            serde_json::to_string(&without).unwrap(),
            r#"{"methodName":"m"}"#
        );
    }
}
