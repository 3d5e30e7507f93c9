//! Hubs that did not answer lately, so that nobody waits for them in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::{HostName, Timestamp};
use hub_engine::Environment;

/// How long a hub that did not answer counts as away, from the moment when it was given up.
const AWAY: Duration = Duration::from_secs(15);

/// When which hub was last given up. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outages {
    environment: Arc<dyn Environment>,
    since: Arc<Mutex<HashMap<HostName, Timestamp>>>,
}

impl Outages {
    pub(super) fn new(environment: Arc<dyn Environment>) -> Self {
        Self {
            environment,
            since: Arc::default(),
        }
    }

    /// The hub gave no answer. It counts from now: whoever called it may have begun long ago.
    pub(super) fn begin(&self, host: &HostName) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that no moment replaces a newer one.
        let now = self.environment.now();
        since.retain(|_, moment| is_recent(*moment, now));
        since.insert(host.clone(), now);
    }

    /// The hub answered.
    pub(super) fn end(&self, host: &HostName) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.remove(host);
    }

    /// Whether the hub gave no answer a moment ago.
    pub(super) fn is_away(&self, host: &HostName) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.environment.now();
        since
            .get(host)
            .is_some_and(|moment| is_recent(*moment, now))
    }
}

/// A moment that is still to come is none: somebody set the clock back.
fn is_recent(moment: Timestamp, now: Timestamp) -> bool {
    moment <= now && moment.plus(AWAY) > now
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[derive(Default)]
    struct Clock(AtomicI64);

    impl Environment for Clock {
        fn now(&self) -> Timestamp {
            Timestamp::from_seconds(self.0.load(Ordering::SeqCst))
        }

        fn fill_random(&self, _: &mut [u8]) {}
    }

    #[test]
    fn a_hub_is_away_until_it_answers_or_a_while_has_passed() {
        let clock = Arc::new(Clock::default());
        let outages = Outages::new(Arc::clone(&clock) as _);
        let at = |seconds| clock.0.store(seconds, Ordering::SeqCst);
        let host = HostName::parse("a.test").expect("a name");
        at(100);
        assert!(!outages.is_away(&host));
        outages.begin(&host);
        at(114);
        assert!(outages.is_away(&host));
        at(115);
        assert!(!outages.is_away(&host));
        at(120);
        outages.begin(&host);
        at(130);
        outages.begin(&host);
        at(144);
        assert!(outages.is_away(&host), "the newest counts");
        outages.end(&host);
        assert!(!outages.is_away(&host));
        outages.begin(&host);
        at(20);
        assert!(!outages.is_away(&host), "the clock was set back");
    }
}
