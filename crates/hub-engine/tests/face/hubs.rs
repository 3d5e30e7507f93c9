//! Changes of a hub while it runs.

use hub_domain::limits::HUB_ALIASES_MAX;
use hub_domain::routing::FallbackRoute;
use hub_domain::{Hub, HubNo, Permission};
use hub_engine::{Caller, Error, ErrorKind};
use hub_storage::Store;
use hub_storage::store::{Op, Unit};

use crate::support::{World, failure, host};

fn without_fallback(hub: &Hub) -> Hub {
    let mut next = hub.clone();
    next.settings.routing.fallback.enabled = false;
    next
}

fn conditional(hub: &Hub) -> Hub {
    let mut next = hub.clone();
    next.settings.routing.fallback.condition = "level > 3".to_owned();
    next
}

fn fallback(hub: &Hub) -> (&FallbackRoute, u64) {
    (&hub.settings.routing.fallback, hub.revision.0)
}

#[tokio::test(start_paused = true)]
async fn a_change_is_seen_at_once_and_kept() {
    let mut world = World::new().await;
    let admin = world.called_by(Caller::Admin);
    let mut changes = world.engine.hubs.changes();
    let no = world.hub.no;
    let after = world
        .engine
        .hubs
        .update(&admin, no, |hub| Ok(without_fallback(hub)));
    let after = after.await.unwrap();
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(!after.settings.routing.fallback.enabled);
    let seen = world.engine.hubs.by_no(no).unwrap();
    assert_eq!(fallback(&seen), fallback(&after));
    assert_eq!(seen.revision.0, 1);
    world.restart().await;
    let kept = world.engine.hubs.by_no(no).unwrap();
    assert_eq!(fallback(&kept), fallback(&after));
}

#[tokio::test(start_paused = true)]
async fn a_change_meets_what_another_process_wrote() {
    let world = World::new().await;
    let admin = world.called_by(Caller::Admin);
    let mut theirs = conditional(&world.hub);
    theirs.revision = theirs.revision.next();
    let op = Op::ReplaceHub {
        next: Box::new(theirs),
        expected: world.hub.revision,
    };
    world.store.submit(Unit::new(op, Vec::new())).await.unwrap();
    let update = world
        .engine
        .hubs
        .update(&admin, world.hub.no, |hub| Ok(without_fallback(hub)));
    let both = update.await.unwrap();
    assert_eq!(both.revision.0, 2);
    assert_eq!(both.settings.routing.fallback.condition, "level > 3");
    assert!(!both.settings.routing.fallback.enabled);
}

#[tokio::test(start_paused = true)]
async fn former_hosts_stay_aliases() {
    let mut world = World::new().await;
    let admin = world.called_by(Caller::Admin);
    for name in ["b.test", "c.test", "b.test", "b.test"] {
        let renamed = world.engine.hubs.rename_first(&admin, &host(name)).await;
        renamed.unwrap();
    }
    world.restart().await;
    let kept = world.engine.hubs.by_no(world.hub.no).unwrap();
    assert_eq!(kept.host, host("b.test"));
    assert_eq!(kept.revision.0, 3, "the same name is no change");
    let mut aliases = world.hub.aliases.clone();
    aliases.extend([host("hub.test"), host("c.test")]);
    assert_eq!(kept.aliases, aliases);
    for number in 0..HUB_ALIASES_MAX {
        let name = host(&format!("h{number}.test"));
        let renamed = world.engine.hubs.rename_first(&admin, &name).await;
        renamed.unwrap();
    }
    let kept = world.engine.hubs.by_no(world.hub.no).unwrap();
    assert_eq!(kept.aliases.len(), HUB_ALIASES_MAX);
    assert_eq!(kept.aliases[0], host("b.test"), "the oldest are forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_host_of_another_hub_is_not_taken() {
    let world = World::new().await;
    let other = world.second_hub().await;
    let admin = world.called_by(Caller::Admin);
    let refused = world.engine.hubs.rename_first(&admin, &other.host).await;
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let text = format!("the hub {} has the host {}", other.name, other.host);
    assert_eq!(error.message(), text);
    let first = world.engine.hubs.by_no(world.hub.no).unwrap();
    assert_eq!(first.host, world.hub.host);
}

#[tokio::test(start_paused = true)]
async fn number_name_and_partitions_stay() {
    let world = World::new().await;
    let admin = world.called_by(Caller::Admin);
    let update = world.engine.hubs.update(&admin, world.hub.no, |hub| {
        let mut next = hub.clone();
        next.no = HubNo(77);
        next.partition_count = 99;
        Ok(next)
    });
    let after = update.await.unwrap();
    assert_eq!(after.no, world.hub.no);
    assert_eq!(after.partition_count, world.hub.partition_count);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_changes_nothing() {
    let world = World::new().await;
    let other = world.second_hub().await;
    let update = async |ctx, no, decide: fn(&Hub) -> Result<Hub, Error>| {
        let result = world.engine.hubs.update(&ctx, no, decide).await;
        let error = result.err().unwrap();
        format!("{}: {error}", failure(&error))
    };
    let admin = || world.called_by(Caller::Admin);
    let said = [
        update(world.with(&Permission::ALL), world.hub.no, |hub| {
            Ok(without_fallback(hub))
        })
        .await,
        update(admin(), HubNo(9), |hub| Ok(hub.clone())).await,
        update(admin(), other.no, |hub| {
            let mut next = hub.clone();
            next.aliases.push(host("hub.test"));
            Ok(next)
        })
        .await,
        update(admin(), other.no, |_| {
            Err(Error::new(ErrorKind::Invalid, "decided so"))
        })
        .await,
    ];
    assert_eq!(
        said,
        [
            "NotAllowed 401002: only the administrator of the installation may do this",
            "NotFound 404000: there is no hub 9",
            "AlreadyExists 409000: the hub hub has the host hub.test",
            "Invalid 400004: decided so",
        ]
    );
    assert_eq!(world.engine.hubs.by_no(other.no).unwrap().revision.0, 0);
}
