//! Streams that HTTP upgraded to a WebSocket, and the heads that serve them.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use crate::admission::Place;
use crate::amqp::{self, Amqp};
use crate::listener::Shared;
use crate::mqtt::{self, Mqtt};
use crate::transport::Transport;

/// A WebSocket whose opening handshake is done.
pub struct Upgraded {
    /// The stream below.
    pub stream: TlsStream<TcpStream>,
    /// Bytes that came behind the handshake.
    pub early: Vec<u8>,
    /// What both sides agreed to speak.
    pub subprotocol: Subprotocol,
}

/// Who serves the protocols that a WebSocket may carry.
#[derive(Clone)]
pub struct Heads {
    /// MQTT.
    pub mqtt: Arc<Mqtt>,
    /// AMQP.
    pub amqp: Arc<Amqp>,
}

/// What is spoken over a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// MQTT 3.1.1.
    Mqtt,
    /// AMQP 1.0.
    Amqp,
}

/// Serves it to its end. Whoever opened it is not authenticated yet, so it has a place among those.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    heads: Heads,
    upgraded: Upgraded,
    peer: SocketAddr,
    place: Place,
) {
    let stream = Transport::websocket(upgraded.stream, upgraded.early).await;
    match upgraded.subprotocol {
        Subprotocol::Mqtt => mqtt::serve_stream(shared, heads.mqtt, stream, peer, place).await,
        Subprotocol::Amqp => amqp::serve_stream(shared, heads.amqp, stream, peer, place).await,
    }
}
