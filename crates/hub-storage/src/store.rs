//! The port for everything but messages: hubs, identities, twins, cloud-to-device queues, facts.

mod service_bound;

use hub_domain::identity::Activity;
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::twin::{BackEnd, Section, Twin, TwinEtag};
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{
    DeviceId, Etag, Fact, FactKind, Hub, HubNo, Identity, IdentityId, Revision, ServiceBoundKind,
    ServiceBoundRecord, Timestamp,
};
use tokio::sync::watch;

pub use service_bound::{FeedbackTerms, ServiceBoundNo, StoredServiceBound};

use crate::{Backlog, Pending, Reading, StoreError};

/// The durable store of an installation.
///
/// Writes are units: submitted without waiting, committed in the order of submission, grouped with
/// others into one transaction, complete when durable. A unit may therefore be decided on the state
/// that an earlier, still pending unit will leave (a chained decision): when the earlier one fails, the
/// later one's precondition fails too.
pub trait Store: Send + Sync + 'static {
    /// Queues `unit` for commit and returns at once. Never blocks; the bound is [`Store::backlog`].
    fn submit(&self, unit: Unit) -> Pending<Committed>;

    /// Bytes that wait for the committer.
    fn backlog(&self) -> &Backlog;

    /// All hubs, by number.
    fn hubs(&self) -> Reading<'_, Vec<Hub>>;

    /// One identity with its queue and session state; `None` when it does not exist.
    fn identity(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<StoredIdentity>>;

    /// One identity and its twin, read in one snapshot.
    fn twin(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<(StoredIdentity, Twin)>>;

    /// Devices in the byte order of their ids, after `after`, at most `max`.
    fn devices(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Reading<'_, Vec<StoredIdentity>>;

    /// The modules of a device in the byte order of their ids. Empty also when the device does not exist.
    fn modules(&self, hub: HubNo, device: &DeviceId) -> Reading<'_, Vec<StoredIdentity>>;

    /// Queued messages of an identity with a number above `after`, oldest first, at most `max`.
    fn messages(
        &self,
        identity: Ordinal,
        after: MessageNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredMessage>>;

    /// Queued messages that expired at or before `now`, of any hub, at most `max`.
    fn expired_messages(
        &self,
        now: Timestamp,
        max: usize,
    ) -> Reading<'_, Vec<(Ordinal, MessageNo)>>;

    /// Records of a service-bound queue with a number above `after`, oldest first, at most `max`.
    fn service_bound(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        after: ServiceBoundNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredServiceBound>>;

    /// Changes after each commit that put a record into a service-bound queue. What it counts from is not said.
    fn service_bound_head(&self) -> watch::Receiver<u64>;
    /// An upload of an identity that is not finished, expired or not.
    fn upload(&self, identity: Ordinal, correlation: &CorrelationId)
    -> Reading<'_, Option<Upload>>;

    /// Uploads that expired at or before `before`, of any hub, at most `max`.
    fn expired_uploads(&self, before: Timestamp, max: usize)
    -> Reading<'_, Vec<(Ordinal, Upload)>>;

    /// Device counts of a hub, from counters kept in the commits.
    fn statistics(&self, hub: HubNo) -> Reading<'_, Statistics>;

    /// Facts after `after` in commit order, at most `max`. Facts older than the retention are gone;
    /// the first one returned then has a higher number than `after + 1`.
    fn changes(&self, after: FactNo, max: usize) -> Reading<'_, Vec<(FactNo, Fact)>>;

    /// How far the facts of a hub were routed as events ([`Op::SetCheckpoint`]); `None` when nobody ever said.
    fn checkpoint(&self, hub: HubNo) -> Reading<'_, Option<FactNo>>;

    /// The number of the newest committed fact; changes after each commit that had facts.
    fn fact_head(&self) -> watch::Receiver<FactNo>;

    /// Deletes facts decided before `before`.
    fn trim_facts(&self, before: Timestamp) -> Pending<Committed>;

    /// Whether writes are accepted.
    fn health(&self) -> Health;
}

/// What a backend says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Reads and writes work.
    Good,
    /// Writes are refused because the disk is full; reads work.
    DiskFull,
}

/// A change that is kept whole or not at all.
#[derive(Clone, Default)]
pub struct Unit {
    /// A caller's own id of this unit. Submitting the same id again returns the first result and changes nothing.
    pub op_id: Option<OpId>,
    /// The writes, in order. All preconditions are checked before the first write is kept; the precondition of
    /// a write sees the unit's earlier writes, so that a device and its modules can be created together.
    pub ops: Vec<Op>,
    /// What happened, to be numbered and kept with the writes.
    pub facts: Vec<Fact>,
}

impl Unit {
    /// A unit of one write and its facts.
    pub fn new(op: Op, facts: Vec<Fact>) -> Self {
        Self {
            op_id: None,
            ops: vec![op],
            facts,
        }
    }

    /// The approximate size in bytes, for the backlog.
    pub fn size(&self) -> usize {
        256 + self.ops.iter().map(Op::size).sum::<usize>()
            + self.facts.iter().map(fact_size).sum::<usize>()
    }
}

fn fact_size(fact: &Fact) -> usize {
    match &fact.kind {
        FactKind::IdentityDeleted { twin: Some(_), .. } => 2_048,
        FactKind::TwinChanged(change) if change.replaced => 2_048,
        FactKind::IdentityCreated { .. }
        | FactKind::IdentityUpdated { .. }
        | FactKind::IdentityDeleted { twin: None, .. }
        | FactKind::TwinChanged(_)
        | FactKind::MessageQueued
        | FactKind::MessagesPurged => 128,
    }
}

/// Names a unit across retries: random, chosen by the caller. Remembered for at least an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OpId(pub [u8; 16]);

/// The number of an identity within the installation. Never used again after deletion, so that a write
/// decided on a deleted identity cannot touch its successor of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ordinal(pub u64);

/// The number of a cloud-to-device message within the installation, growing in commit order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNo(pub u64);

/// The number of a fact, from 1, without gaps, in commit order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactNo(pub u64);

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
    /// instead ([`OpResult::DeadLettered`]). Conflict: it is gone.
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
    /// Flushes what is known of connections. Identities that are gone are skipped.
    FlushActivity(Vec<(Ordinal, Activity)>),
}

impl Op {
    fn size(&self) -> usize {
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
            Self::DeleteIdentity { .. }
            | Self::SetModelId { .. }
            | Self::SettleMessage { .. }
            | Self::AbandonMessage { .. }
            | Self::PurgeMessages { .. }
            | Self::ReplaceSubscriptions { .. }
            | Self::FinishUpload { .. } => 64,
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

/// An identity as stored.
#[derive(Clone)]
pub struct StoredIdentity {
    /// Its number.
    pub ordinal: Ordinal,
    /// The registry part.
    pub identity: Identity,
    /// Connection state as last flushed.
    pub activity: Activity,
    /// Queued cloud-to-device messages.
    pub message_count: u64,
    /// The persistent session's subscriptions.
    pub subscriptions: Subscriptions,
}

/// A queued cloud-to-device message.
#[derive(Clone, Debug)]
pub struct StoredMessage {
    /// Its number.
    pub no: MessageNo,
    /// How often it was abandoned.
    pub delivery_count: u32,
    /// The message.
    pub message: CloudToDeviceMessage,
}

/// Device counts of a hub; modules are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All devices.
    pub devices: u64,
    /// Devices whose status is enabled.
    pub enabled: u64,
}

/// The result of a committed unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// One per op, in order.
    pub results: Vec<OpResult>,
    /// The number of the unit's last fact; zero when it had none.
    pub last_fact: FactNo,
}

/// What a write gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// It was done.
    Done,
    /// The created identity's number.
    Created(Ordinal),
    /// The queued message's number.
    Enqueued(MessageNo),
    /// How many messages were purged.
    Purged(u64),
    /// The message was not put back: it was delivered too often.
    DeadLettered,
}

/// Reads one page after another until a page is short. For tools and tests; servers page by request.
///
/// # Errors
/// Whatever a read gives.
pub async fn all_devices(store: &dyn Store, hub: HubNo) -> Result<Vec<StoredIdentity>, StoreError> {
    const PAGE: usize = 1_000;
    let mut all: Vec<StoredIdentity> = Vec::new();
    loop {
        let after = all.last().map(|stored| stored.identity.id.device.clone());
        let page = store.devices(hub, after.as_ref(), PAGE).await?;
        let last = page.len() < PAGE;
        all.extend(page);
        if last {
            return Ok(all);
        }
    }
}
