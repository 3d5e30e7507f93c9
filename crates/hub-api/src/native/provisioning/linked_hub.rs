//! The hubs that devices can be assigned to, and how far they are from whom.

use serde::{Deserialize, Serialize};

/// The linked hubs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LinkedHubs {
    /// Those of the installation first.
    pub items: Vec<LinkedHub>,
}

/// A hub that devices can be assigned to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LinkedHub {
    /// Its host name.
    pub host_name: String,
    /// True for a hub of this installation, which is linked by itself.
    pub is_own: bool,
    /// The policy by which the service reaches it, of another installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Its share of devices under the hashed policy.
    pub allocation_weight: u32,
    /// False when only enrollments that name it use it.
    pub apply_allocation_policy: bool,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Whether devices can be assigned to a linked hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct LinkedHubCheck {
    /// Its host name.
    pub host_name: String,
    /// True when it answers, and its policy may read and write identities and twins.
    pub is_usable: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A hub of another installation to be linked.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewLinkedHub {
    /// The connection string of a policy with RegistryWrite and ServiceConnect. It is never shown again.
    pub connection_string: String,
    /// Its share of devices under the hashed policy, 1 to 1,000; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_weight: Option<u32>,
    /// False when only enrollments that name it shall use it; true when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_allocation_policy: Option<bool>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Other settings for a linked hub. What is absent stays.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkedHubChange {
    /// Another connection string to the same hub; of another installation only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
    /// Its share of devices under the hashed policy, 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_weight: Option<u32>,
    /// Whether policies may choose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apply_allocation_policy: Option<bool>,
    /// Where it is; empty when that shall not count any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// Where callers are, by their addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressRanges {
    /// The ranges, each once; of those that hold an address the longest prefix counts.
    pub items: Vec<AddressRange>,
}

/// A range of addresses and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressRange {
    /// `address/prefix`.
    pub range: String,
    /// Its region.
    pub region: String,
}

/// The name of a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegionName {
    /// Letters, digits, space, `-` and `_`; compared without case.
    pub region: String,
}

/// How far hubs are from the regions of callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latencies {
    /// By region and hub.
    pub items: Vec<Latency>,
}

/// How long callers of a region take to a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// Where callers are.
    pub region: String,
    /// The hub.
    pub host_name: String,
    /// How long.
    pub microseconds: u64,
}

/// How long it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LatencyValue {
    /// In microseconds.
    pub microseconds: u64,
}
