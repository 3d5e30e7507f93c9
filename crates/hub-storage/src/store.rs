//! The port for everything but messages: hubs, identities, twins, cloud-to-device queues, facts, provisioning.

mod op;
mod provisioning;
mod service_bound;

use hub_domain::identity::Activity;
use hub_domain::message::CloudToDeviceMessage;
use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, ProvisioningService, Refusal, Registration, RegistrationId,
};
use hub_domain::twin::Twin;
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{
    DeviceId, Fact, FactKind, Hub, HubNo, Identity, IdentityId, ServiceBoundKind, Timestamp,
};
use tokio::sync::watch;

pub use op::{Op, Outcome, Subscriptions};
pub use provisioning::{RefusalPosition, RegistrationFilter, RegistrationStatistics};
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

    /// The provisioning service; `None` before it was first written.
    fn provisioning_service(&self) -> Reading<'_, Option<ProvisioningService>>;

    /// The enrollment of one device.
    fn enrollment(&self, id: &RegistrationId) -> Reading<'_, Option<Enrollment>>;

    /// Enrollments of single devices in the byte order of their keys ([`RegistrationId::key`]), after the key `after`,
    /// at most `max`.
    fn enrollments(&self, after: Option<&str>, max: usize) -> Reading<'_, Vec<Enrollment>>;

    /// How many individual enrollments there are. Dear where there are many.
    fn enrollment_count(&self) -> Reading<'_, u64>;

    /// Enrollment groups in the byte order of their keys ([`hub_domain::provisioning::EnrollmentGroupId::key`]), after the key
    /// `after`, at most `max`.
    fn enrollment_groups(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<EnrollmentGroup>>;

    /// What became of one device that registered.
    fn registration(&self, id: &RegistrationId) -> Reading<'_, Option<Registration>>;

    /// Registrations of a filter in the byte order of their keys ([`RegistrationId::key`]), after the key `after`, at
    /// most `max`. A page costs its own length, however many others there are.
    fn registrations(
        &self,
        filter: RegistrationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<Registration>>;

    /// How many registrations there are, from counters kept in the commits.
    fn registration_statistics(&self) -> Reading<'_, RegistrationStatistics>;

    /// Devices that were turned away, those with an enrollment before the others, the newest first ([`Refusal::last`], then
    /// by key), after `after`, at most `max`.
    fn refusals(&self, after: Option<&RefusalPosition>, max: usize) -> Reading<'_, Vec<Refusal>>;

    /// That of one id.
    fn refusal(&self, id: &RegistrationId) -> Reading<'_, Option<Refusal>>;

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
