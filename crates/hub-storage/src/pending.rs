//! Results that arrive when a write is durable or a read is done.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::StoreError;

/// A read in progress. Dropping it abandons the read.
pub type Reading<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A write that was submitted. Resolves when it is durable or has failed; dropping it does not undo the write.
///
/// Resolves to [`StoreError::Unavailable`] when the committer goes away first.
pub struct Pending<T>(Origin<T>);

enum Origin<T> {
    Committer(oneshot::Receiver<Result<T, StoreError>>),
    Future(Reading<'static, T>),
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// The committer's end of a [`Pending`].
#[derive(Debug)]
pub struct Completer<T>(oneshot::Sender<Result<T, StoreError>>);

/// A pending result and the handle that completes it.
pub fn pending<T>() -> (Completer<T>, Pending<T>) {
    let (sender, receiver) = oneshot::channel();
    (Completer(sender), Pending(Origin::Committer(receiver)))
}

impl<T> Pending<T> {
    /// A result that is there already.
    pub fn ready(result: Result<T, StoreError>) -> Self {
        let (completer, pending) = pending();
        completer.complete(result);
        pending
    }

    /// A result of steps that come before the write is submitted. Nothing is submitted unless it is polled.
    pub fn of(future: Reading<'static, T>) -> Self {
        Self(Origin::Future(future))
    }
}

impl<T> Completer<T> {
    /// Hands over the result. Nobody may be waiting any more; that is no error.
    pub fn complete(self, result: Result<T, StoreError>) {
        drop(self.0.send(result));
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Origin::Committer(receiver) => Pin::new(receiver)
                .poll(context)
                .map(|received| received.unwrap_or(Err(StoreError::Unavailable))),
            Origin::Future(future) => future.as_mut().poll(context),
        }
    }
}
