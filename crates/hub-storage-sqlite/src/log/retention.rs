//! When a file of a log is old.

use std::time::Duration;

use hub_domain::Timestamp;

/// Why the oldest file goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Oldest {
    /// Its time is over.
    IsOld,
    /// All files together hold too much.
    IsTooMuch {
        /// How much.
        bytes: u64,
    },
}

/// The number of the span of time that holds `moment`.
pub(super) fn slot(moment: Timestamp, span: Duration) -> i64 {
    moment.micros().div_euclid(micros(span))
}

/// When the span of time that holds `moment` ends.
pub(super) fn slot_end(moment: Timestamp, span: Duration) -> Timestamp {
    Timestamp::from_micros(
        slot(moment, span)
            .saturating_add(1)
            .saturating_mul(micros(span)),
    )
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX).max(1)
}
