//! The documents of the provisioning service, as its clients send and read them.
//!
//! Requests become values of the domain here. What a certificate says of itself is told by the caller
//! ([`Describe`]), for this crate reads no certificates.

mod attestation;
mod bulk;
mod challenge;
mod enrollment;
mod error;
mod query;

#[cfg(test)]
mod tests;

pub use attestation::{
    AttestationInput, CertificateDescription, CertificateInput, Describe, attestation_document,
    certificate_bytes, pem,
};
pub use bulk::{BulkInput, BulkItem, BulkMode, BulkProblem, bulk_result};
pub use challenge::{AUTHORIZATION_REQUIRED, challenge_document};
pub use enrollment::{
    EnrollmentGroupInput, EnrollmentInput, enrollment_document, enrollment_group_document,
    quoted_etag,
};
pub use error::ProvisioningErrorBody;
pub use query::{Collection, EnrollmentQuery, QueryError};
