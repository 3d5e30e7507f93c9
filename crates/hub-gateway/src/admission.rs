//! The bound on connections that have not proved who they are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hub_domain::limits::{
    UNAUTHENTICATED_CONNECTIONS_MAX, UNAUTHENTICATED_PER_ADDRESS_MAX, UNAUTHENTICATED_TIME_MAX,
};

/// How many may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub struct AdmissionConfig {
    /// Unauthenticated connections in all.
    pub connections_max: usize,
    /// Unauthenticated connections from one source address.
    pub per_address_max: usize,
    /// How long one may take for TLS and its first packet together.
    pub time_max: Duration,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            connections_max: UNAUTHENTICATED_CONNECTIONS_MAX,
            per_address_max: UNAUTHENTICATED_PER_ADDRESS_MAX,
            time_max: UNAUTHENTICATED_TIME_MAX,
        }
    }
}

/// Counts unauthenticated connections over all listeners.
#[derive(Debug)]
pub struct Admission {
    config: AdmissionConfig,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    connections: usize,
    by_address: HashMap<IpAddr, usize>,
}

impl Admission {
    /// Nobody waits.
    pub fn new(config: AdmissionConfig) -> Arc<Self> {
        Arc::new(Self {
            config,
            waiting: Mutex::default(),
        })
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long a connection may stay unauthenticated.
    pub fn time_max(&self) -> Duration {
        self.config.time_max
    }

    /// A place for a new connection, given back when dropped; `None` when there is none.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut waiting = self.waiting();
        let from_address = waiting.by_address.get(&address).copied().unwrap_or(0);
        if waiting.connections >= self.config.connections_max
            || from_address >= self.config.per_address_max
        {
            return None;
        }
        waiting.connections += 1;
        *waiting.by_address.entry(address).or_default() += 1;
        Some(Place {
            admission: Arc::clone(self),
            address,
        })
    }
}

/// The place of an unauthenticated connection.
#[derive(Debug)]
pub struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.admission.waiting();
        waiting.connections -= 1;
        if let Some(count) = waiting.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                waiting.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_per_address_and_come_back() {
        let config = AdmissionConfig {
            connections_max: 3,
            per_address_max: 2,
            ..AdmissionConfig::default()
        };
        let admission = Admission::new(config);
        let [one, two]: [IpAddr; 2] = [[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
        let first = admission.admit(one);
        let _second = admission.admit(one);
        assert!(first.is_some());
        assert!(admission.admit(one).is_none(), "two from one address");
        let third = admission.admit(two);
        assert!(third.is_some());
        assert!(admission.admit(two).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(one).is_some());
        drop((third, _second));
        assert!(admission.waiting().by_address.is_empty());
    }
}
