//! Queues for back ends: batches, locks, delivery counts, time to live, and who may read.

use std::time::Duration;

use hub_domain::message::FeedbackAck;
use hub_domain::service_bound::FileNotification;
use hub_domain::{Hub, Permission, ServiceBoundKind, ServiceBoundRecord};
use hub_engine::service_bound::{ServiceBoundBatch, ServiceBoundToken};
use hub_engine::{Caller, Error, OpContext};
use hub_storage::Store as _;
use hub_storage::store::{Op, Unit};

use super::support::{World, device, id, message};

const SECOND: Duration = Duration::from_secs(1);
const FEEDBACK: ServiceBoundKind = ServiceBoundKind::Feedback;
const FILES: ServiceBoundKind = ServiceBoundKind::FileNotification;

impl World {
    /// So many messages that were completed, with feedback named by their number.
    async fn completed(&self, count: usize) {
        let d1 = self.open("d1").await;
        for n in 0..count {
            let mut asking = message("body");
            asking.ack = FeedbackAck::Positive;
            asking.message_id = Some(n.to_string());
            let messages = &self.engine.messages;
            let (ctx, to) = (self.owner(), id("d1"));
            let sent = messages.send(&ctx, self.hub.no, &to, asking).await;
            let no = sent.unwrap();
            d1.session.next_messages(self.now(), 1_000).await.unwrap();
            d1.session.complete_message(self.now(), no).await.unwrap();
        }
    }

    async fn uploaded(&self, name: &str) {
        let op = Op::AppendServiceBound {
            hub: self.hub.no,
            record: Box::new(ServiceBoundRecord::FileNotification(FileNotification {
                device: id("d1").device,
                blob_uri: format!("https://hub.test/{name}"),
                blob_name: name.to_owned(),
                last_updated: self.now(),
                size_bytes: 1,
                enqueued: self.now(),
            })),
            records_max: 100,
        };
        self.store.submit(Unit::new(op, Vec::new())).await.unwrap();
    }

    async fn read_batch(&self, kind: ServiceBoundKind) -> Option<ServiceBoundBatch> {
        let queue = &self.engine.service_bound;
        let read = queue.receive(&self.owner(), self.hub.no, kind).await;
        read.unwrap()
    }

    /// Says what is read; its token.
    async fn say_read(&mut self, kind: ServiceBoundKind) -> Option<ServiceBoundToken> {
        let batch = self.read_batch(kind).await;
        let line = match &batch {
            None => "nothing".to_owned(),
            Some(batch) => {
                let names: Vec<_> = batch
                    .records
                    .iter()
                    .map(|stored| match &stored.record {
                        ServiceBoundRecord::Feedback(record) => {
                            record.message_id.clone().unwrap_or_default()
                        }
                        ServiceBoundRecord::FileNotification(file) => file.blob_name.clone(),
                    })
                    .collect();
                let all = names.join(" ");
                let names = match names.as_slice() {
                    [first, .., last] if names.len() > 4 => {
                        format!("{} from {first} to {last}", names.len())
                    }
                    _ => all,
                };
                format!("{names} count {}", batch.delivery_count())
            }
        };
        self.say(format!("read {line}"));
        batch.map(|batch| batch.token)
    }

    async fn say_end(&mut self, how: &str, kind: ServiceBoundKind, token: ServiceBoundToken) {
        let result = self.end(&self.owner(), how, kind, token).await;
        self.say_result(how, result);
    }

