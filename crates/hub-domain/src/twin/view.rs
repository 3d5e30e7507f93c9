//! Twins as their readers see them.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use super::metadata::{Metadata, Stamp};
use super::{Section, Twin, TwinPart};
use crate::Timestamp;
use crate::fact::SectionChange;

/// What a device reads over MQTT and AMQP: both sections with their versions, nothing else.
///
/// `{"desired":{…,"$version":N},"reported":{…,"$version":M}}`; the Python client reads
/// `["desired"]["$version"]` (`sync_clients.py`, `async_clients.py`).
#[derive(Serialize)]
pub struct DeviceView<'a> {
    desired: SectionView<'a>,
    reported: SectionView<'a>,
}

impl<'a> DeviceView<'a> {
    /// What the device sees of `twin`.
    pub fn new(twin: &'a Twin) -> Self {
        Self {
            desired: SectionView::without_metadata(&twin.back_end.desired),
            reported: SectionView::without_metadata(&twin.reported),
        }
    }
}

/// The text of [`DeviceView`].
pub fn device_view(twin: &Twin) -> String {
    serde_json::to_string(&DeviceView::new(twin))
        .expect("JSON values with text keys always serialize")
}

/// A section with its version: the members, then `$metadata` for back ends, then `$version`.
pub struct SectionView<'a> {
    section: &'a Section,
    metadata: Shown,
}

enum Shown {
    Yes,
    No,
}

impl<'a> SectionView<'a> {
    /// As back ends see it.
    pub const fn with_metadata(section: &'a Section) -> Self {
        Self {
            section,
            metadata: Shown::Yes,
        }
    }

    /// As devices see it.
    pub const fn without_metadata(section: &'a Section) -> Self {
        Self {
            section,
            metadata: Shown::No,
        }
    }
}

impl Serialize for SectionView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in &self.section.properties {
            map.serialize_entry(key, value)?;
        }
        if let Shown::Yes = self.metadata {
            map.serialize_entry("$metadata", &self.section.metadata)?;
        }
        map.serialize_entry("$version", &self.section.version)?;
        map.end()
    }
}

/// The text that tells a device about a desired change: the members as written, nulls kept, and the
/// section's new `$version`.
pub fn desired_notification(change: &SectionChange) -> String {
    let mut members = change.members.clone();
    members.insert("$version".to_owned(), Value::from(change.version));
    serde_json::to_string(&members).expect("JSON values with text keys always serialize")
}

/// What a write left, as a section of its own: the members as written, nulls kept, and their metadata.
pub fn written_section(change: &SectionChange, part: TwinPart, at: Timestamp) -> Section {
    let version = match part {
        TwinPart::Desired => Some(change.version),
        TwinPart::Tags | TwinPart::Reported => None,
    };
    let mut metadata = Metadata::never();
    metadata.record(&change.members, Stamp { now: at, version });
    Section {
        properties: change.members.clone(),
        metadata,
        version: change.version,
    }
}
