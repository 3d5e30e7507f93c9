//! What a store should hold: lists that are searched from the front, copied whole before each unit.

mod provisioning;
mod told;

use hub_domain::identity::{Activity, MODULES_PER_DEVICE_MAX};
use hub_domain::service_bound::FeedbackStatus;
use hub_domain::twin::Twin;
use hub_domain::upload::Upload;
use hub_domain::{DeviceId, Fact, Hub, HubNo, Identity, IdentityId, ServiceBoundKind, Timestamp};

use super::super::generator::Generator;
use crate::Conflict;
use crate::store::{
    Committed, FactNo, MessageNo, Op, OpId, OpResult, Ordinal, Statistics, StoredIdentity,
    StoredMessage, Subscriptions, Unit,
};
pub(super) use provisioning::Provisioned;
use told::Told;

#[derive(Clone, Default)]
pub(super) struct Model {
    pub(super) hubs: Vec<Hub>,
    pub(super) kept: Vec<Kept>,
    pub(super) facts: Vec<(FactNo, Fact)>,
    pub(super) head: FactNo,
    pub(super) results: Vec<(OpId, Committed)>,
    /// Ordinals of identities that are gone.
    pub(super) gone: Vec<Ordinal>,
    /// The present second; it moves between bursts.
    pub(super) now: i64,
    last_ordinal: u64,
    last_message: u64,
    pub(super) told: Vec<Told>,
    told_last: Vec<(HubNo, ServiceBoundKind)>,
    pub(super) provisioned: Provisioned,
}

/// An identity with everything that belongs to it.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) hub: HubNo,
    pub(super) ordinal: Ordinal,
    pub(super) identity: Identity,
    pub(super) twin: Twin,
    pub(super) activity: Activity,
    pub(super) subscriptions: Subscriptions,
    pub(super) queue: Vec<StoredMessage>,
    pub(super) uploads: Vec<Upload>,
}

impl Kept {
    pub(super) fn stored(&self) -> StoredIdentity {
        StoredIdentity {
            ordinal: self.ordinal,
            identity: self.identity.clone(),
            activity: self.activity,
            message_count: self.queue.len() as u64,
            subscriptions: self.subscriptions,
        }
    }
}

impl Model {
    /// Does what `unit` says. Numbers of new identities and messages are those that the backend `gave`, after a check
    /// that they are new.
    pub(super) fn apply(
        &mut self,
        unit: &Unit,
        gave: Option<&Committed>,
    ) -> Result<Committed, Conflict> {
        let earlier = self
            .results
            .iter()
            .find(|(op_id, _)| Some(*op_id) == unit.op_id);
        if let Some((_, committed)) = earlier {
            return Ok(committed.clone());
        }
        let mut next = self.clone();
        let mut results = Vec::new();
        for (n, op) in unit.ops.iter().enumerate() {
            let given = gave.and_then(|committed| committed.results.get(n)).copied();
            results.push(next.write(op, given)?);
        }
        let mut last_fact = FactNo(0);
        for fact in &unit.facts {
            next.head = FactNo(next.head.0 + 1);
            next.facts.push((next.head, fact.clone()));
            last_fact = next.head;
        }
        let committed = Committed { results, last_fact };
        if let Some(op_id) = unit.op_id {
            next.results.push((op_id, committed.clone()));
        }
        // What the backend gave beyond the model's result is compared by the caller.
        *self = next;
        Ok(committed)
    }

