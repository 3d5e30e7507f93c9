//! Random units: mostly ones that should be kept, and some that should not.

mod provisioning;

use std::collections::BTreeSet;

use hub_domain::identity::Activity;
use hub_domain::message::FeedbackAck;
use hub_domain::twin::Twin;
use hub_domain::{Fact, FactKind, Identity, ServiceBoundKind, Status};

use super::super::fixtures::{
    HUB, NOBODY, OTHER_HUB, etag, expiring, file_notification, id, identity, message, moment,
    next_back_end, next_section,
};
use super::super::generator::Generator;
use super::model::{Kept, Model};
use super::some_identity;
use crate::store::{
    FeedbackTerms, MessageNo, Op, OpId, Ordinal, Outcome, ServiceBoundNo, Subscriptions, Unit,
};

/// The devices of the walk.
pub(super) const DEVICES: [&str; 8] = ["d1", "d10", "D1", "d2", "d", "a", "Z", "d1-"];
/// The modules of the walk.
pub(super) const MODULES: [&str; 3] = ["m1", "M1", "$edgeAgent"];

const ACKS: [FeedbackAck; 4] = [
    FeedbackAck::None,
    FeedbackAck::Positive,
    FeedbackAck::Negative,
    FeedbackAck::Full,
];

const OUTCOMES: [Outcome; 4] = [
    Outcome::Completed,
    Outcome::Rejected,
    Outcome::Expired,
    Outcome::DeliveryCountExceeded,
];

/// A unit decided on `model`.
pub(super) fn some_unit(generator: &mut Generator, model: &Model) -> Unit {
    let ops = 1 + if generator.once_in(3) {
        generator.below(4)
    } else {
        0
    };
    let ops = (0..ops).map(|_| some_op(generator, model)).collect();
    // Few ids, so that units meet one that was kept, one that failed and one of the same burst.
    let op_id = generator
        .once_in(4)
        .then(|| OpId([u8::try_from(generator.below(200)).expect("a byte"); 16]));
    let facts = (0..generator.below(4))
        .map(|_| some_fact(generator, model))
        .collect();
    Unit { op_id, ops, facts }
}

fn some_fact(generator: &mut Generator, model: &Model) -> Fact {
    let id = id(&some_identity(generator));
    // Time stands still within a burst: commit order is then time order, whatever fails.
    Fact {
        hub: *generator.pick(&[HUB, OTHER_HUB]),
        id,
        at: moment(model.now),
        kind: FactKind::MessageQueued,
    }
}

fn some_op(generator: &mut Generator, model: &Model) -> Op {
    let target = some_target(generator, model);
    let ordinal = target
        .as_ref()
        .map_or_else(|| some_gone(generator, model), |kept| kept.ordinal);
    let kept = target.as_ref();
    match generator.below(26) {
        0..=4 => some_creation(generator),
        5 => Op::DeleteIdentity {
            identity: ordinal,
            expected: generator
                .once_in(2)
                .then(|| kept.map_or_else(|| etag("e1"), |kept| kept.identity.etag.clone())),
        },
        6 | 7 => some_replacement(generator, ordinal, kept),
        8 | 9 => {
            let before = kept
                .map_or_else(Twin::new, |kept| kept.twin.clone())
                .back_end;
            let next = Box::new(next_back_end(&before, generator.below(1_000)));
            let stale = generator.once_in(5);
            Op::ReplaceBackEnd {
                identity: ordinal,
                expected: if stale { next.etag } else { before.etag },
                next,
            }
        }
        10 | 11 => {
            let before = kept
                .map_or_else(Twin::new, |kept| kept.twin.clone())
                .reported;
            let next = Box::new(next_section(&before, generator.below(1_000)));
            let stale = generator.once_in(5);
            Op::ReplaceReported {
                identity: ordinal,
                expected: before.version + u64::from(stale),
                next,
            }
        }
        12 => Op::SetModelId {
            identity: ordinal,
            model_id: format!("dtmi:a;{}", generator.below(100)),
        },
        13..=15 => some_message(generator, model, ordinal),
        16 => Op::SettleMessage {
            identity: ordinal,
            message: some_queued(generator, kept),
            outcome: *generator.pick(&OUTCOMES),
            feedback: some_terms(generator, model),
        },
        17 => Op::AbandonMessage {
            identity: ordinal,
            message: some_queued(generator, kept),
            delivery_count_max: 1 + u32::try_from(generator.below(4)).expect("a small number"),
            feedback: some_terms(generator, model),
        },
        18 if generator.once_in(3) => Op::PurgeMessages {
            identity: ordinal,
            feedback: some_terms(generator, model),
        },
        20 => some_service_bound(generator, model),
        21..=25 => provisioning::some_op(generator, model),
        18 => Op::ReplaceSubscriptions {
            identity: ordinal,
            next: Subscriptions(u32::try_from(generator.below(1 << 32)).expect("32 bits")),
        },
        _ => Op::FlushActivity(
            (0..generator.below(4))
                .map(|_| some_activity(generator, model))
                .collect(),
        ),
    }
}

