//! The system's clock and randomness.

use std::time::{SystemTime, UNIX_EPOCH};

use hub_domain::Timestamp;
use hub_engine::Environment;

/// Time and randomness of the operating system.
pub(crate) struct SystemEnvironment;

impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("invariant: the operating system has randomness");
    }
}
