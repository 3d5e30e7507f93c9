//! Values that laws are made of, and the steps they share.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage};
use hub_domain::service_bound::FileNotification;
use hub_domain::twin::{BackEnd, Section, Twin};
use hub_domain::{
    Authentication, Etag, Fact, FactKind, GenerationId, HostName, Hub, HubName, HubNo, Identity,
    IdentityId, Permission, Permissions, Policy, Revision, ServiceBoundKind, ServiceBoundRecord,
    Settings, Status, SymmetricKey, Timestamp,
};

use super::Backend;
use super::text::snapshot;
use crate::store::{
    Committed, FactNo, FeedbackTerms, MessageNo, Op, OpResult, Ordinal, Outcome, ServiceBoundNo,
    StoredIdentity, StoredMessage, StoredServiceBound, Unit,
};
use crate::{Conflict, Store, StoreError};

/// The hub that most laws use.
pub(super) const HUB: HubNo = HubNo(1);
/// A second hub.
pub(super) const OTHER_HUB: HubNo = HubNo(2);
/// An ordinal that no identity has.
pub(super) const NOBODY: Ordinal = Ordinal(9_000_000_000);
/// A queue limit that no law reaches.
pub(super) const UNBOUNDED: u64 = 1 << 40;

/// A moment that many seconds after the laws' own beginning of time.
pub(super) fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

pub(super) fn key(fill: u8) -> SymmetricKey {
    SymmetricKey::from_bytes(&[fill; 32]).expect("32 bytes are a key")
}

pub(super) fn hub(no: HubNo) -> Hub {
    Hub {
        no,
        name: HubName::parse(&format!("hub-{no}")).expect("a valid hub name"),
        host: HostName::parse(&format!("hub-{no}.test")).expect("a valid host name"),
        aliases: vec![HostName::parse("alias.test").expect("a valid host name")],
        policies: vec![Policy {
            name: "service".to_owned(),
            permissions: Permissions::of(&[Permission::ServiceConnect]),
            primary: key(1),
            secondary: key(2),
        }],
        partition_count: 4,
        retention: Duration::from_secs(24 * 3_600),
        retention_bytes_max: 10_000_000_000,
        created: moment(0),
        settings: Settings::default(),
        revision: Revision::default(),
    }
}

pub(super) fn id(text: &str) -> IdentityId {
    IdentityId::parse(text).expect("a valid identity id")
}

