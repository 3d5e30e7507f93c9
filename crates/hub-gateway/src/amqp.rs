//! The AMQP head: devices, back ends and Event Hubs clients on one port, told apart by the addresses of their links.

mod addresses;
mod cbs;
mod connection;
mod credentials;
mod device;
mod errors;
mod events;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;
mod links;
mod provisioning;
mod reply;
mod service;
pub(crate) mod telemetry;
mod text;
mod work;

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
use connection::{Connection, ConnectionStart};
use events::readers::Readers;

/// The SASL mechanism of devices that register by their TPM.
const TPM: &str = "TPM";

/// What all AMQP connections of an installation share, whichever way they come.
pub struct Amqp {
    engine: Arc<Engine>,
    desk: Option<Arc<Desk>>,
    config: Arc<hub_amqp::Config>,
    readers: Arc<Readers>,
    /// Where readers of events are sent to.
    port: u16,
    stop: watch::Sender<()>,
}

impl Amqp {
    /// Nothing is connected. `port` is where clients reach AMQP. Without `provisioning` no devices register.
    pub fn new(
        engine: Arc<Engine>,
        provisioning: Option<Arc<Provisioning>>,
        port: u16,
    ) -> Arc<Self> {
        let desk = provisioning.map(|service| Desk::new(Arc::clone(&engine), service));
        let mut config = hub_amqp::Config::default();
        if desk.is_some() {
            config.mechanisms.push(TPM.to_owned());
        }
        Arc::new(Self {
            engine,
            desk,
            config: Arc::new(config),
            readers: Arc::default(),
            port,
            stop: watch::Sender::new(()),
        })
    }

    /// Tells every connection to close.
    pub(crate) fn stop(&self) {
        self.stop.send_replace(());
    }

    fn stopping(&self) -> BoxFuture<'static, ()> {
        let mut stopped = self.stop.subscribe();
        Box::pin(async move { drop(stopped.changed().await) })
    }
}

/// Serves a connection that was just accepted to its end.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    head: Arc<Amqp>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) {
    // The handshake is boxed: its state is much larger than an idle connection's and soon gone.
    let cause = match Box::pin(accept(&shared, &head, socket, peer, place)).await {
        Ok(connection) => connection.run().await,
        Err(cause) => {
            tracing::debug!(%peer, cause = cause.as_str(), "amqp connection was not opened");
            cause
        }
    };
    shared.counters.count(cause);
}

/// Serves a stream whose handshakes below AMQP are done.
pub(crate) async fn serve_stream(
    shared: Arc<Shared>,
    head: Arc<Amqp>,
    stream: Transport,
    peer: SocketAddr,
    place: Place,
) {
    let cause = begin(&shared, &head, stream, peer, place).run().await;
    shared.counters.count(cause);
}

async fn accept(
    shared: &Shared,
    head: &Arc<Amqp>,
    socket: TcpStream,
    peer: SocketAddr,
    place: Place,
) -> Result<Box<Connection>, CloseCause> {
    let stream = handshake(shared, socket).await?;
    Ok(begin(shared, head, Transport::Tls(stream), peer, place))
}

fn begin(
    shared: &Shared,
    head: &Arc<Amqp>,
    stream: Transport,
    peer: SocketAddr,
    place: Place,
) -> Box<Connection> {
    let start = ConnectionStart {
        stream,
        peer,
        place,
        time_max: shared.admission.time_max(),
    };
    Box::new(Connection::new(head, start))
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
        // What rustls allocates for itself comes on top, and the engine's sessions and links.
        let task = future_bytes(&serve);
        let connection = size_of::<Connection>();
        assert!(task <= 512, "the task of a connection has {task} bytes");
        assert!(connection <= 2_816, "a connection has {connection} bytes");
    }
}
