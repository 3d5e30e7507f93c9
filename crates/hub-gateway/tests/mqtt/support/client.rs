//! A client that sends bytes and reads packets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hub_mqtt::{Connect, KeepAlive, Packet, QoS, Role, Will, decode, encode};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{BEGINNING, DEADLINE, QUIET, packets, pingreq, token};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What is said in CONNECT.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) client_id: String,
    pub(crate) user_name: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) clean_session: bool,
    pub(crate) keep_alive: u16,
    /// Topic, payload, retain.
    pub(crate) will: Option<(String, String, bool)>,
}

impl Login {
    /// A good one that keeps the session.
    pub(crate) fn of(id: &str) -> Self {
        Self {
            client_id: id.to_owned(),
            user_name: Some(format!("hub.test/{id}/?api-version=2021-04-12")),
            password: Some(token(id, BEGINNING.plus(DAY))),
            clean_session: false,
            keep_alive: 60,
            will: None,
        }
    }

    /// A good one that keeps nothing.
    pub(crate) fn clean(id: &str) -> Self {
        Self {
            clean_session: true,
            ..Self::of(id)
        }
    }

    pub(crate) fn packet(&self) -> Vec<u8> {
        let will = self.will.as_ref().map(|(topic, payload, retain)| Will {
            topic,
            payload: payload.as_bytes(),
            qos: QoS::AtLeastOnce,
            retain: *retain,
        });
        let connect = Connect {
            client_id: &self.client_id,
            clean_session: self.clean_session,
            keep_alive: KeepAlive::from_seconds(self.keep_alive),
            will,
            user_name: self.user_name.as_deref(),
            password: self.password.as_deref().map(str::as_bytes),
        };
        let mut out = Vec::new();
        encode::connect(&connect, &mut out).unwrap();
        out
    }
}

/// A TLS connection to the hub.
pub(crate) struct Client {
    stream: TlsStream<TcpStream>,
    received: Vec<u8>,
}

impl Client {
    /// Fails where the handshake does; with TLS 1.3 the hub's refusal comes later.
    pub(super) async fn with_config(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        receive_buffer: Option<u32>,
    ) -> io::Result<Self> {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(size) = receive_buffer {
            socket.set_recv_buffer_size(size).unwrap();
        }
        let socket = socket.connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from("hub.test").unwrap();
        let connector = TlsConnector::from(config);
        let stream = timeout(DEADLINE, connector.connect(name, socket)).await;
        Ok(Self {
            stream: stream.expect("the handshake ends")?,
            received: Vec::new(),
        })
    }

    /// True when TLS went on where an earlier connection ended.
    pub(crate) fn is_resumed(&self) -> bool {
        let kind = self.stream.get_ref().1.handshake_kind();
        kind == Some(HandshakeKind::Resumed)
    }

    /// Sends bytes as they are.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes).await.unwrap();
    }

    /// As [`Client::send`], for a hub that may close in the middle.
    pub(crate) async fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        timeout(DEADLINE, sending)
            .await
            .expect("the hub reads in time")
    }

    /// The next packet; `None` when the hub closed.
    async fn packet(&mut self) -> Option<String> {
        loop {
            if let Some((packet, size)) = decode(&self.received, usize::MAX, Role::Client).unwrap()
            {
                let text = packets::text(&packet);
                self.received.drain(..size);
                return Some(text);
            }
            self.received.reserve(16 * 1024);
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => match error.kind() {
                    // Before CONNECT the hub hangs up without a word.
                    io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => return None,
                    _ => panic!("{error}"),
                },
            }
        }
    }

    /// The next packet as text, or `closed`.
    pub(crate) async fn next(&mut self) -> String {
        let packet = timeout(DEADLINE, self.packet()).await;
        let packet = packet.expect("the hub answers in time");
        packet.unwrap_or_else(|| "closed".to_owned())
    }

    /// The next message: its topic, and its payload whatever its length.
    pub(crate) async fn message(&mut self) -> (String, String) {
        let receiving = async {
            loop {
                let decoded = decode(&self.received, usize::MAX, Role::Client).unwrap();
                if let Some((packet, size)) = decoded {
                    let Packet::Publish(publish) = packet else {
                        panic!("the hub sent {packet:?}");
                    };
                    let payload = String::from_utf8(publish.payload.to_vec()).unwrap();
                    let message = (publish.topic.to_owned(), payload);
                    self.received.drain(..size);
                    return message;
                }
                self.received.reserve(16 * 1024);
                let count = self.stream.read_buf(&mut self.received).await.unwrap();
                assert!(count > 0, "the hub closed");
            }
        };
        timeout(DEADLINE, receiving)
            .await
            .expect("the hub answers in time")
    }

    /// Reads as many packets as `expected` has lines and compares.
    #[track_caller]
    pub(crate) fn check<'a>(&'a mut self, expected: &'a str) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            let mut got = Vec::new();
            let expected: Vec<_> = expected.lines().map(str::trim).collect();
            for _ in &expected {
                got.push(self.next().await);
            }
            assert_eq!(got, expected, "at {caller}");
        }
    }

    /// Sends and compares the answer.
    #[track_caller]
    pub(crate) fn ask<'a>(
        &'a mut self,
        bytes: Vec<u8>,
        expected: &'a str,
    ) -> impl Future<Output = ()> + 'a {
        let caller = std::panic::Location::caller();
        async move {
            self.send(&bytes).await;
            let mut got = Vec::new();
            let expected: Vec<_> = expected.lines().map(str::trim).collect();
            for _ in &expected {
                got.push(self.next().await);
            }
            assert_eq!(got, expected, "at {caller}");
        }
    }

    /// The hub closes without another packet.
    #[track_caller]
    pub(crate) fn check_closed(&mut self) -> impl Future<Output = ()> {
        self.check("closed")
    }

    /// The hub sends nothing for a while.
    pub(crate) async fn check_quiet(&mut self) {
        if let Ok(packet) = timeout(QUIET, self.packet()).await {
            panic!("the hub sent {packet:?}");
        }
    }

    /// Asks the hub for a sign of life, which also gives every other connection a turn.
    pub(crate) async fn ping(&mut self) {
        self.ask(pingreq(), "pingresp").await;
    }

    /// Goes away without DISCONNECT.
    pub(crate) fn vanish(self) {
        drop(self);
    }
}
