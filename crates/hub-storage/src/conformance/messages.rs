//! The queue of cloud-to-device messages.

use bytes::Bytes;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage, FeedbackAck};
use hub_domain::{IdentityId, Timestamp};

use super::Backend;
use super::fixtures::{
    HUB, OTHER_HUB, abandon, bodies, commit, created, device, enqueue, expiring, hub, id, identity,
    message, message_of, moment, pages_of_messages, purge, queued, refuse, reopen, settle,
    store_with_hub, stored,
};
use crate::Conflict;
use crate::store::{MessageNo, Op, OpResult, Outcome};

fn rich_messages(target: &IdentityId) -> Vec<CloudToDeviceMessage> {
    let bare = || CloudToDeviceDraft::new(target, Bytes::new(), moment(0));
    let some = |text: &str| Some(text.to_owned());
    let drafts = vec![
        bare(),
        CloudToDeviceDraft {
            message_id: some("id-1"),
            correlation_id: some("ümlaut"),
            user_id: some(""),
            content_type: some("application/json"),
            content_encoding: some("utf-8"),
            expiry: Some(Timestamp::from_micros(1_700_000_000_123_456)),
            ack: FeedbackAck::Full,
            properties: vec![
                ("z".to_owned(), some("1")),
                ("a".to_owned(), None),
                ("a".to_owned(), some("")),
                ("é & = %".to_owned(), some("ü & = %")),
            ],
            body: Bytes::from((0..=255).collect::<Vec<u8>>()),
            enqueued: Timestamp::from_micros(-1),
            ..bare()
        },
        CloudToDeviceDraft {
            ack: FeedbackAck::Positive,
            expiry: Some(Timestamp::NEVER),
            ..bare()
        },
        CloudToDeviceDraft {
            ack: FeedbackAck::Negative,
            body: Bytes::from(vec![7; 60_000]),
            ..bare()
        },
    ];
    drafts
        .into_iter()
        .map(|draft| CloudToDeviceMessage::parse(draft).expect("within the rules"))
        .collect()
}

/// Nothing of a message is lost.
pub async fn every_field_of_a_message_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let messages = rich_messages(&id("d1"));
    for message in &messages {
        commit(&*store, enqueue(d1, message.clone())).await;
    }
    let read = |all: Vec<crate::store::StoredMessage>| {
        all.into_iter()
            .map(|stored| stored.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(read(pages_of_messages(&*store, d1, 10).await), messages);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(read(pages_of_messages(&*store, d1, 10).await), messages);
}

/// Oldest first, after a number, at most so many.
pub async fn messages_are_read_in_order_and_in_pages<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let d2 = device(&*store, "d2").await;
    let mut numbers = Vec::new();
    for n in 0..25 {
        numbers.push(queued(&*store, d1, n.to_string().as_bytes()).await);
        queued(&*store, d2, b"other").await;
    }
    assert!(numbers.is_sorted_by(|a, b| a < b));
    for page in [1, 7, 25, 1_000] {
        let read = pages_of_messages(&*store, d1, page).await;
        assert_eq!(
            read.iter().map(|stored| stored.no).collect::<Vec<_>>(),
            numbers,
            "in pages of {page}"
        );
    }
    let read = store
        .messages(d1, numbers[9], 3)
        .await
        .expect("messages can be read");
    assert_eq!(
        read.iter().map(|stored| stored.no).collect::<Vec<_>>(),
        numbers[10..13]
    );
    let read = store
        .messages(d1, numbers[24], 3)
        .await
        .expect("messages can be read");
    assert!(read.is_empty(), "there is none after the last");
}

/// An abandoned message counts its deliveries and goes before those that came later.
pub async fn an_abandoned_message_keeps_its_place<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let first = queued(&*store, d1, b"first").await;
    queued(&*store, d1, b"second").await;
    for count in 1..=3 {
        assert_eq!(commit(&*store, abandon(d1, first)).await, OpResult::Done);
        let read = pages_of_messages(&*store, d1, 10).await;
        assert_eq!(
            read.iter()
                .map(|stored| stored.delivery_count)
                .collect::<Vec<_>>(),
            [count, 0]
        );
        assert_eq!(
            (read[0].no, read[0].message.clone()),
            (first, message(b"first"))
        );
    }
    assert_eq!(stored(&*store, HUB, "d1").await.message_count, 2);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(
        pages_of_messages(&*store, d1, 10).await[0].delivery_count,
        3
    );
}

