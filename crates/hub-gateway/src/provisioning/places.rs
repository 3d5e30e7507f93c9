//! The bound on connections of devices that register: in all, and of one device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::limits::{PROVISIONING_CONNECTIONS_MAX, PROVISIONING_CONNECTIONS_PER_DEVICE_MAX};
use hub_domain::provisioning::RegistrationId;

/// Counts connections by device.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    connections: usize,
    by_device: HashMap<Box<str>, usize>,
}

impl Places {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, given back when dropped; `None` when there is none.
    pub(super) fn take(self: &Arc<Self>, id: &RegistrationId) -> Option<Place> {
        let mut taken = self.taken();
        let of_device = taken.by_device.get(id.key()).copied().unwrap_or(0);
        if taken.connections >= PROVISIONING_CONNECTIONS_MAX
            || of_device >= PROVISIONING_CONNECTIONS_PER_DEVICE_MAX
        {
            return None;
        }
        taken.connections += 1;
        *taken.by_device.entry(id.key().into()).or_default() += 1;
        Some(Place {
            places: Arc::clone(self),
            id: id.clone(),
        })
    }
}

/// The place of one connection.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    id: RegistrationId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.connections -= 1;
        if let Some(count) = taken.by_device.get_mut(self.id.key()) {
            *count -= 1;
            if *count == 0 {
                taken.by_device.remove(self.id.key());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_device_has_so_many_places_whatever_its_spelling_and_they_come_back() {
        let places = Places::new();
        let [upper, lower, other] = ["D1", "d1", "d2"].map(|id| RegistrationId::parse(id).unwrap());
        let mut held: Vec<_> = (0..PROVISIONING_CONNECTIONS_PER_DEVICE_MAX)
            .map(|_| places.take(&upper).unwrap())
            .collect();
        assert!(places.take(&lower).is_none());
        assert!(places.take(&other).is_some());
        held.pop();
        assert!(places.take(&lower).is_some());
        drop(held);
        let taken = places.taken();
        assert_eq!((taken.connections, taken.by_device.len()), (0, 0));
    }
}
