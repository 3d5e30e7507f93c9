//! Hubs that did not answer lately, so that nobody waits for them in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::{HostName, Timestamp};

/// How long a hub that did not answer counts as away.
const AWAY: Duration = Duration::from_secs(15);

/// When which hub did not answer. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Outages {
    since: Arc<Mutex<HashMap<HostName, Timestamp>>>,
}

impl Outages {
    /// The hub gave no answer.
    pub(super) fn begin(&self, host: &HostName, now: Timestamp) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.retain(|_, moment| moment.plus(AWAY) > now);
        since.insert(host.clone(), now);
    }

    /// The hub answered.
    pub(super) fn end(&self, host: &HostName) {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since.remove(host);
    }

    /// Whether the hub gave no answer a moment ago.
    pub(super) fn is_away(&self, host: &HostName, now: Timestamp) -> bool {
        let since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        since
            .get(host)
            .is_some_and(|moment| moment.plus(AWAY) > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_is_away_until_it_answers_or_a_while_has_passed() {
        let outages = Outages::default();
        let host = HostName::parse("a.test").expect("a name");
        let at = Timestamp::from_seconds;
        assert!(!outages.is_away(&host, at(100)));
        outages.begin(&host, at(100));
        assert!(outages.is_away(&host, at(114)));
        assert!(!outages.is_away(&host, at(115)));
        outages.begin(&host, at(120));
        outages.end(&host);
        assert!(!outages.is_away(&host, at(121)));
    }
}
