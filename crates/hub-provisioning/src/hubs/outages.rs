//! Hubs that did not answer lately, so that nobody waits for them in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::{HostName, Timestamp};
use hub_engine::Environment;

/// How long a hub that did not answer counts as away, from the moment when it was given up.
const AWAY: Duration = Duration::from_secs(15);
/// How often a call finds out meanwhile whether it is back.
const TRY_INTERVAL: Duration = Duration::from_secs(2);

/// Which hubs were given up lately. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Outages {
    environment: Arc<dyn Environment>,
    outages: Arc<Mutex<HashMap<HostName, Outage>>>,
}

struct Outage {
    /// When the hub was last given up.
    since: Timestamp,
    /// When somebody last began to find out whether it is back.
    tried: Timestamp,
}

impl Outage {
    fn is_recent(&self, now: Timestamp) -> bool {
        is_within(self.since, AWAY, now)
    }

    fn may_be_tried(&self, now: Timestamp) -> bool {
        !self.is_recent(now) || !is_within(self.tried, TRY_INTERVAL, now)
    }
}

impl Outages {
    pub(super) fn new(environment: Arc<dyn Environment>) -> Self {
        Self {
            environment,
            outages: Arc::default(),
        }
    }

    /// The hub gave no answer. It counts from now: whoever called it may have begun long ago.
    pub(super) fn begin(&self, host: &HostName) {
        let mut outages = self.lock();
        // Read under the lock, so that no moment replaces a newer one.
        let now = self.environment.now();
        outages.retain(|_, outage| outage.is_recent(now));
        let outage = Outage {
            since: now,
            tried: now,
        };
        outages.insert(host.clone(), outage);
    }

    /// The hub answered.
    pub(super) fn end(&self, host: &HostName) {
        self.lock().remove(host);
    }

    /// Whether the hub gave no answer a moment ago: another one goes first.
    pub(super) fn is_away(&self, host: &HostName) -> bool {
        let outages = self.lock();
        let now = self.environment.now();
        outages.get(host).is_some_and(|one| one.is_recent(now))
    }

    /// Whether [`Outages::try_again`] would say yes: for who has to wait before the call.
    pub(super) fn may_be_tried(&self, host: &HostName) -> bool {
        let outages = self.lock();
        let now = self.environment.now();
        outages.get(host).is_none_or(|one| one.may_be_tried(now))
    }

    /// Whether to call a hub that is the only one that helps. While it is away few do, so that the others do not wait for
    /// it in vain, and it is found again soon.
    pub(super) fn try_again(&self, host: &HostName) -> bool {
        let mut outages = self.lock();
        let now = self.environment.now();
        let Some(outage) = outages.get_mut(host) else {
            return true;
        };
        let may = outage.may_be_tried(now);
        if may {
            outage.tried = now;
        }
        may
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HostName, Outage>> {
        self.outages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A moment that is still to come is none: somebody set the clock back.
fn is_within(moment: Timestamp, span: Duration, now: Timestamp) -> bool {
    moment <= now && moment.plus(span) > now
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

    #[test]
    fn one_call_at_a_time_finds_out_whether_a_hub_is_back() {
        let clock = Arc::new(Clock::default());
        let outages = Outages::new(Arc::clone(&clock) as _);
        let at = |seconds| clock.0.store(seconds, Ordering::SeqCst);
        let host = HostName::parse("a.test").expect("a name");
        at(100);
        assert!(outages.try_again(&host));
        assert!(
            outages.try_again(&host),
            "a hub that answers takes any call"
        );
        outages.begin(&host);
        assert!(!outages.may_be_tried(&host));
        assert!(!outages.try_again(&host));
        at(102);
        assert!(outages.may_be_tried(&host));
        assert!(outages.try_again(&host));
        assert!(!outages.try_again(&host), "somebody does");
        assert!(outages.is_away(&host), "it is not back yet");
        at(104);
        assert!(outages.try_again(&host), "who tried may wait for long");
        outages.begin(&host);
        at(105);
        assert!(!outages.try_again(&host), "it was given up again");
        outages.end(&host);
        assert!(outages.try_again(&host));
    }
}
