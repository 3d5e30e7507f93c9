//! Open uploads as records.

use std::borrow::Cow;

use hub_domain::upload::{BlobName, CorrelationId, Upload};
use hub_domain::{HubNo, SymmetricKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json, unreadable};
use crate::StoreError;

const WHAT: &str = "upload";

#[derive(Serialize, Deserialize)]
struct UploadRecord<'a> {
    correlation: Cow<'a, str>,
    hub: u32,
    name: Cow<'a, str>,
    key: String,
    begun: i64,
    expires: i64,
}

/// The record of `upload`.
pub fn encode_upload(upload: &Upload) -> Vec<u8> {
    to_json(&UploadRecord {
        correlation: upload.correlation.as_str().into(),
        hub: upload.hub.0,
        name: upload.name.as_str().into(),
        key: upload.key.to_base64(),
        begun: upload.begun.micros(),
        expires: upload.expires.micros(),
    })
}

/// Reads the record of an upload.
///
/// # Errors
/// When it is none.
pub fn decode_upload(bytes: &[u8]) -> Result<Upload, StoreError> {
    let record: UploadRecord<'_> = from_json(WHAT, bytes)?;
    Ok(Upload {
        correlation: CorrelationId::parse(&record.correlation).ok_or_else(|| unreadable(WHAT))?,
        hub: HubNo(record.hub),
        name: BlobName::parse(&record.name).map_err(|_| unreadable(WHAT))?,
        key: SymmetricKey::parse(&record.key).map_err(|_| unreadable(WHAT))?,
        begun: Timestamp::from_micros(record.begun),
        expires: Timestamp::from_micros(record.expires),
    })
}
