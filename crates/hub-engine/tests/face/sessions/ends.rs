//! How sessions end: take-over, disabling, deletion, other keys; and what back ends see of it.

use std::time::Duration;

use hub_domain::Status;
use hub_engine::{NewAuthentication, NewIdentity};
use hub_storage::memory::Faults as _;

use crate::support::{Connect, World, device, edge, key, session_failure};

#[tokio::test(start_paused = true)]
async fn a_newer_session_closes_the_older_and_stays() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let older = world.open("d1").await;
    world.pass(Duration::from_secs(1)).await;
    let newer = world.open("d1").await;
    world.say_notices("older", &older);
    world.say_notices("newer", &newer);
    world.say_connected_count().await;
    world.pass(Duration::from_secs(1)).await;
    drop(older);
    world.say_connection("d1").await;
    world.say_connected_count().await;
    drop(newer);
    world.say_connection("d1").await;
    world.say_connected_count().await;
    world.check(
        "older is told close Superseded
         newer is told nothing
         1 connected
         d1 connected since +1s, active +1s
         1 connected
         d1 disconnected since +2s, active +1s
         0 connected",
    );
}

#[tokio::test(start_paused = true)]
async fn of_two_that_connect_at_once_the_later_claim_counts() {
    let (mut world, bus) = World::stalling().await;
    world.given(device("d1")).await;
    let connects = [world.connect("d1").await, world.connect("d1").await];
    let [slow, fast] = connects;
    let go = bus.after_claim.stop_next();
    let (slow, fast) = tokio::join!(world.try_open(slow), async {
        world.idle().await;
        let fast = world.try_open(fast).await.unwrap();
        go.add_permits(1);
        fast
    });
    let slow = slow.unwrap();
    world.say_notices("slow", &slow);
    world.say_notices("fast", &fast);
    drop(slow);
    world.say_connection("d1").await;
    drop(fast);
    world.say_connection("d1").await;
    world.check(
        "slow is told close Superseded
         fast is told nothing
         d1 connected since +0s, active +0s
         d1 disconnected since +0s, active +0s",
    );
}

#[tokio::test(start_paused = true)]
async fn modules_and_devices_of_other_hubs_are_sessions_of_their_own() {
    let mut world = World::running().await;
    for text in ["d1", "d1/m1", "d2"] {
        world.given(device(text)).await;
    }
    let d1 = world.open("d1").await;
    let m1 = world.open("d1/m1").await;
    let d2 = world.open("d2").await;
    world.say_notices("d1", &d1);
    world.say_notices("d1/m1", &m1);
    world.say_connected_count().await;
    drop(d2);
    world.say_connected_count().await;
    world.check(
        "d1 is told nothing
         d1/m1 is told nothing
         2 connected
         1 connected",
    );
}

