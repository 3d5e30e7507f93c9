//! Cloud-to-device messages: queued, delivered in order, expired, purged, marked when repeated.

use std::time::Duration;

use bytes::Bytes;
use hub_domain::limits::CLOUD_TO_DEVICE_PENDING_MAX;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage};
use hub_domain::{IdentityId, Timestamp};
use hub_engine::{Error, IfMatch, MessageNo};
use hub_storage::Store as _;
use hub_storage::memory::Faults as _;

use super::support::{BEGINNING, Device, World, device, id, message};

impl World {
    async fn send(&self, text: &str, message: CloudToDeviceMessage) -> Result<MessageNo, Error> {
        self.engine
            .messages
            .send(&self.owner(), self.hub.no, &id(text), message)
            .await
    }

    /// Queues messages of these bodies for `d1`.
    async fn queued(&self, bodies: &[&str]) {
        for body in bodies {
            self.send("d1", message(body)).await.unwrap();
        }
    }

    async fn say_send(&mut self, what: &str, text: &str, message: CloudToDeviceMessage) {
        let result = self.send(text, message).await;
        self.say_result(what, result.map(drop));
    }

    async fn purge(&mut self, text: &str) {
        let result = self
            .engine
            .messages
            .purge(&self.owner(), self.hub.no, &id(text))
            .await;
        self.say_result(&format!("purge {text}"), result);
    }

    /// Says how many messages wait, as back ends see it.
    async fn say_waiting(&mut self, text: &str) {
        let view = self
            .engine
            .registry
            .fetch(&self.owner(), self.hub.no, &id(text))
            .await
            .unwrap();
        self.say(format!("{} wait", view.message_count));
    }

    /// Hands out what waits and acknowledges none of it.
    async fn take(&self, device: &mut Device) -> Vec<MessageNo> {
        let next = device.session.next_messages(self.now(), 100).await.unwrap();
        for stored in &next {
            device.session.note_sent(stored.no);
        }
        next.into_iter().map(|stored| stored.no).collect()
    }
}

fn expiring(body: &str, expiry: Timestamp) -> CloudToDeviceMessage {
    let d1: IdentityId = id("d1");
    let mut draft =
        CloudToDeviceDraft::new(&d1, Bytes::copy_from_slice(body.as_bytes()), BEGINNING);
    draft.expiry = Some(expiry);
    CloudToDeviceMessage::parse(draft).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);
const TWO_DAYS: Duration = Duration::from_secs(2 * 24 * 3_600);

#[tokio::test(start_paused = true)]
async fn messages_are_delivered_in_order_and_once_per_session() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a", "b", "c"]).await;
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 2).await;
    world.queued(&["d"]).await;
    world.say_messages("d1", &mut d1, 2).await;
    world.say_messages("d1", &mut d1, 2).await;
    world.say_waiting("d1").await;
    world.check(
        "d1 gets a, sent before: No
         d1 gets b, sent before: No
         d1 gets c, sent before: No
         d1 gets d, sent before: No
         d1 gets nothing
         4 wait",
    );
}

#[tokio::test(start_paused = true)]
async fn a_completed_message_is_gone_and_only_once() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a", "b"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.take(&mut d1).await;
    for (what, message) in [
        ("complete a", taken[0]),
        ("complete a again", taken[0]),
        ("complete nothing", MessageNo(999)),
    ] {
        let completed = d1.session.complete_message(world.now(), message).await;
        world.say_result(what, completed);
    }
    world.say_waiting("d1").await;
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check(
        "complete a: ()
         complete a again: PreconditionFailed 412002
         complete nothing: PreconditionFailed 412002
         1 wait
         d1 gets b, sent before: No",
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_cannot_complete_another_ones_message() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d2")).await;
    let number = world.send("d1", message("a")).await.unwrap();
    let d2 = world.open("d2").await;
    let completed = d2.session.complete_message(world.now(), number).await;
    world.say_result("complete", completed);
    world.say_waiting("d1").await;
    world.check(
        "complete: PreconditionFailed 412002
         1 wait",
    );
}

#[tokio::test(start_paused = true)]
async fn what_was_not_acknowledged_is_marked_when_it_comes_again() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a", "b", "c"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.take(&mut d1).await;
    d1.session
        .complete_message(world.now(), taken[0])
        .await
        .unwrap();
    d1.session.note_unacknowledged(taken[2]);
    drop(d1);
    world.queued(&["d"]).await;
    // A session in between that ends before it came to the messages.
    drop(world.open("d1").await);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check(
        "d1 gets b, sent before: Perhaps
         d1 gets c, sent before: Perhaps
         d1 gets d, sent before: No",
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_taken_over_may_note_late_what_it_sent() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a", "b"]).await;
    let mut older = world.open("d1").await;
    let taken = world.take(&mut older).await;
    let mut newer = world.open("d1").await;
    older.session.note_unacknowledged(taken[0]);
    drop(older);
    world.say_messages("newer", &mut newer, 10).await;
    world.check(
        "newer gets a, sent before: Perhaps
         newer gets b, sent before: No",
    );
}

