//! Facts: committed records that something happened.

use serde_json::{Map, Value};

use crate::twin::{Section, Twin};
use crate::{GenerationId, HubNo, IdentityId, Timestamp};

/// Something happened to an identity. Written in the same transaction as the change itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    /// In which hub.
    pub hub: HubNo,
    /// To which identity; facts are ordered per identity.
    pub id: IdentityId,
    /// When it was decided.
    pub at: Timestamp,
    /// What.
    pub kind: FactKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum FactKind {
    /// The identity was created. Its twin is the initial one unless a patch follows.
    IdentityCreated {
        /// Which of the lives of this id.
        generation: GenerationId,
    },
    /// Status, keys or other registry data changed.
    IdentityUpdated {
        /// False when the identity may no longer connect.
        enabled: bool,
        /// True when keys or thumbprints changed, so that open sessions must prove themselves again.
        credentials_changed: bool,
    },
    /// The identity was deleted; for a device with all its modules, each of which has a fact of its own.
    IdentityDeleted {
        /// Which of the lives of this id.
        generation: GenerationId,
        /// Its twin when the deletion was decided, where that is known.
        twin: Option<Box<Twin>>,
    },
    /// The twin changed.
    TwinChanged(TwinChange),
    /// A cloud-to-device message was queued.
    MessageQueued,
    /// The cloud-to-device queue was emptied by a back end.
    MessagesPurged,
}

/// A twin write as it was asked for: the patch, not the twin.
#[derive(Clone, Debug, PartialEq)]
pub struct TwinChange {
    /// True when sections were replaced as a whole.
    pub replaced: bool,
    /// The twin's version after the change.
    pub version: u64,
    /// The tags that were written.
    pub tags: Option<Map<String, Value>>,
    /// The desired members that were written, with the section's new version.
    pub desired: Option<SectionChange>,
    /// The reported members that were written, with the section's new version.
    pub reported: Option<SectionChange>,
    /// The reported section that the write left as it was, when the other parts were replaced as a whole: with it the
    /// fact tells the whole twin.
    pub untouched_reported: Option<Box<Section>>,
}

/// What was written to one section.
#[derive(Clone, Debug, PartialEq)]
pub struct SectionChange {
    /// The members as written; a removed member is null.
    pub members: Map<String, Value>,
    /// The section's `$version` after the change.
    pub version: u64,
}
