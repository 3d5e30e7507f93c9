//! The bound on bytes that wait for a committer.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts the bytes that wait for a committer. When it is full, sockets are not read.
///
/// The bound is soft by one batch per connection: a batch that was read is taken.
#[derive(Debug)]
pub struct Backlog {
    bytes: AtomicUsize,
    bytes_max: usize,
    room: Notify,
}

impl Backlog {
    /// An empty backlog that is full at `bytes_max`.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            bytes_max,
            room: Notify::new(),
        }
    }

    /// Counts `bytes` that were queued.
    pub fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts `bytes` that were committed or failed, and wakes who waits for room.
    pub fn remove(&self, bytes: usize) {
        let before = self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        if before >= self.bytes_max && before - bytes < self.bytes_max {
            self.room.notify_waiters();
        }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Acquire)
    }

    /// True when sockets should not be read.
    pub fn is_full(&self) -> bool {
        self.bytes() >= self.bytes_max
    }

    /// Waits until there is room. Cancel-safe.
    pub async fn room(&self) {
        while self.is_full() {
            let notified = self.room.notified();
            tokio::pin!(notified);
            notified.as_mut().enable();
            if !self.is_full() {
                return;
            }
            notified.await;
        }
    }
}