#[tokio::test(start_paused = true)]
async fn a_transient_session_continues_nothing() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.take(&mut d1).await;
    d1.session.note_unacknowledged(taken[0]);
    drop(d1);
    let mut d1 = world.open_transient("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    d1.session.note_unacknowledged(taken[0]);
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check(
        "d1 gets a, sent before: No
         d1 gets a, sent before: No",
    );
}

#[tokio::test(start_paused = true)]
async fn messages_survive_a_restart_without_the_mark() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a", "b"]).await;
    let mut d1 = world.open("d1").await;
    let taken = world.take(&mut d1).await;
    d1.session.note_unacknowledged(taken[1]);
    drop(d1);
    world.restart().await;
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check(
        "d1 gets a, sent before: No
         d1 gets b, sent before: No",
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_is_never_delivered() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    let now = world.now();
    for (body, seconds) in [("one", 1), ("three", 3), ("two", 2)] {
        world
            .send("d1", expiring(body, now.plus(SECOND * seconds)))
            .await
            .unwrap();
    }
    world.pass(SECOND).await;
    // At its very moment a message has expired.
    world.say_messages("d1", &mut d1, 1).await;
    world.pass(SECOND).await;
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 1).await;
    world.pass(SECOND).await;
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 1).await;
    world.check(
        "d1 gets three, sent before: No
         d1 gets three, sent before: No
         d1 gets nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn many_expired_messages_do_not_hide_the_good_one_behind_them() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let soon = world.now().plus(SECOND);
    for _ in 0..25 {
        world.send("d1", expiring("expired", soon)).await.unwrap();
    }
    world.queued(&["good"]).await;
    world.pass(SECOND).await;
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check("d1 gets good, sent before: No");
}

#[tokio::test(start_paused = true)]
async fn expired_messages_are_removed_from_every_queue() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let soon = world.now().plus(SECOND);
    for _ in 0..600 {
        world.send("d1", expiring("expired", soon)).await.unwrap();
    }
    world.queued(&["good"]).await;
    world.say_waiting("d1").await;
    world.pass(SECOND * 10).await;
    world.say_waiting("d1").await;
    world.pass(SECOND * 3_600).await;
    world.say_waiting("d1").await;
    world.check(
        "601 wait
         1 wait
         0 wait",
    );
}

