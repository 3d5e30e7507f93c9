//! Each precondition of each write, kept and broken. Every broken one is checked to leave no trace.

use hub_domain::identity::{Activity, MODULES_PER_DEVICE_MAX};
use hub_domain::twin::TwinEtag;
use hub_domain::{HostName, Hub, HubName, HubNo, Identity, Revision, Status};

use super::Backend;
use super::fixtures::{
    HUB, NOBODY, OTHER_HUB, abandon, bodies, commit, create, created, device, enqueue, etag, hub,
    id, identity, mark_of, message, moment, next_back_end, next_section, purge, queued, refuse,
    settle, store_with_hub, stored, twin,
};
use crate::Conflict;
use crate::store::{MessageNo, Op, OpResult, Ordinal, Outcome, Subscriptions};

/// Number and name of a hub are its own.
pub async fn a_hub_is_created_unless_its_number_or_name_is_taken<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let named = |no: u32, name: &str| {
        let mut hub = hub(HubNo(no));
        hub.name = HubName::parse(name).expect("a valid hub name");
        Op::CreateHub(Box::new(hub))
    };
    refuse(
        &*store,
        named(1, "other"),
        Conflict::AlreadyExists,
        "the number is taken",
    )
    .await;
    refuse(
        &*store,
        named(2, "hub-1"),
        Conflict::AlreadyExists,
        "the name is taken",
    )
    .await;
    assert_eq!(commit(&*store, named(2, "other")).await, OpResult::Done);
    assert_eq!(store.hubs().await.expect("hubs can be read").len(), 2);
}

/// A change that was built on an older state is refused, and so is one of a hub that is not there.
pub async fn a_hub_is_replaced_only_on_its_revision<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let replace = |hub: Hub, expected: u64| Op::ReplaceHub {
        next: Box::new(hub),
        expected: Revision(expected),
    };
    let mut next = hub(HUB);
    next.host = HostName::parse("moved.test").expect("a valid host name");
    next.revision = Revision(1);
    refuse(
        &*store,
        replace(next.clone(), 1),
        Conflict::VersionMismatch,
        "the hub was never changed",
    )
    .await;
    assert_eq!(
        commit(&*store, replace(next.clone(), 0)).await,
        OpResult::Done
    );
    refuse(
        &*store,
        replace(next.clone(), 0),
        Conflict::VersionMismatch,
        "the hub was changed once",
    )
    .await;
    next.revision = Revision(2);
    let mut renamed = next.clone();
    renamed.name = HubName::parse("renamed").expect("a valid hub name");
    refuse(
        &*store,
        replace(renamed, 1),
        Conflict::NotFound,
        "the hub has another name",
    )
    .await;
    refuse(
        &*store,
        replace(hub(OTHER_HUB), 0),
        Conflict::NotFound,
        "the hub does not exist",
    )
    .await;
    assert_eq!(commit(&*store, replace(next, 1)).await, OpResult::Done);
}

/// An id is taken once per hub and level.
pub async fn an_identity_is_created_unless_it_exists<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    device(&*store, "d1").await;
    device(&*store, "d1/m1").await;
    refuse(
        &*store,
        create(HUB, identity("d1")),
        Conflict::AlreadyExists,
        "the device exists",
    )
    .await;
    refuse(
        &*store,
        create(HUB, identity("d1/m1")),
        Conflict::AlreadyExists,
        "the module exists",
    )
    .await;
    device(&*store, "m1").await;
    device(&*store, "m1/m1").await;
}

/// No identity is outside a hub.
pub async fn an_identity_needs_its_hub<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let op = || create(OTHER_HUB, identity("d1"));
    refuse(&*store, op(), Conflict::NotFound, "the hub does not exist").await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    assert!(matches!(commit(&*store, op()).await, OpResult::Created(_)));
}

/// No module is without its device.
pub async fn a_module_needs_its_device<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    created(&*store, OTHER_HUB, identity("d1")).await;
    let op = || create(HUB, identity("d1/m1"));
    refuse(
        &*store,
        op(),
        Conflict::NotFound,
        "the device is in another hub",
    )
    .await;
    device(&*store, "d1").await;
    assert!(matches!(commit(&*store, op()).await, OpResult::Created(_)));
}

