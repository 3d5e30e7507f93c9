//! The engine's behavior at its face: a scenario goes in, answers and facts come out as text.
//!
//! Each test has a [`support::World`] of its own: memory storage, the bus of one node, a clock that stands
//! still unless told otherwise, and randomness from a seed.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails its test"
)]

mod certificates;
mod deliveries;
mod dispatcher;
mod events;
mod faults;
mod hubs;
mod messages;
mod methods;
mod quotas;
mod registry;
mod routing;
mod service_bound;
mod sessions;
mod support;
mod twins;
