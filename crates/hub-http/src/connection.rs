//! What one connection is watched for: requests in progress, idleness, a client that reads nothing.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::Sleep;

/// Knows the requests of a connection, from their heads to the ends of their answers.
#[derive(Clone)]
pub(crate) struct InFlight(Arc<watch::Sender<Requests>>);

/// One request in progress.
pub(crate) struct InFlightGuard(Arc<watch::Sender<Requests>>);

#[derive(Default)]
struct Requests {
    /// In progress.
    open: usize,
    /// Ever.
    total: u64,
}

impl InFlight {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn enter(&self) -> InFlightGuard {
        self.0.send_modify(|requests| {
            requests.open += 1;
            requests.total += 1;
        });
        InFlightGuard(Arc::clone(&self.0))
    }

    /// Completes when the connection has had no request for `first` since now, or for `then` since its
    /// last one.
    pub(crate) async fn idle(&self, first: Duration, then: Duration) {
        const OURS: &str = "invariant: self holds the sender";
        let mut requests = self.0.subscribe();
        loop {
            let total = requests
                .wait_for(|requests| requests.open == 0)
                .await
                .expect(OURS)
                .total;
            let limit = if total == 0 { first } else { then };
            tokio::select! {
                () = tokio::time::sleep(limit) => return,
                changed = requests.changed() => changed.expect(OURS),
            }
        }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.send_modify(|requests| requests.open -= 1);
    }
}

/// Tells answers without an end that their connection is about to close.
#[derive(Clone)]
pub(crate) struct Closing(watch::Receiver<bool>);

impl Closing {
    pub(crate) const fn new(closing: watch::Receiver<bool>) -> Self {
        Self(closing)
    }

    /// Completes when the connection is to close, or is gone.
    pub(crate) async fn begun(&mut self) {
        // An error means that nobody can say it any more.
        let _ = self.0.wait_for(|closing| *closing).await;
    }

    /// True when the connection is to close.
    pub(crate) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }
}

/// An answer's body that counts as in progress until it is sent or given up.
pub(crate) struct TrackedBody {
    body: Body,
    _guard: InFlightGuard,
}

impl TrackedBody {
    pub(crate) const fn new(body: Body, guard: InFlightGuard) -> Self {
        Self {
            body,
            _guard: guard,
        }
    }
}

impl http_body::Body for TrackedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose writes fail when the peer takes nothing for too long, so that no answer is held for ever.
pub(crate) struct StallGuard<S> {
    stream: S,
    timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> StallGuard<S> {
    pub(crate) const fn new(stream: S, timeout: Duration) -> Self {
        Self {
            stream,
            timeout,
            stalled: None,
        }
    }

    /// The stream without its guard.
    pub(crate) fn into_inner(self) -> S {
        self.stream
    }

    /// Passes `result` on; while it is pending, the clock runs.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        result: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            return result;
        }
        let timeout = self.timeout;
        let sleep = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client reads nothing",
        )))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.watch(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_request_is_idle_after_the_first_limit() {
        let start = Instant::now();
        InFlight::new()
            .idle(Duration::from_secs(3), Duration::from_secs(9))
            .await;
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_idle_clock_stands_while_a_request_is_in_progress() {
        let in_flight = InFlight::new();
        let guard = in_flight.enter();
        let start = Instant::now();
        let work = async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(guard);
        };
        let idle = in_flight.idle(Duration::from_secs(3), Duration::from_secs(9));
        tokio::join!(idle, work);
        assert_eq!(start.elapsed().as_secs(), 109);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_nothing_fails_the_write() {
        let (near, _far) = tokio::io::duplex(16);
        let mut guarded = StallGuard::new(near, Duration::from_secs(5));
        let error = guarded.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
