//! Many writers of one twin, in orders and with failures that come from a seed.

use hub_engine::IfMatch;
use hub_storage::memory::Faults as _;

use super::told;
use crate::support::{Random, World, device, id};

/// Writers per scenario. Each writes members of its own, so that a lost update is a missing member.
const WRITERS: u64 = 40;

/// Runs writers while commits are held, released one by one and failed; nobody's acknowledged write may be
/// missing, and nobody's failed write may be there.
async fn scenario(seed: u64) {
    let mut random = Random(seed);
    let world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let mut patches = Vec::new();
    let mut reports = Vec::new();
    for number in 0..WRITERS {
        let member = format!(r#""w{number}":{number}"#);
        match random.below(3) {
            0 => patches.push((
                number,
                world
                    .begin_patch(&format!(r#"{{"tags":{{{member}}}}}"#), IfMatch::Absent)
                    .await,
            )),
            1 => reports.push((
                number,
                world.begin_report(&d1, &format!("{{{member}}}")).await,
            )),
            _ => patches.push((
                number,
                world
                    .begin_patch(&format!(r#"{{"desired":{{{member}}}}}"#), IfMatch::Any)
                    .await,
            )),
        }
        match random.below(4) {
            0 => {
                world
                    .store
                    .fail_next(usize::try_from(random.below(3)).unwrap());
                world.store.release(1);
            }
            1 => {
                world
                    .store
                    .release(usize::try_from(random.below(4)).unwrap());
            }
            2 => {
                let gone = random.below(8) == 0;
                if let Some((_, last)) = patches.pop_if(|_| gone) {
                    last.abort();
                }
            }
            _ => {}
        }
        check_device_view(&world, &d1).await;
    }
    world.store.fail_next(0);
    world.store.resume();
    world.idle().await;
    let twin = world
        .engine
        .twins
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap()
        .twin;
    for (number, patching) in patches {
        let said = told(&patching.await.unwrap());
        let key = format!("w{number}");
        let is_there = twin.back_end.tags.contains_key(&key)
            || twin.back_end.desired.properties.contains_key(&key);
        assert_eq!(
            said == "ok",
            is_there,
            "seed {seed}: patch {number} was told {said}"
        );
    }
    for (number, reporting) in reports {
        let said = told(&reporting.await.unwrap());
        let is_there = twin.reported.properties.contains_key(&format!("w{number}"));
        assert_eq!(
            said == "ok",
            is_there,
            "seed {seed}: report {number} was told {said}"
        );
    }
    world.check_versions_grow().await;
    check_device_view(&world, &d1).await;
}

/// What the device reads is what is durable.
async fn check_device_view(world: &World, device: &crate::support::Device) {
    let durable = world
        .engine
        .twins
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap()
        .twin;
    let seen = device.session.twin_to_tell().await.unwrap();
    assert_eq!(
        hub_domain::twin::device_view(&seen),
        hub_domain::twin::device_view(&durable)
    );
}

#[tokio::test(start_paused = true)]
async fn no_update_is_lost_in_any_order() {
    for seed in 0..150 {
        scenario(seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_update_is_lost_on_several_threads() {
    let world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    let mut writers = Vec::new();
    for writer in 0..8 {
        let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
        writers.push(tokio::spawn(async move {
            for turn in 0..50 {
                let patch = super::patch(&format!(r#"{{"tags":{{"w{writer}":{turn}}}}}"#));
                engine
                    .twins
                    .patch(&ctx, hub, &id("d1"), patch, IfMatch::Absent)
                    .await
                    .unwrap();
            }
        }));
    }
    for turn in 0..200 {
        let patch = crate::support::members(&format!(r#"{{"r":{turn}}}"#));
        d1.session
            .patch_reported(world.now(), patch, None)
            .await
            .unwrap();
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let twin = world
        .engine
        .twins
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap()
        .twin;
    assert_eq!((twin.back_end.etag.0, twin.reported.version), (401, 201));
    world.check_versions_grow().await;
}
