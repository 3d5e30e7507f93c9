//! Hubs as records.

use std::borrow::Cow;
use std::time::Duration;

use hub_domain::{
    HostName, Hub, HubName, HubNo, Permissions, Policy, Revision, SymmetricKey, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::settings::SettingsRecord;
use super::{from_json, to_json, unreadable};
use crate::StoreError;

const WHAT: &str = "hub";

#[derive(Serialize, Deserialize)]
struct HubRecord<'a> {
    no: u32,
    name: Cow<'a, str>,
    host: Cow<'a, str>,
    aliases: Vec<Cow<'a, str>>,
    policies: Vec<PolicyRecord<'a>>,
    partitions: u16,
    retention_seconds: u64,
    retention_bytes: u64,
    created: i64,
    #[serde(default)]
    settings: SettingsRecord<'a>,
    revision: u64,
}

#[derive(Serialize, Deserialize)]
struct PolicyRecord<'a> {
    name: Cow<'a, str>,
    permissions: u8,
    primary: String,
    secondary: String,
}

/// The record of `hub`.
pub fn encode_hub(hub: &Hub) -> Vec<u8> {
    to_json(&HubRecord {
        no: hub.no.0,
        name: hub.name.as_str().into(),
        host: hub.host.as_str().into(),
        aliases: hub
            .aliases
            .iter()
            .map(|alias| alias.as_str().into())
            .collect(),
        policies: hub.policies.iter().map(PolicyRecord::of).collect(),
        partitions: hub.partition_count,
        retention_seconds: hub.retention.as_secs(),
        retention_bytes: hub.retention_bytes_max,
        created: hub.created.micros(),
        settings: SettingsRecord::of(&hub.settings),
        revision: hub.revision.0,
    })
}

/// Reads what [`encode_hub`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_hub(bytes: &[u8]) -> Result<Hub, StoreError> {
    let record: HubRecord<'static> = from_json(WHAT, bytes)?;
    Ok(Hub {
        no: HubNo(record.no),
        name: HubName::parse(&record.name).map_err(|_| unreadable(WHAT))?,
        host: HostName::parse(&record.host).map_err(|_| unreadable(WHAT))?,
        aliases: record
            .aliases
            .iter()
            .map(|alias| HostName::parse(alias).map_err(|_| unreadable(WHAT)))
            .collect::<Result<_, _>>()?,
        policies: record
            .policies
            .into_iter()
            .map(PolicyRecord::policy)
            .collect::<Result<_, _>>()?,
        partition_count: record.partitions,
        retention: Duration::from_secs(record.retention_seconds),
        retention_bytes_max: record.retention_bytes,
        created: Timestamp::from_micros(record.created),
        settings: record.settings.settings()?,
        revision: Revision(record.revision),
    })
}

impl<'a> PolicyRecord<'a> {
    fn of(policy: &'a Policy) -> Self {
        Self {
            name: policy.name.as_str().into(),
            permissions: policy.permissions.bits(),
            primary: policy.primary.to_base64(),
            secondary: policy.secondary.to_base64(),
        }
    }

    fn policy(self) -> Result<Policy, StoreError> {
        Ok(Policy {
            name: self.name.into_owned(),
            permissions: Permissions::from_bits(self.permissions),
            primary: SymmetricKey::parse(&self.primary).map_err(|_| unreadable(WHAT))?,
            secondary: SymmetricKey::parse(&self.secondary).map_err(|_| unreadable(WHAT))?,
        })
    }
}
