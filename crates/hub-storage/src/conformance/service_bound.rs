//! The queues for back ends: feedback on messages, and file notifications.

use hub_domain::message::{CloudToDeviceMessage, FeedbackAck};
use hub_domain::service_bound::{FeedbackStatus, ServiceBoundRecord};
use hub_domain::{HubNo, ServiceBoundKind};

use super::Backend;
use super::fixtures::{
    HUB, OTHER_HUB, UNBOUNDED, abandon, commit, conflict_of, created, device, enqueue,
    file_notification, hub, id, identity, message, message_of, moment, pages_of_messages,
    pages_of_service_bound, refuse, reopen, settle, store_with_hub, stored, terms,
};
use super::text::snapshot;
use crate::store::{
    FeedbackTerms, MessageNo, Op, OpResult, Ordinal, Outcome, ServiceBoundNo, Unit,
};
use crate::{Conflict, Store};

const ACKS: [FeedbackAck; 4] = [
    FeedbackAck::None,
    FeedbackAck::Positive,
    FeedbackAck::Negative,
    FeedbackAck::Full,
];

fn asking(ack: FeedbackAck, message_id: &str) -> CloudToDeviceMessage {
    let mut asking = message(b"body");
    asking.ack = ack;
    asking.message_id = Some(message_id.to_owned());
    asking
}

async fn queue(store: &dyn Store, to: Ordinal, ack: FeedbackAck, message_id: &str) -> MessageNo {
    message_of(commit(store, enqueue(to, asking(ack, message_id))).await)
}

fn append(hub: HubNo, size: u64) -> Op {
    Op::AppendServiceBound {
        hub,
        record: Box::new(file_notification(size)),
        records_max: UNBOUNDED,
    }
}

/// The feedback queue of a hub as text: `m1 Success +5s d1`.
async fn feedback_of(store: &dyn Store, hub: HubNo) -> Vec<String> {
    let all = pages_of_service_bound(store, hub, ServiceBoundKind::Feedback, 7).await;
    all.iter()
        .map(|stored| match &stored.record {
            ServiceBoundRecord::Feedback(record) => format!(
                "{} {} +{}s {}",
                record.message_id.as_deref().unwrap_or("-"),
                record.status.as_str(),
                record.at.since(moment(0)).as_secs(),
                record.id,
            ),
            ServiceBoundRecord::FileNotification(_) => "a file".to_owned(),
        })
        .collect()
}

/// Sizes of the file notifications of a hub, with their delivery counts.
async fn files_of(store: &dyn Store, hub: HubNo) -> Vec<(u64, u32)> {
    let all = pages_of_service_bound(store, hub, ServiceBoundKind::FileNotification, 100).await;
    all.iter()
        .map(|stored| match &stored.record {
            ServiceBoundRecord::Feedback(_) => (0, 0),
            ServiceBoundRecord::FileNotification(file) => (file.size_bytes, stored.delivery_count),
        })
        .collect()
}

/// Every outcome with every wish.
pub async fn each_outcome_is_told_to_who_asked_for_it<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let outcomes = [
        Outcome::Completed,
        Outcome::Rejected,
        Outcome::Expired,
        Outcome::DeliveryCountExceeded,
    ];
    let mut expected = Vec::new();
    for outcome in outcomes {
        for ack in ACKS {
            let name = format!("{outcome:?}-{}", ack.as_str());
            let no = queue(&*store, d1, ack, &name).await;
            commit(&*store, settle(d1, no, outcome)).await;
            let status = outcome.feedback_status();
            if status.is_wanted_by(ack) {
                expected.push(format!("{name} {} +0s d1", status.as_str()));
            }
        }
    }
    assert_eq!(feedback_of(&*store, HUB).await, expected);
}

/// Settled twice, a message is told of once; what was told stays.
pub async fn feedback_is_given_once_and_kept_over_a_reopening<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    device(&*store, "d1").await;
    let module = device(&*store, "d1/m1").await;
    let no = queue(&*store, module, FeedbackAck::Full, "m1").await;
    let op = || Op::SettleMessage {
        identity: module,
        message: no,
        outcome: Outcome::Completed,
        feedback: terms(5),
    };
    commit(&*store, op()).await;
    refuse(&*store, op(), Conflict::NotFound, "it was settled").await;
    let anonymous = message_of(
        commit(
            &*store,
            enqueue(module, {
                let mut message = asking(FeedbackAck::Full, "");
                message.message_id = None;
                message
            }),
        )
        .await,
    );
    commit(&*store, settle(module, anonymous, Outcome::Rejected)).await;
    let expected = ["m1 Success +5s d1/m1", "- Rejected +0s d1/m1"];
    assert_eq!(feedback_of(&*store, HUB).await, expected);
    let (_backend, store) = reopen(backend, store).await;
    assert_eq!(feedback_of(&*store, HUB).await, expected);
    let all = pages_of_service_bound(&*store, HUB, ServiceBoundKind::Feedback, 1).await;
    let ServiceBoundRecord::Feedback(record) = &all[0].record else {
        panic!("{all:?}")
    };
    assert_eq!(record.generation, identity("d1/m1").generation);
}

