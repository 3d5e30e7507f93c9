//! Connection state and last activity: in memory, flushed together now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::Timestamp;
use hub_domain::identity::Activity;
use hub_storage::bus::Epoch;
use hub_storage::store::Ordinal;

/// What is known of connections since the last flush, and of all open ones.
pub(crate) struct Activities {
    map: Mutex<HashMap<Ordinal, Newest>>,
    /// The number of the newest change of any connection.
    sequence: Mutex<u128>,
}

/// An identity's state as a session opened it.
pub(crate) struct Opened {
    pub(crate) live: Arc<LiveActivity>,
    /// The number of the change, when the identity was not connected before.
    pub(crate) change: Option<u128>,
}

/// The newest session of an identity.
struct Newest {
    epoch: Epoch,
    live: Arc<LiveActivity>,
}

/// One identity's, written by its session without a lock.
pub(crate) struct LiveActivity {
    connected: AtomicBool,
    connection_updated: AtomicI64,
    last_activity: AtomicI64,
    changed: AtomicBool,
}

impl LiveActivity {
    /// Notes that the identity sent something.
    pub(crate) fn touch(&self, now: Timestamp) {
        if self.last_activity.swap(now.micros(), Ordering::Relaxed) != now.micros() {
            self.changed.store(true, Ordering::Release);
        }
    }

    /// Notes that the session ended.
    pub(crate) fn disconnect(&self, now: Timestamp) {
        self.connected.store(false, Ordering::Relaxed);
        self.connection_updated
            .store(now.micros(), Ordering::Relaxed);
        self.changed.store(true, Ordering::Release);
    }

    fn snapshot(&self) -> Activity {
        Activity {
            connected: self.connected.load(Ordering::Relaxed),
            connection_updated: Timestamp::from_micros(
                self.connection_updated.load(Ordering::Relaxed),
            ),
            last_activity: Timestamp::from_micros(self.last_activity.load(Ordering::Relaxed)),
        }
    }
}

