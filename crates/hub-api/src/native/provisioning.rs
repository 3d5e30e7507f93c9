//! The provisioning service: itself, and what it keeps.

mod allocation;
mod enrollment;
mod expiry;
mod issuance;
mod linked_hub;
mod policy;
mod registration;

use serde::{Deserialize, Serialize};

pub use allocation::{AllocationCandidate, AllocationPreview, AllocationRequest};
pub use enrollment::{
    AllocationPolicy, AllocationWebhook, AttestationType, AuthorityReferences, Enrollment,
    EnrollmentAttestation, EnrollmentCertificate, EnrollmentCertificates, EnrollmentGroup,
    EnrollmentGroupSettings, EnrollmentSettings, EnrollmentTerms, InitialTwin, KeyRollResult,
    KeyRollScope, KeyRollTarget, ReprovisionPolicy, TpmKeys,
};
pub use expiry::{Expiry, ExpiryReport, ExpiryWhat};
pub use issuance::{CredentialPolicy, CredentialPolicySettings, Issuer, NewIssuer};
pub use linked_hub::{
    AddressRange, AddressRanges, Latencies, Latency, LatencyValue, LinkedHub, LinkedHubChange,
    LinkedHubCheck, LinkedHubs, NewLinkedHub, RegionName,
};
pub use policy::{NewServicePolicy, ServicePolicies, ServicePolicy, ServicePolicyChange};
pub use registration::{
    DevicePlace, Refusal, Refusals, RegisteredCertificate, Registration, RegistrationStatus,
};

/// The provisioning service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningService {
    /// What devices name it by.
    pub id_scope: String,
    /// Where devices ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub global_endpoint: Option<String>,
    /// How a hub is chosen where an enrollment says nothing.
    pub allocation_policy: AllocationPolicy,
    /// How many registrations there are, by what became of them; absent for who may not read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registrations: Option<RegistrationCounts>,
}

/// How many registrations there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegistrationCounts {
    /// Devices that have their hub.
    pub assigned: u64,
    /// Devices that wait for it.
    pub assigning: u64,
    /// Devices that got none, or not the new one.
    pub failed: u64,
}

/// Other settings for the service. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProvisioningServiceChange {
    /// How a hub is chosen where an enrollment says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
}
