//! Twins: what a device should be (desired), what it says it is (reported), and back-end notes (tags).
//!
//! Every write is a pure function from the state before to the state after, or an error that leaves
//! nothing. Rules, merge law and size count: IoT Hub documentation, "Understand and use device twins".

mod error;
mod merge;
mod metadata;
mod metadata_codec;
mod rules;
mod view;
mod write;

#[cfg(test)]
mod tests;

pub use error::{TwinError, TwinPart};
pub use metadata::Metadata;
pub use metadata_codec::MetadataError;
pub use view::{DeviceView, SectionView, desired_notification, device_view, written_section};
pub use write::{
    BackEndChange, BackEndPatch, BackEndReplacement, patch_back_end, patch_reported,
    replace_back_end,
};

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// The twin of a device or module.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    /// What back ends write.
    pub back_end: BackEnd,
    /// What the device writes.
    pub reported: Section,
    /// The model (a DTMI) that the device announced.
    pub model_id: Option<String>,
}

/// The part of a twin that only back ends write, under one etag.
#[derive(Clone, Debug, PartialEq)]
pub struct BackEnd {
    /// Notes about the device that it never sees.
    pub tags: Map<String, Value>,
    /// What the device should be.
    pub desired: Section,
    /// Rises with every write to this part.
    pub etag: TwinEtag,
}

/// Properties with their version and the times of their last updates.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// The members, without `$version` and `$metadata`.
    pub properties: Map<String, Value>,
    /// When each member was last written. Has one node per member, at every depth.
    pub metadata: Metadata,
    /// `$version`: 1 at first, one more with every write.
    pub version: u64,
}

/// The guard of back-end writes: a counter that prints as the base64 of its eight bytes, big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TwinEtag(pub u64);

impl Twin {
    /// The twin of a new identity: both sections empty at version 1 and never updated.
    pub fn new() -> Self {
        Self {
            back_end: BackEnd::new(),
            reported: Section::new(),
            model_id: None,
        }
    }

    /// The twin's own version, which rises with every write to any part: 2 at first.
    pub fn version(&self) -> u64 {
        // A sum of two counters rises with either, so no third counter is kept in step with both.
        self.back_end.etag.0 + self.reported.version
    }
}

impl Default for Twin {
    fn default() -> Self {
        Self::new()
    }
}

impl BackEnd {
    /// No tags, no desired properties, the first etag.
    pub fn new() -> Self {
        Self {
            tags: Map::new(),
            desired: Section::new(),
            etag: TwinEtag(1),
        }
    }
}

impl Default for BackEnd {
    fn default() -> Self {
        Self::new()
    }
}

impl Section {
    /// No properties, version 1, never updated.
    pub fn new() -> Self {
        Self {
            properties: Map::new(),
            metadata: Metadata::never(),
            version: 1,
        }
    }
}

impl Default for Section {
    fn default() -> Self {
        Self::new()
    }
}

impl TwinEtag {
    /// Reads the printed form, unquoted; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text).ok()?;
        Some(Self(u64::from_be_bytes(bytes.try_into().ok()?)))
    }

    /// The etag after one more write.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for TwinEtag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.to_be_bytes()))
    }
}