/// A settled message leaves the others as they are.
pub async fn a_settled_message_makes_room<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut numbers = Vec::new();
    for text in ["a", "b", "c"] {
        numbers.push(queued(&*store, d1, text.as_bytes()).await);
    }
    let bounded = |body: &[u8]| Op::EnqueueMessage {
        identity: d1,
        message: Box::new(message(body)),
        depth_max: 3,
        bytes_max: 1_000,
    };
    refuse(
        &*store,
        bounded(b"d"),
        Conflict::QueueFull,
        "three of three",
    )
    .await;
    commit(&*store, settle(d1, numbers[1], Outcome::Completed)).await;
    assert_eq!(bodies(&*store, d1).await, ["a", "c"]);
    assert_eq!(stored(&*store, HUB, "d1").await.message_count, 2);
    commit(&*store, bounded(b"d")).await;
    assert_eq!(bodies(&*store, d1).await, ["a", "c", "d"]);
}

/// A purge takes one queue, whole.
pub async fn a_purged_queue_is_empty<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let module = device(&*store, "d1/m1").await;
    for _ in 0..120 {
        queued(&*store, d1, b"goes").await;
    }
    queued(&*store, module, b"stays").await;
    assert_eq!(commit(&*store, purge(d1)).await, OpResult::Purged(120));
    assert_eq!(stored(&*store, HUB, "d1").await.message_count, 0);
    assert!(pages_of_messages(&*store, d1, 10).await.is_empty());
    assert_eq!(bodies(&*store, module).await, ["stays"]);
    queued(&*store, d1, b"later").await;
    assert_eq!(bodies(&*store, d1).await, ["later"]);
}

/// Numbers of messages that are gone are not given again: a late settlement must not hit another message.
pub async fn message_numbers_grow_even_over_a_reopening<B: Backend>(mut backend: B) {
    let mut store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut last = MessageNo(0);
    for round in 0..4 {
        for _ in 0..3 {
            let no = message_of(commit(&*store, enqueue(d1, message(b"body"))).await);
            assert!(no > last, "{no:?} after {last:?}");
            last = no;
        }
        if round % 2 == 0 {
            commit(&*store, purge(d1)).await;
        } else {
            commit(&*store, settle(d1, last, Outcome::Completed)).await;
        }
        (backend, store) = reopen(backend, store).await;
    }
}

/// A number of another identity's queue is not there.
pub async fn a_message_is_reached_only_through_its_identity<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let d2 = device(&*store, "d2").await;
    let own = queued(&*store, d1, b"body").await;
    let other = settle(d2, own, Outcome::Completed);
    refuse(
        &*store,
        other,
        Conflict::NotFound,
        "another identity's message",
    )
    .await;
    let other = abandon(d2, own);
    refuse(
        &*store,
        other,
        Conflict::NotFound,
        "another identity's message",
    )
    .await;
}

/// At the moment of its expiry a message has expired; one without never does.
pub async fn expired_messages_are_found_in_every_hub<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    let here = device(&*store, "d1").await;
    let there = created(&*store, OTHER_HUB, identity("d1")).await;
    queued(&*store, here, b"never").await;
    let mut all = Vec::new();
    for (target, second) in [(here, 30), (there, 10), (here, 20), (there, 40)] {
        let no =
            message_of(commit(&*store, enqueue(target, expiring(b"body", moment(second)))).await);
        all.push((second, (target, no)));
    }
    let expected = |now: i64| {
        let mut due: Vec<_> = all
            .iter()
            .filter(|(second, _)| *second <= now)
            .map(|(_, key)| *key)
            .collect();
        due.sort_unstable();
        due
    };
    for now in [9, 10, 25, 40, 1_000] {
        let mut read = store
            .expired_messages(moment(now), 100)
            .await
            .expect("expired messages can be read");
        read.sort_unstable();
        assert_eq!(read, expected(now), "at second {now}");
    }
    let read = store
        .expired_messages(moment(1_000), 3)
        .await
        .expect("expired messages can be read");
    assert_eq!(read.len(), 3, "at most so many");
    assert!(read.iter().all(|key| expected(1_000).contains(key)));

    commit(&*store, purge(here)).await;
    let (_, (_, message)) = all[1];
    commit(&*store, settle(there, message, Outcome::Expired)).await;
    let read = store
        .expired_messages(moment(1_000), 100)
        .await
        .expect("expired messages can be read");
    assert_eq!(read, [all[3].1], "a message that is gone has not expired");
}
