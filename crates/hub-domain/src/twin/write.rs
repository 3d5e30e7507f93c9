//! Writes to a twin.

use serde_json::{Map, Value};

use super::merge::merge;
use super::metadata::Stamp;
use super::{BackEnd, Section, TwinError, TwinPart, rules};
use crate::Timestamp;
use crate::fact::SectionChange;

/// A back-end merge. A part that is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackEndPatch {
    /// What to merge into the tags.
    pub tags: Option<Map<String, Value>>,
    /// What to merge into the desired properties.
    pub desired: Option<Map<String, Value>>,
}

/// Whole parts to put in place of the present ones. A part that is absent stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackEndReplacement {
    /// All tags.
    pub tags: Option<Map<String, Value>>,
    /// All desired properties.
    pub desired: Option<Map<String, Value>>,
}

/// What a back-end write comes to.
#[derive(Clone, Debug, PartialEq)]
pub struct BackEndChange {
    /// The part after the write.
    pub next: BackEnd,
    /// The tags as written, if they were.
    pub tags: Option<Map<String, Value>>,
    /// The desired members as written, if they were, with the section's new version: what the device
    /// is told ([`desired_notification`](super::desired_notification)).
    pub desired: Option<SectionChange>,
}

/// Merges what a device reports.
///
/// `expected` is the `$version` that the device believes the section has, if it said one.
///
/// # Errors
/// When the version is another, or the patch breaks a rule. Keys that start with `$` do.
pub fn patch_reported(
    section: &Section,
    patch: &Map<String, Value>,
    expected: Option<u64>,
    now: Timestamp,
) -> Result<Section, TwinError> {
    if let Some(expected) = expected.filter(|expected| *expected != section.version) {
        let actual = section.version;
        return Err(TwinError::VersionMismatch {
            part: TwinPart::Reported,
            expected,
            actual,
        });
    }
    rules::check(TwinPart::Reported, patch)?;
    let mut next = section.clone();
    next.version += 1;
    merge(&mut next.properties, patch);
    next.metadata.record(patch, Stamp { now, version: None });
    rules::check_size(TwinPart::Reported, &next.properties)?;
    Ok(next)
}

/// Merges tags and desired properties.
///
/// `$version` and `$metadata` beside the desired properties are ignored, for clients send back what
/// they read. The etag rises with every write, the desired version only when desired is written.
///
/// # Errors
/// When the patch breaks a rule.
pub fn patch_back_end(
    back_end: &BackEnd,
    patch: &BackEndPatch,
    now: Timestamp,
) -> Result<BackEndChange, TwinError> {
    let mut next = BackEnd {
        etag: back_end.etag.next(),
        ..back_end.clone()
    };
    if let Some(members) = &patch.tags {
        write_tags(&mut next.tags, members)?;
    }
    let desired = match &patch.desired {
        Some(members) => Some(write_desired(&mut next.desired, members, now)?),
        None => None,
    };
    Ok(BackEndChange {
        next,
        tags: patch.tags.clone(),
        desired,
    })
}

/// Replaces tags and desired properties as a whole; every member counts as written. Ignores and refuses
/// what [`patch_back_end`] does, and nulls count as absent.
///
/// # Errors
/// When the replacement breaks a rule.
pub fn replace_back_end(
    back_end: &BackEnd,
    replacement: &BackEndReplacement,
    now: Timestamp,
) -> Result<BackEndChange, TwinError> {
    let mut next = BackEnd {
        etag: back_end.etag.next(),
        ..back_end.clone()
    };
    let mut tags = None;
    if let Some(members) = &replacement.tags {
        next.tags = Map::new();
        write_tags(&mut next.tags, members)?;
        tags = Some(next.tags.clone());
    }
    let mut desired = None;
    if let Some(members) = &replacement.desired {
        next.desired = Section {
            version: back_end.desired.version,
            ..Section::new()
        };
        let change = write_desired(&mut next.desired, members, now)?;
        desired = Some(SectionChange {
            members: next.desired.properties.clone(),
            ..change
        });
    }
    Ok(BackEndChange {
        next,
        tags,
        desired,
    })
}

fn write_tags(tags: &mut Map<String, Value>, patch: &Map<String, Value>) -> Result<(), TwinError> {
    rules::check(TwinPart::Tags, patch)?;
    merge(tags, patch);
    rules::check_size(TwinPart::Tags, tags)
}

fn write_desired(
    desired: &mut Section,
    patch: &Map<String, Value>,
    now: Timestamp,
) -> Result<SectionChange, TwinError> {
    let members = without_read_only(patch);
    rules::check(TwinPart::Desired, &members)?;
    desired.version += 1;
    merge(&mut desired.properties, &members);
    desired.metadata.record(
        &members,
        Stamp {
            now,
            version: Some(desired.version),
        },
    );
    rules::check_size(TwinPart::Desired, &desired.properties)?;
    Ok(SectionChange {
        members,
        version: desired.version,
    })
}

fn without_read_only(members: &Map<String, Value>) -> Map<String, Value> {
    let written = |key: &str| !matches!(key, "$version" | "$metadata");
    members
        .iter()
        .filter(|(key, _)| written(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
