//! The provisioning service as its heads see it, over the in-memory reference.

mod crashes;
mod enrollments;
mod issuance;
mod outcomes;
mod proofs;
mod support;
mod webhooks;