fn some_target(generator: &mut Generator, model: &Model) -> Option<Kept> {
    let is_there = !model.kept.is_empty() && !generator.once_in(12);
    is_there.then(|| generator.pick(&model.kept).clone())
}

fn some_gone(generator: &mut Generator, model: &Model) -> Ordinal {
    if model.gone.is_empty() {
        NOBODY
    } else {
        *generator.pick(&model.gone)
    }
}

fn some_creation(generator: &mut Generator) -> Op {
    let status = *generator.pick(&[Status::Enabled, Status::Disabled]);
    let identity = Identity {
        status,
        ..identity(&some_identity(generator))
    };
    let mut twin = Twin::new();
    if generator.once_in(3) {
        twin.back_end = next_back_end(&twin.back_end, generator.below(1_000));
    }
    let hub = *generator.pick(&[HUB, OTHER_HUB]);
    Op::CreateIdentity {
        hub,
        identity: Box::new(identity),
        twin: Box::new(twin),
    }
}

fn some_replacement(generator: &mut Generator, ordinal: Ordinal, kept: Option<&Kept>) -> Op {
    let before = kept.map_or_else(|| identity("d1"), |kept| kept.identity.clone());
    let status = *generator.pick(&[Status::Enabled, Status::Disabled]);
    let stale = generator.once_in(5);
    let expected = if stale {
        etag("stale")
    } else {
        before.etag.clone()
    };
    let next = Identity {
        status,
        etag: etag(&format!("e{}", generator.below(1_000))),
        status_updated: moment(i64::try_from(generator.below(1_000)).expect("a small number")),
        ..before
    };
    Op::ReplaceIdentity {
        identity: ordinal,
        next: Box::new(next),
        expected,
    }
}

fn some_message(generator: &mut Generator, model: &Model, identity: Ordinal) -> Op {
    let body = vec![b'x'; generator.index(200)];
    let mut message = if generator.once_in(2) {
        message(&body)
    } else {
        expiring(
            &body,
            moment(model.now + i64::try_from(generator.below(300)).expect("a small number") - 100),
        )
    };
    message.ack = *generator.pick(&ACKS);
    message.message_id = generator
        .once_in(2)
        .then(|| format!("m{}", generator.below(1_000)));
    Op::EnqueueMessage {
        identity,
        message: Box::new(message),
        depth_max: 1 + generator.below(10),
        bytes_max: 100 + generator.below(800),
    }
}

fn some_terms(generator: &mut Generator, model: &Model) -> FeedbackTerms {
    FeedbackTerms {
        at: moment(model.now),
        records_max: 3 + generator.below(30),
    }
}

fn some_service_bound(generator: &mut Generator, model: &Model) -> Op {
    let hub = *generator.pick(&[HUB, OTHER_HUB]);
    let kind = *generator.pick(&ServiceBoundKind::ALL);
    let told = model.told(hub, kind);
    let records = (0..=generator.below(3))
        .map(|_| {
            if told.is_empty() || generator.once_in(8) {
                ServiceBoundNo(1 + generator.below(50))
            } else {
                generator.pick(&told).no
            }
        })
        .collect::<BTreeSet<_>>();
    let records = records.into_iter().collect();
    match generator.below(3) {
        0 => Op::AppendServiceBound {
            hub,
            record: Box::new(file_notification(generator.below(100))),
            records_max: 3 + generator.below(30),
        },
        1 => Op::RemoveServiceBound { hub, kind, records },
        _ => Op::AbandonServiceBound {
            hub,
            kind,
            records,
            delivery_count_max: 1 + u32::try_from(generator.below(4)).expect("a small number"),
        },
    }
}

fn some_queued(generator: &mut Generator, kept: Option<&Kept>) -> MessageNo {
    match kept {
        Some(kept) if !kept.queue.is_empty() => generator.pick(&kept.queue).no,
        Some(_) | None => MessageNo(1 + generator.below(100)),
    }
}

fn some_activity(generator: &mut Generator, model: &Model) -> (Ordinal, Activity) {
    let ordinal = model
        .some_ordinal(generator)
        .filter(|_| !generator.once_in(5));
    let ordinal = ordinal.unwrap_or_else(|| some_gone(generator, model));
    let second = i64::try_from(generator.below(1_000)).expect("a small number");
    let activity = Activity {
        connected: generator.once_in(2),
        connection_updated: moment(second),
        last_activity: moment(-second),
    };
    (ordinal, activity)
}
