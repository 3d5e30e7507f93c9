//! What a device sends with its registration (`DeviceRegistration`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::limits::REGISTRATION_BYTES_MAX;
use hub_domain::provisioning::RegistrationId;
use serde_json::{Map, Value};

use crate::Error;

/// The newest version whose clients stay at their hub when the enrollment has no policy ("Reprovisioning", backwards
/// compatibility).
const STAYS_UP_TO: &str = "2018-04-01";

/// A registration as a device sends it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RegisterRequest {
    /// Whatever the webhook or the geo latency policy is to know.
    pub payload: Option<Value>,
    /// The public keys of its TPM.
    pub tpm: Option<TpmKeys>,
    /// A certificate signing request, in DER.
    pub signing_request: Option<Vec<u8>>,
    /// The version that the client speaks.
    pub api_version: Option<String>,
}

/// The public keys of a TPM, each a `TPM2B_PUBLIC`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TpmKeys {
    /// The endorsement key.
    pub endorsement_key: Vec<u8>,
    /// The storage root key.
    pub storage_root_key: Option<Vec<u8>>,
}

impl RegisterRequest {
    /// Reads the document; an empty body is one without members. Unknown members are ignored.
    ///
    /// # Errors
    /// It is too large; it is no such document; it names another registration id.
    pub fn parse(
        id: &RegistrationId,
        body: &[u8],
        api_version: Option<&str>,
    ) -> Result<Self, Error> {
        if body.len() > REGISTRATION_BYTES_MAX {
            return Err(Error::new(
                hub_engine::ErrorKind::TooLarge,
                format!("a registration has {REGISTRATION_BYTES_MAX} bytes at most"),
            ));
        }
        let api_version = api_version.map(str::to_owned);
        if matches!(body.trim_ascii(), b"" | b"null") {
            return Ok(Self {
                api_version,
                ..Self::default()
            });
        }
        let document: Map<String, Value> = serde_json::from_slice(body)
            .map_err(|_| Error::invalid("the body is no JSON object"))?;
        if let Some(named) = text(&document, "registrationId")?
            && !named.eq_ignore_ascii_case(id.key())
        {
            return Err(Error::invalid(
                "the registrationId of the body is not the one that the call is about",
            ));
        }
        let payload = document.get("payload").filter(|value| !value.is_null());
        let tpm = match document.get("tpm") {
            None | Some(Value::Null) => None,
            Some(Value::Object(keys)) => Some(TpmKeys {
                endorsement_key: binary(keys, "endorsementKey")?
                    .ok_or_else(|| Error::invalid("tpm.endorsementKey is missing"))?,
                storage_root_key: binary(keys, "storageRootKey")?,
            }),
            Some(_) => return Err(Error::invalid("tpm is no JSON object")),
        };
        Ok(Self {
            payload: payload.cloned(),
            tpm,
            signing_request: binary(&document, "csr")?,
            api_version,
        })
    }

    /// True for a client of 2018-04-01 or older.
    pub(crate) fn stays_without_policy(&self) -> bool {
        self.api_version
            .as_deref()
            .is_some_and(|version| version <= STAYS_UP_TO)
    }
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Error> {
    match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(format!("{name} is no text"))),
    }
}

fn binary(document: &Map<String, Value>, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(text) = text(document, name)? else {
        return Ok(None);
    };
    STANDARD
        .decode(text.trim())
        .map(Some)
        .map_err(|_| Error::invalid(format!("{name} is not base64")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::unwrap_in_result,
        reason = "a test fails by panic, its helpers too"
    )]
    fn read(body: &str) -> Result<RegisterRequest, String> {
        let id = RegistrationId::parse("Device-1").expect("an id");
        RegisterRequest::parse(&id, body.as_bytes(), Some("2019-03-31"))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_documents_of_clients_are_read() {
        // Python sends `payload` always, Node leaves it out, polls have one space.
        let python = read(r#"{"registrationId":"device-1","payload":null}"#).expect("read");
        assert_eq!(python.payload, None);
        let node = read(r#"{"registrationId":"Device-1","payload":{"region":"x"}}"#).expect("read");
        assert_eq!(node.payload, Some(json!({"region": "x"})));
        for nothing in ["", " ", "null", " null\r\n"] {
            assert_eq!(read(nothing).expect("read").tpm, None, "{nothing:?}");
        }
        let tpm = read(r#"{"tpm":{"endorsementKey":"AQI=","storageRootKey":"Aw=="}}"#)
            .expect("read")
            .tpm
            .expect("keys");
        assert_eq!(
            (tpm.endorsement_key, tpm.storage_root_key),
            (vec![1, 2], Some(vec![3]))
        );
    }

    #[test]
    fn what_is_no_registration_is_refused() {
        for bad in [
            "[]",
            "{",
            r#"{"registrationId":"other"}"#,
            r#"{"registrationId":1}"#,
            r#"{"tpm":{}}"#,
            r#"{"tpm":1}"#,
            r#"{"csr":"%"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert!(
            read(&format!(
                "{{\"payload\":\"{}\"}}",
                "x".repeat(REGISTRATION_BYTES_MAX)
            ))
            .is_err()
        );
    }

    #[test]
    fn old_clients_stay_without_a_policy() {
        let id = RegistrationId::parse("d").expect("an id");
        let of = |version| {
            RegisterRequest::parse(&id, b"", Some(version))
                .expect("read")
                .stays_without_policy()
        };
        assert!(of("2018-04-01") && of("2017-11-15"));
        assert!(!of("2018-11-01") && !of("2021-06-01"));
    }
}
