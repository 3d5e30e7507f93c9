//! Takes a device out of hubs that it is not assigned to.
//!
//! An own hub loses it in one unit with the note that it did, and only if the registration is as it was decided on: a
//! registration that leads back to that hub meanwhile is not hurt. At the hub of another installation it is removed
//! first; only the job of a registration does that, so that no two do it at once. One hub may be linked by two names: what
//! is removed is never the identity that the device is assigned to.

use hub_domain::provisioning::{Assignment, Origin, Place, Progress, Registration, RegistrationId};
use hub_domain::{HubNo, Timestamp};
use hub_storage::StoreError;
use hub_storage::store::{Committed, FactNo, Op, Unit};

use super::Room;
use super::assign::{Failed, at_hub};
use crate::hubs::{Generation, Present, Reach};

impl Room {
    /// Takes a device out of all hubs that it is not assigned to. What fails is tried again by a job.
    pub(super) async fn leave(
        &self,
        mut registration: Registration,
        now: Timestamp,
    ) -> Registration {
        if matches!(registration.progress, Progress::Assigning(_)) {
            return registration;
        }
        let left: Vec<Place> = registration.left().cloned().collect();
        for stray in left {
            let reach = self.hubs.reach_place(&stray);
            let _slot = match &reach {
                Some(Reach::Remote(_)) => match self.hubs.slots.try_take(stray.hub.as_str()) {
                    Some(slot) if self.hubs.try_again(&stray.hub) => Some(slot),
                    // The next look finds it again.
                    Some(_) | None => continue,
                },
                Some(Reach::Own(_)) | None => None,
            };
            match self.leave_hub(&registration, (&stray, reach), now).await {
                Ok(next) => registration = next,
                // Somebody else changed the registration: a job looks at it again.
                Err(Failed::Changed) => break,
                // It is busy there; that keeps no other hub waiting.
                Err(Failed::Later) => {}
                Err(Failed::Elsewhere(error) | Failed::Finally(error)) => tracing::warn!(
                    registration = %registration.id,
                    hub = %stray.hub,
                    error = &error as &dyn std::error::Error,
                    "a device cannot be removed yet from a hub that it is not assigned to"
                ),
            }
        }
        registration
    }

    async fn leave_hub(
        &self,
        registration: &Registration,
        (stray, reach): (&Place, Option<Reach>),
        now: Timestamp,
    ) -> Result<Registration, Failed> {
        let turn = self.hubs.turns.take(stray).await;
        let _turn = turn.ok_or(Failed::Later)?;
        let mut next = registration.clone();
        next.strays.retain(|one| !one.is_same(stray));
        next.etag = self.parts.random_etag();
        match reach {
            Some(Reach::Own(hub)) => {
                let removal = self.hubs.removal(hub, &stray.device, None, now).await;
                let mut removal = removal.map_err(at_hub)?;
                if removal.is_some() && self.is_taken_over(&registration.id, stray).await? {
                    removal = None;
                }
                let before = removal.as_ref().map(|removal| removal.before);
                let unit = removal.map(|removal| removal.unit).unwrap_or_default();
                let committed = self.note_left(registration, &next, unit).await?;
                if let Some(before) = before {
                    let between = before..committed.last_fact;
                    self.tell_left(&next.id, hub, stray, between, now).await;
                }
            }
            Some(Reach::Remote(remote)) => {
                if !self.is_taken_over(&registration.id, stray).await? {
                    let assigned = self.assigned(registration, stray).await?;
                    let removed = remote.remove(&stray.device, assigned.as_ref());
                    removed.await.map_err(at_hub)?;
                }
                self.note_left(registration, &next, Unit::default()).await?;
            }
            // A hub that is gone for good is unlinked.
            None => {
                self.note_left(registration, &next, Unit::default()).await?;
            }
        }
        Ok(next)
    }

    /// The identity of a device in its hub, when that is of another installation: the one that it leaves may be the same by
    /// another name.
    async fn assigned(
        &self,
        registration: &Registration,
        stray: &Place,
    ) -> Result<Option<Generation>, Failed> {
        let assignment = registration.assignment.as_ref();
        let Some(place) = assignment
            .map(Assignment::place)
            .filter(|place| place.device == stray.device)
        else {
            return Ok(None);
        };
        let Some(Reach::Remote(remote)) = self.hubs.reach_place(&place) else {
            return Ok(None);
        };
        let slot = self.hubs.slots.try_take(place.hub.as_str());
        let _slot = slot
            .filter(|_| self.hubs.try_again(&place.hub))
            .ok_or(Failed::Later)?;
        let present = remote.identity(&place.device).await.map_err(at_hub)?;
        Ok(present.as_ref().and_then(Present::generation))
    }

    /// Whether another registration has this device by now: enrollments may name one and the same. Then it is not this
    /// one's to remove. Asked while it is this one's turn there: who takes it over meanwhile waits.
    async fn is_taken_over(&self, id: &RegistrationId, place: &Place) -> Result<bool, StoreError> {
        let mut is_taken = false;
        let look = |other: Registration| is_taken |= other.id != *id && other.has(place);
        self.parts.each_registration_of(&place.device, look).await?;
        Ok(is_taken)
    }

    /// Commits that a device left a hub, with the writes that took it out. When nothing is left to do and the enrollment
    /// was deleted meanwhile, its registration goes with it.
    pub(super) async fn note_left(
        &self,
        registration: &Registration,
        next: &Registration,
        mut unit: Unit,
    ) -> Result<Committed, Failed> {
        let expected = Some(registration.etag.clone());
        let (id, next) = (next.id.clone(), Box::new(next.clone()));
        let is_last = !next.is_unfinished() && next.origin == Origin::Individual;
        if is_last {
            let enrollment = self.parts.store.enrollment(&id).await?;
            let expected_enrollment = enrollment.map(|one| one.etag);
            let is_deleted = expected_enrollment.is_none();
            unit.ops.push(Op::CheckEnrollment {
                id: id.clone(),
                expected: expected_enrollment,
            });
            unit.ops.push(if is_deleted {
                Op::DeleteRegistration { id, expected }
            } else {
                Op::PutRegistration { next, expected }
            });
        } else {
            unit.ops.push(Op::PutRegistration { next, expected });
        }
        Ok(self.parts.store.submit(unit).await?)
    }

    pub(super) async fn tell_left(
        &self,
        id: &RegistrationId,
        hub: HubNo,
        stray: &Place,
        between: std::ops::Range<FactNo>,
        now: Timestamp,
    ) {
        if let Err(error) = self.hubs.removed(hub, &stray.device, between, now).await {
            let error = error.into_error();
            tracing::warn!(
                registration = %id,
                error = &error as &dyn std::error::Error,
                "sessions of modules of a removed device may not have ended"
            );
        }
    }
}
