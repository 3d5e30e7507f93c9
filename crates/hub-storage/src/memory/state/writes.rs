//! What each write checks and does.

use std::ops::RangeInclusive;

use hub_domain::identity::{Activity, MODULES_PER_DEVICE_MAX};
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::service_bound::FeedbackStatus;
use hub_domain::twin::{BackEnd, Section, Twin, TwinEtag};
use hub_domain::{Etag, Hub, HubNo, Identity, IdentityId, Revision};

use super::{Row, State};
use crate::Conflict;
use crate::store::{
    FactNo, FeedbackTerms, MessageNo, Op, OpResult, Ordinal, Outcome, StoredIdentity,
    StoredMessage, Subscriptions,
};

type Written = Result<OpResult, Conflict>;

impl State {
    pub(super) fn write(&mut self, op: Op) -> Written {
        match op {
            Op::CreateHub(hub) => self.create_hub(*hub),
            Op::ReplaceHub { next, expected } => self.replace_hub(*next, expected),
            Op::SetCheckpoint { hub, at } => self.set_checkpoint(hub, at),
            Op::CreateIdentity {
                hub,
                identity,
                twin,
            } => self.create_identity(hub, *identity, *twin),
            Op::ReplaceIdentity {
                identity,
                next,
                expected,
            } => self.replace_identity(identity, *next, &expected),
            Op::DeleteIdentity { identity, expected } => {
                self.delete_identity(identity, expected.as_ref())
            }
            Op::ReplaceBackEnd {
                identity,
                next,
                expected,
            } => self.replace_back_end(identity, *next, expected),
            Op::ReplaceReported {
                identity,
                next,
                expected,
            } => self.replace_reported(identity, *next, expected),
            Op::SetModelId { identity, model_id } => self.set_model_id(identity, model_id),
            Op::EnqueueMessage {
                identity,
                message,
                depth_max,
                bytes_max,
            } => self.enqueue(identity, *message, depth_max, bytes_max),
            Op::SettleMessage {
                identity,
                message,
                outcome,
                feedback,
            } => self.settle(identity, message, outcome, feedback),
            Op::AbandonMessage {
                identity,
                message,
                delivery_count_max,
                feedback,
            } => self.abandon(identity, message, delivery_count_max, feedback),
            Op::PurgeMessages { identity, feedback } => self.purge(identity, feedback),
            Op::AppendServiceBound {
                hub,
                record,
                records_max,
            } => self.append_service_bound(hub, *record, records_max),
            Op::RemoveServiceBound { hub, kind, records } => {
                self.remove_service_bound(hub, kind, &records)
            }
            Op::AbandonServiceBound {
                hub,
                kind,
                records,
                delivery_count_max,
            } => self.abandon_service_bound(hub, kind, &records, delivery_count_max),
            Op::ReplaceSubscriptions { identity, next } => {
                self.replace_subscriptions(identity, next)
            }
            Op::BeginUpload {
                identity,
                upload,
                open_max,
            } => self.begin_upload(identity, *upload, open_max),
            Op::FinishUpload {
                identity,
                correlation,
            } => self.finish_upload(identity, correlation),
            Op::ReplaceProvisioningService { next, expected } => {
                self.replace_provisioning_service(*next, expected)
            }
            Op::PutEnrollment { next, expected } => self.put_enrollment(*next, expected.as_ref()),
            Op::DeleteEnrollment { id, expected } => {
                self.delete_enrollment(id.key(), expected.as_ref())
            }
            Op::PutEnrollmentGroup { next, expected } => {
                self.put_enrollment_group(*next, expected.as_ref())
            }
            Op::DeleteEnrollmentGroup { id, expected } => {
                self.delete_enrollment_group(id.key(), expected.as_ref())
            }
            Op::CheckEnrollment { id, expected } => {
                self.check_enrollment(id.key(), expected.as_ref())
            }
            Op::CheckEnrollmentGroup { id, etag } => self.check_enrollment_group(id.key(), &etag),
            Op::PutRegistration { next, expected } => {
                self.put_registration(*next, expected.as_ref())
            }
            Op::DeleteRegistration { id, expected } => {
                self.delete_registration(id.key(), expected.as_ref())
            }
            Op::NoteRefusals { refusals, kept_max } => Ok(self.note_refusals(refusals, kept_max)),
            Op::ForgetRefusal { id } => Ok(self.forget_refusal(id.key())),
            Op::FlushActivity(entries) => Ok(self.flush_activity(entries)),
        }
    }

    fn create_hub(&mut self, hub: Hub) -> Written {
        if self
            .hubs
            .rows()
            .values()
            .any(|other| other.no == hub.no || other.name == hub.name)
        {
            return Err(Conflict::AlreadyExists);
        }
        self.hubs.put(hub.no, hub);
        Ok(OpResult::Done)
    }

