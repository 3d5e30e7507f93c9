//! Twins.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ConnectionState, Moment, Status};

/// A twin as back ends see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Twin {
    /// Whose it is.
    pub device_id: String,
    /// Whose it is, when it is a module's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// The guard of back-end writes; without quotes.
    pub etag: String,
    /// Rises with every write to any part.
    pub version: u64,
    /// Whether the identity may connect.
    pub status: Status,
    /// Whether a session is open.
    pub connection_state: ConnectionState,
    /// When the identity last connected or sent something; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_time: Option<Moment>,
    /// The model (a DTMI) that the device announced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_id: Option<String>,
    /// What back ends note; the device never sees it.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// What the device should be and what it says it is.
    pub properties: TwinProperties,
}

/// Both sections of a twin, each with `$metadata` and `$version` inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TwinProperties {
    /// What the device should be.
    #[serde(default)]
    pub desired: Map<String, Value>,
    /// What the device says it is.
    #[serde(default)]
    pub reported: Map<String, Value>,
}

/// What a back end writes. PATCH merges it: null removes, a part that is absent stays. PUT puts it in place of what is
/// there: a part that is absent becomes empty. `$metadata` and `$version` are ignored, so that what was read can be
/// sent back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TwinChange {
    /// The tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Map<String, Value>>,
    /// The properties.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<TwinDesired>,
}

/// The section that back ends write.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TwinDesired {
    /// What the device should be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<Map<String, Value>>,
}
