//! The REST contract: wire types and their conversion from and to the domain's words.
//!
//! It holds no routes, no sockets and no rules. Two faces: [`compat`] speaks the vendor's shapes, so that unchanged
//! service SDKs work; [`native`] is our own `/api/v1`.

#[cfg(feature = "client")]
pub mod client;
pub mod compat;
pub mod native;
