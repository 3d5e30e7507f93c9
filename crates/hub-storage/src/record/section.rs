//! Twin sections as records: the document as JSON text, its metadata as bytes that follow the document.

use hub_domain::twin::{Metadata, Section};
use serde_json::{Map, Value};

use super::{from_json, unreadable};
use crate::StoreError;

/// The stored parts of a section; its version is kept beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionRecord {
    /// The members as a JSON object.
    pub document: String,
    /// When they were written, in the order of the document.
    pub metadata: Vec<u8>,
}

/// The record of `section`.
///
/// # Panics
/// When the section's metadata does not mirror its document.
pub fn encode_section(section: &Section) -> SectionRecord {
    SectionRecord {
        document: encode_document(&section.properties),
        metadata: section.metadata.encode(&section.properties),
    }
}

/// Reads what [`encode_section`] wrote.
///
/// # Errors
/// When the parts are not such a record, or not of the same section.
pub fn decode_section(
    version: u64,
    document: &str,
    metadata: &[u8],
) -> Result<Section, StoreError> {
    let properties = decode_document(document)?;
    let metadata = Metadata::decode(metadata, &properties).map_err(StoreError::internal)?;
    Ok(Section {
        properties,
        metadata,
        version,
    })
}

/// The text of an object.
pub fn encode_document(document: &Map<String, Value>) -> String {
    serde_json::to_string(document).expect("JSON values with text keys always serialize")
}

/// Reads what [`encode_document`] wrote.
///
/// # Errors
/// When the text is no JSON object.
pub fn decode_document(text: &str) -> Result<Map<String, Value>, StoreError> {
    // Most sections of most twins are empty.
    if text == "{}" {
        return Ok(Map::new());
    }
    if !text.starts_with('{') {
        return Err(unreadable("twin section"));
    }
    from_json("twin section", text.as_bytes())
}
