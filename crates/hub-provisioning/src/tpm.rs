//! Attestation by a TPM 2.0, the server's side: which keys a device may name, and the challenge that only its TPM can answer.
//!
//! A device names its endorsement key (it never changes) and its storage root key (it changes with the owner). The server
//! draws an HMAC key and sends it so that only a TPM that holds both can import it; the device then signs an ordinary shared
//! access token by it. The same form carries the hub's key to the device at the end of a registration.
//!
//! The form is what the official clients decode (`security/tpm/src/tpm.ts` of the Node SDK,
//! `provisioning_client/adapters/hsm_client_tpm.c` of the C SDK, `SecurityProviderTpmHsm.cs` of the C# SDK), six
//! structures, each behind its size:
//!
//! | structure | holds |
//! |---|---|
//! | `TPM2B_ID_OBJECT` | the inner key, for the endorsement key, bound to the name of the storage root key |
//! | `TPM2B_ENCRYPTED_SECRET` | the seed of the above |
//! | `TPM2B_PRIVATE` | the HMAC key in two wraps: by the inner key, and for the storage root key |
//! | `TPM2B_ENCRYPTED_SECRET` | the seed of the outer wrap |
//! | `TPM2B_PUBLIC` | the public part of the HMAC key |
//! | `TPM2B_DATA` | nothing: clients read past it |
//!
//! Clauses are those of the "TPM 2.0 Library" specification, part 1: credentials 24, duplication 23, key derivation 11.4.10.
//!
//! Pure but for one thing: the padding of RSA (OAEP) is drawn by the cryptographic library itself.

mod challenge;
mod protection;
mod public;
mod wire;

#[cfg(test)]
mod tests;

pub use challenge::{Challenge, ChallengeError};
pub use public::{EndorsementKey, PublicKeyError, StorageRootKey};
