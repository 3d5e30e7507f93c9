//! Messages handed out and settled: locks, delivery counts, outcomes and what back ends are told of them.

use std::time::Duration;

use hub_domain::message::{CloudToDeviceMessage, FeedbackAck};
use hub_domain::service_bound::ServiceBoundKind;
use hub_domain::{Hub, Permission};
use hub_engine::messages::ReceivedMessage;
use hub_engine::{Caller, Error, IfMatch, LockToken, MessageNo, Notice};

use super::support::{Device, World, device, failure, id, message};

const SECOND: Duration = Duration::from_secs(1);

fn asking(body: &str) -> CloudToDeviceMessage {
    let mut message = message(body);
    message.ack = FeedbackAck::Full;
    message.message_id = Some(body.to_owned());
    message
}

impl World {
    /// Queues messages of these bodies for `text`, each asking for feedback and named by its body.
    async fn asked(&self, text: &str, bodies: &[&str]) {
        for body in bodies {
            let (ctx, to) = (self.owner(), id(text));
            let messages = &self.engine.messages;
            let sent = messages.send(&ctx, self.hub.no, &to, asking(body)).await;
            sent.unwrap();
        }
    }

    /// A request of the device itself.
    fn as_device(&self, text: &str) -> hub_engine::OpContext {
        self.called_by(Caller::Identity {
            hub: self.hub.no,
            id: id(text),
        })
    }

    async fn receive(&self, text: &str, lock: u64) -> Result<Option<ReceivedMessage>, Error> {
        let lock = Some(Duration::from_secs(lock));
        let ctx = self.as_device(text);
        let messages = &self.engine.messages;
        messages.receive(&ctx, self.hub.no, &id(text), lock).await
    }

    /// Says what a request is handed; its token.
    async fn say_received(&mut self, text: &str) -> Option<LockToken> {
        let received = self.receive(text, 60).await.unwrap();
        let line = received.as_ref().map_or_else(
            || "nothing".to_owned(),
            |received| {
                format!(
                    "{} count {}",
                    String::from_utf8_lossy(&received.stored.message.body),
                    received.stored.delivery_count
                )
            },
        );
        self.say(format!("{text} receives {line}"));
        received.map(|received| received.token)
    }

    async fn say_settled(&mut self, how: &str, text: &str, token: LockToken) {
        let (ctx, hub, id) = (self.as_device(text), self.hub.no, id(text));
        let messages = &self.engine.messages;
        let result = match how {
            "complete" => messages.complete(&ctx, hub, &id, token).await,
            "reject" => messages.reject(&ctx, hub, &id, token).await,
            _ => messages.abandon(&ctx, hub, &id, token).await,
        };
        self.say_result(how, result);
    }

    /// Takes what is there to read of feedback, and says it.
    async fn say_feedback(&mut self) {
        let ctx = self.owner();
        let (hub, kind) = (self.hub.no, ServiceBoundKind::Feedback);
        let queue = &self.engine.service_bound;
        let Some(batch) = queue.receive(&ctx, hub, kind).await.unwrap() else {
            return self.say("no feedback");
        };
        queue.complete(&ctx, hub, kind, batch.token).await.unwrap();
        let lines: Vec<String> = batch
            .feedback()
            .map(|record| {
                format!(
                    "{} {}",
                    record.message_id.as_deref().unwrap_or("-"),
                    record.status.as_str()
                )
            })
            .collect();
        self.say(lines.join(", "));
    }

    async fn delivery_count_max(&self, count: u32) {
        let admin = self.called_by(Caller::Admin);
        let change = |hub: &Hub| {
            let mut next = hub.clone();
            next.settings.cloud_to_device.delivery_count_max = count;
            Ok(next)
        };
        let hubs = &self.engine.hubs;
        hubs.update(&admin, self.hub.no, change).await.unwrap();
    }