    fn write(&mut self, op: &Op, given: Option<OpResult>) -> Result<OpResult, Conflict> {
        match op {
            Op::CreateHub(hub) => {
                check(
                    !self.hubs.iter().any(|other| other.no == hub.no),
                    Conflict::AlreadyExists,
                )?;
                self.hubs.push((**hub).clone());
            }
            Op::ReplaceHub { next, expected } => {
                let mut hubs = self.hubs.iter_mut();
                let hub = hubs
                    .find(|hub| hub.no == next.no && hub.name == next.name)
                    .ok_or(Conflict::NotFound)?;
                check(hub.revision == *expected, Conflict::VersionMismatch)?;
                *hub = (**next).clone();
            }
            Op::SetCheckpoint { hub, .. } => {
                check(
                    self.hubs.iter().any(|other| other.no == *hub),
                    Conflict::NotFound,
                )?;
            }
            Op::CreateIdentity {
                hub,
                identity,
                twin,
            } => return self.create(*hub, identity, twin, given),
            Op::ReplaceIdentity {
                identity,
                next,
                expected,
            } => {
                let kept = self.at(*identity)?;
                check(kept.identity.etag == *expected, Conflict::VersionMismatch)?;
                kept.identity = (**next).clone();
            }
            Op::DeleteIdentity { identity, expected } => {
                let kept = self.at(*identity)?;
                check(
                    expected
                        .as_ref()
                        .is_none_or(|tag| kept.identity.etag == *tag),
                    Conflict::VersionMismatch,
                )?;
                let (hub, id) = (kept.hub, kept.identity.id.clone());
                let goes = |other: &Kept| {
                    let is_below = id.module.is_none()
                        && other.hub == hub
                        && other.identity.id.device == id.device;
                    other.ordinal == *identity || is_below
                };
                self.gone.extend(
                    self.kept
                        .iter()
                        .filter(|other| goes(other))
                        .map(|other| other.ordinal),
                );
                self.kept.retain(|other| !goes(other));
                let gone = &self.gone;
                self.told
                    .retain(|told| told.identity.is_none_or(|of| !gone.contains(&of)));
            }
            Op::ReplaceBackEnd {
                identity,
                next,
                expected,
            } => {
                let kept = self.at(*identity)?;
                check(
                    kept.twin.back_end.etag == *expected,
                    Conflict::VersionMismatch,
                )?;
                kept.twin.back_end = (**next).clone();
            }
            Op::ReplaceReported {
                identity,
                next,
                expected,
            } => {
                let kept = self.at(*identity)?;
                check(
                    kept.twin.reported.version == *expected,
                    Conflict::VersionMismatch,
                )?;
                kept.twin.reported = (**next).clone();
            }
            Op::SetModelId { identity, model_id } => {
                self.at(*identity)?.twin.model_id = Some(model_id.clone())
            }
            Op::EnqueueMessage {
                identity,
                message,
                depth_max,
                bytes_max,
            } => {
                let stored = StoredMessage {
                    no: MessageNo(0),
                    delivery_count: 0,
                    message: (**message).clone(),
                };
                return self.enqueue(*identity, stored, (*depth_max, *bytes_max), given);
            }
            Op::SettleMessage {
                identity,
                message,
                outcome,
                feedback,
            } => {
                let stored = self.queued(*identity, *message)?.clone();
                self.leave(*identity, &[stored], outcome.feedback_status(), *feedback)?;
            }
            Op::AbandonMessage {
                identity,
                message,
                delivery_count_max,
                feedback,
            } => {
                let stored = self.queued(*identity, *message)?;
                stored.delivery_count += 1;
                if stored.delivery_count >= *delivery_count_max {
                    let stored = stored.clone();
                    let status = FeedbackStatus::DeliveryCountExceeded;
                    self.leave(*identity, &[stored], status, *feedback)?;
                    return Ok(OpResult::DeadLettered);
                }
            }
            Op::PurgeMessages { identity, feedback } => {
                let all = self.at(*identity)?.queue.clone();
                self.leave(*identity, &all, FeedbackStatus::Purged, *feedback)?;
                return Ok(OpResult::Purged(all.len() as u64));
            }
            Op::AppendServiceBound {
                hub,
                record,
                records_max,
            } => {
                check(
                    self.hubs.iter().any(|other| other.no == *hub),
                    Conflict::NotFound,
                )?;
                self.tell(*hub, None, (**record).clone(), *records_max);
            }
            Op::RemoveServiceBound { hub, kind, records } => {
                check(self.is_one_told(*hub, *kind, records), Conflict::NotFound)?;
                let goes = |told: &Told| told.is_one_of(*hub, *kind, records);
                self.told.retain(|told| !goes(told));
            }
            Op::AbandonServiceBound {
                hub,
                kind,
                records,
                delivery_count_max,
            } => {
                check(self.is_one_told(*hub, *kind, records), Conflict::NotFound)?;
                for told in &mut self.told {
                    if told.is_one_of(*hub, *kind, records) {
                        told.stored.delivery_count += 1;
                    }
                }
                self.told.retain(|told| {
                    told.stored.delivery_count < *delivery_count_max
                        || !told.is_one_of(*hub, *kind, records)
                });
            }
            Op::ReplaceSubscriptions { identity, next } => {
                self.at(*identity)?.subscriptions = *next
            }
            Op::BeginUpload {
                identity,
                upload,
                open_max,
            } => {
                let uploads = &mut self.at(*identity)?.uploads;
                let open = uploads.iter().filter(|other| other.expires > upload.begun);
                let has_room = open.count() < *open_max as usize;
                check(has_room, Conflict::TooManyUploads)?;
                uploads.retain(|other| other.correlation != upload.correlation);
                uploads.push((**upload).clone());
            }
            Op::FinishUpload {
                identity,
                correlation,
            } => {
                let uploads = &mut self.at(*identity)?.uploads;
                let place = uploads
                    .iter()
                    .position(|upload| upload.correlation == *correlation);
                uploads.remove(place.ok_or(Conflict::NotFound)?);
            }
            Op::ReplaceProvisioningService { next, expected } => {
                self.provisioned.replace_service(next, *expected)?
            }
            Op::PutEnrollment { next, expected } => {
                self.provisioned.put_enrollment(next, expected.as_ref())?
            }
            Op::DeleteEnrollment { id, expected } => {
                self.provisioned.delete_enrollment(id, expected.as_ref())?
            }
            Op::PutEnrollmentGroup { next, expected } => {
                self.provisioned.put_group(next, expected.as_ref())?
            }
            Op::DeleteEnrollmentGroup { id, expected } => {
                self.provisioned.delete_group(id, expected.as_ref())?
            }
            Op::CheckEnrollment { id, expected } => {
                self.provisioned.check_enrollment(id, expected.as_ref())?
            }
            Op::CheckEnrollmentGroup { id, etag } => self.provisioned.check_group(id, etag)?,
            Op::PutRegistration { next, expected } => {
                self.provisioned.put_registration(next, expected.as_ref())?
            }
            Op::DeleteRegistration { id, expected } => self
                .provisioned
                .delete_registration(id, expected.as_ref())?,
            Op::NoteRefusals { refusals, kept_max } => {
                self.provisioned.note_refusals(refusals, *kept_max)
            }
            Op::ForgetRefusal { id } => self.provisioned.refusals.retain(|other| other.id != *id),
            Op::FlushActivity(entries) => {
                for (ordinal, activity) in entries {
                    if let Ok(kept) = self.at(*ordinal) {
                        kept.activity = *activity;
                    }
                }
            }
        }
        Ok(OpResult::Done)
    }