/// The documented limit, which a deleted module makes room below.
pub async fn a_device_has_at_most_fifty_modules<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    device(&*store, "d1").await;
    device(&*store, "d2").await;
    let mut modules = Vec::new();
    for n in 0..MODULES_PER_DEVICE_MAX {
        modules.push(device(&*store, &format!("d1/m{n}")).await);
    }
    let op = || create(HUB, identity("d1/more"));
    refuse(
        &*store,
        op(),
        Conflict::TooManyModules,
        "the device is full",
    )
    .await;
    device(&*store, "d2/m1").await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: modules[7],
            expected: None,
        },
    )
    .await;
    assert!(matches!(commit(&*store, op()).await, OpResult::Created(_)));
    let full = create(HUB, identity("d1/again"));
    refuse(
        &*store,
        full,
        Conflict::TooManyModules,
        "the device is full again",
    )
    .await;
}

fn changed(text: &str, tag: &str) -> Box<Identity> {
    Box::new(Identity {
        etag: etag(tag),
        status: Status::Disabled,
        ..identity(text)
    })
}

/// A registry write that was built on another etag is refused.
pub async fn the_registry_part_is_replaced_only_on_its_etag<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let op = |identity: Ordinal, expected: &str| Op::ReplaceIdentity {
        identity,
        next: changed("d1", "e2"),
        expected: etag(expected),
    };
    refuse(
        &*store,
        op(d1, "e0"),
        Conflict::VersionMismatch,
        "another etag",
    )
    .await;
    refuse(&*store, op(NOBODY, "e1"), Conflict::NotFound, "nobody").await;
    assert_eq!(commit(&*store, op(d1, "e1")).await, OpResult::Done);
    let read = stored(&*store, HUB, "d1").await;
    assert_eq!(
        (read.ordinal, read.identity.etag, read.identity.status),
        (d1, etag("e2"), Status::Disabled)
    );
    refuse(
        &*store,
        op(d1, "e1"),
        Conflict::VersionMismatch,
        "the etag before",
    )
    .await;
}

/// A deletion names the etag it was built on, or takes what is there.
pub async fn an_identity_is_deleted_only_on_its_etag_or_any<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let d2 = device(&*store, "d2").await;
    let op = |identity: Ordinal, expected: Option<&str>| Op::DeleteIdentity {
        identity,
        expected: expected.map(etag),
    };
    refuse(
        &*store,
        op(d1, Some("e0")),
        Conflict::VersionMismatch,
        "another etag",
    )
    .await;
    refuse(&*store, op(NOBODY, None), Conflict::NotFound, "nobody").await;
    refuse(
        &*store,
        op(NOBODY, Some("e1")),
        Conflict::NotFound,
        "nobody",
    )
    .await;
    assert_eq!(commit(&*store, op(d1, Some("e1"))).await, OpResult::Done);
    assert_eq!(commit(&*store, op(d2, None)).await, OpResult::Done);
    assert!(
        store
            .identity(HUB, &id("d1"))
            .await
            .expect("an identity can be read")
            .is_none()
    );
    refuse(&*store, op(d1, None), Conflict::NotFound, "it is gone").await;
}

/// A write to tags and desired that was built on another counter is refused.
pub async fn the_back_end_part_is_replaced_only_on_its_counter<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let before = twin(&*store, "d1").await.back_end;
    let op = |identity: Ordinal, expected: TwinEtag| Op::ReplaceBackEnd {
        identity,
        next: Box::new(next_back_end(&before, 5)),
        expected,
    };
    refuse(
        &*store,
        op(d1, before.etag.next()),
        Conflict::VersionMismatch,
        "a later counter",
    )
    .await;
    refuse(
        &*store,
        op(NOBODY, before.etag),
        Conflict::NotFound,
        "nobody",
    )
    .await;
    assert_eq!(commit(&*store, op(d1, before.etag)).await, OpResult::Done);
    assert_eq!(
        twin(&*store, "d1").await.back_end,
        next_back_end(&before, 5)
    );
    refuse(
        &*store,
        op(d1, before.etag),
        Conflict::VersionMismatch,
        "the counter before",
    )
    .await;
}

