//! The parts of provisioning as records. Most of them hold keys.

mod attestation;
mod enrollment;
mod registration;
mod service;

#[cfg(test)]
mod tests;

pub use enrollment::{
    decode_enrollment, decode_enrollment_group, encode_enrollment, encode_enrollment_group,
};
pub use registration::{decode_refusal, decode_registration, encode_refusal, encode_registration};
pub use service::{decode_provisioning_service, encode_provisioning_service};

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::HostName;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::unreadable;
use crate::StoreError;

/// Bytes as base64.
fn encode_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn decode_bytes(what: &'static str, text: &str) -> Result<Arc<[u8]>, StoreError> {
    let bytes = STANDARD.decode(text).map_err(|_| unreadable(what))?;
    Ok(bytes.into())
}

fn encode_all_bytes(all: &[Arc<[u8]>]) -> Vec<String> {
    all.iter().map(|bytes| encode_bytes(bytes)).collect()
}

fn decode_all_bytes(what: &'static str, all: &[String]) -> Result<Vec<Arc<[u8]>>, StoreError> {
    all.iter().map(|text| decode_bytes(what, text)).collect()
}

/// A document of a peer as text of its own: within the record it would be nested deeper than a reader may go.
fn encode_document(document: &impl Serialize) -> String {
    serde_json::to_string(document).expect("JSON values with text keys always serialize")
}

fn decode_document<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(what))
}

/// A host name in the form that is read back: an IPv6 address in brackets, for its last part looks like a port.
fn encode_host(host: &HostName) -> Cow<'_, str> {
    if host.as_str().contains(':') {
        format!("[{host}]").into()
    } else {
        host.as_str().into()
    }
}

fn decode_host(what: &'static str, text: &str) -> Result<HostName, StoreError> {
    HostName::parse(text).map_err(|_| unreadable(what))
}
