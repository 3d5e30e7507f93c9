//! A WebSocket as a byte stream: the payload of its binary messages, one after the other.
//!
//! Where messages begin and end has no meaning to MQTT ([MQTT-6.0.0-2]) or AMQP, so fragments are joined
//! and boundaries forgotten. Pings are answered while reading. The other side of RFC 6455, masking and the
//! closing handshake included, is tokio-tungstenite's.

mod allowance;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use futures_util::{Sink as _, Stream as _};
use hub_domain::limits::{UNAUTHENTICATED_WEBSOCKET_BYTES_MAX, WEBSOCKET_MESSAGE_BYTES_MAX};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use allowance::Allowance;

/// What is kept per connection for reading. Larger frames get a larger buffer while they come.
const READ_BYTES: usize = 4 * 1024;
/// The largest frame that is sent; what is written is copied into one.
const FRAME_BYTES_MAX: usize = 64 * 1024;

/// The server's side of a WebSocket.
pub(crate) struct WebSocket {
    frames: WebSocketStream<Allowance<TlsStream<TcpStream>>>,
    /// What was received and not read yet.
    received: Bytes,
    closing: Closing,
}

/// How far a shutdown has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    /// Not begun.
    No,
    /// Our close frame waits to be sent.
    Queued,
    /// It is sent, the client's is awaited.
    Sent,
    /// Both are through; the stream below is closed.
    Stream,
}

impl WebSocket {
    pub(super) async fn new(stream: TlsStream<TcpStream>, early: Vec<u8>) -> Self {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_frame_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX))
            .max_message_size(Some(WEBSOCKET_MESSAGE_BYTES_MAX));
        let stream = Allowance::new(stream, UNAUTHENTICATED_WEBSOCKET_BYTES_MAX);
        let frames =
            WebSocketStream::from_partially_read(stream, early, Role::Server, Some(config)).await;
        Self {
            frames,
            received: Bytes::new(),
            closing: Closing::No,
        }
    }

    pub(super) fn tls(&self) -> &TlsStream<TcpStream> {
        self.frames.get_ref().stream()
    }

    pub(super) fn authenticated(&mut self) {
        self.frames.get_mut().lift();
    }

    /// The next payload; `None` at the end.
    fn poll_payload(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        loop {
            match ready!(Pin::new(&mut self.frames).poll_next(context)) {
                Some(Ok(Message::Binary(payload))) => {
                    if !payload.is_empty() {
                        return Poll::Ready(Ok(Some(payload)));
                    }
                }
                // Answered by the next turn of this loop, which also ends it after a close.
                Some(Ok(
                    Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_),
                )) => {}
                Some(Ok(Message::Text(_))) => {
                    self.refuse(context, CloseCode::Unsupported, "binary messages only");
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message on a websocket of binary ones",
                    )));
                }
                Some(Err(error)) => {
                    if let Some((code, reason)) = complaint(&error) {
                        self.refuse(context, code, reason);
                    }
                    return Poll::Ready(Err(into_io(error)));
                }
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Says why the connection is about to end, if the client takes it at once.
    fn refuse(&mut self, context: &mut Context<'_>, code: CloseCode, reason: &'static str) {
        let close = Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        }));
        if Pin::new(&mut self.frames).start_send(close).is_ok() {
            // Whether it can be sent or not, the connection ends.
            let _ = Pin::new(&mut self.frames).poll_flush(context);
        }
        self.closing = Closing::Stream;
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.received.is_empty() {
            match ready!(self.poll_payload(context))? {
                Some(payload) => self.received = payload,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.received.len().min(buffer.remaining());
        buffer.put_slice(&self.received[..count]);
        self.received.advance(count);
        if self.received.is_empty() {
            // Lets go of the buffer that the frames share.
            self.received = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.frames).poll_ready(context)).map_err(into_io)?;
        let taken = &bytes[..bytes.len().min(FRAME_BYTES_MAX)];
        let message = Message::Binary(Bytes::copy_from_slice(taken));
        Pin::new(&mut self.frames)
            .start_send(message)
            .map_err(into_io)?;
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.frames)
            .poll_flush(context)
            .map_err(into_io)
    }

    /// Sends the close frame, waits for the client's, closes the stream below. The caller bounds the time.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.closing == Closing::No {
            this.closing = match Pin::new(&mut this.frames).start_send(goodbye()) {
                Ok(()) => Closing::Queued,
                // The client closed first, or the stream is broken.
                Err(_) => Closing::Stream,
            };
        }
        if this.closing == Closing::Queued {
            this.closing = match ready!(Pin::new(&mut this.frames).poll_flush(context)) {
                Ok(()) => Closing::Sent,
                Err(_) => Closing::Stream,
            };
        }
        while this.closing == Closing::Sent {
            // What the client still sends is not wanted any more.
            match ready!(Pin::new(&mut this.frames).poll_next(context)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => this.closing = Closing::Stream,
            }
        }
        Pin::new(this.frames.get_mut()).poll_shutdown(context)
    }
}

fn goodbye() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::default(),
    }))
}

/// What the client is told of its mistake; nothing when the connection is broken anyway.
fn complaint(error: &Error) -> Option<(CloseCode, &'static str)> {
    match error {
        Error::Capacity(_) => Some((CloseCode::Size, "the message is too large")),
        Error::Protocol(_) => Some((CloseCode::Protocol, "RFC 6455 forbids this")),
        Error::Utf8(_) => Some((CloseCode::Unsupported, "binary messages only")),
        // The enumeration is another crate's and open.
        _ => None,
    }
}

fn into_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
