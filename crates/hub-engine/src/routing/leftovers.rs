//! Telemetry that its sender left behind while a route still read a twin for it.
//!
//! A message that was received goes to the log whether its sender waits for that or hangs up. What goes there at once is
//! the log's own from then on; what waits for a twin is its head's, and comes here when the head is gone.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use hub_domain::limits::TELEMETRY_LEFT_BYTES_MAX;
use hub_storage::StoreError;
use hub_storage::log::Appended;
use tokio::sync::Notify;

/// How long a stop waits for them.
const FINISH_WITHIN: Duration = Duration::from_secs(5);

type Work = BoxFuture<'static, Result<Appended, StoreError>>;

/// What was left behind and is brought to its end by the engine.
#[derive(Default)]
pub(crate) struct Leftovers {
    added: Mutex<Vec<Left>>,
    /// Each tells its bytes at its end. Held by whoever drives them: the engine as it runs, then as it stops.
    under_way: tokio::sync::Mutex<FuturesUnordered<BoxFuture<'static, usize>>>,
    bytes: AtomicUsize,
    notify: Notify,
}

struct Left {
    work: Work,
    bytes: usize,
}

impl Leftovers {
    /// Work that goes on when its future is dropped.
    pub(crate) fn keep(self: &Arc<Self>, work: Work, bytes: usize) -> Work {
        Box::pin(Kept {
            work: Some(work),
            bytes,
            leftovers: Arc::clone(self),
        })
    }

    fn add(&self, work: Work, bytes: usize) {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > TELEMETRY_LEFT_BYTES_MAX {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            tracing::warn!(
                bytes,
                "telemetry of a sender that is gone is dropped, too much waits for twins"
            );
            return;
        }
        let mut added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        added.push(Left { work, bytes });
        drop(added);
        self.notify.notify_one();
    }

    fn take(&self) -> impl Iterator<Item = BoxFuture<'static, usize>> + use<> {
        let added = std::mem::take(&mut *self.added.lock().unwrap_or_else(PoisonError::into_inner));
        added.into_iter().map(Left::end)
    }

    fn ended(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Brings to an end what is left behind, until dropped.
    pub(crate) async fn run(&self) {
        let mut under_way = self.under_way.lock().await;
        loop {
            under_way.extend(self.take());
            tokio::select! {
                () = self.notify.notified() => {}
                Some(bytes) = under_way.next() => self.ended(bytes),
            }
        }
    }

    /// The same when the engine stops: what is there, for a bounded time.
    pub(crate) async fn finish(&self) {
        let mut under_way = self.under_way.lock().await;
        under_way.extend(self.take());
        let all = async {
            while let Some(bytes) = under_way.next().await {
                self.ended(bytes);
            }
        };
        if tokio::time::timeout(FINISH_WITHIN, all).await.is_err() {
            tracing::warn!("telemetry of senders that are gone is dropped, the hub stops");
        }
    }
}

impl Left {
    fn end(self) -> BoxFuture<'static, usize> {
        Box::pin(async move {
            if let Err(error) = self.work.await {
                tracing::debug!(%error, "telemetry of a sender that is gone was not stored");
            }
            self.bytes
        })
    }
}

/// Work of a head. Dropped before its end it goes to the leftovers.
struct Kept {
    work: Option<Work>,
    bytes: usize,
    leftovers: Arc<Leftovers>,
}

impl Future for Kept {
    type Output = Result<Appended, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(StoreError::Unavailable));
        };
        let polled = work.as_mut().poll(context);
        if polled.is_ready() {
            self.work = None;
        }
        polled
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(work) = self.work.take() {
            self.leftovers.add(work, self.bytes);
        }
    }
}
