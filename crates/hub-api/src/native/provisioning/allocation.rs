//! Where a device would go, and why.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::AllocationPolicy;

/// A device that might register.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllocationRequest {
    /// Under which id.
    pub registration_id: String,
    /// By which group; its own enrollment when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// Where it would call from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// What it would send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}

/// Where it would go. Nothing was asked of a webhook, and nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AllocationPreview {
    /// The group that decides; absent where it is an enrollment of the device's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// False when the enrollment is disabled, and the device would be turned away.
    pub is_enabled: bool,
    /// By which policy.
    pub policy: AllocationPolicy,
    /// True when the enrollment says nothing, and the service's own policy counts.
    pub is_policy_of_service: bool,
    /// The hub that it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_hub: Option<String>,
    /// True when it stays there, whatever the policy says.
    pub stays: bool,
    /// Where it is, when that is known and counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The hubs, best first; the next one is tried when one cannot be reached.
    pub hubs: Vec<AllocationCandidate>,
    /// The hub of another installation that has the device, where its twin comes along from. While that does not answer the
    /// device waits for it, and goes to none of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Why there is no hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
}

/// A hub and why it has its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AllocationCandidate {
    /// The hub.
    pub host_name: String,
    /// Why.
    pub reason: String,
}
