//! A device comes to a hub: what it has with it, and what is written there.

use hub_domain::provisioning::{
    Assignment, InitialTwin, Place, Progress, RegistrationRequest, Target,
};
use hub_domain::{HubNo, Timestamp};
use hub_engine::Standing;
use hub_storage::store::{FactNo, Unit};

use super::Room;
use super::assign::{Attempt, Failed, at_hub};
use super::goal::policy;
use crate::Error;
use crate::hubs::{
    Bring, Generation, HubError, Present, Reach, Remote, TwinContent, WantedDevice, Writes,
};

/// What a device has with it when it comes to a hub.
pub(super) struct Baggage {
    pub(super) twin: TwinContent,
    pub(super) bring: Bring,
    pub(super) standing: Standing,
    /// Its identity in the hub of another installation that it leaves.
    pub(super) generation: Option<Generation>,
}

/// What became of a device that came to a hub of another installation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is there by now.
    Done,
    /// It was there all the time: the hub that it was to leave is the same by another name.
    NotMoved,
}

impl Room {
    /// The writes of an own hub, and where it leaves another own hub those of that one: a device is in one of them.
    pub(super) async fn own_writes(
        &self,
        hub: HubNo,
        wanted: WantedDevice,
        baggage: &Baggage,
        left: Option<&Place>,
        now: Timestamp,
    ) -> Result<(Writes, Option<(HubNo, Place, FactNo)>), Failed> {
        let writes = self
            .hubs
            .own_unit(hub, wanted, &baggage.twin, baggage.bring, now);
        let mut writes = writes.await.map_err(at_hub)?;
        let Some((left, Some(Reach::Own(former)))) =
            left.map(|left| (left, self.hubs.reach_place(left)))
        else {
            return Ok((writes, None));
        };
        let read = match (&baggage.twin, baggage.bring) {
            (TwinContent::Whole(twin), Bring::Former) => Some(&**twin),
            (TwinContent::Whole(_) | TwinContent::Written(_), _) => None,
        };
        let removal = self.hubs.removal(former, &left.device, read, now).await;
        let Some(removal) = removal.map_err(at_hub)? else {
            return Ok((writes, None));
        };
        writes.unit.ops.extend(removal.unit.ops);
        writes.unit.facts.extend(removal.unit.facts);
        Ok((writes, Some((former, left.clone(), removal.before))))
    }

    /// Brings a device of another installation's hub in line. May be done again with the same outcome.
    pub(super) async fn place(
        &self,
        attempt: &mut Attempt<'_>,
        (remote, target): (&Remote, Target),
        wanted: &WantedDevice,
        baggage: &Baggage,
    ) -> Result<Arrival, Failed> {
        let here = target.place.clone();
        let slot = self.hubs.slots.take(here.hub.as_str()).await;
        let _slot = slot.ok_or(Failed::Later)?;
        let is_here = |stray: &Place| stray.is_same(&here);
        let was_begun = attempt.strays.iter().any(is_here);
        let present = remote.identity(&wanted.id).await.map_err(at_hub)?;
        let is_new = present.is_none();
        let generation = present.as_ref().and_then(Present::generation);
        let is_moved = generation.is_none() || generation != baggage.generation;
        let is_first = is_new && !was_begun;
        if is_first {
            attempt.strays.push(here.clone());
        }
        // Noted before the first write: after a crash the same hub is gone on with, and what this registration made there
        // is known to be its own.
        if is_first || attempt.target.as_deref() != Some(&target) {
            self.note_target(attempt, target).await?;
        }
        match remote.put(wanted, present).await {
            Err(HubError::Refused(error)) if !was_begun => {
                attempt.strays.retain(|stray| !is_here(stray));
                return Err(Failed::Finally(error));
            }
            result => result.map_err(at_hub)?,
        }
        if !is_moved {
            return Ok(Arrival::NotMoved);
        }
        let is_ours = is_new || was_begun || baggage.bring != Bring::OnlyToNew;
        if is_ours && !(is_new && baggage.twin.is_empty()) {
            let twin = &baggage.twin;
            let written = self.hubs.put_remote_twin(remote, &wanted.id, twin);
            written.await.map_err(at_hub)?;
        }
        Ok(Arrival::Done)
    }

    /// Commits where the device goes, and the enrollment that this was decided on, while its registration is under way.
    pub(super) async fn note_target(
        &self,
        attempt: &mut Attempt<'_>,
        target: Target,
    ) -> Result<(), Failed> {
        let target = Box::new(target);
        let progress = Progress::Assigning(Box::new(RegistrationRequest {
            target: Some(target.clone()),
            enrollment: attempt.attested.etag.clone(),
            proof: attempt.attested.proof.clone(),
            ..attempt.request.clone()
        }));
        let former = attempt.existing.and_then(|one| one.assignment.clone());
        let registration = self.registration(attempt, progress, former, None);
        let (noted, _) = self.commit(attempt, registration, Unit::default()).await?;
        attempt.etag = Some(noted.etag);
        attempt.target = Some(target);
        Ok(())
    }

    /// What a device has with it when it comes to a hub.
    pub(super) async fn baggage(
        &self,
        attempt: &Attempt<'_>,
        leaves: Option<&Assignment>,
        given: Option<InitialTwin>,
    ) -> Result<Baggage, Failed> {
        let migrates =
            given.is_none() && policy(attempt.attested, attempt.request).migrate_device_data;
        let initial = given.unwrap_or_else(|| attempt.attested.terms.initial_twin.clone());
        let new = |bring: Bring, standing: Standing| Baggage {
            twin: TwinContent::Written(initial.clone()),
            bring,
            standing,
            generation: None,
        };
        let Some(left) = leaves else {
            return Ok(new(Bring::OnlyToNew, Standing::default()));
        };
        let without_twin = if migrates {
            Bring::OnlyToNew
        } else {
            Bring::Also
        };
        // From a hub that is not linked any more there is nothing to bring.
        let Some(reach) = self.hubs.reach_place(&left.place()) else {
            return Ok(new(without_twin, Standing::default()));
        };
        if left.taken_over {
            return Ok(new(without_twin, Standing::default()));
        }
        let is_asked = matches!(reach, Reach::Remote(_)) && self.hubs.may_be_tried(&left.hub);
        let _slot = if is_asked {
            let slot = self.hubs.slots.take(left.hub.as_str()).await;
            Some(slot.ok_or(Failed::Later)?)
        } else {
            None
        };
        match self.hubs.former(&reach, &left.device).await {
            Ok(Some(former)) if migrates => Ok(Baggage {
                twin: former.twin,
                bring: Bring::Former,
                standing: former.standing,
                generation: former.generation,
            }),
            Ok(Some(former)) => Ok(Baggage {
                generation: former.generation,
                ..new(Bring::Also, former.standing)
            }),
            Ok(None) => Ok(new(without_twin, Standing::default())),
            // No other hub helps: its twin would be lost.
            Err(HubError::Unreachable(error)) if migrates => {
                let text = format!("the twin cannot be brought along: {}", error.message());
                Err(Failed::Finally(
                    Error::invalid(text).with_code(error.code()),
                ))
            }
            Err(HubError::Unreachable(_)) => Ok(new(Bring::Also, Standing::default())),
            Err(error) => Err(at_hub(error)),
        }
    }
}
