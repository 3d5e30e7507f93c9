//! Shared access signature tokens.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{percent_decode_str, utf8_percent_encode};

use super::{RESERVED, Resource, ResourceError, SymmetricKey};
use crate::Timestamp;

const SCHEME: &str = "SharedAccessSignature";
/// 9999-12-31T23:59:59Z, the last moment that RFC 3339 can print. Later expiries mean this one.
const EXPIRY_SECONDS_MAX: i64 = 253_402_300_799;

/// A token as received: parsed, but not believed until [`Self::verify`] says so.
///
/// Has no `Debug`, for a token is a secret until it expires.
pub struct SasToken<'a> {
    resource_text: &'a str,
    resource: Resource,
    expiry_text: &'a str,
    expiry: Timestamp,
    signature: [u8; 32],
    policy: Option<Cow<'a, str>>,
}

/// The text is no token. Never carries the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    /// It does not start with the scheme.
    #[error("the token does not start with {SCHEME}")]
    Scheme,
    /// A part has no `=`.
    #[error("a field of the token has no value")]
    NoValue,
    /// A field that must be there is not.
    #[error("the token has no {0}")]
    Missing(&'static str),
    /// A field is there twice.
    #[error("the token has more than one {0}")]
    Duplicate(&'static str),
    /// `sr` names no resource.
    #[error("the sr of the token is not valid")]
    Resource(#[source] ResourceError),
    /// `se` is no number of seconds.
    #[error("the se of the token is not a number of seconds")]
    Expiry,
    /// `sig` is not the base64 of 32 bytes.
    #[error("the sig of the token is not a signature")]
    Signature,
    /// `skn` is not UTF-8.
    #[error("the skn of the token is not UTF-8")]
    Policy,
}

impl<'a> SasToken<'a> {
    /// Reads a token, its fields in any order.
    ///
    /// Fields of other names are ignored: the signature covers only `sr` and `se`, so nothing else
    /// can grant anything. An empty `skn` is none, which the C client sends for device keys.
    ///
    /// # Errors
    /// When the scheme or a field is missing, given twice or not valid.
    pub fn parse(text: &'a str) -> Result<Self, SasError> {
        let fields = Fields::parse(text)?;
        let resource_text = fields.resource.ok_or(SasError::Missing("sr"))?;
        let expiry_text = fields.expiry.ok_or(SasError::Missing("se"))?;
        let signature = fields.signature.ok_or(SasError::Missing("sig"))?;
        Ok(Self {
            resource_text,
            resource: Resource::parse(resource_text).map_err(SasError::Resource)?,
            expiry_text,
            expiry: parse_expiry(expiry_text)?,
            signature: parse_signature(signature)?,
            policy: parse_policy(fields.policy)?,
        })
    }

    /// What the token speaks for.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// When the token ends, by the clock of whoever signed it. Allow for
    /// [`CLOCK_SKEW`](crate::limits::CLOCK_SKEW).
    pub fn expiry(&self) -> Timestamp {
        self.expiry
    }

    /// The policy whose key signed the token; `None` for a device's or module's own key.
    pub fn policy(&self) -> Option<&str> {
        self.policy.as_deref()
    }

    /// True when `key` signed this token: over the resource and expiry as received, because clients
    /// encode the same resource differently. Takes the same time either way.
    pub fn verify(&self, key: &SymmetricKey) -> bool {
        key.verifies(&self.signed(), &self.signature)
    }

    /// True when the text of `key` signed this token: Service Bus and Event Hubs clients do not decode the base64
    /// (`_common/auth.py` of azure-eventhub, `sasServiceClientCredentials` of @azure/core-amqp).
    pub fn verify_by_text(&self, key: &SymmetricKey) -> bool {
        key.verifies_by_text(&self.signed(), &self.signature)
    }

    fn signed(&self) -> [&[u8]; 3] {
        let expiry = self.expiry_text.as_bytes();
        [self.resource_text.as_bytes(), b"\n", expiry]
    }

    /// True when the path of the token covers the path of `target`, by whole segments. Hosts are the
    /// caller's to compare, for a hub answers to several.
    ///
    /// Without a policy the ids may be encoded twice, as the C# client does: there the key names the
    /// identity already. A policy's token covers what it spells and nothing else.
    pub fn covers_path_of(&self, target: &Resource) -> bool {
        match self.policy {
            None => self.resource.covers_path_encoded_twice(target),
            Some(_) => self.resource.covers_path_of(target),
        }
    }
}

/// Makes a token for `resource` (`host`, `host/devices/id`, …), not yet percent-encoded, that `key`
/// signs and that ends at the whole second of `expiry`.
pub fn sign_token(
    resource: &str,
    key: &SymmetricKey,
    expiry: Timestamp,
    policy: Option<&str>,
) -> String {
    let resource = utf8_percent_encode(resource, RESERVED);
    let seconds = expiry.seconds();
    let signature = STANDARD.encode(key.sign(format!("{resource}\n{seconds}").as_bytes()));
    let signature = utf8_percent_encode(&signature, RESERVED);
    let token = format!("{SCHEME} sr={resource}&sig={signature}&se={seconds}");
    match policy {
        None => token,
        Some(policy) => format!("{token}&skn={}", utf8_percent_encode(policy, RESERVED)),
    }
}

#[derive(Default)]
struct Fields<'a> {
    resource: Option<&'a str>,
    signature: Option<&'a str>,
    expiry: Option<&'a str>,
    policy: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn parse(text: &'a str) -> Result<Self, SasError> {
        let (scheme, rest) = text.trim().split_once(' ').ok_or(SasError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(SasError::Scheme);
        }
        let mut fields = Self::default();
        for part in rest.trim_start().split('&') {
            let (name, value) = part.split_once('=').ok_or(SasError::NoValue)?;
            let (slot, name) = match name {
                "sr" => (&mut fields.resource, "sr"),
                "sig" => (&mut fields.signature, "sig"),
                "se" => (&mut fields.expiry, "se"),
                "skn" => (&mut fields.policy, "skn"),
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return Err(SasError::Duplicate(name));
            }
        }
        Ok(fields)
    }
}

fn parse_expiry(text: &str) -> Result<Timestamp, SasError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SasError::Expiry);
    }
    // Only digits, so the one thing that can go wrong is a number beyond the last moment.
    let seconds = text.parse().unwrap_or(EXPIRY_SECONDS_MAX);
    Ok(Timestamp::from_seconds(seconds.min(EXPIRY_SECONDS_MAX)))
}

fn parse_signature(text: &str) -> Result<[u8; 32], SasError> {
    let base64: Cow<'_, [u8]> = percent_decode_str(text).into();
    STANDARD
        .decode(base64)
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(SasError::Signature)
}

fn parse_policy(text: Option<&str>) -> Result<Option<Cow<'_, str>>, SasError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    percent_decode_str(text)
        .decode_utf8()
        .map(Some)
        .map_err(|_| SasError::Policy)
}