    async fn end(
        &self,
        ctx: &OpContext,
        how: &str,
        kind: ServiceBoundKind,
        token: ServiceBoundToken,
    ) -> Result<(), Error> {
        let (queue, hub) = (&self.engine.service_bound, self.hub.no);
        match how {
            "complete" => queue.complete(ctx, hub, kind, token).await,
            _ => queue.abandon(ctx, hub, kind, token).await,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn feedback_comes_in_batches_and_once() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.completed(70).await;
    let first = world.say_read(FEEDBACK).await.unwrap();
    let second = world.say_read(FEEDBACK).await.unwrap();
    world.say_read(FEEDBACK).await;
    world.say_end("complete", FEEDBACK, first).await;
    world.say_end("complete", FEEDBACK, first).await;
    world.say_end("complete", FEEDBACK, second).await;
    world.say_read(FEEDBACK).await;
    world.restart().await;
    world.say_read(FEEDBACK).await;
    world.check(
        "read 64 from 0 to 63 count 0
         read 6 from 64 to 69 count 0
         read nothing
         complete: ()
         complete: PreconditionFailed 412002
         complete: ()
         read nothing
         read nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_settled_comes_again() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.completed(2).await;
    let mut changes = world.engine.service_bound.changes();
    let token = world.say_read(FEEDBACK).await.unwrap();
    world.idle().await;
    changes.mark_unchanged();
    world.pass(59 * SECOND).await;
    world.say_read(FEEDBACK).await;
    assert!(!changes.has_changed().unwrap());
    world.pass(2 * SECOND).await;
    assert!(changes.has_changed().unwrap());
    world.say_end("complete", FEEDBACK, token).await;
    let token = world.say_read(FEEDBACK).await.unwrap();
    world
        .engine
        .service_bound
        .give_back(world.hub.no, FEEDBACK, token);
    let token = world.say_read(FEEDBACK).await.unwrap();
    world.restart().await;
    world.say_end("complete", FEEDBACK, token).await;
    world.say_read(FEEDBACK).await;
    world.check(
        "read 0 1 count 0
         read nothing
         complete: PreconditionFailed 412002
         read 0 1 count 0
         read 0 1 count 0
         complete: PreconditionFailed 412002
         read 0 1 count 0",
    );
}

#[tokio::test(start_paused = true)]
async fn file_notifications_come_one_by_one_and_are_dropped_in_the_end() {
    let mut world = World::new().await;
    let admin = world.called_by(Caller::Admin);
    let change = |hub: &Hub| {
        let mut next = hub.clone();
        next.settings.file_notifications.delivery_count_max = 2;
        Ok(next)
    };
    let hubs = &world.engine.hubs;
    hubs.update(&admin, world.hub.no, change).await.unwrap();
    world.uploaded("a").await;
    world.uploaded("b").await;
    for _ in 0..3 {
        let token = world.say_read(FILES).await.unwrap();
        world.say_end("abandon", FILES, token).await;
    }
    world.say_read(FEEDBACK).await;
    world.check(
        "read a count 0
         abandon: ()
         read a count 1
         abandon: ()
         read b count 0
         abandon: ()
         read nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn records_end_by_their_time() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.completed(300).await;
    world.uploaded("a").await;
    world.pass(3_590 * SECOND).await;
    world.completed(1).await;
    world.pass(16 * SECOND).await;
    let kept = world
        .store
        .service_bound(
            world.hub.no,
            FEEDBACK,
            hub_storage::store::ServiceBoundNo(0),
            1_000,
        )
        .await
        .unwrap();
    world.say(format!("{} kept", kept.len()));
    world.say_read(FEEDBACK).await;
    world.say_read(FILES).await;
    world.check(
        "1 kept
         read 0 count 0
         read nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_told_of_more() {
    let world = World::running().await;
    world.given(device("d1")).await;
    let mut changes = world.engine.service_bound.changes();
    world.idle().await;
    changes.mark_unchanged();
    world.completed(1).await;
    world.idle().await;
    assert!(changes.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn only_who_may_connect_as_a_service_reads_and_settles() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.completed(1).await;
    let token = world.read_batch(FEEDBACK).await.unwrap().token;
    let other = world.second_hub().await;
    let callers = [
        world.called_by(Caller::Identity {
            hub: world.hub.no,
            id: id("d1"),
        }),
        world.with(&[
            Permission::RegistryRead,
            Permission::RegistryWrite,
            Permission::DeviceConnect,
        ]),
        world.policy_of(other.no, &Permission::ALL),
    ];
    for ctx in callers {
        let queue = &world.engine.service_bound;
        let read = queue.receive(&ctx, world.hub.no, FEEDBACK).await;
        world.say_result("read", read.map(|_| ()));
        for how in ["complete", "abandon"] {
            let result = world.end(&ctx, how, FEEDBACK, token).await;
            world.say_result(how, result);
        }
    }
    world.say_end("complete", FEEDBACK, token).await;
    let refused = "read: NotAllowed 401002
         complete: NotAllowed 401002
         abandon: NotAllowed 401002\n";
    world.check(&format!("{}complete: ()", refused.repeat(3)));
}
