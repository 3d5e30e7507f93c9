//! Connection state and last activity: in memory, flushed together now and then.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::Timestamp;
use hub_domain::identity::Activity;
use hub_storage::store::Ordinal;

/// What is known of connections since the last flush, and of all open ones.
pub(crate) struct Activities(Mutex<HashMap<Ordinal, Arc<LiveActivity>>>);

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
        Self(Mutex::new(HashMap::new()))
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Ordinal, Arc<LiveActivity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a session opened. A later session of the same identity gets an entry of its own, so that the
    /// end of the older one does not make the identity look disconnected.
    pub(crate) fn connect(&self, ordinal: Ordinal, now: Timestamp) -> Arc<LiveActivity> {
        let live = Arc::new(LiveActivity {
            connected: AtomicBool::new(true),
            connection_updated: AtomicI64::new(now.micros()),
            last_activity: AtomicI64::new(now.micros()),
            changed: AtomicBool::new(true),
        });
        self.map().insert(ordinal, Arc::clone(&live));
        live
    }

    /// What is known: the live entry if there is one, else what was stored, which then means disconnected.
    pub(crate) fn of(&self, ordinal: Ordinal, stored: Activity) -> Activity {
        match self.map().get(&ordinal) {
            Some(live) => live.snapshot(),
            None => Activity {
                connected: false,
                ..stored
            },
        }
    }

    /// What changed since the last call. Entries of ended sessions leave memory with it.
    pub(crate) fn take_changed(&self) -> Vec<(Ordinal, Activity)> {
        let mut map = self.map();
        let mut changed = Vec::new();
        map.retain(|ordinal, live| {
            let snapshot = live.snapshot();
            if live.changed.swap(false, Ordering::AcqRel) {
                changed.push((*ordinal, snapshot));
            }
            snapshot.connected
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_an_older_session_does_not_disconnect_the_newer() {
        let activities = Activities::new();
        let older = activities.connect(Ordinal(1), Timestamp::from_seconds(1));
        activities.connect(Ordinal(1), Timestamp::from_seconds(2));
        older.disconnect(Timestamp::from_seconds(3));
        assert!(activities.of(Ordinal(1), Activity::NONE).connected);
    }

    #[test]
    fn only_changes_are_flushed_and_ended_sessions_leave() {
        let activities = Activities::new();
        let live = activities.connect(Ordinal(1), Timestamp::from_seconds(1));
        assert_eq!(activities.take_changed().len(), 1);
        assert_eq!(activities.take_changed(), []);
        live.touch(Timestamp::from_seconds(2));
        live.disconnect(Timestamp::from_seconds(3));
        let flushed = activities.take_changed();
        assert_eq!(flushed[0].1.last_activity, Timestamp::from_seconds(2));
        assert!(!flushed[0].1.connected);
        assert!(activities.map().is_empty());
    }
}