/// The count of deliveries at which a message dies is the writer's.
pub async fn a_message_that_is_abandoned_too_often_is_dead<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let no = queue(&*store, d1, FeedbackAck::Negative, "m1").await;
    let quiet = queue(&*store, d1, FeedbackAck::Positive, "m2").await;
    let op = |message: MessageNo| Op::AbandonMessage {
        identity: d1,
        message,
        delivery_count_max: 3,
        feedback: terms(9),
    };
    for expected in [OpResult::Done, OpResult::Done, OpResult::DeadLettered] {
        assert_eq!(commit(&*store, op(no)).await, expected);
        assert_eq!(commit(&*store, op(quiet)).await, expected);
    }
    refuse(&*store, op(no), Conflict::NotFound, "it is dead").await;
    assert_eq!(stored(&*store, HUB, "d1").await.message_count, 0);
    assert!(pages_of_messages(&*store, d1, 10).await.is_empty());
    assert_eq!(
        feedback_of(&*store, HUB).await,
        ["m1 DeliveryCountExceeded +9s d1"]
    );
}

/// In the order of the queue.
pub async fn a_purge_tells_every_sender_who_asked<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    for ack in ACKS {
        queue(&*store, d1, ack, ack.as_str()).await;
    }
    let op = Op::PurgeMessages {
        identity: d1,
        feedback: terms(3),
    };
    assert_eq!(commit(&*store, op).await, OpResult::Purged(4));
    assert_eq!(
        feedback_of(&*store, HUB).await,
        ["negative Purged +3s d1", "full Purged +3s d1"]
    );
}

/// Feedback and settlement are one.
pub async fn a_failing_unit_gives_no_feedback<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let no = queue(&*store, d1, FeedbackAck::Full, "m1").await;
    let before = snapshot(&*store).await;
    let unit = Unit {
        op_id: None,
        ops: vec![
            settle(d1, no, Outcome::Completed),
            append(HUB, 1),
            abandon(d1, no),
        ],
        facts: Vec::new(),
    };
    assert_eq!(conflict_of(store.submit(unit).await), Conflict::NotFound);
    assert_eq!(snapshot(&*store).await, before);
    commit(&*store, settle(d1, no, Outcome::Completed)).await;
    assert_eq!(feedback_of(&*store, HUB).await, ["m1 Success +0s d1"]);
}

/// A device takes its feedback and its modules' along.
pub async fn feedback_goes_with_its_identity_and_notifications_stay<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let mut settled = Vec::new();
    for text in ["d1", "d1/m1", "d2"] {
        let ordinal = device(&*store, text).await;
        let no = queue(&*store, ordinal, FeedbackAck::Full, text).await;
        commit(&*store, settle(ordinal, no, Outcome::Completed)).await;
        settled.push(ordinal);
    }
    commit(&*store, append(HUB, 7)).await;
    let op = Op::DeleteIdentity {
        identity: settled[0],
        expected: None,
    };
    commit(&*store, op).await;
    assert_eq!(feedback_of(&*store, HUB).await, ["d2 Success +0s d2"]);
    assert_eq!(files_of(&*store, HUB).await, [(7, 0)]);
}

/// Nothing of a record is lost.
pub async fn every_field_of_a_service_bound_record_is_kept<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, append(HUB, u64::MAX)).await;
    let kind = ServiceBoundKind::FileNotification;
    let expected = file_notification(u64::MAX);
    let read = pages_of_service_bound(&*store, HUB, kind, 1).await;
    assert_eq!(read[0].record, expected);
    let (_backend, store) = reopen(backend, store).await;
    let read = pages_of_service_bound(&*store, HUB, kind, 1).await;
    assert_eq!(read[0].record, expected);
    for status in FeedbackStatus::ALL {
        let record = ServiceBoundRecord::Feedback(hub_domain::service_bound::FeedbackRecord {
            message_id: Some("é\"".to_owned()),
            status,
            at: moment(-3),
            id: id("d9/m9"),
            generation: identity("d9").generation,
        });
        let op = Op::AppendServiceBound {
            hub: HUB,
            record: Box::new(record.clone()),
            records_max: UNBOUNDED,
        };
        commit(&*store, op).await;
        let read = pages_of_service_bound(&*store, HUB, ServiceBoundKind::Feedback, 100).await;
        assert_eq!(read.last().map(|stored| &stored.record), Some(&record));
    }
}

/// Those that are there go; when none is, that is a conflict.
pub async fn service_bound_records_are_removed_once<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for size in 1..=4 {
        commit(&*store, append(HUB, size)).await;
    }
    let op = |numbers: &[u64]| Op::RemoveServiceBound {
        hub: HUB,
        kind: ServiceBoundKind::FileNotification,
        records: numbers.iter().copied().map(ServiceBoundNo).collect(),
    };
    commit(&*store, op(&[1, 3])).await;
    assert_eq!(files_of(&*store, HUB).await, [(2, 0), (4, 0)]);
    refuse(&*store, op(&[1, 3]), Conflict::NotFound, "they are gone").await;
    refuse(&*store, op(&[]), Conflict::NotFound, "none").await;
    commit(&*store, op(&[3, 4])).await;
    assert_eq!(files_of(&*store, HUB).await, [(2, 0)]);
    let nobody = Op::AppendServiceBound {
        hub: OTHER_HUB,
        record: Box::new(file_notification(1)),
        records_max: UNBOUNDED,
    };
    refuse(&*store, nobody, Conflict::NotFound, "no such hub").await;
}