/// An enabled identity with keys.
pub(super) fn identity(text: &str) -> Identity {
    Identity {
        id: id(text),
        generation: GenerationId(Arc::from("g1")),
        etag: etag("e1"),
        status: Status::Enabled,
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: Authentication::Sas {
            primary: key(3),
            secondary: key(4),
        },
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

pub(super) fn etag(text: &str) -> Etag {
    Etag(text.to_owned())
}

pub(super) fn create(hub: HubNo, identity: Identity) -> Op {
    Op::CreateIdentity {
        hub,
        identity: Box::new(identity),
        twin: Box::new(Twin::new()),
    }
}

/// The next state of a back-end part, with `mark` in it.
pub(super) fn next_back_end(before: &BackEnd, mark: u64) -> BackEnd {
    let mut next = before.clone();
    next.tags.insert("mark".to_owned(), mark.into());
    next.desired = next_section(&before.desired, mark);
    next.etag = before.etag.next();
    next
}

/// The next state of a section, with `mark` in it.
pub(super) fn next_section(before: &Section, mark: u64) -> Section {
    let patch = serde_json::Map::from_iter([("mark".to_owned(), mark.into())]);
    hub_domain::twin::patch_reported(before, &patch, None, moment(0))
        .expect("a small patch is within the rules")
}

/// The number that [`next_section`] left.
pub(super) fn mark_of(section: &Section) -> Option<u64> {
    section
        .properties
        .get("mark")
        .and_then(serde_json::Value::as_u64)
}

/// A message that never expires.
pub(super) fn message(body: &[u8]) -> CloudToDeviceMessage {
    let draft = CloudToDeviceDraft::new(&id("d1"), Bytes::copy_from_slice(body), moment(0));
    CloudToDeviceMessage::parse(draft).expect("a small message is within the rules")
}

/// A message that expires at `expiry`.
pub(super) fn expiring(body: &[u8], expiry: Timestamp) -> CloudToDeviceMessage {
    let mut draft = CloudToDeviceDraft::new(&id("d1"), Bytes::copy_from_slice(body), moment(0));
    draft.expiry = Some(expiry);
    CloudToDeviceMessage::parse(draft).expect("a small message is within the rules")
}

pub(super) fn enqueue(identity: Ordinal, message: CloudToDeviceMessage) -> Op {
    Op::EnqueueMessage {
        identity,
        message: Box::new(message),
        depth_max: UNBOUNDED,
        bytes_max: UNBOUNDED,
    }
}

/// Feedback on an outcome that came that many seconds after the beginning.
pub(super) fn terms(second: i64) -> FeedbackTerms {
    FeedbackTerms {
        at: moment(second),
        records_max: UNBOUNDED,
    }
}

pub(super) fn settle(identity: Ordinal, message: MessageNo, outcome: Outcome) -> Op {
    Op::SettleMessage {
        identity,
        message,
        outcome,
        feedback: terms(0),
    }
}

/// Abandons a message that may be delivered very often.
pub(super) fn abandon(identity: Ordinal, message: MessageNo) -> Op {
    Op::AbandonMessage {
        identity,
        message,
        delivery_count_max: u32::MAX,
        feedback: terms(0),
    }
}

pub(super) fn purge(identity: Ordinal) -> Op {
    Op::PurgeMessages {
        identity,
        feedback: terms(0),
    }
}

/// A file notification that is told from others by its size.
pub(super) fn file_notification(size_bytes: u64) -> ServiceBoundRecord {
    ServiceBoundRecord::FileNotification(FileNotification {
        device: id("d1").device,
        blob_uri: "https://hub.test/uploads/d1/é%20b".to_owned(),
        blob_name: "d1/é b".to_owned(),
        last_updated: moment(-1),
        size_bytes,
        enqueued: moment(2),
    })
}

/// A fact that is told from others by its second.
pub(super) fn fact(text: &str, second: i64) -> Fact {
    Fact {
        hub: HUB,
        id: id(text),
        at: moment(second),
        kind: FactKind::MessageQueued,
    }
}

/// The backend's store with [`HUB`] in it.
pub(super) async fn store_with_hub<B: Backend>(backend: &B) -> Arc<dyn Store> {
    let store = backend.store();
    commit(&*store, Op::CreateHub(Box::new(hub(HUB)))).await;
    store
}

/// Ends the backend and begins again.
pub(super) async fn reopen<B: Backend>(backend: B, store: Arc<dyn Store>) -> (B, Arc<dyn Store>) {
    drop(store);
    let backend = backend.reopen().await;
    let store = backend.store();
    (backend, store)
}

/// Commits a unit that must succeed.
pub(super) async fn commit_unit(store: &dyn Store, unit: Unit) -> Committed {
    let count = unit.ops.len();
    let committed = store
        .submit(unit)
        .await
        .expect("the unit's preconditions hold");
    assert_eq!(
        committed.results.len(),
        count,
        "there is one result per write"
    );
    committed
}

/// Commits one write that must succeed.
pub(super) async fn commit(store: &dyn Store, op: Op) -> OpResult {
    commit_unit(store, Unit::new(op, Vec::new())).await.results[0]
}

/// Creates an identity.
pub(super) async fn created(store: &dyn Store, hub: HubNo, identity: Identity) -> Ordinal {
    ordinal_of(commit(store, create(hub, identity)).await)
}

/// Creates an enabled device or module in [`HUB`].
pub(super) async fn device(store: &dyn Store, text: &str) -> Ordinal {
    created(store, HUB, identity(text)).await
}

/// Queues a message.
pub(super) async fn queued(store: &dyn Store, identity: Ordinal, body: &[u8]) -> MessageNo {
    message_of(commit(store, enqueue(identity, message(body))).await)
}

pub(super) fn ordinal_of(result: OpResult) -> Ordinal {
    match result {
        OpResult::Created(ordinal) => ordinal,
        OpResult::Done | OpResult::Enqueued(_) | OpResult::Purged(_) | OpResult::DeadLettered => {
            panic!("{result:?} has no ordinal")
        }
    }
}

pub(super) fn message_of(result: OpResult) -> MessageNo {
    match result {
        OpResult::Enqueued(no) => no,
        OpResult::Done | OpResult::Created(_) | OpResult::Purged(_) | OpResult::DeadLettered => {
            panic!("{result:?} has no message number")
        }
    }
}

/// The conflict of a unit that must fail with one.
pub(super) fn conflict_of(result: Result<Committed, StoreError>) -> Conflict {
    match result {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}

/// Submits a write that must conflict, with a fact, and checks that it leaves no trace.
pub(super) async fn refuse(store: &dyn Store, op: Op, expected: Conflict, why: &str) {
    let before = snapshot(store).await;
    let unit = Unit::new(op, vec![fact("trace", 0)]);
    let conflict = conflict_of(store.submit(unit).await);
    assert_eq!(conflict, expected, "{why}");
    assert_eq!(
        snapshot(store).await,
        before,
        "{why}: a conflict leaves no trace"
    );
}

/// An identity that must exist.
pub(super) async fn stored(store: &dyn Store, hub: HubNo, text: &str) -> StoredIdentity {
    let read = store
        .identity(hub, &id(text))
        .await
        .expect("an identity can be read");
    read.unwrap_or_else(|| panic!("{text} exists"))
}

/// The twin of an identity that must exist in [`HUB`].
pub(super) async fn twin(store: &dyn Store, text: &str) -> Twin {
    let read = store
        .twin(HUB, &id(text))
        .await
        .expect("a twin can be read");
    read.unwrap_or_else(|| panic!("{text} exists")).1
}

/// All queued messages, read in pages.
pub(super) async fn pages_of_messages(
    store: &dyn Store,
    identity: Ordinal,
    page: usize,
) -> Vec<StoredMessage> {
    let mut all: Vec<StoredMessage> = Vec::new();
    loop {
        let after = all.last().map_or(MessageNo(0), |last| last.no);
        let next = store
            .messages(identity, after, page)
            .await
            .expect("messages can be read");
        assert!(next.len() <= page, "a page has at most what was asked for");
        assert!(
            next.iter().all(|stored| stored.no > after),
            "a page comes after the one before"
        );
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

/// All records of a service-bound queue, read in pages.
pub(super) async fn pages_of_service_bound(
    store: &dyn Store,
    hub: HubNo,
    kind: ServiceBoundKind,
    page: usize,
) -> Vec<StoredServiceBound> {
    let mut all: Vec<StoredServiceBound> = Vec::new();
    loop {
        let after = all.last().map_or(ServiceBoundNo(0), |last| last.no);
        let next = store
            .service_bound(hub, kind, after, page)
            .await
            .expect("service-bound records can be read");
        assert!(next.len() <= page, "a page has at most what was asked for");
        assert!(
            next.iter().all(|stored| stored.no > after),
            "a page comes after the one before"
        );
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

/// The bodies of all queued messages.
pub(super) async fn bodies(store: &dyn Store, identity: Ordinal) -> Vec<String> {
    let messages = pages_of_messages(store, identity, 100).await;
    messages
        .iter()
        .map(|stored| String::from_utf8_lossy(&stored.message.body).into_owned())
        .collect()
}

/// All facts, read in pages.
pub(super) async fn pages_of_changes(store: &dyn Store, page: usize) -> Vec<(FactNo, Fact)> {
    let mut all: Vec<(FactNo, Fact)> = Vec::new();
    loop {
        let after = all.last().map_or(FactNo(0), |(no, _)| *no);
        let next = store
            .changes(after, page)
            .await
            .expect("changes can be read");
        assert!(next.len() <= page, "a page has at most what was asked for");
        assert!(
            next.iter().all(|(no, _)| *no > after),
            "a page comes after the one before"
        );
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

/// All facts, which must be numbered from 1 without gaps.
pub(super) async fn all_facts(store: &dyn Store) -> Vec<Fact> {
    let changes = pages_of_changes(store, 64).await;
    for ((no, _), expected) in changes.iter().zip(1..) {
        assert_eq!(
            *no,
            FactNo(expected),
            "facts are numbered from 1 without gaps"
        );
    }
    changes.into_iter().map(|(_, fact)| fact).collect()
}
