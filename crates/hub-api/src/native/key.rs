//! Keys that are rolled: one becomes new while the other is in use.

use serde::{Deserialize, Serialize};

use super::ErrorDetail;

/// Which key is rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum KeySlot {
    /// The first key becomes a new one.
    Primary,
    /// The second key becomes a new one.
    Secondary,
    /// They change places.
    Swap,
    /// Both become new ones, and whoever has either of the old ones is out.
    Both,
}

/// Keys to roll in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRoll {
    /// Which.
    pub slot: KeySlot,
}

/// Keys to roll of several identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityKeyRoll {
    /// Which.
    pub slot: KeySlot,
    /// Of whom: 1 to 100, each once.
    pub identities: Vec<IdentityName>,
}

/// A device, or a module of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IdentityName {
    /// The device.
    pub device_id: String,
    /// The module, when it is one's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
}

/// What became of rolling keys of several identities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IdentityKeyRollResult {
    /// Whose keys were rolled.
    pub rolled: Vec<IdentityName>,
    /// Whose were not.
    pub failed: Vec<IdentityFailure>,
}

/// An identity for which something was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct IdentityFailure {
    /// Which one.
    pub identity: IdentityName,
    /// Why.
    pub error: ErrorDetail,
}
