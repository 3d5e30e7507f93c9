//! Message routing: what goes where, decided once per message.
//!
//! Telemetry is decided at ingest (`ingest`), events of the hub after their facts are committed (`router`). Both ask
//! the `Plan` of the hub, which is compiled whenever the hub changes. The built-in endpoint is the only one there is,
//! so that a message that any route takes is appended to the hub's log once.

pub(crate) mod connections;
pub(crate) mod ingest;
pub(crate) mod leftovers;
mod message;
pub(crate) mod plan;
pub(crate) mod router;
mod routes;
mod slot;

pub(crate) use plan::Plan;
pub use routes::{Match, Routes, TestMessage, TestOutcome, TestTwin};
pub use slot::RoutingCounts;
pub(crate) use slot::Slot;
