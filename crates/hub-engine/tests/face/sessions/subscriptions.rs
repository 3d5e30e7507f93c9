//! Subscriptions: kept for sessions that are, forgotten by those that are not.

use hub_engine::IfMatch;
use hub_engine::sessions::{Delivery, Subscription};
use hub_storage::memory::Faults as _;

use crate::support::{Device, World, device, id};

const ALL: [Subscription; 7] = [
    Subscription::Messages,
    Subscription::Methods,
    Subscription::TwinAnswers,
    Subscription::Desired,
    Subscription::Inputs,
    Subscription::ModuleAll,
    Subscription::Certificates,
];

impl World {
    /// Says what a session begins with.
    fn say_session(&mut self, what: &str, device: &Device) {
        let set = device.session.subscriptions();
        let held = ALL.into_iter().filter_map(|subscription| {
            let delivery = set.delivery(subscription)?;
            Some(format!("{subscription:?} {delivery:?}"))
        });
        let held: Vec<_> = held.collect();
        let held = if held.is_empty() {
            "nothing".to_owned()
        } else {
            held.join(", ")
        };
        let resumed = if device.resumed { "resumed" } else { "new" };
        self.say(format!("{what}: {resumed}, {held}"));
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_of_a_kept_session_survive_its_end_and_a_restart() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    world.say_session("first", &d1);
    let subscribed = d1.session.subscribe(&[
        (Subscription::Methods, Delivery::AtMostOnce),
        (Subscription::Messages, Delivery::AtLeastOnce),
    ]);
    world.say_result("subscribe", subscribed.await);
    drop(d1);
    let mut d1 = world.open("d1").await;
    world.say_session("second", &d1);
    let unsubscribed = d1.session.unsubscribe(&[Subscription::Messages]);
    world.say_result("unsubscribe", unsubscribed.await);
    drop(d1);
    world.restart().await;
    let d1 = world.open("d1").await;
    world.say_session("after a restart", &d1);
    world.check(
        "first: new, nothing
         subscribe: ()
         second: resumed, Messages AtLeastOnce, Methods AtMostOnce
         unsubscribe: ()
         after a restart: resumed, Methods AtMostOnce",
    );
}

#[tokio::test(start_paused = true)]
async fn a_transient_connect_forgets_what_was_kept() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    d1.session
        .subscribe(&[(Subscription::Desired, Delivery::AtLeastOnce)])
        .await
        .unwrap();
    drop(d1);
    let mut d1 = world.open_transient("d1").await;
    world.say_session("transient", &d1);
    let subscribed = d1
        .session
        .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)]);
    world.say_result("subscribe", subscribed.await);
    world.say_session("transient", &d1);
    drop(d1);
    let d1 = world.open("d1").await;
    world.say_session("kept again", &d1);
    world.check(
        "transient: new, nothing
         subscribe: ()
         transient: new, Methods AtMostOnce
         kept again: new, nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn deletion_forgets_what_was_kept() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    d1.session
        .subscribe(&[(Subscription::Desired, Delivery::AtLeastOnce)])
        .await
        .unwrap();
    world
        .engine
        .registry
        .delete(&world.owner(), world.hub.no, &id("d1"), IfMatch::Any)
        .await
        .unwrap();
    let late = d1
        .session
        .subscribe(&[(Subscription::Methods, Delivery::AtLeastOnce)]);
    world.say_result("subscribe of the deleted", late.await);
    drop(d1);
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.say_session("created again", &d1);
    world.check(
        "subscribe of the deleted: NotFound 404000
         created again: new, nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_subscription_is_acknowledged_when_it_is_durable() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    world.store.hold();
    let wanted = [(Subscription::Methods, Delivery::AtMostOnce)];
    let first = tokio::spawn(d1.session.subscribe(&wanted));
    world.idle().await;
    world.say(format!("first: {}", first.is_finished()));
    world.store.resume();
    world.say_result("first", first.await.unwrap());
    world.store.hold();
    world.say_result("the same again", d1.session.subscribe(&wanted).await);
    world.store.resume();
    world.store.fail_next(1);
    world.say_result(
        "on a full disk",
        d1.session
            .subscribe(&[(Subscription::Desired, Delivery::AtMostOnce)])
            .await,
    );
    drop(d1);
    let d1 = world.open("d1").await;
    world.say_session("reopened", &d1);
    world.check(
        "first: false
         first: ()
         the same again: ()
         on a full disk: Unavailable 503001
         reopened: resumed, Methods AtMostOnce",
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_takes_messages_looks_for_them_at_once() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let mut d1 = world.open("d1").await;
    world.say_notices("new session", &d1);
    d1.session
        .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)])
        .await
        .unwrap();
    world.say_notices("methods only", &d1);
    d1.session
        .subscribe(&[(Subscription::Messages, Delivery::AtLeastOnce)])
        .await
        .unwrap();
    world.say_notices("messages", &d1);
    drop(d1);
    let d1 = world.open("d1").await;
    world.say_notices("resumed", &d1);
    world.say_notices("resumed", &d1);
    world.check(
        "new session is told nothing
         methods only is told nothing
         messages is told message available
         resumed is told message available
         resumed is told nothing",
    );
}
