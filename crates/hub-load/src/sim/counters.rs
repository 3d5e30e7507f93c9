//! What all devices together did.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::Histogram;

/// Counted by all devices at once.
#[derive(Default)]
pub(super) struct Counters {
    /// Devices with an open connection.
    pub(super) connected: Counter,
    /// Connections that were opened.
    pub(super) opened: Counter,
    /// Connections that could not be opened.
    pub(super) refused: Counter,
    /// Connections that ended without the device's wish.
    pub(super) lost: Counter,
    /// Telemetry messages that were sent.
    pub(super) sent: Counter,
    /// Telemetry messages that were acknowledged.
    pub(super) acknowledged: Counter,
    /// Telemetry messages that were sent again on a later connection.
    pub(super) repeated: Counter,
    /// Telemetry messages that were due and never sent, because the device was too far behind.
    pub(super) skipped: Counter,
    /// Reported patches that were accepted.
    pub(super) reported: Counter,
    /// Desired patches that came.
    pub(super) desired: Counter,
    /// Methods that were answered.
    pub(super) methods: Counter,
    /// Messages for devices that came.
    pub(super) messages: Counter,
    /// Twin requests that were refused.
    pub(super) twin_errors: Counter,
    /// From publish to acknowledgement.
    latency: Mutex<Histogram>,
    /// The last error, for people.
    last_error: Mutex<Option<String>>,
}

/// A number that many tasks count.
#[derive(Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn up(&self) {
        self.add(1);
    }

    pub(super) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn latency(&self, duration: Duration) {
        self.latency
            .lock()
            .expect("invariant: no panic while it is held")
            .record(duration);
    }

    pub(super) fn latency_at(&self, fraction: f64) -> Option<Duration> {
        self.latency
            .lock()
            .expect("invariant: no panic while it is held")
            .quantile(fraction)
    }

    /// Notes why something failed; the summary shows the last one.
    pub(super) fn error(&self, device: &str, error: &dyn std::error::Error) {
        let mut text = format!("{device}: {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        *self
            .last_error
            .lock()
            .expect("invariant: no panic while it is held") = Some(text);
    }

    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error
            .lock()
            .expect("invariant: no panic while it is held")
            .clone()
    }

    /// Everything that went wrong.
    pub(super) fn errors(&self) -> u64 {
        self.refused.value() + self.lost.value() + self.twin_errors.value()
    }
}