/// A write to reported that was built on another version is refused.
pub async fn the_reported_part_is_replaced_only_on_its_version<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let before = twin(&*store, "d1").await.reported;
    let op = |identity: Ordinal, expected: u64| Op::ReplaceReported {
        identity,
        next: Box::new(next_section(&before, 5)),
        expected,
    };
    refuse(
        &*store,
        op(d1, before.version + 1),
        Conflict::VersionMismatch,
        "a later version",
    )
    .await;
    refuse(
        &*store,
        op(NOBODY, before.version),
        Conflict::NotFound,
        "nobody",
    )
    .await;
    assert_eq!(
        commit(&*store, op(d1, before.version)).await,
        OpResult::Done
    );
    assert_eq!(mark_of(&twin(&*store, "d1").await.reported), Some(5));
    refuse(
        &*store,
        op(d1, before.version),
        Conflict::VersionMismatch,
        "the version before",
    )
    .await;
}

/// A model id may be set again and again.
pub async fn a_model_id_is_set_only_on_an_identity_that_exists<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let op = |identity: Ordinal, text: &str| Op::SetModelId {
        identity,
        model_id: text.to_owned(),
    };
    refuse(
        &*store,
        op(NOBODY, "dtmi:a;1"),
        Conflict::NotFound,
        "nobody",
    )
    .await;
    for text in ["dtmi:a;1", "dtmi:b;2"] {
        assert_eq!(commit(&*store, op(d1, text)).await, OpResult::Done);
        assert_eq!(twin(&*store, "d1").await.model_id.as_deref(), Some(text));
    }
}

fn bounded(identity: Ordinal, body: &[u8], depth_max: u64, bytes_max: u64) -> Op {
    Op::EnqueueMessage {
        identity,
        message: Box::new(message(body)),
        depth_max,
        bytes_max,
    }
}

/// The depth limit is that of each write.
pub async fn a_message_is_queued_up_to_the_depth_limit<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let op = |depth_max: u64| bounded(d1, b"body", depth_max, 1_000);
    refuse(&*store, op(0), Conflict::QueueFull, "no room at all").await;
    for _ in 0..2 {
        assert!(matches!(
            commit(&*store, op(2)).await,
            OpResult::Enqueued(_)
        ));
    }
    refuse(&*store, op(2), Conflict::QueueFull, "two messages of two").await;
    refuse(&*store, op(1), Conflict::QueueFull, "two messages of one").await;
    assert!(matches!(
        commit(&*store, op(3)).await,
        OpResult::Enqueued(_)
    ));
    refuse(
        &*store,
        bounded(NOBODY, b"body", 10, 1_000),
        Conflict::NotFound,
        "nobody",
    )
    .await;
}

/// The queue never holds more bytes of bodies than its limit.
pub async fn a_message_is_queued_up_to_the_byte_limit<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let op = |bytes: usize| bounded(d1, &vec![b'x'; bytes], 100, 1_000);
    refuse(
        &*store,
        op(1_001),
        Conflict::QueueFull,
        "more than the queue may hold",
    )
    .await;
    let first = commit(&*store, op(600)).await;
    refuse(&*store, op(401), Conflict::QueueFull, "one byte too many").await;
    assert!(matches!(
        commit(&*store, op(400)).await,
        OpResult::Enqueued(_)
    ));
    refuse(
        &*store,
        op(1),
        Conflict::QueueFull,
        "the queue is full to the byte",
    )
    .await;

    let OpResult::Enqueued(message) = first else {
        panic!("{first:?}")
    };
    commit(&*store, settle(d1, message, Outcome::Completed)).await;
    refuse(
        &*store,
        op(601),
        Conflict::QueueFull,
        "one byte too many again",
    )
    .await;
    assert!(matches!(
        commit(&*store, op(600)).await,
        OpResult::Enqueued(_)
    ));
    commit(&*store, purge(d1)).await;
    assert!(matches!(
        commit(&*store, op(1_000)).await,
        OpResult::Enqueued(_)
    ));
}

