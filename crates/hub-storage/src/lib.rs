//! Storage ports and their in-memory reference.
//!
//! [`Store`] keeps hubs, identities, twins, cloud-to-device messages and facts; [`MessageLog`] keeps
//! telemetry; [`Bus`] routes between nodes; [`Blobs`] keeps uploaded files. They speak domain operations, so that each backend can
//! use its best statement. What is acknowledged here is durable.
//!
//! Invariants every backend keeps, checked by the suite in `conformance` (a feature):
//! - a unit is atomic, and leaves nothing when one of its preconditions fails;
//! - units take effect in the order in which they were submitted;
//! - facts are numbered without gaps, in commit order, in the same transaction as their change;
//! - a reader sees every unit that was acknowledged before the read began.

pub mod backlog;
pub mod blobs;
pub mod bus;
pub mod error;
pub mod log;
pub mod memory;
pub mod pending;
pub mod record;
pub mod store;

#[cfg(feature = "conformance")]
pub mod conformance;

pub use backlog::Backlog;
pub use blobs::Blobs;
pub use bus::Bus;
pub use error::{Conflict, StoreError};
pub use log::{MessageLog, MessageLogs};
pub use pending::{Pending, Reading};
pub use store::Store;
