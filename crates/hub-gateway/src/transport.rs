//! The byte stream under a protocol head: TLS itself, or WebSocket frames within it.
//!
//! A head reads and writes bytes and does not know which it is. A WebSocket lies behind a box, so that a
//! connection straight over TLS is no larger for it.

mod websocket;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use websocket::WebSocket;

/// The stream of one connection.
#[expect(
    clippy::large_enum_variant,
    reason = "the large variant is the usual one, and a box would cost it an allocation"
)]
pub(crate) enum Transport {
    /// TLS on the protocol's own port.
    Tls(TlsStream<TcpStream>),
    /// Binary frames of a WebSocket on the port of HTTPS.
    WebSocket(Box<WebSocket>),
}

impl Transport {
    /// The server's side of a WebSocket whose handshake is done. `early` are bytes that came behind it.
    pub(crate) async fn websocket(stream: TlsStream<TcpStream>, early: Vec<u8>) -> Self {
        Self::WebSocket(Box::new(WebSocket::new(stream, early).await))
    }

    /// The peer proved who it is: what it may send is bounded by its protocol from here on.
    pub(crate) fn authenticated(&mut self) {
        match self {
            Self::Tls(_) => {}
            Self::WebSocket(stream) => stream.authenticated(),
        }
    }

    fn tls(&self) -> &TlsStream<TcpStream> {
        match self {
            Self::Tls(stream) => stream,
            Self::WebSocket(stream) => stream.tls(),
        }
    }

    /// The name that the peer asked for in its TLS handshake.
    pub(crate) fn server_name(&self) -> Option<&str> {
        self.tls().get_ref().1.server_name()
    }

    /// The certificate that the peer proved to own in its TLS handshake, and what it sent with it; empty
    /// when it showed none.
    pub(crate) fn certificates(&self) -> &[CertificateDer<'static>] {
        self.tls()
            .get_ref()
            .1
            .peer_certificates()
            .unwrap_or_default()
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::WebSocket(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::WebSocket(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::WebSocket(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
