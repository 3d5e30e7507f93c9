//! The stored form of metadata: two or three bytes per node of a document written at once.
//!
//! One format byte, then the nodes in the order in which the document is walked, keys left out:
//! - a number: `shape << 1 | has_version`, where shape is 0 for a leaf and members + 1 for an object;
//! - the time in microseconds, relative to the root's (the root's relative to the Unix epoch);
//! - the version if there is one, relative to the root's (the root's as it is).
//!
//! Numbers are LEB128; relative ones wrap and are zigzag-coded first. The root is the newest node, so
//! most differences are zero.

use serde_json::{Map, Value};

use super::Metadata;
use crate::Timestamp;

const FORMAT: u8 = 1;

/// Stored metadata that does not belong to its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Another format than this program knows.
    #[error("stored twin metadata has the unknown format {0}")]
    Format(u8),
    /// It ends before the document does.
    #[error("stored twin metadata is cut short")]
    Short,
    /// It goes on after the document ends.
    #[error("stored twin metadata is longer than its document")]
    Long,
    /// A number has more than 64 bits.
    #[error("stored twin metadata has a number with more than 64 bits")]
    Number,
    /// A node has other members than the document says.
    #[error("stored twin metadata has another shape than its document")]
    Shape,
}

/// What differences are relative to.
#[derive(Clone, Copy, Default)]
struct Base {
    time: u64,
    version: u64,
}

impl Metadata {
    /// The bytes to store beside `document`, which this metadata mirrors.
    ///
    /// # Panics
    /// When it does not mirror it.
    pub fn encode(&self, document: &Map<String, Value>) -> Vec<u8> {
        let mut out = vec![FORMAT];
        write_node(&mut out, self, shape_of(Some(document)), Base::default());
        write_members(&mut out, self, document, self.base());
        out
    }

    /// Reads what [`Self::encode`] wrote for the same document.
    ///
    /// # Errors
    /// When the bytes do not fit the document.
    pub fn decode(bytes: &[u8], document: &Map<String, Value>) -> Result<Self, MetadataError> {
        let (&format, rest) = bytes.split_first().ok_or(MetadataError::Short)?;
        if format != FORMAT {
            return Err(MetadataError::Format(format));
        }
        let mut input = rest;
        let mut root = read_node(&mut input, shape_of(Some(document)), Base::default())?;
        let base = root.base();
        read_members(&mut input, &mut root, document, base)?;
        if input.is_empty() {
            Ok(root)
        } else {
            Err(MetadataError::Long)
        }
    }

    fn base(&self) -> Base {
        Base {
            time: self.updated.micros().cast_unsigned(),
            version: self.version.unwrap_or(0),
        }
    }
}

fn write_members(out: &mut Vec<u8>, node: &Metadata, document: &Map<String, Value>, base: Base) {
    for (key, value) in document {
        let child = node
            .children
            .get(key)
            .expect("metadata mirrors its document");
        write_node(out, child, shape_of(value.as_object()), base);
        if let Value::Object(members) = value {
            write_members(out, child, members, base);
        }
    }
}

fn read_members(
    input: &mut &[u8],
    node: &mut Metadata,
    document: &Map<String, Value>,
    base: Base,
) -> Result<(), MetadataError> {
    for (key, value) in document {
        let mut child = read_node(input, shape_of(value.as_object()), base)?;
        if let Value::Object(members) = value {
            read_members(input, &mut child, members, base)?;
        }
        node.children.insert(key.clone(), child);
    }
    Ok(())
}

fn write_node(out: &mut Vec<u8>, node: &Metadata, shape: u64, base: Base) {
    let own = node.base();
    write_number(out, (shape << 1) | u64::from(node.version.is_some()));
    write_difference(out, own.time.wrapping_sub(base.time));
    if node.version.is_some() {
        write_difference(out, own.version.wrapping_sub(base.version));
    }
}

fn read_node(input: &mut &[u8], shape: u64, base: Base) -> Result<Metadata, MetadataError> {
    let header = read_number(input)?;
    if header >> 1 != shape {
        return Err(MetadataError::Shape);
    }
    let time = base.time.wrapping_add(read_difference(input)?);
    let version = match header & 1 {
        0 => None,
        _ => Some(base.version.wrapping_add(read_difference(input)?)),
    };
    Ok(Metadata {
        updated: Timestamp::from_micros(time.cast_signed()),
        version,
        ..Metadata::never()
    })
}

fn shape_of(members: Option<&Map<String, Value>>) -> u64 {
    members.map_or(0, |members| members.len() as u64 + 1)
}

fn write_difference(out: &mut Vec<u8>, difference: u64) {
    let signed = difference.cast_signed();
    write_number(out, ((signed << 1) ^ (signed >> 63)).cast_unsigned());
}

fn read_difference(input: &mut &[u8]) -> Result<u64, MetadataError> {
    let zigzag = read_number(input)?;
    Ok((zigzag >> 1) ^ (zigzag & 1).wrapping_neg())
}

fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(input: &mut &[u8]) -> Result<u64, MetadataError> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(MetadataError::Short)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return Err(MetadataError::Number);
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(MetadataError::Number)
}
