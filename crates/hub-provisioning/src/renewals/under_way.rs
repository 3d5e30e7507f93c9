//! Which devices wait for a certificate, and how often they asked lately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::limits::{RENEWAL_WINDOW, RENEWALS_PER_WINDOW_MAX};
use hub_domain::{DeviceId, HubNo, Timestamp};

use super::Replace;

/// Below so many devices nothing is swept.
const SWEEP_FROM: usize = 1_024;

type Key = (HubNo, DeviceId);

/// One request per device, and the counts of those that asked within the window: others are forgotten.
#[derive(Default)]
pub(super) struct UnderWay(Mutex<Table>);

#[derive(Default)]
struct Table {
    slots: HashMap<Key, Slot>,
    /// The number of the newest request.
    newest: u64,
    /// How many slots there may be before those that say nothing any more are swept.
    sweep_at: usize,
}

struct Slot {
    waits: Option<(u64, Pending)>,
    window_begins: Timestamp,
    begun_in_window: u32,
}

/// A request that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) request_id: String,
    pub(super) correlation: String,
    pub(super) expires: Timestamp,
}

/// Why a request cannot begin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// Another one is under way.
    Pending(Pending),
    /// The one that it shall take the place of is not.
    NothingToReplace(String),
    /// The device asked too often.
    TooOften(Duration),
}

/// A request under way, until it is dropped.
pub(super) struct Ticket {
    under_way: Arc<UnderWay>,
    key: Key,
    number: u64,
}