#[tokio::test(start_paused = true)]
async fn expiry_is_checked_at_both_edges_and_is_an_hour_by_default() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let now = world.now();
    let microsecond = Duration::from_micros(1);
    world.say_send("now", "d1", expiring("m", now)).await;
    world
        .say_send("at once", "d1", expiring("m", now.plus(microsecond)))
        .await;
    world
        .say_send("two days", "d1", expiring("m", now.plus(TWO_DAYS)))
        .await;
    world
        .say_send(
            "longer",
            "d1",
            expiring("m", now.plus(TWO_DAYS + microsecond)),
        )
        .await;
    world
        .say_send("past", "d1", expiring("m", now.minus(SECOND)))
        .await;
    world.purge("d1").await;
    world.queued(&["default"]).await;
    world.pass(Duration::from_secs(3_600) - SECOND).await;
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 1).await;
    world.pass(SECOND).await;
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 1).await;
    world.check(
        "now: Invalid 403009
         at once: ()
         two days: ()
         longer: Invalid 403009
         past: Invalid 403009
         purge d1: 2
         d1 gets default, sent before: No
         d1 gets nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_is_purged_whole_and_others_stay() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    world.queued(&["a", "b"]).await;
    world.send("d1/m1", message("c")).await.unwrap();
    world.say_facts().await;
    world.purge("d1").await;
    world.purge("d1").await;
    world.purge("gone").await;
    world.purge("d1/gone").await;
    world.say_waiting("d1").await;
    world.say_waiting("d1/m1").await;
    world.say_facts().await;
    world.check(
        "fact created d1 gen1
         fact created d1/m1 gen1
         fact queued d1
         fact queued d1
         fact queued d1/m1
         purge d1: 2
         purge d1: 0
         purge gone: NotFound 404001
         purge d1/gone: NotFound 404010
         0 wait
         1 wait
         fact purged d1
         fact purged d1",
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_until_there_is_room() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    for _ in 0..CLOUD_TO_DEVICE_PENDING_MAX {
        world.send("d1", message("m")).await.unwrap();
    }
    world.say_send("one more", "d1", message("m")).await;
    let mut d1 = world.open("d1").await;
    let taken = world.take(&mut d1).await;
    d1.session
        .complete_message(world.now(), taken[0])
        .await
        .unwrap();
    world
        .say_send("after one is done", "d1", message("m"))
        .await;
    world.say_send("one more", "d1", message("m")).await;
    world.check(
        "one more: QuotaExceeded 403004
         after one is done: ()
         one more: QuotaExceeded 403004",
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_is_acknowledged_when_it_is_durable() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.hold();
    let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
    let sending = tokio::spawn(async move {
        engine
            .messages
            .send(&ctx, hub, &id("d1"), message("a"))
            .await
    });
    world.idle().await;
    assert!(!sending.is_finished());
    world.store.resume();
    assert!(sending.await.unwrap().is_ok());
    world.store.fail_next(1);
    world.say_send("full disk", "d1", message("b")).await;
    world.say_waiting("d1").await;
    world.check(
        "full disk: Unavailable 503001
         1 wait",
    );
}

#[tokio::test(start_paused = true)]
async fn messages_go_with_their_identity() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.queued(&["a"]).await;
    world.say_send("to nobody", "gone", message("m")).await;
    world
        .say_send("to no module", "d1/gone", message("m"))
        .await;
    world
        .engine
        .registry
        .delete(&world.owner(), world.hub.no, &id("d1"), IfMatch::Any)
        .await
        .unwrap();
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    world.say_messages("d1", &mut d1, 10).await;
    world.check(
        "to nobody: NotFound 404001
         to no module: NotFound 404010
         d1 gets nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_deleted_while_a_message_is_on_its_way_is_not_found() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.hold();
    let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
    let deleting = {
        let (engine, ctx) = (engine.clone(), ctx.clone());
        tokio::spawn(async move {
            engine
                .registry
                .delete(&ctx, hub, &id("d1"), IfMatch::Any)
                .await
        })
    };
    world.idle().await;
    let sending = tokio::spawn(async move {
        let sent = engine
            .messages
            .send(&ctx, hub, &id("d1"), message("m"))
            .await;
        (
            sent.map(drop),
            engine.messages.purge(&ctx, hub, &id("d1")).await,
        )
    });
    world.idle().await;
    world.store.resume();
    deleting.await.unwrap().unwrap();
    let (sent, purged) = sending.await.unwrap();
    world.say_result("send", sent);
    world.say_result("purge", purged);
    world.check(
        "send: NotFound 404001
         purge: NotFound 404001",
    );
}

#[tokio::test(start_paused = true)]
async fn back_ends_are_refused_and_devices_wait_while_too_much_waits_for_the_disk() {
    let mut world = World::new().await;
    for text in ["d1", "d2"] {
        world.given(device(text)).await;
    }
    let d1 = world.open("d1").await;
    let body = "x".repeat(60_000);
    world.store.hold();
    let mut sending = Vec::new();
    while !world.store.backlog().is_full() {
        let (engine, ctx, hub, message) = (
            world.engine.clone(),
            world.owner(),
            world.hub.no,
            message(&body),
        );
        sending.push(tokio::spawn(async move {
            engine.messages.send(&ctx, hub, &id("d2"), message).await
        }));
        world.idle().await;
    }
    world.say_send("send", "d1", message("m")).await;
    let patch = hub_domain::twin::BackEndPatch::default();
    let patched = world
        .engine
        .twins
        .patch(&world.owner(), world.hub.no, &id("d1"), patch, IfMatch::Any)
        .await;
    world.say_result("patch", patched.map(|_| ()));
    let created = world
        .engine
        .registry
        .create(&world.owner(), world.hub.no, device("d3"))
        .await;
    world.say_result("create", created.map(|_| ()));
    let reported = super::support::members(r#"{"r":1}"#);
    let reporting = tokio::spawn(d1.session.patch_reported(world.now(), reported, None));
    world.idle().await;
    assert_eq!(
        world.store.waiting(),
        sending.len(),
        "the device's write was not submitted"
    );
    world.store.resume();
    world.say_result("report", reporting.await.unwrap());
    for sent in sending {
        assert!(sent.await.unwrap().is_ok());
    }
    world.say_send("send", "d1", message("m")).await;
    world.check(
        "send: Unavailable 503001
         patch: Unavailable 503001
         create: Unavailable 503001
         report: 2
         send: ()",
    );
}
