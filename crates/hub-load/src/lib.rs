//! Load: simulated devices (`thingstead sim`) and the measurements (`thingstead bench`).
//!
//! Everything here reaches a hub the way devices and back ends do: MQTT and AMQP over TLS, and `/api/v1`. What only the storage
//! can do comes in as a trait from the program ([`bench::Seed`]).
//!
//! - [`sim`] runs many devices that send telemetry, use their twins, answer direct methods and take messages.
//! - [`mod@bench`] starts servers itself, pins them and itself to different cores, and measures.
//!
//! A connection is one task. What a device sends is encoded into one buffer and written at once, so that the load
//! costs less than the server under it.

mod amqp;
mod backoff;
pub mod bench;
mod connection;
mod fleet;
mod histogram;
mod hub;
mod messages;
mod pacing;
pub mod sim;
mod table;
mod tls;
mod topics;

#[cfg(test)]
mod fake_server;

/// How many connections are opened and devices created at the same time.
const OPENS_AT_ONCE: usize = 64;
