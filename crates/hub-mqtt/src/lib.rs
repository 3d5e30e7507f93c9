//! MQTT 3.1.1: the packet codec and the packet-level rules of a connection, for the server and the client role.
//!
//! Bytes go in, packets and decisions come out. There is no socket, no runtime, no clock and no randomness here: the
//! caller reads and writes, and passes time in as a [`Duration`](core::time::Duration). Nothing here knows what a topic
//! means; that is the caller's.
//!
//! - [`decode()`] reads one packet from the front of a buffer and borrows every text and payload from it.
//! - [`encode`] appends packets to a `Vec<u8>`.
//! - [`ServerSession`] and [`ClientSession`] hold what must be remembered between packets: which packets may come
//!   next, and which deliveries wait for their acknowledgement.
//! - [`KeepAlive`] turns the number in CONNECT into the time after which a silent peer is cut off.
//!
//! Invariants:
//! - A packet that exists is valid: [`decode()`] checks every rule of the specification that one packet can break.
//! - Decoding never allocates, and never panics, whatever the bytes.
//! - An encoder either appends one whole valid packet or reports an error and leaves the buffer as it was.
//!
//! Other protocol versions are recognised only so far that a server can refuse them with the right CONNACK
//! ([`DecodeError::refusal`]). QoS 2 is decoded and encoded, but [`ServerSession`] treats it as a violation.

pub mod decode;
pub mod encode;
mod error;
mod keep_alive;
mod packet;
mod session;
mod text;

pub use decode::decode;
pub use error::{DecodeError, EncodeError, SessionError};
pub use keep_alive::{KeepAlive, ZeroKeepAlive};
pub use packet::{
    ConnAck, Connect, Delivery, Filters, Packet, PacketId, PacketKind, Publish, QoS, Refusal, Role,
    SubAck, Subscribe, SubscribeRequest, SubscribeRequests, SubscribeReturn, SubscribeReturns,
    Unsubscribe, Will,
};
pub use session::{
    Attempt, ClientInbound, ClientSession, InFlight, Phase, ServerInbound, ServerSession, Window,
};