    fn create(
        &mut self,
        hub: HubNo,
        identity: &Identity,
        twin: &Twin,
        given: Option<OpResult>,
    ) -> Result<OpResult, Conflict> {
        check(
            self.hubs.iter().any(|other| other.no == hub),
            Conflict::NotFound,
        )?;
        check(
            self.find(hub, &identity.id).is_none(),
            Conflict::AlreadyExists,
        )?;
        if identity.id.module.is_some() {
            let device = IdentityId::device(identity.id.device.clone());
            check(self.find(hub, &device).is_some(), Conflict::NotFound)?;
            let count = self.modules(hub, &device.device).len() as u64;
            check(count < MODULES_PER_DEVICE_MAX, Conflict::TooManyModules)?;
        }
        let ordinal = match given {
            Some(OpResult::Created(ordinal)) => ordinal,
            Some(
                OpResult::Done
                | OpResult::Enqueued(_)
                | OpResult::Purged(_)
                | OpResult::DeadLettered,
            )
            | None => Ordinal(self.last_ordinal + 1),
        };
        assert!(
            ordinal.0 > self.last_ordinal,
            "{ordinal:?} may have been used before"
        );
        self.last_ordinal = ordinal.0;
        self.kept.push(Kept {
            hub,
            ordinal,
            identity: identity.clone(),
            twin: twin.clone(),
            activity: Activity::NONE,
            subscriptions: Subscriptions(0),
            queue: Vec::new(),
            uploads: Vec::new(),
        });
        Ok(OpResult::Created(ordinal))
    }