    fn set_checkpoint(&mut self, hub: HubNo, at: FactNo) -> Written {
        if !self.hubs.rows().contains_key(&hub) {
            return Err(Conflict::NotFound);
        }
        self.checkpoints.put(hub, at);
        Ok(OpResult::Done)
    }

    fn replace_hub(&mut self, next: Hub, expected: Revision) -> Written {
        let stored = self.hubs.rows().get(&next.no);
        let stored = stored
            .filter(|hub| hub.name == next.name)
            .ok_or(Conflict::NotFound)?;
        if stored.revision != expected {
            return Err(Conflict::VersionMismatch);
        }
        self.hubs.put(next.no, next);
        Ok(OpResult::Done)
    }

    fn create_identity(&mut self, hub: HubNo, identity: Identity, twin: Twin) -> Written {
        if !self.hubs.rows().contains_key(&hub) {
            return Err(Conflict::NotFound);
        }
        if self
            .ordinals
            .rows()
            .contains_key(&(hub, identity.id.clone()))
        {
            return Err(Conflict::AlreadyExists);
        }
        if identity.id.module.is_some() {
            self.check_room_for_module(hub, &identity.id)?;
        }
        let ordinal = Ordinal(self.next.ordinal);
        self.next.ordinal += 1;
        self.ordinals.put((hub, identity.id.clone()), ordinal);
        let stored = StoredIdentity {
            ordinal,
            identity,
            activity: Activity::NONE,
            message_count: 0,
            subscriptions: Subscriptions::default(),
        };
        self.identities.put(
            ordinal,
            Row {
                hub,
                stored,
                message_bytes: 0,
            },
        );
        self.twins.put(ordinal, twin);
        Ok(OpResult::Created(ordinal))
    }

    fn check_room_for_module(&self, hub: HubNo, id: &IdentityId) -> Result<(), Conflict> {
        let device = IdentityId::device(id.device.clone());
        if !self.ordinals.rows().contains_key(&(hub, device)) {
            return Err(Conflict::NotFound);
        }
        let count = self.modules_of(hub, &id.device).count() as u64;
        if count < MODULES_PER_DEVICE_MAX {
            Ok(())
        } else {
            Err(Conflict::TooManyModules)
        }
    }

    fn replace_identity(&mut self, ordinal: Ordinal, next: Identity, expected: &Etag) -> Written {
        let mut row = self.row(ordinal)?;
        check_etag(&row, Some(expected))?;
        row.stored.identity = Identity {
            id: row.stored.identity.id,
            ..next
        };
        self.identities.put(ordinal, row);
        Ok(OpResult::Done)
    }

    fn delete_identity(&mut self, ordinal: Ordinal, expected: Option<&Etag>) -> Written {
        let row = self.row(ordinal)?;
        check_etag(&row, expected)?;
        let id = row.stored.identity.id;
        let modules: Vec<Ordinal> = match id.module {
            Some(_) => Vec::new(),
            None => self.modules_of(row.hub, &id.device).collect(),
        };
        for gone in modules.into_iter().chain([ordinal]) {
            self.remove(gone)?;
        }
        Ok(OpResult::Done)
    }

    fn remove(&mut self, ordinal: Ordinal) -> Result<(), Conflict> {
        let row = self.row(ordinal)?;
        self.clear_queue(ordinal);
        self.forget_feedback(ordinal);
        self.clear_uploads(ordinal);
        self.ordinals.remove(&(row.hub, row.stored.identity.id));
        self.identities.remove(&ordinal);
        self.twins.remove(&ordinal);
        Ok(())
    }

    fn replace_back_end(&mut self, ordinal: Ordinal, next: BackEnd, expected: TwinEtag) -> Written {
        let twin = self.twin_of(ordinal)?;
        if twin.back_end.etag != expected {
            return Err(Conflict::VersionMismatch);
        }
        self.twins.put(
            ordinal,
            Twin {
                back_end: next,
                ..twin
            },
        );
        Ok(OpResult::Done)
    }

    fn replace_reported(&mut self, ordinal: Ordinal, next: Section, expected: u64) -> Written {
        let twin = self.twin_of(ordinal)?;
        if twin.reported.version != expected {
            return Err(Conflict::VersionMismatch);
        }
        self.twins.put(
            ordinal,
            Twin {
                reported: next,
                ..twin
            },
        );
        Ok(OpResult::Done)
    }

    fn set_model_id(&mut self, ordinal: Ordinal, model_id: String) -> Written {
        let twin = self.twin_of(ordinal)?;
        self.twins.put(
            ordinal,
            Twin {
                model_id: Some(model_id),
                ..twin
            },
        );
        Ok(OpResult::Done)
    }

