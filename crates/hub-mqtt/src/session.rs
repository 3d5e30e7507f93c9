//! What must be remembered between the packets of a connection.

mod client;
mod in_flight;
mod server;

pub use client::{ClientInbound, ClientSession};
pub use in_flight::{InFlight, Window};
pub use server::{ServerInbound, ServerSession};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The opening packet of the peer has not come: CONNECT at a server, CONNACK at a client.
    Opening,
    /// It has come.
    Open,
    /// DISCONNECT was received or sent, or the server refused: nothing may follow, and a server drops the will
    /// ([MQTT-3.14.4-3]).
    Closed,
}

/// Whether a delivery was tried before, which decides its duplicate flag ([MQTT-3.3.1-1]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The receiver has never been sent it.
    First,
    /// It was sent before, perhaps over an earlier connection.
    Again,
}
