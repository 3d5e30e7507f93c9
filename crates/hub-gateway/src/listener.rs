//! Sockets: bind, accept, TLS, and the task of each connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::admission::{Admission, Place};
use crate::amqp::{self, Amqp};
use crate::counters::{CloseCause, Counters};
use crate::mqtt::{self, Mqtt};
use crate::upgrade::{self, Heads, Upgraded};

/// Connections that the kernel keeps while the accept loop is busy.
const BACKLOG: i32 = 4_096;
/// How long accepting pauses when the process is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections have at the end to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// A socket cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be bound")]
pub struct ListenError {
    /// Which address.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// Binds a listener. IPv6 listeners take IPv6 only, so that both families can be bound side by side.
///
/// # Errors
/// When the address is taken, not allowed or not available.
pub fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM,
            Some(Protocol::TCP),
        )?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| ListenError { address, source })
}

/// What the connections of a listener share.
pub(crate) struct Shared {
    pub(crate) tls: TlsAcceptor,
    pub(crate) admission: Arc<Admission>,
    pub(crate) counters: Arc<Counters>,
}

/// Serves MQTT on `listener` until `shutdown`. The engine tells sessions to close, the head the others; this waits for
/// them a while.
pub async fn serve_mqtt(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    head: Arc<Mqtt>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let shared = Arc::new(Shared {
        tls: TlsAcceptor::from(tls),
        admission,
        counters,
    });
    let stopping = Arc::clone(&head);
    let shutdown = async move {
        shutdown.await;
        stopping.stop();
    };
    accept_loop(listener, shutdown, |tasks, socket, peer| {
        let Some(place) = admit(&shared, peer) else {
            return;
        };
        tasks.spawn(mqtt::serve(
            Arc::clone(&shared),
            Arc::clone(&head),
            socket,
            peer,
            place,
        ));
    })
    .await;
}

/// Serves AMQP on `listener` until `shutdown`, and tells its connections to close then.
pub async fn serve_amqp(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    head: Arc<Amqp>,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let shared = Arc::new(Shared {
        tls: TlsAcceptor::from(tls),
        admission,
        counters,
    });
    let stopping = Arc::clone(&head);
    let shutdown = async move {
        shutdown.await;
        stopping.stop();
    };
    accept_loop(listener, shutdown, |tasks, socket, peer| {
        let Some(place) = admit(&shared, peer) else {
            return;
        };
        tasks.spawn(amqp::serve(
            Arc::clone(&shared),
            Arc::clone(&head),
            socket,
            peer,
            place,
        ));
    })
    .await;
}

/// Accepts TLS on `listener` until `shutdown` and gives each stream to `service`, with its peer and the name it asked for.
/// A stream that comes back as a WebSocket is served to its end here.
pub async fn serve_https<S, F>(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    heads: Heads,
    admission: Arc<Admission>,
    counters: Arc<Counters>,
    service: S,
    shutdown: impl Future<Output = ()> + Send,
) where
    S: Fn(TlsStream<TcpStream>, SocketAddr, Option<String>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Option<Upgraded>> + Send + 'static,
{
    let shared = Arc::new(Shared {
        tls: TlsAcceptor::from(tls),
        admission,
        counters,
    });
    accept_loop(listener, shutdown, |tasks, socket, peer| {
        let Some(place) = admit(&shared, peer) else {
            return;
        };
        let (shared, heads, service) = (Arc::clone(&shared), heads.clone(), service.clone());
        tasks.spawn(async move {
            match handshake(&shared, socket).await {
                Ok(stream) => {
                    drop(place);
                    let name = stream.get_ref().1.server_name().map(str::to_owned);
                    let upgraded = Box::pin(service(stream, peer, name)).await;
                    if let Some(upgraded) = upgraded
                        && let Some(place) = admit(&shared, peer)
                    {
                        upgrade::serve(shared, heads, upgraded, peer, place).await;
                    }
                }
                Err(cause) => {
                    shared.counters.count(cause);
                    tracing::debug!(%peer, cause = cause.as_str(), "https connection ended");
                }
            }
        });
    })
    .await;
}

fn admit(shared: &Shared, peer: SocketAddr) -> Option<Place> {
    let place = shared.admission.admit(peer.ip());
    if place.is_none() {
        shared.counters.count(CloseCause::NotAdmitted);
        tracing::debug!(%peer, "too many connections wait for authentication");
    }
    place
}

/// The TLS handshake, within the time an unauthenticated connection has.
pub(crate) async fn handshake(
    shared: &Shared,
    socket: TcpStream,
) -> Result<TlsStream<TcpStream>, CloseCause> {
    let accept = Box::pin(shared.tls.accept(socket));
    match tokio::time::timeout(shared.admission.time_max(), accept).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(_)) => Err(CloseCause::TlsFailed),
        Err(_) => Err(CloseCause::HandshakeTimeout),
    }
}

async fn accept_loop(
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send,
    mut spawn: impl FnMut(&mut JoinSet<()>, TcpStream, SocketAddr),
) {
    let mut tasks = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    // Acknowledgements are small and awaited: never wait to fill a segment.
                    if socket.set_nodelay(true).is_ok() {
                        spawn(&mut tasks, socket, peer);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = tasks.join_next() => {}
            () = &mut shutdown => break,
        }
    }
    drop(listener);
    let all_gone = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(GOODBYE, all_gone).await.is_err() {
        tracing::info!("connections that did not end in time are dropped");
    }
}
