//! WebSockets: the server's handshake by hand, and a real client.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use hub_gateway::{Subprotocol, Upgraded};
use hub_mqtt::{Role, decode};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::{DEADLINE, packets};

type Stream = tokio_rustls::client::TlsStream<TcpStream>;

/// Answers any request with the opening of a WebSocket, as the HTTP face would.
pub(super) async fn upgrade(
    mut stream: tokio_rustls::server::TlsStream<TcpStream>,
    _peer: SocketAddr,
    _name: Option<String>,
) -> Option<Upgraded> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let key = head
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))
        .unwrap();
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n",
        derive_accept_key(key.as_bytes())
    );
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.flush().await.ok()?;
    Some(Upgraded {
        stream,
        early: Vec::new(),
        subprotocol: Subprotocol::Mqtt,
    })
}

/// A WebSocket client.
pub(crate) struct Web {
    frames: WebSocketStream<Stream>,
    received: Vec<u8>,
}

impl Web {
    pub(super) async fn new(address: SocketAddr, config: Arc<ClientConfig>) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        let name = ServerName::try_from("hub.test").unwrap();
        let stream = TlsConnector::from(config)
            .connect(name, socket)
            .await
            .unwrap();
        let mut request = "wss://hub.test/$iothub/websocket"
            .into_client_request()
            .unwrap();
        let headers = request.headers_mut();
        headers.insert("Sec-WebSocket-Protocol", "mqtt".parse().unwrap());
        let handshake = tokio_tungstenite::client_async(request, stream);
        let (frames, _) = timeout(DEADLINE, handshake).await.unwrap().unwrap();
        Self {
            frames,
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        timeout(DEADLINE, self.frames.send(message))
            .await
            .unwrap()
            .unwrap();
    }

    /// Sends bytes as one binary message.
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.send(Message::binary(bytes.to_vec())).await;
    }

    /// Bytes that are no frame, or a frame by hand.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        let stream = self.frames.get_mut();
        stream.write_all(bytes).await.unwrap();
        stream.flush().await.unwrap();
    }

    /// The next MQTT packet, `pong`, `close {code}`, or `closed`, as text.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            let decoded = decode(&self.received, usize::MAX, Role::Client).unwrap();
            if let Some((packet, size)) = decoded {
                let text = packets::text(&packet);
                self.received.drain(..size);
                return text;
            }
            let message = timeout(DEADLINE, self.frames.next()).await;
            match message.expect("the hub answers in time") {
                Some(Ok(Message::Binary(bytes))) => self.received.extend_from_slice(&bytes),
                Some(Ok(Message::Pong(_))) => return "pong".to_owned(),
                Some(Ok(Message::Close(Some(close)))) => return format!("close {}", close.code),
                Some(Ok(Message::Close(None))) => return "close".to_owned(),
                Some(Ok(other)) => panic!("{other:?}"),
                Some(Err(_)) | None => return "closed".to_owned(),
            }
        }
    }

    pub(crate) async fn ask(&mut self, bytes: &[u8], expected: &str) {
        self.send_bytes(bytes).await;
        assert_eq!(self.next().await, expected);
    }
}
