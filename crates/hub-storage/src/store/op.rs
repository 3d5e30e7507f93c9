//! The writes of a unit.

use hub_domain::identity::Activity;
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, EnrollmentGroupId, ProvisioningService, Refusal, Registration,
    RegistrationId,
};
use hub_domain::twin::{BackEnd, Section, Twin, TwinEtag};
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{Etag, Hub, HubNo, Identity, Revision, ServiceBoundKind, ServiceBoundRecord};

#[cfg(doc)]
use super::Store;
use super::provisioning::{enrollment_group_size, enrollment_size, registration_size};
use super::{FactNo, FeedbackTerms, MessageNo, Ordinal, ServiceBoundNo};

/// One write with its precondition.
#[derive(Clone)]
pub enum Op {
    /// Creates a hub. Conflict: the number or name is taken.
    CreateHub(Box<Hub>),
    /// Replaces a hub but for its number and name. Conflict: there is none of that number and name, or another
    /// revision.
    ReplaceHub {
        /// The hub as it shall be, with its next revision.
        next: Box<Hub>,
        /// The revision the change was built on.
        expected: Revision,
    },
    /// Notes how far the facts of a hub were routed as events. Conflict: the hub does not exist.
    SetCheckpoint {
        /// Which hub.
        hub: HubNo,
        /// The last fact that is done.
        at: FactNo,
    },
    /// Creates an identity and its twin. Conflict: it exists; a module's device does not exist
    /// ([`crate::Conflict::NotFound`]); the device has its modules full.
    CreateIdentity {
        /// In which hub.
        hub: HubNo,
        /// The registry part.
        identity: Box<Identity>,
        /// The twin.
        twin: Box<Twin>,
    },
    /// Replaces the registry part. Conflict: gone, or another etag.
    ReplaceIdentity {
        /// Which.
        identity: Ordinal,
        /// The new registry part; its id is the stored one.
        next: Box<Identity>,
        /// The etag the change was built on.
        expected: Etag,
    },
    /// Deletes an identity, its twin, queue, session state and the feedback on its messages; a device's modules too.
    /// Conflict: gone, or another etag.
    DeleteIdentity {
        /// Which.
        identity: Ordinal,
        /// The etag the change was built on; `None` for whatever is there.
        expected: Option<Etag>,
    },
    /// Replaces the tags and desired properties. Conflict: gone, or another counter.
    ReplaceBackEnd {
        /// Which.
        identity: Ordinal,
        /// The new part.
        next: Box<BackEnd>,
        /// The counter the change was built on.
        expected: TwinEtag,
    },
    /// Replaces the reported properties. Conflict: gone, or another version.
    ReplaceReported {
        /// Which.
        identity: Ordinal,
        /// The new section.
        next: Box<Section>,
        /// The version the change was built on.
        expected: u64,
    },
    /// Notes the model id a device announced. Conflict: gone.
    SetModelId {
        /// Which.
        identity: Ordinal,
        /// The DTMI.
        model_id: String,
    },
    /// Appends a cloud-to-device message. Conflict: gone; the queue has `depth_max` messages or `bytes_max` bytes.
    EnqueueMessage {
        /// For whom.
        identity: Ordinal,
        /// What.
        message: Box<CloudToDeviceMessage>,
        /// The most messages the queue may hold.
        depth_max: u64,
        /// The most body bytes the queue may hold.
        bytes_max: u64,
    },
    /// Removes a message from the queue: completed, rejected, expired or dead. Its sender gets the feedback it asked
    /// for. Conflict: it is gone.
    SettleMessage {
        /// Whose.
        identity: Ordinal,
        /// Which.
        message: MessageNo,
        /// Why it goes; feedback is made from it.
        outcome: Outcome,
        /// How feedback is given.
        feedback: FeedbackTerms,
    },
    /// Puts a message back for another try and raises its delivery count. At `delivery_count_max` it is settled as dead
    /// instead ([`super::OpResult::DeadLettered`]). Conflict: it is gone.
    AbandonMessage {
        /// Whose.
        identity: Ordinal,
        /// Which.
        message: MessageNo,
        /// The deliveries after which it is dead.
        delivery_count_max: u32,
        /// How feedback is given.
        feedback: FeedbackTerms,
    },
    /// Removes all messages of the queue, with the feedback that their senders asked for. Conflict: the identity is gone.
    PurgeMessages {
        /// Whose.
        identity: Ordinal,
        /// How feedback is given.
        feedback: FeedbackTerms,
    },
    /// Puts a record into its service-bound queue. Conflict: the hub does not exist.
    AppendServiceBound {
        /// In which hub.
        hub: HubNo,
        /// What.
        record: Box<ServiceBoundRecord>,
        /// The most records that the queue may hold; the oldest go.
        records_max: u64,
    },
    /// Removes records from a service-bound queue. Conflict: none of them is there.
    RemoveServiceBound {
        /// In which hub.
        hub: HubNo,
        /// In which queue.
        kind: ServiceBoundKind,
        /// Which.
        records: Vec<ServiceBoundNo>,
    },
    /// Puts records of a service-bound queue back for another try and raises their delivery counts; those that reach
    /// `delivery_count_max` are dropped. Conflict: none of them is there.
    AbandonServiceBound {
        /// In which hub.
        hub: HubNo,
        /// In which queue.
        kind: ServiceBoundKind,
        /// Which.
        records: Vec<ServiceBoundNo>,
        /// The deliveries after which a record is dropped.
        delivery_count_max: u32,
    },
    /// Keeps the subscriptions of an identity's persistent MQTT session. Conflict: the identity is gone.
    ReplaceSubscriptions {
        /// Whose.
        identity: Ordinal,
        /// The new set.
        next: Subscriptions,
    },
    /// Keeps an upload that a device began. Conflict: the identity is gone; it has `open_max` uploads that are not
    /// expired when this one begins.
    BeginUpload {
        /// Whose.
        identity: Ordinal,
        /// What.
        upload: Box<Upload>,
        /// The most uploads that may be open.
        open_max: u32,
    },
    /// Forgets an upload: finished, or long expired. Conflict: it is gone.
    FinishUpload {
        /// Whose.
        identity: Ordinal,
        /// Which.
        correlation: CorrelationId,
    },
    /// Writes the provisioning service. Conflict: with `None` there is one ([`crate::Conflict::AlreadyExists`]); else
    /// there is none, or another revision.
    ReplaceProvisioningService {
        /// The service as it shall be, with its next revision.
        next: Box<ProvisioningService>,
        /// The revision the change was built on.
        expected: Option<Revision>,
    },
    /// Writes the enrollment of a device. Conflict: with `None` there is one of that id in whatever case; else there is
    /// none, or another etag.
    PutEnrollment {
        /// The enrollment as it shall be, with its new etag.
        next: Box<Enrollment>,
        /// The etag the change was built on.
        expected: Option<Etag>,
    },
    /// Deletes the enrollment of a device, and the registration that it let happen; one by a group stays, and one that is
    /// not finished. Conflict: gone, or another etag.
    DeleteEnrollment {
        /// Which.
        id: RegistrationId,
        /// The etag the change was built on; `None` for whatever is there.
        expected: Option<Etag>,
    },
    /// Writes an enrollment group. Conflict: with `None` there is one of that id in whatever case; else there is none,
    /// or another etag.
    PutEnrollmentGroup {
        /// The group as it shall be, with its new etag.
        next: Box<EnrollmentGroup>,
        /// The etag the change was built on.
        expected: Option<Etag>,
    },
    /// Deletes an enrollment group; its registrations stay. Conflict: gone, or another etag.
    DeleteEnrollmentGroup {
        /// Which.
        id: EnrollmentGroupId,
        /// The etag the change was built on; `None` for whatever is there.
        expected: Option<Etag>,
    },
    /// Writes nothing, so that a unit can be decided on an enrollment, or on that there is none. Conflict: with `None` there is
    /// one; else it is gone, or has another etag.
    CheckEnrollment {
        /// Which.
        id: RegistrationId,
        /// The etag the decision was built on.
        expected: Option<Etag>,
    },
    /// Writes nothing, so that a unit can be decided on a group. Conflict: gone, or another etag.
    CheckEnrollmentGroup {
        /// Which.
        id: EnrollmentGroupId,
        /// The etag the decision was built on.
        etag: Etag,
    },
    /// Writes a registration. Conflict: with `None` there is one of that id in whatever case; else there is none, or
    /// another etag.
    PutRegistration {
        /// The registration as it shall be, with its new etag.
        next: Box<Registration>,
        /// The etag the change was built on.
        expected: Option<Etag>,
    },
    /// Deletes a registration. Conflict: gone, or another etag.
    DeleteRegistration {
        /// Which.
        id: RegistrationId,
        /// The etag the change was built on; `None` for whatever is there.
        expected: Option<Etag>,
    },
    /// Remembers devices that were turned away. Of an id that is known the count grows by the new one and the first time
    /// stays; the rest is replaced. Never conflicts.
    NoteRefusals {
        /// Who, in the order of the attempts.
        refusals: Vec<Refusal>,
        /// How many ids are remembered; strangers go first, then the least recent ([`Store::refusals`] has the order).
        kept_max: u64,
    },
    /// Forgets that a device was turned away. Never conflicts.
    ForgetRefusal {
        /// Which.
        id: RegistrationId,
    },
    /// Flushes what is known of connections. Identities that are gone are skipped.
    FlushActivity(Vec<(Ordinal, Activity)>),
}