/// A record that nobody can use is dropped in the end.
pub async fn an_abandoned_record_keeps_its_place_until_it_is_dropped<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    for size in 1..=3 {
        commit(&*store, append(HUB, size)).await;
    }
    let op = |numbers: &[u64]| Op::AbandonServiceBound {
        hub: HUB,
        kind: ServiceBoundKind::FileNotification,
        records: numbers.iter().copied().map(ServiceBoundNo).collect(),
        delivery_count_max: 2,
    };
    commit(&*store, op(&[1, 2])).await;
    assert_eq!(files_of(&*store, HUB).await, [(1, 1), (2, 1), (3, 0)]);
    commit(&*store, op(&[1, 3])).await;
    assert_eq!(files_of(&*store, HUB).await, [(2, 1), (3, 1)]);
    refuse(&*store, op(&[1]), Conflict::NotFound, "it was dropped").await;
}

/// The newest stay.
pub async fn a_full_queue_loses_its_oldest_records<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    for n in 0..7 {
        let op = Op::AppendServiceBound {
            hub: HUB,
            record: Box::new(file_notification(n)),
            records_max: 3,
        };
        commit(&*store, op).await;
        let no = queue(&*store, d1, FeedbackAck::Full, &n.to_string()).await;
        let op = Op::SettleMessage {
            identity: d1,
            message: no,
            outcome: Outcome::Completed,
            feedback: FeedbackTerms {
                records_max: 2,
                ..terms(0)
            },
        };
        commit(&*store, op).await;
    }
    assert_eq!(files_of(&*store, HUB).await, [(4, 0), (5, 0), (6, 0)]);
    assert_eq!(
        feedback_of(&*store, HUB).await,
        ["5 Success +0s d1", "6 Success +0s d1"]
    );
}

/// A number of one queue means nothing in another.
pub async fn queues_of_hubs_and_kinds_are_apart<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    commit(&*store, Op::CreateHub(Box::new(hub(OTHER_HUB)))).await;
    commit(&*store, append(HUB, 1)).await;
    commit(&*store, append(OTHER_HUB, 2)).await;
    let there = created(&*store, OTHER_HUB, identity("d1")).await;
    let no = queue(&*store, there, FeedbackAck::Full, "m1").await;
    commit(&*store, settle(there, no, Outcome::Expired)).await;
    assert_eq!(files_of(&*store, HUB).await, [(1, 0)]);
    assert_eq!(files_of(&*store, OTHER_HUB).await, [(2, 0)]);
    assert!(feedback_of(&*store, HUB).await.is_empty());
    assert_eq!(feedback_of(&*store, OTHER_HUB).await, ["m1 Expired +0s d1"]);
    let op = Op::RemoveServiceBound {
        hub: OTHER_HUB,
        kind: ServiceBoundKind::FileNotification,
        records: vec![ServiceBoundNo(1)],
    };
    commit(&*store, op).await;
    assert_eq!(files_of(&*store, HUB).await, [(1, 0)]);
    assert_eq!(feedback_of(&*store, OTHER_HUB).await.len(), 1);
}

/// Not even when the queue was emptied and the store opened again: a late settlement must not hit another record.
pub async fn record_numbers_are_never_given_again<B: Backend>(mut backend: B) {
    let mut store = store_with_hub(&backend).await;
    let kind = ServiceBoundKind::FileNotification;
    for round in 1..=3 {
        commit(&*store, append(HUB, round)).await;
        let read = pages_of_service_bound(&*store, HUB, kind, 10).await;
        let numbers: Vec<_> = read.iter().map(|stored| stored.no).collect();
        assert_eq!(numbers, [ServiceBoundNo(round)]);
        let op = Op::RemoveServiceBound {
            hub: HUB,
            kind,
            records: numbers,
        };
        commit(&*store, op).await;
        (backend, store) = reopen(backend, store).await;
    }
}

/// Who waits for records is told when there are more, and only then.
pub async fn the_service_bound_head_tells_every_append<B: Backend>(backend: B) {
    let store = store_with_hub(&backend).await;
    let d1 = device(&*store, "d1").await;
    let mut head = store.service_bound_head();
    head.mark_unchanged();
    let quiet = queue(&*store, d1, FeedbackAck::Negative, "m1").await;
    commit(&*store, settle(d1, quiet, Outcome::Completed)).await;
    assert!(!head.has_changed().expect("the store is there"));
    let told = queue(&*store, d1, FeedbackAck::Positive, "m2").await;
    commit(&*store, settle(d1, told, Outcome::Completed)).await;
    assert!(head.has_changed().expect("the store is there"));
    head.mark_unchanged();
    commit(&*store, append(HUB, 1)).await;
    assert!(head.has_changed().expect("the store is there"));
}
