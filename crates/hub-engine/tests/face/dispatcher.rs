//! From committed facts to the sessions they concern.

use hub_domain::limits::SESSION_QUEUE_FACTS_MAX;
use hub_domain::twin::BackEndPatch;
use hub_engine::{IfMatch, Notice};
use hub_storage::memory::Faults as _;

use super::support::{World, device, id, members, message};

impl World {
    /// Writes desired properties of a device.
    async fn desire(&self, text: &str, desired: &str) {
        let patch = BackEndPatch {
            tags: None,
            desired: Some(members(desired)),
        };
        self.engine
            .twins
            .patch(
                &self.owner(),
                self.hub.no,
                &id(text),
                patch,
                IfMatch::Absent,
            )
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn facts_become_notices_in_their_order() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.given(device("d2")).await;
    let d1 = world.open("d1").await;
    let d2 = world.open("d2").await;
    world.desire("d1", r#"{"x":1}"#).await;
    world.desire("d2", r#"{"y":1}"#).await;
    world.desire("d1", r#"{"x":null,"z":{"a":[1]}}"#).await;
    world
        .engine
        .messages
        .send(&world.owner(), world.hub.no, &id("d2"), message("m"))
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.say_notices("d2", &d2);
    world.say_notices("d1", &d1);
    world.check(
        r#"d1 is told desired 2 {"$version":2,"x":1}
         d1 is told desired 3 {"$version":3,"x":null,"z":{"a":[1]}}
         d2 is told desired 2 {"$version":2,"y":1}
         d2 is told message available
         d1 is told nothing"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_is_told_of_desired_properties_only() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    let d1 = world.open("d1").await;
    let m1 = world.open("d1/m1").await;
    let tags = BackEndPatch {
        tags: Some(members(r#"{"t":1}"#)),
        desired: None,
    };
    world
        .engine
        .twins
        .patch(
            &world.owner(),
            world.hub.no,
            &id("d1"),
            tags,
            IfMatch::Absent,
        )
        .await
        .unwrap();
    d1.session
        .patch_reported(world.now(), members(r#"{"r":1}"#), None)
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.desire("d1/m1", r#"{"m":1}"#).await;
    let whole = BackEndPatch {
        tags: None,
        desired: Some(members(r#"{"n":1,"gone":null}"#)),
    };
    world
        .engine
        .twins
        .replace(
            &world.owner(),
            world.hub.no,
            &id("d1"),
            whole,
            IfMatch::Absent,
        )
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.say_notices("d1/m1", &m1);
    world.check(
        r#"d1 is told nothing
         d1 is told desired 2 {"$version":2,"n":1}
         d1/m1 is told desired 2 {"$version":2,"m":1}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_before_it_is_durable() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
    let sending = tokio::spawn(async move {
        engine
            .messages
            .send(&ctx, hub, &id("d1"), message("m"))
            .await
    });
    world.idle().await;
    world.say_notices("d1", &d1);
    world.store.resume();
    sending.await.unwrap().unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.check(
        "d1 is told nothing
         d1 is told message available",
    );
}

#[tokio::test(start_paused = true)]
async fn more_patches_than_a_session_holds_collapse_into_reading_the_twin() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    for number in 0..SESSION_QUEUE_FACTS_MAX {
        world.desire("d1", &format!(r#"{{"n":{number}}}"#)).await;
    }
    world.idle().await;
    let told = d1.notices();
    let versions: Vec<u64> = told
        .iter()
        .filter_map(|notice| match notice {
            Notice::DesiredChanged { version, .. } => Some(*version),
            _ => None,
        })
        .collect();
    let expected: Vec<u64> = (2..).take(SESSION_QUEUE_FACTS_MAX).collect();
    assert_eq!(versions, expected, "as many as it holds come one by one");
    for number in 0..=SESSION_QUEUE_FACTS_MAX {
        world.desire("d1", &format!(r#"{{"n":{number}}}"#)).await;
    }
    world
        .engine
        .messages
        .send(&world.owner(), world.hub.no, &id("d1"), message("m"))
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.desire("d1", r#"{"after":1}"#).await;
    world.idle().await;
    world.say_notices("d1", &d1);
    world.check(
        r#"d1 is told read twin
         d1 is told message available
         d1 is told desired 67 {"$version":67,"after":1}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_when_many_facts_are_committed_at_once() {
    const DEVICES: usize = 1_500;
    let mut world = World::running().await;
    let mut sessions = Vec::new();
    for number in 0..DEVICES {
        let name = format!("d{number}");
        world.given(device(&name)).await;
        sessions.push((world.open(&name).await, name));
    }
    // Held commits end together, more of them than the dispatcher reads at once.
    world.store.hold();
    let mut sending = Vec::new();
    for (_, name) in &sessions {
        let (engine, ctx, hub, id) = (world.engine.clone(), world.owner(), world.hub.no, id(name));
        sending.push(tokio::spawn(async move {
            engine.messages.send(&ctx, hub, &id, message("m")).await
        }));
    }
    world.idle().await;
    world.store.resume();
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    world.idle().await;
    let told = sessions
        .iter()
        .filter(|(session, _)| session.notices() == [Notice::MessageAvailable])
        .count();
    world.say(format!("{told} were told"));
    world.check("1500 were told");
}

#[tokio::test(start_paused = true)]
async fn a_dispatcher_that_starts_late_tells_what_was_committed_since_the_engine_opened() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.desire("d1", r#"{"x":1}"#).await;
    world.say_notices("d1", &d1);
    world.run();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.check(
        r#"d1 is told nothing
         d1 is told desired 2 {"$version":2,"x":1}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn devices_of_the_same_name_in_two_hubs_are_told_apart() {
    let mut world = World::running().await;
    let other = world.second_hub().await;
    world.given(device("d1")).await;
    let ctx = world.policy_of(other.no, &hub_domain::Permission::ALL);
    world
        .engine
        .registry
        .create(&ctx, other.no, device("d1"))
        .await
        .unwrap();
    let d1 = world.open("d1").await;
    world
        .engine
        .messages
        .send(&ctx, other.no, &id("d1"), message("m"))
        .await
        .unwrap();
    world
        .engine
        .registry
        .delete(&ctx, other.no, &id("d1"), IfMatch::Any)
        .await
        .unwrap();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.check("d1 is told nothing");
}