    fn enqueue(
        &mut self,
        ordinal: Ordinal,
        message: CloudToDeviceMessage,
        depth_max: u64,
        bytes_max: u64,
    ) -> Written {
        let mut row = self.row(ordinal)?;
        row.stored.message_count += 1;
        row.message_bytes += message.body.len() as u64;
        if row.stored.message_count > depth_max || row.message_bytes > bytes_max {
            return Err(Conflict::QueueFull);
        }
        let no = MessageNo(self.next.message);
        self.next.message += 1;
        self.identities.put(ordinal, row);
        self.messages.put(
            (ordinal, no),
            StoredMessage {
                no,
                delivery_count: 0,
                message,
            },
        );
        Ok(OpResult::Enqueued(no))
    }

    fn settle(
        &mut self,
        ordinal: Ordinal,
        no: MessageNo,
        outcome: Outcome,
        feedback: FeedbackTerms,
    ) -> Written {
        let mut row = self.row(ordinal)?;
        let message = self.message(ordinal, no)?;
        row.stored.message_count -= 1;
        row.message_bytes -= message.message.body.len() as u64;
        self.give_feedback(&row, &message, outcome.feedback_status(), feedback);
        self.identities.put(ordinal, row);
        self.messages.remove(&(ordinal, no));
        Ok(OpResult::Done)
    }

    fn abandon(
        &mut self,
        ordinal: Ordinal,
        no: MessageNo,
        delivery_count_max: u32,
        feedback: FeedbackTerms,
    ) -> Written {
        let mut message = self.message(ordinal, no)?;
        message.delivery_count += 1;
        if message.delivery_count >= delivery_count_max {
            self.settle(ordinal, no, Outcome::DeliveryCountExceeded, feedback)?;
            return Ok(OpResult::DeadLettered);
        }
        self.messages.put((ordinal, no), message);
        Ok(OpResult::Done)
    }

    fn message(&self, ordinal: Ordinal, no: MessageNo) -> Result<StoredMessage, Conflict> {
        let message = self.messages.rows().get(&(ordinal, no));
        message.cloned().ok_or(Conflict::NotFound)
    }

    fn purge(&mut self, ordinal: Ordinal, feedback: FeedbackTerms) -> Written {
        let mut row = self.row(ordinal)?;
        let purged: Vec<StoredMessage> = self
            .messages
            .rows()
            .range(queue(ordinal))
            .map(|(_, message)| message.clone())
            .collect();
        for message in &purged {
            self.give_feedback(&row, message, FeedbackStatus::Purged, feedback);
        }
        let count = self.clear_queue(ordinal);
        row.stored.message_count = 0;
        row.message_bytes = 0;
        self.identities.put(ordinal, row);
        Ok(OpResult::Purged(count))
    }

    fn replace_subscriptions(&mut self, ordinal: Ordinal, next: Subscriptions) -> Written {
        let mut row = self.row(ordinal)?;
        row.stored.subscriptions = next;
        self.identities.put(ordinal, row);
        Ok(OpResult::Done)
    }

    fn flush_activity(&mut self, entries: Vec<(Ordinal, Activity)>) -> OpResult {
        for (ordinal, activity) in entries {
            if let Ok(mut row) = self.row(ordinal) {
                row.stored.activity = activity;
                self.identities.put(ordinal, row);
            }
        }
        OpResult::Done
    }

    /// Removes the queued messages; returns how many there were.
    fn clear_queue(&mut self, ordinal: Ordinal) -> u64 {
        let keys: Vec<_> = self
            .messages
            .rows()
            .range(queue(ordinal))
            .map(|(key, _)| *key)
            .collect();
        for key in &keys {
            self.messages.remove(key);
        }
        keys.len() as u64
    }

    fn row(&self, ordinal: Ordinal) -> Result<Row, Conflict> {
        self.identities
            .rows()
            .get(&ordinal)
            .cloned()
            .ok_or(Conflict::NotFound)
    }

    fn twin_of(&self, ordinal: Ordinal) -> Result<Twin, Conflict> {
        self.twins
            .rows()
            .get(&ordinal)
            .cloned()
            .ok_or(Conflict::NotFound)
    }
}

/// The keys of an identity's queue.
const fn queue(ordinal: Ordinal) -> RangeInclusive<(Ordinal, MessageNo)> {
    (ordinal, MessageNo(0))..=(ordinal, MessageNo(u64::MAX))
}

fn check_etag(row: &Row, expected: Option<&Etag>) -> Result<(), Conflict> {
    match expected {
        Some(expected) if *expected != row.stored.identity.etag => Err(Conflict::VersionMismatch),
        Some(_) | None => Ok(()),
    }
}
