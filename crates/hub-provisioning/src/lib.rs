//! The provisioning service: devices register here and are told which hub is theirs.
//!
//! It stands on the hub engine, which knows nothing of it: attestation decides who asks, allocation decides (purely)
//! where the device goes, and one unit of the store keeps the identity in the hub and the registration together.

pub mod tpm;
