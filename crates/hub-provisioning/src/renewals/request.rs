//! What a connected device sends to get its next certificate ("Issue Certificate API").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::DeviceId;
use hub_domain::limits::{RENEWAL_REQUEST_BYTES_MAX, RENEWAL_SIGNING_REQUEST_CHARS_MAX};
use serde_json::{Map, Value};

/// A request as a device sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenewalRequest {
    /// A certificate signing request, in DER. It was not read yet.
    pub signing_request: Vec<u8>,
    /// The request that this one takes the place of.
    pub replace: Option<Replace>,
}

/// Which request gives way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replace {
    /// Whichever is under way, if one is.
    Any,
    /// The one of this request id.
    Exactly(String),
}

/// A request breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// There is no body.
    #[error("the body is missing: a JSON object with id and csr")]
    Missing,
    /// It is too large.
    #[error("the body has more than {RENEWAL_REQUEST_BYTES_MAX} bytes")]
    TooLarge,
    /// It is no JSON.
    #[error("the body is no JSON")]
    NoJson,
    /// It is JSON, but no object.
    #[error("the body is no JSON object with id and csr")]
    NoObject,
    /// It has a member that is not known.
    #[error("the body has a member besides id, csr and replace")]
    UnknownMember,
    /// No device is named.
    #[error("id is missing or no text: give the id of the device")]
    NoId,
    /// Another device is named.
    #[error("id is not the id that the device is connected with")]
    OtherId,
    /// There is no certificate request.
    #[error("csr is missing or no text: give a certificate request in base64")]
    NoSigningRequest,
    /// The certificate request is too long.
    #[error("csr has more than {RENEWAL_SIGNING_REQUEST_CHARS_MAX} characters")]
    SigningRequestTooLong,
    /// The certificate request is not base64.
    #[error("csr is not base64")]
    NoBase64,
    /// The member `replace` has another form.
    #[error("replace is neither * nor a request id of 4 to 36 letters, digits and inner hyphens")]
    Replace,
}

impl RenewalRequest {
    /// Reads the document that `device` sent.
    ///
    /// # Errors
    /// When it breaks a rule: the first that is found.
    pub fn parse(device: &DeviceId, body: &[u8]) -> Result<Self, Malformed> {
        if body.len() > RENEWAL_REQUEST_BYTES_MAX {
            return Err(Malformed::TooLarge);
        }
        if body.iter().all(u8::is_ascii_whitespace) {
            return Err(Malformed::Missing);
        }
        let document: Value = serde_json::from_slice(body).map_err(|_| Malformed::NoJson)?;
        let Value::Object(members) = document else {
            return Err(Malformed::NoObject);
        };
        let is_known = |name: &String| matches!(name.as_str(), "id" | "csr" | "replace");
        if !members.keys().all(is_known) {
            return Err(Malformed::UnknownMember);
        }
        let id = text(&members, "id").ok_or(Malformed::NoId)?;
        if id != device.as_str() {
            return Err(Malformed::OtherId);
        }
        let signing_request = text(&members, "csr").ok_or(Malformed::NoSigningRequest)?;
        if signing_request.len() > RENEWAL_SIGNING_REQUEST_CHARS_MAX {
            return Err(Malformed::SigningRequestTooLong);
        }
        let signing_request = STANDARD.decode(signing_request.trim());
        Ok(Self {
            signing_request: signing_request.map_err(|_| Malformed::NoBase64)?,
            replace: replace(members.get("replace"))?,
        })
    }
}

impl Malformed {
    /// The vendor's number for it.
    pub(super) const fn code(self) -> u32 {
        match self {
            Self::NoJson => 400_006,
            Self::Missing
            | Self::TooLarge
            | Self::NoObject
            | Self::UnknownMember
            | Self::NoId
            | Self::OtherId
            | Self::NoSigningRequest
            | Self::SigningRequestTooLong
            | Self::NoBase64
            | Self::Replace => 400_004,
        }
    }
}

