//! Which messages a device may have seen on an earlier connection without acknowledging them.
//!
//! In memory only: after a restart of the hub a repeated message is sent without the duplicate flag,
//! which is a hint to the device and nothing more.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hub_storage::store::{MessageNo, Ordinal};

/// The newest message sent and not acknowledged, per identity whose session ended that way.
#[derive(Default)]
pub(crate) struct Redeliveries(Mutex<HashMap<Ordinal, MessageNo>>);

/// Entries kept; above it new ones are dropped, and with them only the hint.
const ENTRIES_MAX: usize = 100_000;

impl Redeliveries {
    fn map(&self) -> MutexGuard<'_, HashMap<Ordinal, MessageNo>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that `newest` was sent on a session that ended before it was acknowledged.
    pub(crate) fn note(&self, ordinal: Ordinal, newest: MessageNo) {
        let mut map = self.map();
        if map.len() < ENTRIES_MAX || map.contains_key(&ordinal) {
            let noted = map.entry(ordinal).or_insert(newest);
            *noted = newest.max(*noted);
        }
    }

    /// Takes the note of an identity.
    pub(crate) fn take(&self, ordinal: Ordinal) -> Option<MessageNo> {
        self.map().remove(&ordinal)
    }
}
