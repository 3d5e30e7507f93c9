//! Provisioning: enrollments, registrations, and the service that keeps them.
//!
//! Shapes and rules are those of the provisioning service's REST documents ("Device Provisioning Service REST",
//! `IndividualEnrollment`, `EnrollmentGroup`, `DeviceRegistrationState`).

mod attestation;
mod enrollment;
mod ids;
mod policy;
mod quota;
mod registration;
mod service;

pub use attestation::{Attestation, AttestationKind, CertificateSlot, Slots, derived_key};
pub use enrollment::{
    AllocationPolicy, AllocationWebhook, Capabilities, Enrollment, EnrollmentGroup, InitialTwin,
    ReprovisionPolicy, Terms,
};
pub use ids::{EnrollmentGroupId, IdScope, OperationId, RegistrationId, WebhookUrl};
pub use policy::{
    OWNER_POLICY, ServicePermission, ServicePermissions, ServicePolicy, ServicePolicyName,
};
pub use quota::{ProvisioningLimits, ProvisioningQuota};
pub use registration::{
    Assignment, DeviceProof, Origin, Place, Progress, Refusal, RegisteredCertificates,
    Registration, RegistrationFailure, RegistrationRequest, Substatus, Target,
};
pub use service::{
    AddressRange, CertificateIssuer, CredentialPolicy, CredentialPolicyName, Latencies, Link,
    LinkedHub, ProvisioningService, ProvisioningSettings, Region,
};