/// A text that is not empty.
fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members
        .get(name)?
        .as_str()
        .filter(|text| !text.trim().is_empty())
}

fn replace(value: Option<&Value>) -> Result<Option<Replace>, Malformed> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Malformed::Replace),
    };
    if text == "*" {
        return Ok(Some(Replace::Any));
    }
    let is_inside = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let is_request_id = (4..=36).contains(&text.len())
        && text.bytes().all(is_inside)
        && !text.starts_with('-')
        && !text.ends_with('-');
    if is_request_id {
        Ok(Some(Replace::Exactly(text.clone())))
    } else {
        Err(Malformed::Replace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unwrap_in_result,
        reason = "a test fails by panic, its helpers too"
    )]
    fn read(body: &str) -> Result<RenewalRequest, Malformed> {
        let device = DeviceId::parse("Device-1").expect("an id");
        RenewalRequest::parse(&device, body.as_bytes())
    }

    #[test]
    fn the_documents_of_clients_are_read() {
        let plain = RenewalRequest {
            signing_request: vec![1, 2],
            replace: None,
        };
        let with = |replace| {
            Ok(RenewalRequest {
                replace: Some(replace),
                ..plain.clone()
            })
        };
        assert_eq!(read(r#"{"id":"Device-1","csr":"AQI="}"#), Ok(plain.clone()));
        assert_eq!(
            read(r#"{"replace":null,"csr":"AQI=\n","id":"Device-1"}"#),
            Ok(plain.clone())
        );
        assert_eq!(
            read(r#"{"id":"Device-1","csr":"AQI=","replace":"*"}"#),
            with(Replace::Any)
        );
        assert_eq!(
            read(r#"{"id":"Device-1","csr":"AQI=","replace":"156089087"}"#),
            with(Replace::Exactly("156089087".to_owned()))
        );
    }

    #[test]
    fn what_breaks_a_rule_is_refused_by_that_rule() {
        let long = "A".repeat(RENEWAL_SIGNING_REQUEST_CHARS_MAX + 1);
        let huge = " ".repeat(RENEWAL_REQUEST_BYTES_MAX + 1);
        for (body, expected) in [
            ("", Malformed::Missing),
            (" \n", Malformed::Missing),
            (&huge, Malformed::TooLarge),
            (r#"{"id": "Device-1", "csr":"#, Malformed::NoJson),
            ("\u{feff}{}", Malformed::NoJson),
            (r#"["not", "an", "object"]"#, Malformed::NoObject),
            ("{}", Malformed::NoId),
            (r#"{"id":"","csr":"AQI="}"#, Malformed::NoId),
            (r#"{"id":7,"csr":"AQI="}"#, Malformed::NoId),
            (r#"{"id":"device-1","csr":"AQI="}"#, Malformed::OtherId),
            (r#"{"id":"Device-1"}"#, Malformed::NoSigningRequest),
            (r#"{"id":"Device-1","csr":""}"#, Malformed::NoSigningRequest),
            (
                r#"{"id":"Device-1","csr":null}"#,
                Malformed::NoSigningRequest,
            ),
            (
                &format!(r#"{{"id":"Device-1","csr":"{long}"}}"#),
                Malformed::SigningRequestTooLong,
            ),
            (
                r#"{"id":"Device-1","csr":"not-valid-base64!!@@##"}"#,
                Malformed::NoBase64,
            ),
            (
                r#"{"id":"Device-1","csr":"AQI=","payload":1}"#,
                Malformed::UnknownMember,
            ),
        ] {
            assert_eq!(read(body), Err(expected), "{body}");
        }
        for replace in [
            r#""""#,
            r#""123""#,
            r#""-abcd""#,
            r#""abcd-""#,
            r#""ab_cd""#,
            r#""**""#,
            "7",
            "true",
            r#""0123456789012345678901234567890123456""#,
        ] {
            let body = format!(r#"{{"id":"Device-1","csr":"AQI=","replace":{replace}}}"#);
            assert_eq!(read(&body), Err(Malformed::Replace), "{replace}");
        }
    }
}