impl Op {
    pub(super) fn size(&self) -> usize {
        match self {
            Self::CreateHub(_) | Self::CreateIdentity { .. } | Self::ReplaceIdentity { .. } => {
                1_024
            }
            Self::ReplaceHub { .. } => 8_192,
            Self::SetCheckpoint { .. } => 64,
            Self::ReplaceBackEnd { .. } | Self::ReplaceReported { .. } => 2_048,
            Self::BeginUpload { .. } => 512,
            Self::EnqueueMessage { message, .. } => 512 + message.body.len(),
            Self::FlushActivity(entries) => 32 * entries.len(),
            Self::RemoveServiceBound { records, .. }
            | Self::AbandonServiceBound { records, .. } => 64 + 8 * records.len(),
            Self::AppendServiceBound { .. } => 512,
            Self::ReplaceProvisioningService { .. } => 8_192,
            Self::PutEnrollment { next, .. } => enrollment_size(next),
            Self::PutEnrollmentGroup { next, .. } => enrollment_group_size(next),
            Self::PutRegistration { next, .. } => registration_size(next),
            Self::NoteRefusals { refusals, .. } => 64 + 512 * refusals.len(),
            Self::DeleteIdentity { .. }
            | Self::SetModelId { .. }
            | Self::SettleMessage { .. }
            | Self::AbandonMessage { .. }
            | Self::PurgeMessages { .. }
            | Self::ReplaceSubscriptions { .. }
            | Self::FinishUpload { .. }
            | Self::DeleteEnrollment { .. }
            | Self::DeleteEnrollmentGroup { .. }
            | Self::CheckEnrollment { .. }
            | Self::CheckEnrollmentGroup { .. }
            | Self::DeleteRegistration { .. }
            | Self::ForgetRefusal { .. } => 64,
        }
    }
}

/// Why a message left the queue (feedback `statusCode`, C2D documentation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The device took it.
    Completed,
    /// The device refused it.
    Rejected,
    /// Its time ran out.
    Expired,
    /// It was delivered too often.
    DeliveryCountExceeded,
}

/// A persistent MQTT session's subscriptions: one bit pair per known filter, meaning given by the engine.
/// Zero means none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subscriptions(pub u32);
