//! The MQTT head: from CONNECT to the end of a connection.

mod connect;
mod connection;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod outstanding;
mod provisioning;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use hub_engine::Engine;
use hub_provisioning::Provisioning;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::admission::Place;
use crate::counters::CloseCause;
use crate::listener::{Shared, handshake};
use crate::provisioning::Desk;
use crate::transport::Transport;
use connection::Connection;

/// The longest packet: 256 KiB of message, a topic of 64 KiB, and the packet id.
///
/// Telemetry documentation: messages may have 256 KB; MQTT 3.1.1 section 1.5.3: texts may have 65,535 bytes.
pub(crate) const PACKET_BYTES_MAX: usize = 256 * 1024 + 65_535 + 4;

/// What all MQTT connections of an installation share, whichever way they come.
pub struct Mqtt {
    engine: Arc<Engine>,
    desk: Option<Arc<Desk>>,
    provisioning: Option<Arc<Provisioning>>,
    stop: watch::Sender<()>,
}

impl Mqtt {
    /// Nothing is connected. Without `provisioning` only devices of hubs are served.
    pub fn new(engine: Arc<Engine>, provisioning: Option<Arc<Provisioning>>) -> Arc<Self> {
        let desk = provisioning
            .clone()
            .map(|service| Desk::new(Arc::clone(&engine), service));
        Arc::new(Self {
            engine,
            desk,
            provisioning,
            stop: watch::Sender::new(()),
        })
    }

    /// Tells the connections that have no session of the engine to close; the engine tells the others.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(());
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut stopped = self.stop.subscribe();
        Box::pin(async move { drop(stopped.changed().await) })
    }
}

/// A connection behind its CONNECT.
enum Open {
    /// Of a device or module of a hub.
    Session(Box<Connection>),
    /// Of a device that registers.
    Registration(Box<provisioning::Connection>),
}

impl Open {
    async fn run(self) -> CloseCause {
        match self {
            Self::Session(connection) => connection.run().await,
            // Boxed, so that a session has no room for it.
            Self::Registration(connection) => Box::pin(connection.run()).await,
        }
    }
}

/// Serves a connection that was just accepted to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    head: Arc<Mqtt>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    // Opening is boxed: its state is much larger than an idle session's and soon gone.
    let cause = match Box::pin(accept(&shared, &head, socket, peer, place)).await {
        Ok(open) => open.run().await,
        Err(cause) => cause,
    };
    shared.counters.count(cause);
}

/// Serves a stream whose handshakes below MQTT are done.
pub(crate) async fn serve_stream(
    shared: Arc<Shared>,
    head: Arc<Mqtt>,
    stream: Transport,
    peer: SocketAddr,
    place: Place,
) {
    let cause = match Box::pin(open(&shared, &head, stream, peer, place)).await {
        Ok(open) => open.run().await,
        Err(cause) => cause,
    };
    shared.counters.count(cause);
}

async fn accept(
    shared: &Shared,
    head: &Arc<Mqtt>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> Result<Open, CloseCause> {
    match handshake(shared, socket).await {
        Ok(stream) => open(shared, head, Transport::Tls(stream), peer, place).await,
        Err(cause) => Err(not_opened(peer, cause)),
    }
}

async fn open(
    shared: &Shared,
    head: &Arc<Mqtt>,
    stream: Transport,
    peer: SocketAddr,
    place: Place,
) -> Result<Open, CloseCause> {
    let opening = connect::open(head, stream, peer);
    let opened = tokio::time::timeout(shared.admission.time_max(), opening).await;
    drop(place);
    opened
        .unwrap_or(Err(CloseCause::HandshakeTimeout))
        .map_err(|cause| not_opened(peer, cause))
}

fn not_opened(peer: SocketAddr, cause: CloseCause) -> CloseCause {
    tracing::debug!(%peer, cause = cause.as_str(), "mqtt connection was not opened");
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of the future that an async function of five parameters returns.
    const fn future_bytes<A, B, C, D, E, F: Future>(_: &impl Fn(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_stays_small() {
        // What rustls allocates for itself comes on top.
        let task = future_bytes(&serve);
        let connection = size_of::<Connection>();
        assert!(task <= 448, "the task of a connection has {task} bytes");
        assert!(connection <= 1_792, "a connection has {connection} bytes");
    }
}
