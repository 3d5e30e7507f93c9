//! File uploads: what a device asks for, gets, and says at the end.

use serde::Serialize;
use serde_json::{Map, Value};

use super::read::{InputError, JsonType, not_json, wrong_type};

/// The body of `POST …/files`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInput {
    /// The name of the file.
    pub blob_name: String,
}

impl UploadInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object with a text `blobName`.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let members = object(body)?;
        let blob_name = text(&members, "blobName")?.ok_or_else(|| InputError::Missing {
            path: "blobName".to_owned(),
        })?;
        Ok(Self { blob_name })
    }
}

/// The answer to a device that begins an upload. It sends its file to
/// `https://{hostName}/{containerName}/{blobName}{sasToken}`.
#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UploadTicket {
    /// Names the upload at its end.
    pub correlation_id: String,
    /// The host, with its port where that is not 443.
    pub host_name: String,
    /// The first part of the path.
    pub container_name: String,
    /// The rest of the path, not encoded: the device id, a slash, the name asked for.
    pub blob_name: String,
    /// The query, `?` included. A secret.
    pub sas_token: String,
}

/// The body of `POST …/files/notifications`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadNotification {
    /// Which upload; Node has it in the path instead.
    pub correlation_id: Option<String>,
    /// Whether the file is there; `None` when the body does not say.
    pub is_success: Option<bool>,
}

impl UploadNotification {
    /// Reads a request body. Status code and description are the device's own words, which nobody reads.
    ///
    /// # Errors
    /// When it is no JSON object, or a member has another type.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let members = object(body)?;
        let is_success = match members.get("isSuccess") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(other) => {
                return Err(wrong_type("isSuccess".to_owned(), JsonType::Boolean, other));
            }
        };
        Ok(Self {
            correlation_id: text(&members, "correlationId")?,
            is_success,
        })
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, InputError> {
    match serde_json::from_slice(body).map_err(|error| not_json(&error))? {
        Value::Object(members) => Ok(members),
        other => Err(wrong_type(String::new(), JsonType::Object, &other)),
    }
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, InputError> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(wrong_type(name.to_owned(), JsonType::Text, other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_the_clients_are_read() {
        let input = UploadInput::parse(br#"{"blobName":"a/b","other":1}"#).unwrap();
        assert_eq!(input.blob_name, "a/b");
        // Python, then Node.
        let text =
            br#"{"correlationId":"c","isSuccess":true,"statusCode":200,"statusDescription":"x"}"#;
        let parsed = UploadNotification::parse(text).unwrap();
        assert_eq!(parsed.correlation_id.as_deref(), Some("c"));
        assert_eq!(parsed.is_success, Some(true));
        let parsed = UploadNotification::parse(br#"{"isSuccess":false}"#).unwrap();
        assert_eq!(
            (parsed.correlation_id, parsed.is_success),
            (None, Some(false))
        );
    }

    #[test]
    fn other_bodies_are_refused_by_member() {
        let upload = |text: &str| UploadInput::parse(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(upload("[]"), "the body must be an object, not an array");
        assert_eq!(upload("{}"), "blobName is missing");
        assert_eq!(
            upload(r#"{"blobName":1}"#),
            "blobName must be a string, not a number"
        );
        let end = |text: &str| {
            UploadNotification::parse(text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            end(r#"{"isSuccess":"true"}"#),
            "isSuccess must be a boolean, not a string"
        );
        assert_eq!(
            end(r#"{"correlationId":1}"#),
            "correlationId must be a string, not a number"
        );
    }
}
