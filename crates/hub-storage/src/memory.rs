//! The in-memory reference of the ports: what the contract means, in the simplest form.
//!
//! Commits happen inside `submit` and `append`, so that a result is there when the call returns. For
//! tests of what waits and of what fails, [`Faults`] holds writes back or fails them.

mod blobs;
mod gate;
mod logs;
mod state;
mod store;
mod table;

pub use blobs::MemoryBlobs;
pub use gate::Faults;
pub use logs::{MemoryLog, MemoryLogs};
pub use store::MemoryStore;

#[cfg(test)]
mod tests;
