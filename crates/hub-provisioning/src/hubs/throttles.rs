//! Hubs that said that there is too much at once: nobody calls them for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::HostName;
use tokio::time::Instant;

/// How long nobody calls a hub that does not say it.
const PAUSE: Duration = Duration::from_secs(5);
/// And whatever it says.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Until when which hub is not called. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Throttles(Arc<Mutex<HashMap<HostName, Instant>>>);

impl Throttles {
    /// The hub takes no more calls for that time.
    pub(super) fn begin(&self, host: &HostName, pause: Option<Duration>) {
        let now = Instant::now();
        let until = now + pause.unwrap_or(PAUSE).clamp(PAUSE / 5, PAUSE_MAX);
        let mut throttled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        throttled.retain(|_, until| *until > now);
        let noted = throttled.entry(host.clone()).or_insert(until);
        *noted = until.max(*noted);
    }

    /// Waits until the hub may be called.
    pub(super) async fn pass(&self, host: &HostName) {
        let until = {
            let throttled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            throttled.get(host).copied()
        };
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_hub_that_is_throttled_is_not_called_for_a_while() {
        let throttles = Throttles::default();
        let hosts = ["a.test", "b.test"].map(|host| HostName::parse(host).expect("a name"));
        let [host, other] = &hosts;
        let begun = Instant::now();
        throttles.pass(host).await;
        throttles.begin(host, Some(Duration::from_secs(7)));
        throttles.begin(host, None);
        throttles.pass(other).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        throttles.pass(host).await;
        assert!(
            begun.elapsed() >= Duration::from_secs(7),
            "the longest counts"
        );
        let begun = Instant::now();
        throttles.begin(host, Some(Duration::from_secs(9_999)));
        throttles.pass(host).await;
        assert!(begun.elapsed() < Duration::from_secs(31));
    }
}
