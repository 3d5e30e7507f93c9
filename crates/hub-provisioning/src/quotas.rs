//! Throttles and counts of a service that has a profile. The installation's own commands are not throttled.
//!
//! Meters live in memory: a restart forgives. Only what proved itself is metered, so that nobody uses up what is
//! another's. Counts are checked before the write, not with it: several writers at once may pass by a few.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::Timestamp;
use hub_domain::limits::PROVISIONING_POLL_METERS_MAX;
use hub_domain::provisioning::{
    AttestationKind, EnrollmentGroup, ProvisioningLimits, RegistrationId,
};
use hub_domain::quota::Meter;
use hub_engine::ErrorKind;
use hub_storage::Store;

use crate::parts::Parts;
use crate::{Caller, Context, Error};

/// How often meters that are empty are looked for when there is no room for more.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// That the number is not known.
const NOT_COUNTED: u64 = u64::MAX;

/// Throttles and counts. Cheap to clone.
#[derive(Clone)]
pub struct Quotas {
    room: Arc<Room>,
}

struct Room {
    limits: ProvisioningLimits,
    store: Arc<dyn Store>,
    meters: Mutex<Meters>,
    /// No fewer than there are: what was counted last, and what was created since.
    enrollments: AtomicU64,
}

struct Meters {
    operations: Meter,
    registrations: Meter,
    polls: HashMap<Box<str>, Meter>,
    swept: Timestamp,
}

impl Quotas {
    pub(crate) fn new(parts: &Parts) -> Self {
        Self {
            room: Arc::new(Room {
                limits: parts.limits,
                store: Arc::clone(&parts.store),
                meters: Mutex::new(Meters {
                    operations: Meter::EMPTY,
                    registrations: Meter::EMPTY,
                    polls: HashMap::new(),
                    swept: Timestamp::NEVER,
                }),
                enrollments: AtomicU64::new(NOT_COUNTED),
            }),
        }
    }

    /// Takes one request of a back end, once it is known who asks. A head does so once for each request.
    ///
    /// # Errors
    /// `Throttled` (429001) with the time to wait.
    pub fn take_operation(&self, ctx: &Context) -> Result<(), Error> {
        let Some(rate) = self.room.limits.operations else {
            return Ok(());
        };
        match ctx.caller {
            Caller::Policy { .. } => {
                let result = self.meters().operations.take(1, rate, ctx.now);
                result.map_err(|wait| throttled("operations", wait))
            }
            Caller::Admin | Caller::System => Ok(()),
        }
    }

    /// Takes one request to register.
    pub(crate) fn take_registration(&self, now: Timestamp) -> Result<(), Error> {
        let Some(rate) = self.room.limits.registrations else {
            return Ok(());
        };
        let result = self.meters().registrations.take(1, rate, now);
        result.map_err(|wait| throttled("device registrations", wait))
    }

    /// Takes one question of a device what became of its registration.
    pub(crate) fn take_poll(&self, id: &RegistrationId, now: Timestamp) -> Result<(), Error> {
        let Some(rate) = self.room.limits.polls else {
            return Ok(());
        };
        let mut meters = self.meters();
        let result = match meters.poll(id, now) {
            Some(meter) => meter.take(1, rate, now),
            None => Ok(()),
        };
        result.map_err(|wait| throttled("polls of this device", wait))
    }

    /// Whether there is room for a device that never registered.
    pub(crate) async fn check_new_registration(&self) -> Result<(), Error> {
        let Some(max) = self.room.limits.registrations_max else {
            return Ok(());
        };
        let counts = self.room.store.registration_statistics().await?;
        if counts.assigned + counts.assigning + counts.failed >= max {
            return Err(used_up(max, "registrations"));
        }
        Ok(())
    }

    /// Whether there is room for another individual enrollment.
    pub(crate) async fn check_new_enrollment(&self) -> Result<(), Error> {
        let Some(max) = self.room.limits.enrollments_max else {
            return Ok(());
        };
        if self.room.enrollments.load(Ordering::Relaxed) >= max {
            let count = self.room.store.enrollment_count().await?;
            self.room.enrollments.store(count, Ordering::Relaxed);
            if count >= max {
                return Err(used_up(max, "individual enrollments"));
            }
        }
        self.room.enrollments.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Whether there is room for another group that takes this proof, besides `others`.
    pub(crate) fn check_new_group<'a>(
        &self,
        kind: AttestationKind,
        others: impl Iterator<Item = &'a EnrollmentGroup>,
    ) -> Result<(), Error> {
        let Some(max) = self.room.limits.groups_per_kind_max else {
            return Ok(());
        };
        let same = others.filter(|group| group.attestation.kind() == kind);
        if same.count() as u64 >= max {
            let what = format!("enrollment groups of the type {}", kind.as_str());
            return Err(used_up(max, &what));
        }
        Ok(())
    }

    fn meters(&self) -> std::sync::MutexGuard<'_, Meters> {
        let meters = self.room.meters.lock();
        meters.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meters {
    /// The meter of a device's polls; none when there are too many, then it is not throttled. A meter that is empty is
    /// as good as none.
    fn poll(&mut self, id: &RegistrationId, now: Timestamp) -> Option<&mut Meter> {
        if self.polls.len() >= PROVISIONING_POLL_METERS_MAX && !self.polls.contains_key(id.key()) {
            if now.since(self.swept) < SWEEP_INTERVAL {
                return None;
            }
            self.swept = now;
            self.polls.retain(|_, meter| !meter.is_empty(now));
            if self.polls.len() >= PROVISIONING_POLL_METERS_MAX {
                return None;
            }
        }
        Some(self.polls.entry(id.key().into()).or_insert(Meter::EMPTY))
    }
}

fn throttled(what: &str, wait: Duration) -> Error {
    let wait = Duration::from_secs(wait.as_secs() + 1);
    let text = format!("too many {what}, try again in {} s", wait.as_secs());
    Error::new(ErrorKind::Throttled, text).with_retry_after(wait)
}

fn used_up(max: u64, what: &str) -> Error {
    let text = format!("the service has its {max} {what}, delete some before there can be more");
    Error::new(ErrorKind::QuotaExceeded, text)
}

#[cfg(test)]
mod tests {
    use hub_domain::quota::Rate;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_700_000_000);

    #[test]
    fn meters_of_polls_are_bounded_and_empty_ones_make_room() {
        let rate = Rate {
            count: 5,
            per: Duration::from_secs(10),
        };
        let mut meters = Meters {
            operations: Meter::EMPTY,
            registrations: Meter::EMPTY,
            polls: HashMap::new(),
            swept: Timestamp::NEVER,
        };
        let mut poll = |name: &str, now: Timestamp| {
            let id = RegistrationId::parse(name).expect("an id");
            let meter = meters.poll(&id, now);
            meter.map(|meter| meter.take(1, rate, now).is_ok())
        };
        for device in 0..PROVISIONING_POLL_METERS_MAX {
            assert_eq!(poll(&format!("d{device}"), NOW), Some(true));
        }
        assert_eq!(poll("new", NOW), None, "there is no room");
        assert_eq!(poll("d1", NOW), Some(true), "who has a meter keeps it");
        let later = NOW.plus(Duration::from_secs(3));
        assert_eq!(poll("new", later), Some(true), "the others are empty");
        assert_eq!(meters.polls.len(), 2, "d1 is not empty yet");
    }
}
