//! The AMQP head over real TLS sockets, with the client role of the engine on the other side.

#![expect(
    clippy::unwrap_used,
    reason = "a scenario that cannot go on fails its test"
)]

mod credentials;
mod devices;
mod events;
mod full_disk;
mod hubs;
mod limits;
mod provisioning;
mod service;
mod support;
mod x509;
