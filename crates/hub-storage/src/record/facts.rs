//! Facts as records: the facts of a committed group are one record.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::fact::SectionChange;
use hub_domain::twin::{BackEnd, Section, Twin, TwinEtag};
use hub_domain::{
    DeviceId, Fact, FactKind, GenerationId, HubNo, IdentityId, ModuleId, Timestamp, TwinChange,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{decode_section, encode_section, from_json, unreadable};
use crate::StoreError;

const WHAT: &str = "fact";

#[derive(Serialize, Deserialize)]
struct FactRecord<'a> {
    hub: u32,
    device: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<Cow<'a, str>>,
    at: i64,
    kind: KindRecord<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindRecord<'a> {
    Created {
        generation: Cow<'a, str>,
    },
    Updated {
        enabled: bool,
        credentials: bool,
    },
    Deleted {
        generation: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        twin: Option<WholeTwinRecord>,
    },
    Twin(TwinRecord<'a>),
    Queued,
    Purged,
}

#[derive(Serialize, Deserialize)]
struct TwinRecord<'a> {
    replaced: bool,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<Cow<'a, Map<String, Value>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desired: Option<ChangeRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reported: Option<ChangeRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    untouched_reported: Option<WholeSectionRecord>,
}

/// A whole twin. Rare: only what deletes or replaces one tells all of it.
#[derive(Serialize, Deserialize)]
struct WholeTwinRecord {
    etag: u64,
    tags: Map<String, Value>,
    desired: WholeSectionRecord,
    reported: WholeSectionRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WholeSectionRecord {
    version: u64,
    document: String,
    metadata: String,
}

impl WholeSectionRecord {
    fn of(section: &Section) -> Self {
        let record = encode_section(section);
        Self {
            version: section.version,
            document: record.document,
            metadata: STANDARD.encode(record.metadata),
        }
    }

    fn section(self) -> Result<Section, StoreError> {
        let metadata = STANDARD
            .decode(&self.metadata)
            .map_err(|_| unreadable(WHAT))?;
        decode_section(self.version, &self.document, &metadata)
    }
}

impl WholeTwinRecord {
    fn of(twin: &Twin) -> Self {
        Self {
            etag: twin.back_end.etag.0,
            tags: twin.back_end.tags.clone(),
            desired: WholeSectionRecord::of(&twin.back_end.desired),
            reported: WholeSectionRecord::of(&twin.reported),
            model_id: twin.model_id.clone(),
        }
    }

    fn twin(self) -> Result<Twin, StoreError> {
        Ok(Twin {
            back_end: BackEnd {
                tags: self.tags,
                desired: self.desired.section()?,
                etag: TwinEtag(self.etag),
            },
            reported: self.reported.section()?,
            model_id: self.model_id,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ChangeRecord<'a> {
    members: Cow<'a, Map<String, Value>>,
    version: u64,
}

/// The record of `facts`, in their order.
pub fn encode_facts<'a>(facts: impl Iterator<Item = &'a Fact>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    for fact in facts {
        out.push(if out.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut out, &FactRecord::of(fact))
            .expect("records have text keys and no failing serializers");
    }
    if out.is_empty() {
        out.push(b'[');
    }
    out.push(b']');
    out
}

/// Reads what [`encode_facts`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_facts(bytes: &[u8]) -> Result<Vec<Fact>, StoreError> {
    let records: Vec<FactRecord<'static>> = from_json(WHAT, bytes)?;
    records.into_iter().map(FactRecord::fact).collect()
}

impl<'a> FactRecord<'a> {
    fn of(fact: &'a Fact) -> Self {
        Self {
            hub: fact.hub.0,
            device: fact.id.device.as_str().into(),
            module: fact.id.module.as_ref().map(|module| module.as_str().into()),
            at: fact.at.micros(),
            kind: KindRecord::of(&fact.kind),
        }
    }

    fn fact(self) -> Result<Fact, StoreError> {
        let device = DeviceId::parse(&self.device).map_err(|_| unreadable(WHAT))?;
        let module = self
            .module
            .map(|module| ModuleId::parse(&module).map_err(|_| unreadable(WHAT)))
            .transpose()?;
        Ok(Fact {
            hub: HubNo(self.hub),
            id: IdentityId { device, module },
            at: Timestamp::from_micros(self.at),
            kind: self.kind.kind()?,
        })
    }
}

impl<'a> KindRecord<'a> {
    fn of(kind: &'a FactKind) -> Self {
        match kind {
            FactKind::IdentityCreated { generation } => Self::Created {
                generation: generation.as_str().into(),
            },
            FactKind::IdentityUpdated {
                enabled,
                credentials_changed,
            } => Self::Updated {
                enabled: *enabled,
                credentials: *credentials_changed,
            },
            FactKind::IdentityDeleted { generation, twin } => Self::Deleted {
                generation: generation.as_str().into(),
                twin: twin.as_deref().map(WholeTwinRecord::of),
            },
            FactKind::TwinChanged(change) => Self::Twin(TwinRecord {
                replaced: change.replaced,
                version: change.version,
                tags: change.tags.as_ref().map(Cow::Borrowed),
                desired: change.desired.as_ref().map(ChangeRecord::of),
                reported: change.reported.as_ref().map(ChangeRecord::of),
                untouched_reported: change
                    .untouched_reported
                    .as_deref()
                    .map(WholeSectionRecord::of),
            }),
            FactKind::MessageQueued => Self::Queued,
            FactKind::MessagesPurged => Self::Purged,
        }
    }

    fn kind(self) -> Result<FactKind, StoreError> {
        Ok(match self {
            Self::Created { generation } => FactKind::IdentityCreated {
                generation: GenerationId(Arc::from(generation)),
            },
            Self::Updated {
                enabled,
                credentials,
            } => FactKind::IdentityUpdated {
                enabled,
                credentials_changed: credentials,
            },
            Self::Deleted { generation, twin } => FactKind::IdentityDeleted {
                generation: GenerationId(Arc::from(generation)),
                twin: twin.map(WholeTwinRecord::twin).transpose()?.map(Box::new),
            },
            Self::Twin(record) => FactKind::TwinChanged(TwinChange {
                replaced: record.replaced,
                version: record.version,
                tags: record.tags.map(Cow::into_owned),
                desired: record.desired.map(ChangeRecord::change),
                reported: record.reported.map(ChangeRecord::change),
                untouched_reported: record
                    .untouched_reported
                    .map(WholeSectionRecord::section)
                    .transpose()?
                    .map(Box::new),
            }),
            Self::Queued => FactKind::MessageQueued,
            Self::Purged => FactKind::MessagesPurged,
        })
    }
}

impl<'a> ChangeRecord<'a> {
    const fn of(change: &'a SectionChange) -> Self {
        Self {
            members: Cow::Borrowed(&change.members),
            version: change.version,
        }
    }

    fn change(self) -> SectionChange {
        SectionChange {
            members: self.members.into_owned(),
            version: self.version,
        }
    }
}