impl Activities {
    pub(crate) fn new() -> Self {
        Self {
            map: Mutex::new(HashMap::new()),
            sequence: Mutex::new(0),
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Ordinal, Newest>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number above all earlier ones, of earlier runs too as long as the clock goes on.
    fn next_change(&self, now: Timestamp) -> u128 {
        let mut newest = self.sequence.lock().unwrap_or_else(PoisonError::into_inner);
        let by_clock = u128::try_from(now.micros()).unwrap_or(0) << 16;
        *newest = by_clock.max(*newest + 1);
        *newest
    }

    /// Notes that a session opened. Each session writes to an entry of its own, so that the end of an older one
    /// does not make the identity look disconnected; the highest epoch counts, whichever comes here first.
    pub(crate) fn connect(&self, ordinal: Ordinal, epoch: Epoch, now: Timestamp) -> Opened {
        let live = Arc::new(LiveActivity {
            connected: AtomicBool::new(true),
            connection_updated: AtomicI64::new(now.micros()),
            last_activity: AtomicI64::new(now.micros()),
            changed: AtomicBool::new(true),
        });
        let mut map = self.map();
        let held = map.get(&ordinal);
        let is_connected = held.is_some_and(|held| held.live.connected.load(Ordering::Relaxed));
        if held.is_none_or(|held| held.epoch < epoch) {
            let live = Arc::clone(&live);
            map.insert(ordinal, Newest { epoch, live });
        }
        let change = (!is_connected).then(|| self.next_change(now));
        Opened { live, change }
    }

    /// Notes that a session ended. The number of the change, when it was the identity's newest session.
    pub(crate) fn disconnect(
        &self,
        ordinal: Ordinal,
        live: &Arc<LiveActivity>,
        now: Timestamp,
    ) -> Option<u128> {
        let map = self.map();
        live.disconnect(now);
        let is_newest = map
            .get(&ordinal)
            .is_some_and(|newest| Arc::ptr_eq(&newest.live, live));
        is_newest.then(|| self.next_change(now))
    }

    /// Notes that an identity sent something outside of any session. `stored` is what the store knows of it.
    pub(crate) fn touch(&self, ordinal: Ordinal, stored: Activity, now: Timestamp) {
        let mut map = self.map();
        let newest = map.entry(ordinal).or_insert_with(|| Newest {
            epoch: Epoch(0),
            live: Arc::new(LiveActivity {
                connected: AtomicBool::new(false),
                connection_updated: AtomicI64::new(stored.connection_updated.micros()),
                last_activity: AtomicI64::new(stored.last_activity.micros()),
                changed: AtomicBool::new(false),
            }),
        });
        newest.live.touch(now);
    }

    /// What is known: the live entry if there is one, else what was stored, which then means disconnected.
    pub(crate) fn of(&self, ordinal: Ordinal, stored: Activity) -> Activity {
        match self.map().get(&ordinal) {
            Some(newest) => newest.live.snapshot(),
            None => Activity {
                connected: false,
                ..stored
            },
        }
    }

    /// What changed since the last call, to be written and then given to [`Activities::written`], or to
    /// [`Activities::put_back`] when that failed.
    pub(crate) fn take_changed(&self) -> Vec<(Ordinal, Activity)> {
        let map = self.map();
        // The mark goes before the state is read: what changes in between is marked again.
        let changed = map
            .iter()
            .filter(|(_, newest)| newest.live.changed.swap(false, Ordering::AcqRel));
        changed
            .map(|(ordinal, newest)| (*ordinal, newest.live.snapshot()))
            .collect()
    }

    /// Lets entries of ended sessions leave memory, for the store knows of their end.
    pub(crate) fn written(&self, activities: &[(Ordinal, Activity)]) {
        let mut map = self.map();
        for (ordinal, _) in activities.iter().filter(|(_, written)| !written.connected) {
            let is_over = |newest: &Newest| {
                let live = &newest.live;
                !live.connected.load(Ordering::Acquire) && !live.changed.load(Ordering::Acquire)
            };
            if map.get(ordinal).is_some_and(is_over) {
                map.remove(ordinal);
            }
        }
    }

    /// Notes that these were not written after all.
    pub(crate) fn put_back(&self, activities: &[(Ordinal, Activity)]) {
        let map = self.map();
        for newest in activities
            .iter()
            .filter_map(|(ordinal, _)| map.get(ordinal))
        {
            newest.live.changed.store(true, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn the_end_of_an_older_session_does_not_disconnect_the_newer() {
        for order in [[1, 2], [2, 1]] {
            let activities = Activities::new();
            let mut lives = order.map(|epoch| {
                (
                    epoch,
                    activities.connect(Ordinal(1), Epoch(epoch), at(1)).live,
                )
            });
            lives.sort_by_key(|(epoch, _)| *epoch);
            lives[0].1.disconnect(at(3));
            assert!(activities.of(Ordinal(1), Activity::NONE).connected);
            lives[1].1.disconnect(at(4));
            assert!(!activities.of(Ordinal(1), Activity::NONE).connected);
        }
    }

    #[test]
    fn only_changes_are_flushed_and_ended_sessions_leave() {
        let activities = Activities::new();
        let live = activities.connect(Ordinal(1), Epoch(1), at(1)).live;
        let first = activities.take_changed();
        assert_eq!(first.len(), 1);
        activities.written(&first);
        assert_eq!(activities.take_changed(), []);
        live.touch(at(2));
        live.disconnect(at(3));
        let flushed = activities.take_changed();
        assert_eq!(flushed[0].1.last_activity, at(2));
        assert!(!flushed[0].1.connected);
        activities.written(&flushed);
        assert!(activities.map().is_empty());
    }

    #[test]
    fn a_request_without_a_session_is_activity_and_no_connection() {
        let activities = Activities::new();
        activities.touch(Ordinal(1), Activity::NONE, at(5));
        let seen = activities.of(Ordinal(1), Activity::NONE);
        assert!(!seen.connected);
        assert_eq!(seen.last_activity, at(5));
        assert_eq!(seen.connection_updated, Activity::NONE.connection_updated);
        let live = activities.connect(Ordinal(1), Epoch(1), at(6)).live;
        activities.touch(Ordinal(1), Activity::NONE, at(7));
        assert!(activities.of(Ordinal(1), Activity::NONE).connected);
        live.disconnect(at(8));
        let changed = activities.take_changed();
        activities.written(&changed);
        assert!(activities.map().is_empty());
    }

    #[test]
    fn what_could_not_be_written_is_written_the_next_time() {
        let activities = Activities::new();
        let live = activities.connect(Ordinal(1), Epoch(1), at(1)).live;
        live.disconnect(at(2));
        let changed = activities.take_changed();
        activities.put_back(&changed);
        assert_eq!(activities.take_changed(), changed);
        // Connected again while the end was written: the new session stays.
        activities.connect(Ordinal(1), Epoch(2), at(3));
        activities.written(&changed);
        assert!(activities.of(Ordinal(1), Activity::NONE).connected);
    }
}