    /// Hands out what the session may have, with the delivery counts.
    async fn say_taken(&mut self, device: &mut Device) -> Vec<MessageNo> {
        let next = device.session.next_messages(self.now(), 100).await.unwrap();
        let mut words = Vec::new();
        for stored in &next {
            device.session.note_sent(stored.no);
            words.push(format!(
                "{} count {}",
                String::from_utf8_lossy(&stored.message.body),
                stored.delivery_count
            ));
        }
        self.say(format!("session takes [{}]", words.join(", ")));
        next.into_iter().map(|stored| stored.no).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn every_outcome_is_told_once() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a", "b", "c", "d"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.say_taken(&mut d1).await;
    let session = &d1.session;
    session
        .complete_message(world.now(), taken[0])
        .await
        .unwrap();
    session.reject_message(taken[1]).await.unwrap();
    let again = session.complete_message(world.now(), taken[0]).await;
    world.say_result("again", again);
    let (ctx, d) = (world.owner(), id("d1"));
    let purged = world.engine.messages.purge(&ctx, world.hub.no, &d).await;
    purged.unwrap();
    let late = d1.session.complete_message(world.now(), taken[2]).await;
    world.say_result("after the purge", late);
    world.say_feedback().await;
    world.say_feedback().await;
    world.check(
        "session takes [a count 0, b count 0, c count 0, d count 0]
         again: PreconditionFailed 412002
         after the purge: PreconditionFailed 412002
         a Success, b Rejected, c Purged, d Purged
         no feedback",
    );
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_message_comes_again_until_it_is_dead() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.delivery_count_max(3).await;
    world.asked("d1", &["a", "b"]).await;
    let mut d1 = world.open("d1").await;
    world.say_taken(&mut d1).await;
    for _ in 0..3 {
        d1.notices();
        let first = MessageNo(1);
        let abandoned = d1.session.abandon_message(world.now(), first).await;
        world.say_result("abandon", abandoned);
        let told = d1.notices();
        world.say(format!(
            "told: {}",
            told.iter().any(|n| matches!(n, Notice::MessageAvailable))
        ));
        world.say_taken(&mut d1).await;
    }
    world.say_feedback().await;
    world.check(
        "session takes [a count 0, b count 0]
         abandon: ()
         told: true
         session takes [a count 1]
         abandon: ()
         told: true
         session takes [a count 2]
         abandon: ()
         told: false
         session takes []
         a DeliveryCountExceeded",
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_leaves_the_count_as_it_was() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a"]).await;
    let mut d1 = world.open("d1").await;
    world.say_taken(&mut d1).await;
    world.say_received("d1").await;
    drop(d1);
    let token = world.say_received("d1").await.unwrap();
    let mut d1 = world.open("d1").await;
    world.say_taken(&mut d1).await;
    world.say_settled("complete", "d1", token).await;
    world.say_feedback().await;
    world.check(
        "session takes [a count 0]
         d1 receives nothing
         d1 receives a count 0
         session takes []
         complete: ()
         a Success",
    );
}

#[tokio::test(start_paused = true)]
async fn requests_are_handed_different_messages_and_a_lock_that_ends_gives_back() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a", "b"]).await;
    let mut d1 = world.open("d1").await;
    let a = world.say_received("d1").await.unwrap();
    let b = world.say_received("d1").await.unwrap();
    world.say_received("d1").await;
    world.say_taken(&mut d1).await;
    world.idle().await;
    d1.notices();
    world.pass(59 * SECOND).await;
    world.say_settled("complete", "d1", b).await;
    world.say(format!("told {}", d1.notices().len()));
    world.pass(2 * SECOND).await;
    world.say_settled("complete", "d1", a).await;
    world.say(format!("told {}", d1.notices().len()));
    world.say_taken(&mut d1).await;
    world.say_feedback().await;
    world.check(
        "d1 receives a count 0
         d1 receives b count 0
         d1 receives nothing
         session takes []
         complete: ()
         told 0
         complete: PreconditionFailed 412002
         told 1
         session takes [a count 0]
         b Success",
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_abandons_and_rejects() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a"]).await;
    let token = world.say_received("d1").await.unwrap();
    world.say_settled("abandon", "d1", token).await;
    world.say_settled("complete", "d1", token).await;
    world.pass(SECOND).await;
    let token = world.say_received("d1").await.unwrap();
    world.say_settled("reject", "d1", token).await;
    world.say_settled("reject", "d1", token).await;
    world.say_received("d1").await;
    world.say_feedback().await;
    world.check(
        "d1 receives a count 0
         abandon: ()
         complete: PreconditionFailed 412002
         d1 receives a count 1
         reject: ()
         reject: PreconditionFailed 412002
         d1 receives nothing
         a Rejected",
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_outlives_a_restart_unless_somebody_else_got_the_message() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a", "b", "c"]).await;
    let a = world.say_received("d1").await.unwrap();
    let b = world.say_received("d1").await.unwrap();
    let c = world.say_received("d1").await.unwrap();
    world.pass(SECOND).await;
    world.restart().await;
    world.say_settled("complete", "d1", a).await;
    world.say_settled("complete", "d1", a).await;
    world.say_received("d1").await;
    world.say_settled("complete", "d1", b).await;
    world.pass(60 * SECOND).await;
    world.say_settled("complete", "d1", c).await;
    world.say_feedback().await;
    world.check(
        "d1 receives a count 0
         d1 receives b count 0
         d1 receives c count 0
         complete: ()
         complete: PreconditionFailed 412002
         d1 receives b count 0
         complete: PreconditionFailed 412002
         complete: PreconditionFailed 412002
         a Success",
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_expires_is_told_of_at_once_when_it_is_met_and_soon_anyway() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["met"]).await;
    world.pass(3_600 * SECOND).await;
    world.say_received("d1").await;
    world.say_feedback().await;
    world.asked("d1", &["not met"]).await;
    world.run();
    world.pass(3_606 * SECOND).await;
    world.say_feedback().await;
    world.check(
        "d1 receives nothing
         met Expired
         not met Expired",
    );
}

#[tokio::test(start_paused = true)]
async fn the_lock_time_has_bounds() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    for lock in [4, 5, 300, 301] {
        let line = match world.receive("d1", lock).await {
            Ok(received) => format!("{:?}", received.map(|r| r.token)),
            Err(error) => failure(&error),
        };
        world.say(format!("{lock} s: {line}"));
    }
    world.check(
        "4 s: Invalid 400004
         5 s: None
         300 s: None
         301 s: Invalid 400004",
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_identity_and_who_may_connect_as_any_receive() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    world.asked("d1", &["a"]).await;
    let other_hub = world.second_hub().await;
    let token = world.receive("d1", 60).await.unwrap().unwrap().token;
    let service = [Permission::ServiceConnect, Permission::RegistryWrite];
    let callers = [
        ("module", world.as_device("d1/m1")),
        (
            "other hub",
            world.called_by(Caller::Identity {
                hub: other_hub.no,
                id: id("d1"),
            }),
        ),
        ("service", world.with(&service)),
        (
            "other hub's owner",
            world.policy_of(other_hub.no, &Permission::ALL),
        ),
        ("device policy", world.with(&[Permission::DeviceConnect])),
    ];
    for (name, ctx) in callers {
        let (hub, messages) = (world.hub.no, &world.engine.messages);
        let d1 = id("d1");
        let results = [
            messages.receive(&ctx, hub, &d1, None).await.map(|_| ()),
            messages.abandon(&ctx, hub, &d1, token).await,
            messages.reject(&ctx, hub, &d1, token).await,
            messages.complete(&ctx, hub, &d1, token).await,
        ];
        for result in results {
            world.say_result(name, result);
        }
    }
    world.check(
        "module: NotAllowed 401002
         module: NotAllowed 401002
         module: NotAllowed 401002
         module: NotAllowed 401002
         other hub: NotAllowed 401002
         other hub: NotAllowed 401002
         other hub: NotAllowed 401002
         other hub: NotAllowed 401002
         service: NotAllowed 401002
         service: NotAllowed 401002
         service: NotAllowed 401002
         service: NotAllowed 401002
         other hub's owner: NotAllowed 401002
         other hub's owner: NotAllowed 401002
         other hub's owner: NotAllowed 401002
         other hub's owner: NotAllowed 401002
         device policy: ()
         device policy: ()
         device policy: PreconditionFailed 412002
         device policy: PreconditionFailed 412002",
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_not_handed_out_is_given_back() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a", "b"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.say_taken(&mut d1).await;
    d1.session.give_back_message(taken[1]);
    d1.session.give_back_message(taken[1]);
    world.say_taken(&mut d1).await;
    d1.session.give_back_message(taken[0]);
    world.say_received("d1").await;
    world.say_taken(&mut d1).await;
    world.check(
        "session takes [a count 0, b count 0]
         session takes [b count 0]
         d1 receives a count 0
         session takes []",
    );
}

#[tokio::test(start_paused = true)]
async fn feedback_goes_with_the_device() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a"]).await;
    let token = world.say_received("d1").await.unwrap();
    world.say_settled("complete", "d1", token).await;
    let registry = &world.engine.registry;
    let (ctx, d) = (world.owner(), id("d1"));
    let gone = registry.delete(&ctx, world.hub.no, &d, IfMatch::Any).await;
    gone.unwrap();
    world.say_feedback().await;
    world.check(
        "d1 receives a count 0
         complete: ()
         no feedback",
    );
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_cannot_be_written_may_be_tried_again() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.asked("d1", &["a"]).await;
    let token = world.say_received("d1").await.unwrap();
    world.store_fails_once();
    world.say_settled("complete", "d1", token).await;
    world.say_received("d1").await;
    world.say_settled("complete", "d1", token).await;
    world.say_feedback().await;
    world.check(
        "d1 receives a count 0
         complete: Unavailable 503001
         d1 receives nothing
         complete: ()
         a Success",
    );
}

impl World {
    fn store_fails_once(&self) {
        use hub_storage::memory::Faults as _;
        self.store.fail_next(1);
    }
}