#[tokio::test(start_paused = true)]
async fn disabling_deleting_and_other_keys_close_what_is_connected() {
    let mut world = World::running().await;
    for text in [
        "off", "off/m", "gone", "gone/m", "keys", "keys/m", "module", "module/m", "same",
    ] {
        world.given(device(text)).await;
    }
    let mut sessions = Vec::new();
    for text in [
        "off", "off/m", "gone", "gone/m", "keys", "keys/m", "module", "module/m", "same",
    ] {
        sessions.push((text, world.open(text).await));
    }
    world.disable("off").await;
    world.remove("gone").await;
    let other_keys = NewAuthentication::Sas {
        primary: Some(key(1)),
        secondary: None,
    };
    world
        .changed(NewIdentity {
            authentication: other_keys,
            ..device("keys")
        })
        .await;
    world.remove("module/m").await;
    world.changed(device("same")).await;
    world.idle().await;
    for (name, session) in &sessions {
        world.say_notices(name, session);
    }
    world.check(
        "off is told close Disabled
         off/m is told close Disabled
         gone is told close Deleted
         gone/m is told close Deleted
         keys is told close CredentialsChanged
         keys/m is told nothing
         module is told nothing
         module/m is told close Deleted
         same is told nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_is_cut_while_its_own_writes_are_under_way() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.disable("d1").await;
    world.idle().await;
    // What was under way when the session was told ends as it would have.
    let patch = crate::support::members(r#"{"r":1}"#);
    let result = d1.session.patch_reported(world.now(), patch, None).await;
    world.say_result("report", result);
    world.say_notices("d1", &d1);
    world.check(
        "report: 2
         d1 is told close Disabled",
    );
}

/// What becomes of a connect of `text` when `change` happens after the check and before the claim, and is
/// dispatched before the claim too.
async fn with_change_between(text: &str, change: impl AsyncFnOnce(&World)) -> String {
    let (mut world, bus) = World::stalling().await;
    for new in ["d1", "d1/m1", "d2"] {
        world.given(device(new)).await;
    }
    world.run();
    let connect = world.connect(text).await;
    let stop = bus.before_claim.stop_next();
    let (opened, ()) = tokio::join!(world.try_open(connect), async {
        world.idle().await;
        change(&world).await;
        world.idle().await;
        stop.add_permits(1);
    });
    let line = match &opened {
        Ok(session) => {
            world.idle().await;
            format!("connected, {} notices", session.notices().len())
        }
        Err(error) => session_failure(error),
    };
    drop(opened);
    world.say_connected_count().await;
    world.check("0 connected");
    line
}

#[tokio::test(start_paused = true)]
async fn what_changes_between_the_check_and_the_claim_is_noticed() {
    let other_keys = || NewIdentity {
        authentication: NewAuthentication::Sas {
            primary: Some(key(1)),
            secondary: Some(key(2)),
        },
        ..device("d1")
    };
    let said = [
        with_change_between("d1", async |world| world.disable("d1").await).await,
        with_change_between("d1", async |world| world.remove("d1").await).await,
        with_change_between("d1", async |world| world.changed(other_keys()).await).await,
        with_change_between("d1", async |world| {
            let same_key = NewAuthentication::Sas {
                primary: Some(world.key_of("d1").await),
                secondary: None,
            };
            world.remove("d1").await;
            world
                .given(NewIdentity {
                    authentication: same_key,
                    ..device("d1")
                })
                .await;
        })
        .await,
        with_change_between("d1/m1", async |world| world.disable("d1").await).await,
        with_change_between("d1/m1", async |world| world.remove("d1").await).await,
        with_change_between("d1/m1", async |world| world.remove("d1/m1").await).await,
        with_change_between("d1", async |world| world.disable("d2").await).await,
        with_change_between("d1", async |world| world.changed(device("d1")).await).await,
    ];
    assert_eq!(
        said,
        [
            "NotAuthenticated: the device is disabled",
            "NotAuthenticated: the identity is not registered in this hub",
            "NotAuthenticated: the token's signature is wrong",
            "NotAuthenticated: the identity was replaced meanwhile, connect again",
            "NotAuthenticated: the device is disabled",
            "NotAuthenticated: the identity is not registered in this hub",
            "NotAuthenticated: the identity is not registered in this hub",
            "connected, 0 notices",
            "connected, 0 notices",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_dispatched_only_after_the_claim_closes_the_session() {
    let (mut world, bus) = World::stalling().await;
    world.given(device("d1")).await;
    let connect = world.connect("d1").await;
    let stop = bus.before_claim.stop_next();
    let (opened, ()) = tokio::join!(world.try_open(connect), async {
        world.idle().await;
        world.disable("d1").await;
        stop.add_permits(1);
    });
    let d1 = opened.unwrap();
    world.say_notices("d1", &d1);
    world.run();
    world.idle().await;
    world.say_notices("d1", &d1);
    world.check(
        "d1 is told nothing
         d1 is told close Disabled",
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_connect_leaves_the_open_session_alone() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    let wrong = Connect {
        token: world.connect("d1").await.token.replace("sig=", "sig=AA"),
        ..world.connect("d1").await
    };
    assert!(world.try_open(wrong).await.is_err());
    let too_long = "x".repeat(hub_engine::sessions::MODEL_ID_BYTES_MAX + 1);
    let wrong = Connect {
        model_id: Some(&too_long),
        ..world.connect("d1").await
    };
    let refused = world.try_open(wrong).await.err().unwrap();
    world.say(session_failure(&refused));
    world.say_notices("d1", &d1);
    world.check(
        "Invalid: the model id is too long
         d1 is told nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn an_orderly_stop_closes_every_session() {
    let mut world = World::running().await;
    world.given(edge("e1")).await;
    let e1 = world.open("e1").await;
    let agent = world.open("e1/$edgeAgent").await;
    world.engine.sessions.close_all();
    world.say_notices("e1", &e1);
    world.say_notices("agent", &agent);
    world.check(
        "e1 is told close Shutdown
         agent is told close Shutdown",
    );
}

#[tokio::test(start_paused = true)]
async fn activity_is_true_at_once_and_written_every_minute() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.say_connection("d1").await;
    world.pass(Duration::from_secs(10)).await;
    let d1 = world.open("d1").await;
    world.say_connection("d1").await;
    world.pass(Duration::from_secs(5)).await;
    let patch = crate::support::members(r#"{"r":1}"#);
    d1.session
        .patch_reported(world.now(), patch, None)
        .await
        .unwrap();
    world.say_connection("d1").await;
    world.restart().await;
    world.say_connection("d1").await;
    world.check(
        "d1 disconnected since never, active never
         d1 connected since +10s, active +10s
         d1 connected since +10s, active +15s
         d1 disconnected since never, active never",
    );
    drop(d1);
    let d1 = world.open("d1").await;
    world.pass(Duration::from_secs(61)).await;
    world.restart().await;
    world.say_connection("d1").await;
    drop(d1);
    world.check("d1 disconnected since +15s, active +15s");
}

#[tokio::test(start_paused = true)]
async fn activity_that_could_not_be_written_is_written_later() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.pass(Duration::from_secs(10)).await;
    drop(world.open("d1").await);
    world.store.fail_next(1);
    world.pass(Duration::from_secs(60)).await;
    world.say_connection("d1").await;
    world.pass(Duration::from_secs(60)).await;
    world.restart().await;
    world.say_connection("d1").await;
    world.check(
        "d1 disconnected since +10s, active +10s
         d1 disconnected since +10s, active +10s",
    );
}

#[tokio::test(start_paused = true)]
async fn a_module_of_an_edge_device_is_cut_with_it() {
    let mut world = World::running().await;
    world.given(edge("e1")).await;
    let hub = world.open("e1/$edgeHub").await;
    world
        .changed(NewIdentity {
            status: Status::Disabled,
            ..edge("e1")
        })
        .await;
    world.idle().await;
    world.say_notices("hub", &hub);
    world.check("hub is told close Disabled");
}

#[tokio::test(start_paused = true)]
async fn a_module_created_while_its_device_is_deleted_is_cut_too() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.given(device("d1/old")).await;
    world.say_facts().await;
    world.check(
        "fact created d1 gen1
         fact created d1/old gen1",
    );
    world.store.hold();
    let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
    let creating = {
        let (engine, ctx) = (engine.clone(), ctx.clone());
        tokio::spawn(async move { engine.registry.create(&ctx, hub, device("d1/new")).await })
    };
    world.idle().await;
    // The deletion lists the modules before the new one is durable.
    let deleting = tokio::spawn(async move {
        engine
            .registry
            .delete(
                &ctx,
                hub,
                &crate::support::id("d1"),
                hub_engine::IfMatch::Any,
            )
            .await
    });
    world.idle().await;
    world.store.release(1);
    creating.await.unwrap().unwrap();
    let new = world.open("d1/new").await;
    world.store.resume();
    deleting.await.unwrap().unwrap();
    world.idle().await;
    world.say_notices("new", &new);
    world.say_facts().await;
    world.check(
        "new is told close Deleted
         fact created d1/new gen1
         fact deleted d1/old gen1
         fact deleted d1 gen1
         fact deleted d1/new gen1",
    );
}