/// Whatever the outcome, a message leaves its queue once.
pub async fn a_message_is_settled_once<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let outcomes = [
        Outcome::Completed,
        Outcome::Rejected,
        Outcome::Expired,
        Outcome::DeliveryCountExceeded,
    ];
    for outcome in outcomes {
        let message = queued(&*store, d1, b"body").await;
        let op = || settle(d1, message, outcome);
        assert_eq!(commit(&*store, op()).await, OpResult::Done);
        refuse(&*store, op(), Conflict::NotFound, "it was settled").await;
    }
    let op = settle(NOBODY, MessageNo(1), Outcome::Completed);
    refuse(&*store, op, Conflict::NotFound, "nobody").await;
}

/// Only a queued message is tried again.
pub async fn a_message_is_abandoned_only_while_it_is_queued<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let message = queued(&*store, d1, b"body").await;
    let op = |identity: Ordinal| abandon(identity, message);
    assert_eq!(commit(&*store, op(d1)).await, OpResult::Done);
    refuse(&*store, op(NOBODY), Conflict::NotFound, "nobody").await;
    commit(&*store, settle(d1, message, Outcome::Rejected)).await;
    refuse(&*store, op(d1), Conflict::NotFound, "it was settled").await;
}

/// An empty queue may be purged, that of nobody not.
pub async fn a_queue_is_purged_only_while_its_identity_exists<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let d2 = device(&*store, "d2").await;
    commit(&*store, enqueue(d2, message(b"stays"))).await;
    for count in [0, 3] {
        for _ in 0..count {
            queued(&*store, d1, b"goes").await;
        }
        assert_eq!(commit(&*store, purge(d1)).await, OpResult::Purged(count));
    }
    refuse(&*store, purge(NOBODY), Conflict::NotFound, "nobody").await;
    assert_eq!(bodies(&*store, d2).await, ["stays"]);
}

/// Subscriptions are those of the last write.
pub async fn subscriptions_are_replaced_only_while_the_identity_exists<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let op = |identity: Ordinal, bits: u32| Op::ReplaceSubscriptions {
        identity,
        next: Subscriptions(bits),
    };
    for bits in [1, u32::MAX, 0] {
        assert_eq!(commit(&*store, op(d1, bits)).await, OpResult::Done);
        assert_eq!(
            stored(&*store, HUB, "d1").await.subscriptions,
            Subscriptions(bits)
        );
    }
    refuse(&*store, op(NOBODY, 1), Conflict::NotFound, "nobody").await;
}

/// Who is gone does not keep the others from being flushed.
pub async fn activity_is_flushed_for_those_who_exist<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let d2 = device(&*store, "d2").await;
    let gone = device(&*store, "gone").await;
    commit(
        &*store,
        Op::DeleteIdentity {
            identity: gone,
            expected: None,
        },
    )
    .await;
    let active = |second: i64| Activity {
        connected: second % 2 == 1,
        connection_updated: moment(second),
        last_activity: moment(second + 1),
    };
    let entries = vec![
        (d1, active(1)),
        (gone, active(3)),
        (NOBODY, active(5)),
        (d2, active(8)),
    ];
    assert_eq!(
        commit(&*store, Op::FlushActivity(entries)).await,
        OpResult::Done
    );
    assert_eq!(stored(&*store, HUB, "d1").await.activity, active(1));
    assert_eq!(stored(&*store, HUB, "d2").await.activity, active(8));
    assert_eq!(
        commit(&*store, Op::FlushActivity(Vec::new())).await,
        OpResult::Done
    );
    commit(&*store, Op::FlushActivity(vec![(d1, Activity::NONE)])).await;
    assert_eq!(stored(&*store, HUB, "d1").await.activity, Activity::NONE);
}
