//! What a client still sends of a body that nobody wants to read.
//!
//! A request is often refused by its head alone. A client that sends its whole body before it reads the answer would find
//! a closed connection (HTTP/1.1) or a reset stream (HTTP/2) in its place, so the rest is read and dropped first, within
//! bounds.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// Most that is read of a body that nobody wants; whoever sends more finds the connection closed.
const BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long the rest may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// The body of a request, shared by whoever answers it and whoever reads what that leaves.
pub(crate) struct RequestBody(Arc<Mutex<Incoming>>);

/// The other hold on a body.
pub(crate) struct Leftover {
    body: Arc<Mutex<Incoming>>,
    /// The client waits for a word before it sends the body: without one there is nothing to read.
    waits: bool,
}

impl RequestBody {
    pub(crate) fn split(body: Incoming, headers: &http::HeaderMap) -> (Self, Leftover) {
        let body = Arc::new(Mutex::new(body));
        let leftover = Leftover {
            body: Arc::clone(&body),
            waits: headers.contains_key(http::header::EXPECT),
        };
        (Self(body), leftover)
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Pin::new(&mut *body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.size_hint()
    }
}

impl Leftover {
    /// Reads and drops the rest, once the answer is known.
    pub(crate) async fn drain(self) {
        let mut body = RequestBody(self.body);
        let too_much = body.size_hint().lower() > BYTES_MAX as u64;
        if body.is_end_stream() || self.waits || too_much {
            return;
        }
        let read = async {
            let mut bytes = 0;
            while let Some(Ok(frame)) = body.frame().await {
                bytes += frame.data_ref().map_or(0, Bytes::len);
                if bytes > BYTES_MAX {
                    return;
                }
            }
        };
        // Who takes longer finds the connection closed, as with more than that.
        let _ = tokio::time::timeout(TIME_MAX, read).await;
    }
}