impl UnderWay {
    /// Begins a request.
    ///
    /// # Errors
    /// Another one is in its way, or too many came before.
    pub(super) fn begin(
        self: &Arc<Self>,
        key: Key,
        replace: Option<&Replace>,
        request: Pending,
        now: Timestamp,
    ) -> Result<Ticket, Busy> {
        let mut table = self.lock();
        table.sweep(now);
        let present = table.slots.get(&key);
        check_place(present.and_then(|slot| slot.waits.as_ref()), replace)?;
        table.newest += 1;
        let number = table.newest;
        let slot = table.slots.entry(key.clone()).or_insert(Slot {
            waits: None,
            window_begins: now,
            begun_in_window: 0,
        });
        slot.count(now)?;
        slot.waits = Some((number, request));
        Ok(Ticket {
            under_way: Arc::clone(self),
            key,
            number,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_place(waits: Option<&(u64, Pending)>, replace: Option<&Replace>) -> Result<(), Busy> {
    match (waits, replace) {
        (None, None | Some(Replace::Any)) | (Some(_), Some(Replace::Any)) => Ok(()),
        (Some((_, pending)), None) => Err(Busy::Pending(pending.clone())),
        (Some((_, pending)), Some(Replace::Exactly(id))) if pending.request_id == *id => Ok(()),
        (_, Some(Replace::Exactly(id))) => Err(Busy::NothingToReplace(id.clone())),
    }
}

impl Table {
    /// Forgets devices that neither wait nor asked lately, whenever their number has doubled.
    fn sweep(&mut self, now: Timestamp) {
        if self.slots.len() < self.sweep_at.max(SWEEP_FROM) {
            return;
        }
        self.slots
            .retain(|_, slot| slot.waits.is_some() || !slot.is_over(now));
        self.sweep_at = self.slots.len() * 2;
    }
}

impl Slot {
    fn is_over(&self, now: Timestamp) -> bool {
        self.window_begins.plus(RENEWAL_WINDOW) <= now
    }

    fn count(&mut self, now: Timestamp) -> Result<(), Busy> {
        if self.is_over(now) {
            self.window_begins = now;
            self.begun_in_window = 0;
        }
        if self.begun_in_window >= RENEWALS_PER_WINDOW_MAX {
            let ends = self.window_begins.plus(RENEWAL_WINDOW);
            return Err(Busy::TooOften(ends.since(now)));
        }
        self.begun_in_window += 1;
        Ok(())
    }
}

impl Ticket {
    /// False when another request took its place.
    pub(super) fn is_current(&self) -> bool {
        let table = self.under_way.lock();
        let waits = table
            .slots
            .get(&self.key)
            .and_then(|slot| slot.waits.as_ref());
        waits.is_some_and(|(number, _)| *number == self.number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.under_way.lock();
        if let Some(slot) = table.slots.get_mut(&self.key) {
            let number = self.number;
            slot.waits.take_if(|(waiting, _)| *waiting == number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    fn key(device: &str) -> Key {
        (HubNo(1), DeviceId::parse(device).expect("an id"))
    }

    fn request(id: &str) -> Pending {
        Pending {
            request_id: id.to_owned(),
            correlation: format!("c-{id}"),
            expires: NOW,
        }
    }

    fn begin(
        under_way: &Arc<UnderWay>,
        id: &str,
        replace: Option<&Replace>,
    ) -> Result<Ticket, Busy> {
        under_way.begin(key("d"), replace, request(id), NOW)
    }

    #[test]
    fn one_request_of_a_device_is_under_way_until_it_ends() {
        let under_way = Arc::new(UnderWay::default());
        let first = begin(&under_way, "r-01", None).expect("it begins");
        let second = begin(&under_way, "r-02", None).err();
        assert_eq!(second, Some(Busy::Pending(request("r-01"))));
        let of_another = under_way.begin(key("e"), None, request("r-01"), NOW);
        assert!(of_another.is_ok(), "another device does not wait");
        drop(first);
        assert!(begin(&under_way, "r-02", None).is_ok());
    }

    #[test]
    fn a_request_takes_the_place_of_the_one_it_names() {
        let under_way = Arc::new(UnderWay::default());
        let exactly = |id: &str| Some(Replace::Exactly(id.to_owned()));
        let nothing = begin(&under_way, "r-01", exactly("r-00").as_ref()).err();
        assert_eq!(nothing, Some(Busy::NothingToReplace("r-00".to_owned())));
        let first = begin(&under_way, "r-01", Some(&Replace::Any));
        let first = first.expect("any may be none");
        let other = begin(&under_way, "r-02", exactly("r-00").as_ref()).err();
        assert_eq!(other, Some(Busy::NothingToReplace("r-00".to_owned())));
        assert!(first.is_current());
        let second = begin(&under_way, "r-02", exactly("r-01").as_ref());
        let second = second.expect("it takes its place");
        assert!(!first.is_current() && second.is_current());
        drop(first);
        assert!(second.is_current(), "what gave way takes nothing along");
        let third = begin(&under_way, "r-03", Some(&Replace::Any));
        assert!(third.is_ok() && !second.is_current());
    }

    #[test]
    fn a_device_that_asks_too_often_has_to_wait() {
        let under_way = Arc::new(UnderWay::default());
        for _ in 0..RENEWALS_PER_WINDOW_MAX {
            assert!(begin(&under_way, "r-01", None).is_ok());
        }
        let refused = begin(&under_way, "r-01", None).err();
        assert_eq!(refused, Some(Busy::TooOften(RENEWAL_WINDOW)));
        let later = NOW.plus(RENEWAL_WINDOW);
        let again = under_way.begin(key("d"), None, request("r-01"), later);
        assert!(again.is_ok());
    }

    #[test]
    fn devices_that_asked_long_ago_are_forgotten() {
        let under_way = Arc::new(UnderWay::default());
        let waiting = begin(&under_way, "r-01", None).expect("it begins");
        for number in 1..SWEEP_FROM {
            let key = key(&format!("d-{number}"));
            assert!(under_way.begin(key, None, request("r-01"), NOW).is_ok());
        }
        let later = NOW.plus(RENEWAL_WINDOW);
        let next = under_way.begin(key("e"), None, request("r-01"), later);
        assert!(next.is_ok());
        assert_eq!(under_way.lock().slots.len(), 2, "who waits is not");
        assert!(waiting.is_current());
    }
}
