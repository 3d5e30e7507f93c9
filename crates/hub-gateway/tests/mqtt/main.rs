//! The MQTT gateway as devices see it: real loopback sockets, TLS, an engine in memory.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails its test"
)]

mod admission;
mod bad_input;
mod certificates;
mod connect;
mod ending;
mod messages;
mod methods;
mod provisioning;
mod slow_reader;
mod support;
mod telemetry;
mod twins;
mod websocket;
mod x509;