    fn enqueue(
        &mut self,
        identity: Ordinal,
        mut stored: StoredMessage,
        (depth_max, bytes_max): (u64, u64),
        given: Option<OpResult>,
    ) -> Result<OpResult, Conflict> {
        let last = self.last_message;
        let queue = &mut self.at(identity)?.queue;
        let bytes: usize = queue
            .iter()
            .chain([&stored])
            .map(|stored| stored.message.body.len())
            .sum();
        check(
            (queue.len() as u64) < depth_max && bytes as u64 <= bytes_max,
            Conflict::QueueFull,
        )?;
        stored.no = match given {
            Some(OpResult::Enqueued(no)) => no,
            Some(
                OpResult::Done
                | OpResult::Created(_)
                | OpResult::Purged(_)
                | OpResult::DeadLettered,
            )
            | None => MessageNo(last + 1),
        };
        assert!(
            stored.no.0 > last,
            "{:?} does not come after {last}",
            stored.no
        );
        let no = stored.no;
        queue.push(stored);
        self.last_message = no.0;
        Ok(OpResult::Enqueued(no))
    }

    fn queued(
        &mut self,
        identity: Ordinal,
        message: MessageNo,
    ) -> Result<&mut StoredMessage, Conflict> {
        let mut queue = self.at(identity)?.queue.iter_mut();
        queue
            .find(|stored| stored.no == message)
            .ok_or(Conflict::NotFound)
    }

    fn at(&mut self, ordinal: Ordinal) -> Result<&mut Kept, Conflict> {
        self.kept
            .iter_mut()
            .find(|kept| kept.ordinal == ordinal)
            .ok_or(Conflict::NotFound)
    }

    pub(super) fn trim_facts(&mut self, before: Timestamp) {
        self.facts.retain(|(_, fact)| fact.at >= before);
    }

    pub(super) fn find(&self, hub: HubNo, id: &IdentityId) -> Option<&Kept> {
        self.kept
            .iter()
            .find(|kept| kept.hub == hub && kept.identity.id == *id)
    }

    pub(super) fn devices(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Vec<StoredIdentity> {
        let mut all = self.sorted(|kept| kept.hub == hub && kept.identity.id.module.is_none());
        all.retain(|stored| {
            after.is_none_or(|after| stored.identity.id.device.as_str() > after.as_str())
        });
        all.truncate(max);
        all
    }

    pub(super) fn modules(&self, hub: HubNo, device: &DeviceId) -> Vec<StoredIdentity> {
        self.sorted(|kept| {
            kept.hub == hub
                && kept.identity.id.module.is_some()
                && kept.identity.id.device == *device
        })
    }

    fn sorted(&self, wanted: impl Fn(&Kept) -> bool) -> Vec<StoredIdentity> {
        let mut all: Vec<StoredIdentity> = self
            .kept
            .iter()
            .filter(|kept| wanted(kept))
            .map(Kept::stored)
            .collect();
        all.sort_by_key(|stored| stored.identity.id.to_string());
        all
    }

    pub(super) fn queue(&self, ordinal: Ordinal) -> Vec<StoredMessage> {
        let kept = self.kept.iter().find(|kept| kept.ordinal == ordinal);
        kept.map(|kept| kept.queue.clone()).unwrap_or_default()
    }

    pub(super) fn expired(&self, now: Timestamp) -> Vec<(Ordinal, MessageNo)> {
        let mut all = Vec::new();
        for kept in &self.kept {
            let expired = kept
                .queue
                .iter()
                .filter(|stored| stored.message.expiry.is_some_and(|expiry| expiry <= now));
            all.extend(expired.map(|stored| (kept.ordinal, stored.no)));
        }
        all.sort_unstable();
        all
    }

    pub(super) fn statistics(&self, hub: HubNo) -> Statistics {
        let devices = self.devices(hub, None, usize::MAX);
        let enabled = devices
            .iter()
            .filter(|stored| stored.identity.is_enabled())
            .count() as u64;
        Statistics {
            devices: devices.len() as u64,
            enabled,
        }
    }

    pub(super) fn changes(&self, after: FactNo, max: usize) -> Vec<(FactNo, Fact)> {
        self.facts
            .iter()
            .filter(|(no, _)| *no > after)
            .take(max)
            .cloned()
            .collect()
    }

    /// The ordinal of an identity that exists.
    pub(super) fn some_ordinal(&self, generator: &mut Generator) -> Option<Ordinal> {
        (!self.kept.is_empty()).then(|| generator.pick(&self.kept).ordinal)
    }
}

fn check(holds: bool, otherwise: Conflict) -> Result<(), Conflict> {
    if holds { Ok(()) } else { Err(otherwise) }
}
