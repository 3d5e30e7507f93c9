//! The stored form of hubs, identities, messages, twin sections, provisioning, facts and unit results.
//!
//! Backends keep these bytes and know nothing of them; what they search by, they keep in columns
//! beside. This is a disk format: the types here are its own, so that the words of the domain can
//! change without it. Hubs, identities, enrollments and registrations hold keys: records are never logged, and no error here
//! repeats what it could not read.

mod certificate;
mod facts;
mod hub;
mod identity;
mod message;
mod provisioning;
mod results;
mod section;
mod service_bound;
mod settings;
mod upload;

#[cfg(test)]
mod tests;

pub use service_bound::{decode_service_bound, encode_service_bound};

pub use facts::{decode_facts, encode_facts};
pub use hub::{decode_hub, encode_hub};
pub use identity::{decode_identity, encode_identity};
pub use message::{decode_message, encode_message};
pub use provisioning::{
    decode_enrollment, decode_enrollment_group, decode_provisioning_service, decode_refusal,
    decode_registration, encode_enrollment, encode_enrollment_group, encode_provisioning_service,
    encode_refusal, encode_registration,
};
pub use results::{decode_committed, encode_committed};
pub use section::{
    SectionRecord, decode_document, decode_section, encode_document, encode_section,
};
pub use upload::{decode_upload, encode_upload};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StoreError;

fn to_json(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have text keys and no failing serializers")
}

fn from_json<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, StoreError> {
    // The parser's own message quotes what it read, which may be a key.
    serde_json::from_slice(bytes).map_err(|error| unreadable_at(what, error.column()))
}

fn unreadable_at(what: &'static str, position: usize) -> StoreError {
    StoreError::Internal {
        text: format!("a stored {what} cannot be read (at byte {position})"),
    }
}

fn unreadable(what: &'static str) -> StoreError {
    StoreError::Internal {
        text: format!("a stored {what} cannot be read"),
    }
}
