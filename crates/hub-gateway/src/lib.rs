//! Listeners and protocol heads: sockets, TLS, connection limits, WebSockets, MQTT.
//!
//! The gateway turns a protocol into the engine's verbs and the engine's notices into the protocol. It
//! knows no storage and makes no decision about devices.
//!
//! Invariants:
//! - one task per connection, nothing per session but what an idle one needs;
//! - an unauthenticated connection is bounded in number, per source address and in time;
//! - nothing from a peer panics; a peer that breaks the protocol loses its own connection only.

mod admission;
mod amqp;
mod counters;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod listener;
mod mqtt;
mod provisioning;
mod tls;
mod transport;
mod upgrade;

pub use admission::{Admission, AdmissionConfig};
pub use amqp::Amqp;
pub use counters::{CloseCause, Counters};
pub use listener::{ListenError, bind, serve_amqp, serve_https, serve_mqtt};
pub use mqtt::Mqtt;
pub use tls::server_config;
pub use upgrade::{Heads, Subprotocol, Upgraded};
