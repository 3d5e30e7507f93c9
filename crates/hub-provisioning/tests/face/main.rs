//! The provisioning service as its heads see it, over the in-memory reference.

#![expect(clippy::unwrap_used, reason = "a test fails by panic, its helpers too")]

mod certificates;
mod changes;
mod crashes;
mod enrollments;
mod issuance;
mod links;
mod moves;
mod outcomes;
mod previews;
mod proofs;
mod quotas;
mod registered_certificates;
mod remote;
mod renewals;
mod rolling;
mod settings;
mod support;
mod take_overs;
mod tpm;
mod waits;
mod webhooks;
