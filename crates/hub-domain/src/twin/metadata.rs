//! When each member of a section was last written.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::Timestamp;

/// One node per member of a section: its last update, and the same of its own members.
///
/// Mirrors the objects of the document; arrays are leaves. Serializes as the vendor's `$metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// When the member or one below it was last written.
    pub updated: Timestamp,
    /// The `$version` that wrote it; desired sections only, from their first write on.
    pub version: Option<u64>,
    /// The members of an object.
    pub children: BTreeMap<String, Metadata>,
}

/// What a write leaves on every node it touches.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) now: Timestamp,
    pub(super) version: Option<u64>,
}

impl Metadata {
    /// The metadata of a section that was never written.
    pub const fn never() -> Self {
        Self {
            updated: Timestamp::NEVER,
            version: None,
            children: BTreeMap::new(),
        }
    }

    pub(super) const fn leaf(stamp: Stamp) -> Self {
        Self {
            updated: stamp.now,
            version: stamp.version,
            children: BTreeMap::new(),
        }
    }

    /// Follows [`merge`](super::merge::merge) of the same patch into the document. Every touched node
    /// and all above it get the stamp.
    pub(super) fn record(&mut self, patch: &Map<String, Value>, stamp: Stamp) {
        self.updated = stamp.now;
        self.version = stamp.version;
        for (key, change) in patch {
            match change {
                Value::Null => {
                    self.children.remove(key);
                }
                // A value that is no object has no children, so an object in its place starts afresh.
                Value::Object(members) => match self.children.get_mut(key) {
                    Some(child) => child.record(members, stamp),
                    None => {
                        let mut child = Self::leaf(stamp);
                        child.record(members, stamp);
                        self.children.insert(key.clone(), child);
                    }
                },
                Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                    self.children.insert(key.clone(), Self::leaf(stamp));
                }
            }
        }
    }

    /// True when every object member of `document` has its node, and there is no other node.
    pub fn mirrors(&self, document: &Map<String, Value>) -> bool {
        self.children.len() == document.len()
            && document.iter().all(|(key, value)| {
                self.children.get(key).is_some_and(|child| match value {
                    Value::Object(members) => child.mirrors(members),
                    Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_) => child.children.is_empty(),
                })
            })
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("$lastUpdated", &self.updated.to_string())?;
        if let Some(version) = self.version {
            map.serialize_entry("$lastUpdatedVersion", &version)?;
        }
        for (key, child) in &self.children {
            map.serialize_entry(key, child)?;
        }
        map.end()
    }
}
