//! The provisioning service: devices register here and are told which hub is theirs.
//!
//! It stands on the hub engine, which knows nothing of it. Attestation decides who asks, allocation decides (purely)
//! where the device goes, and one unit of the store keeps the identity in the hub and the registration together. Where
//! a webhook or another installation has to answer first, the registration is kept as `assigning` and a job goes on
//! with it, also after a crash.
//!
//! Invariants:
//! - every operation of back ends checks its caller's permission itself, every call of a device its proof;
//! - a registration says `assigned` only when the identity is in the hub;
//! - a registration is decided on an enrollment that is still the same when it is committed;
//! - whatever was done at another installation is done again after a crash with the same outcome.

mod access;
mod allocation;
mod attestation;
mod authorities;
mod challenges;
mod context;
mod credentials;
mod documents;
mod enrollments;
mod error;
mod groups;
mod hubs;
mod issuance;
mod parts;
mod provisioning;
mod quotas;
mod refusals;
mod registrations;
mod renewals;
mod rolling;
mod rules;
mod service;

pub mod tpm;

pub use access::Access;
pub use allocation::{Choice, Ranked};
pub use attestation::{Credential, DeviceCall};
pub use authorities::Authorities;
pub use challenges::Challenge;
pub use context::{Caller, Context};
pub use credentials::{Credentials, GivenIssuer, NewCredentialPolicy};
pub use documents::{certificate_info, error_document, operation_document, registration_document};
pub use enrollments::{
    BulkError, BulkMode, EnrollmentBulkItem, Enrollments, NewAttestation, NewEnrollment,
};
pub use error::Error;
pub use groups::{GroupBulkItem, Groups, NewGroup};
pub use hub_api::client::Outside;
pub use hub_engine::KeyRoll;
pub use hub_storage::store::{RefusalPosition, RegistrationFilter};
pub use issuance::{CertificateRequest, RequestError};
pub use parts::Parts;
pub use provisioning::Provisioning;
pub use quotas::Quotas;
pub use registrations::{
    LinkCheck, OperationStatus, Preview, PreviewRequest, RegisterRequest, Registered,
    Registrations, TpmKeys,
};
pub use renewals::{Begun, Malformed, RenewalRequest, Renewals, Replace, Reply};
pub use rolling::{RollCall, RollOf, RollPage};
pub use service::{HubLink, NewServicePolicy, Service, ServicePolicyChange};
