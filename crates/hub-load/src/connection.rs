//! An MQTT connection over TLS: one socket, one session, and one buffer each way.
//!
//! What is to be sent is encoded into one buffer and leaves with [`Connection::flush`], many packets in one write.
//! Nothing here reads a clock or starts a task; every wait ends when the caller drops the future.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hub_mqtt::{
    Attempt, ClientInbound, ClientSession, Connect, DecodeError, Delivery, EncodeError, PacketId,
    Publish, QoS, Refusal, Role, SessionError, SubscribeRequest, decode, encode,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long TCP, TLS and CONNECT may take together.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest packet taken from a server: a message of 64 KiB, a twin or a method of 128 KiB, with their topics.
const PACKET_BYTES_MAX: usize = 512 * 1024;
/// Bytes read at once, a TLS record.
const READ_BYTES: usize = 16 * 1024;

/// A connection could not be opened, or ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    /// Nothing listens there.
    #[error("cannot connect to {address}")]
    Connect {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The certificate or the handshake is wrong.
    #[error("the tls handshake failed")]
    Tls(#[source] std::io::Error),
    /// CONNACK said no.
    #[error("the hub refused the connection with code {}", .0.code())]
    Refused(Refusal),
    /// The server did not answer in time.
    #[error("the hub did not answer within {} s", OPEN_TIMEOUT.as_secs())]
    TimedOut,
    /// The server closed.
    #[error("the hub closed the connection")]
    Closed,
    /// The socket failed.
    #[error("the connection broke")]
    Socket(#[source] std::io::Error),
    /// The server sent no MQTT.
    #[error("the hub sent a malformed packet")]
    Packet(#[from] DecodeError),
    /// The server sent a packet that has no place there.
    #[error("the hub broke the order of packets")]
    Order(#[from] SessionError),
    /// A message cannot be encoded.
    #[error("a message cannot be sent")]
    Message(#[from] EncodeError),
}

/// Where a server listens, and how TLS is spoken with it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    pub(crate) name: ServerName<'static>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
}

impl Endpoint {
    /// Connects and does the handshake.
    pub(crate) async fn connect(&self) -> Result<TlsStream<TcpStream>, ConnectionError> {
        let address = self.address;
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|source| ConnectionError::Connect { address, source })?;
        tcp.set_nodelay(true).map_err(ConnectionError::Socket)?;
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        // Boxed, for the handshake's state is large and short-lived.
        Box::pin(connector.connect(self.name.clone(), tcp))
            .await
            .map_err(ConnectionError::Tls)
    }
}

/// Whether the server remembered the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumed {
    Yes,
    No,
}

/// An open connection. `T` names a QoS 1 publish to the caller.
pub(crate) struct Connection<T> {
    stream: TlsStream<TcpStream>,
    input: Vec<u8>,
    outgoing: Outgoing<T>,
}

/// What is to be sent, and what waits for its acknowledgement.
pub(crate) struct Outgoing<T> {
    session: ClientSession<T>,
    buffer: Vec<u8>,
}

impl<T> Connection<T> {
    /// Connects, does the handshake, sends CONNECT and waits for CONNACK. A `session` of an earlier connection goes on
    /// if the caller has called its `reconnect`.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        connect: &Connect<'_>,
        session: ClientSession<T>,
    ) -> Result<(Self, Resumed), (ConnectionError, ClientSession<T>)> {
        let stream = tokio::time::timeout(OPEN_TIMEOUT, greet(endpoint, connect)).await;
        let stream = match stream.unwrap_or(Err(ConnectionError::TimedOut)) {
            Ok(stream) => stream,
            Err(error) => return Err((error, session)),
        };
        let mut connection = Self {
            stream,
            input: Vec::new(),
            outgoing: Outgoing {
                session,
                buffer: Vec::new(),
            },
        };
        let resumed = tokio::time::timeout(OPEN_TIMEOUT, connection.answer()).await;
        match resumed.unwrap_or(Err(ConnectionError::TimedOut)) {
            Ok(resumed) => Ok((connection, resumed)),
            Err(error) => Err((error, connection.outgoing.session)),
        }
    }

    async fn answer(&mut self) -> Result<Resumed, ConnectionError> {
        let mut answer = None;
        while answer.is_none() {
            self.read().await?;
            // CONNACK comes alone: the server has nothing to send before it knows what is subscribed, and what waits
            // from an earlier connection stays in the buffer for the caller.
            answer = self.receive_one(|inbound, _| match inbound {
                ClientInbound::Connected {
                    session_present: true,
                } => Ok(Resumed::Yes),
                ClientInbound::Connected {
                    session_present: false,
                } => Ok(Resumed::No),
                ClientInbound::Refused(refusal) => Err(ConnectionError::Refused(refusal)),
                ClientInbound::Publish(_)
                | ClientInbound::Published(_)
                | ClientInbound::Subscribed(_)
                | ClientInbound::Unsubscribed(_)
                | ClientInbound::UnmatchedAck(_)
                | ClientInbound::Pong => unreachable!("ClientSession expects CONNACK first"),
            })?;
        }
        answer.expect("invariant: the loop ends with an answer")
    }

    /// What goes out with the next [`Self::flush`].
    pub(crate) const fn outgoing(&mut self) -> &mut Outgoing<T> {
        &mut self.outgoing
    }

    /// Writes everything that was encoded.
    pub(crate) async fn flush(&mut self) -> Result<(), ConnectionError> {
        if self.outgoing.buffer.is_empty() {
            return Ok(());
        }
        let written = self.stream.write_all(&self.outgoing.buffer).await;
        self.outgoing.buffer.clear();
        written.map_err(ConnectionError::Socket)?;
        self.stream.flush().await.map_err(ConnectionError::Socket)
    }

    /// Waits for bytes. Dropping the future loses none.
    pub(crate) async fn read(&mut self) -> Result<(), ConnectionError> {
        self.input.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(ConnectionError::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(ConnectionError::Closed)
            }
            Err(error) => Err(ConnectionError::Socket(error)),
        }
    }

    /// Hands every whole packet that was read to `take`.
    pub(crate) fn receive(
        &mut self,
        mut take: impl FnMut(ClientInbound<'_, T>, &mut Outgoing<T>) -> Result<(), ConnectionError>,
    ) -> Result<(), ConnectionError> {
        let mut used = 0;
        while let Some((packet, length)) =
            decode(&self.input[used..], PACKET_BYTES_MAX, Role::Client)?
        {
            let inbound = self.outgoing.session.receive(packet)?;
            take(inbound, &mut self.outgoing)?;
            used += length;
        }
        self.input.drain(..used);
        Ok(())
    }

    fn receive_one<R>(
        &mut self,
        take: impl FnOnce(ClientInbound<'_, T>, &mut Outgoing<T>) -> R,
    ) -> Result<Option<R>, ConnectionError> {
        let Some((packet, length)) = decode(&self.input, PACKET_BYTES_MAX, Role::Client)? else {
            return Ok(None);
        };
        let inbound = self.outgoing.session.receive(packet)?;
        let taken = take(inbound, &mut self.outgoing);
        self.input.drain(..length);
        Ok(Some(taken))
    }

    /// Gives the session to a later connection. The socket closes without DISCONNECT unless one was sent.
    pub(crate) fn into_session(self) -> ClientSession<T> {
        self.outgoing.session
    }

    /// The cipher suite that was agreed on.
    #[cfg(test)]
    pub(crate) fn cipher_suite(&self) -> Option<String> {
        let (_, tls) = self.stream.get_ref();
        tls.negotiated_cipher_suite()
            .map(|suite| format!("{:?}", suite.suite()))
    }
}

impl<T> Outgoing<T> {
    /// The number of packets that wait for their acknowledgement.
    pub(crate) fn in_flight(&self) -> usize {
        self.session.in_flight_count()
    }

    /// Whether a QoS 1 publish must wait.
    pub(crate) fn is_full(&self) -> bool {
        self.session.is_window_full()
    }

    /// Publishes with QoS 0.
    pub(crate) fn publish_once(
        &mut self,
        topic: &str,
        payload: &[u8],
    ) -> Result<(), ConnectionError> {
        self.put(topic, payload, Delivery::AtMostOnce)
    }

    /// Publishes with QoS 1. The window must have room.
    pub(crate) fn publish(
        &mut self,
        tag: T,
        topic: &str,
        payload: &[u8],
    ) -> Result<(), ConnectionError> {
        let delivery = self.session.publish(tag, Attempt::First)?;
        self.put(topic, payload, delivery)
    }

    /// Publishes again what an earlier connection left unacknowledged; `message` gives topic and payload of a tag.
    pub(crate) fn publish_again(
        &mut self,
        message: impl Fn(&T) -> (String, Vec<u8>),
    ) -> Result<(), ConnectionError> {
        for (delivery, tag) in self.session.publishes_again() {
            let (topic, payload) = message(tag);
            let publish = Publish {
                topic: &topic,
                payload: &payload,
                delivery,
                retain: false,
            };
            encode::publish(&publish, &mut self.buffer)?;
        }
        Ok(())
    }

    fn put(
        &mut self,
        topic: &str,
        payload: &[u8],
        delivery: Delivery,
    ) -> Result<(), ConnectionError> {
        let publish = Publish {
            topic,
            payload,
            delivery,
            retain: false,
        };
        Ok(encode::publish(&publish, &mut self.buffer)?)
    }

    /// Subscribes to all filters with one packet.
    pub(crate) fn subscribe(&mut self, filters: &[(&str, QoS)]) -> Result<(), ConnectionError> {
        let id = self.session.subscribe()?;
        let requests: Vec<_> = filters
            .iter()
            .map(|(filter, qos)| SubscribeRequest { filter, qos: *qos })
            .collect();
        Ok(encode::subscribe(id, &requests, &mut self.buffer)?)
    }

    /// Acknowledges a QoS 1 message.
    pub(crate) fn acknowledge(&mut self, id: PacketId) {
        encode::puback(id, &mut self.buffer);
    }

    /// Asks whether the server is there.
    pub(crate) fn ping(&mut self) {
        encode::pingreq(&mut self.buffer);
    }

    /// Says goodbye; nothing may follow.
    pub(crate) fn disconnect(&mut self) {
        self.session.disconnect();
        encode::disconnect(&mut self.buffer);
    }
}

async fn greet(
    endpoint: &Endpoint,
    connect: &Connect<'_>,
) -> Result<TlsStream<TcpStream>, ConnectionError> {
    let mut stream = endpoint.connect().await?;
    let mut packet = Vec::new();
    encode::connect(connect, &mut packet)?;
    stream
        .write_all(&packet)
        .await
        .map_err(ConnectionError::Socket)?;
    stream.flush().await.map_err(ConnectionError::Socket)?;
    Ok(stream)
}

#[cfg(test)]
mod tests;
