//! The registry: devices and modules as back ends create, change, list and delete them.

mod permissions;

use std::time::Duration;

use hub_domain::Status;
use hub_engine::{IfMatch, NewAuthentication, NewIdentity};
use hub_storage::memory::Faults as _;

use super::support::{World, device, edge, id, key, leaf};

impl World {
    async fn create(&mut self, new: NewIdentity) {
        let what = format!("create {}", new.id);
        let result = self
            .engine
            .registry
            .create(&self.owner(), self.hub.no, new)
            .await;
        self.say_identity(&what, result);
    }

    async fn replace(&mut self, new: NewIdentity, if_match: IfMatch) {
        let what = format!("replace {}", new.id);
        let result = self
            .engine
            .registry
            .replace(&self.owner(), self.hub.no, new, if_match)
            .await;
        self.say_identity(&what, result);
    }

    async fn delete(&mut self, text: &str, if_match: IfMatch) {
        let result = self
            .engine
            .registry
            .delete(&self.owner(), self.hub.no, &id(text), if_match)
            .await;
        self.say_result(&format!("delete {text}"), result);
    }

    async fn fetch(&mut self, text: &str) {
        let result = self
            .engine
            .registry
            .fetch(&self.owner(), self.hub.no, &id(text))
            .await;
        self.say_identity(&format!("fetch {text}"), result);
    }

    async fn list(&mut self, after: Option<&str>, max: usize) {
        let after = after.map(|after| id(after).device);
        let result = self
            .engine
            .registry
            .list(&self.owner(), self.hub.no, after.as_ref(), max)
            .await;
        self.say_result("list", result.map(|page| ids(&page)));
    }

    async fn etag_of(&self, text: &str) -> IfMatch {
        let view = self
            .engine
            .registry
            .fetch(&self.owner(), self.hub.no, &id(text))
            .await
            .unwrap();
        IfMatch::Etag(view.identity.etag.0)
    }

    async fn say_statistics(&mut self) {
        let result = self
            .engine
            .registry
            .statistics(&self.owner(), self.hub.no)
            .await;
        self.say_result("statistics", result);
    }
}

fn ids(page: &[hub_engine::IdentityView]) -> Vec<String> {
    page.iter()
        .map(|view| view.identity.id.to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_device_is_created_changed_and_deleted() {
    let mut world = World::new().await;
    world.create(device("d1")).await;
    world.fetch("d1").await;
    world.pass(Duration::from_secs(5)).await;
    let disabled = NewIdentity {
        status: Status::Disabled,
        status_reason: Some("stolen".to_owned()),
        ..device("d1")
    };
    world.replace(disabled, IfMatch::Any).await;
    world.delete("d1", IfMatch::Absent).await;
    world.fetch("d1").await;
    world.say_facts().await;
    world.check(
        "create d1: d1 enabled sas etag1 gen1
         fetch d1: d1 enabled sas etag1 gen1
         replace d1: d1 disabled sas etag2 gen1 because stolen status +5s
         delete d1: ()
         fetch d1: NotFound 404001
         fact created d1 gen1
         fact updated d1 disabled
         fact deleted d1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn what_exists_is_not_created_again() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    world.say_facts().await;
    world.create(device("d1")).await;
    world.create(device("d1/m1")).await;
    world.create(device("D1")).await;
    world.say_facts().await;
    world.check(
        "fact created d1 gen1
         fact created d1/m1 gen1
         create d1: AlreadyExists 409001
         create d1/m1: AlreadyExists 409301
         create D1: D1 enabled sas etag1 gen1
         fact created D1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_with_another_etag_leaves_no_trace() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let first = world.etag_of("d1").await;
    world.replace(device("d1"), first.clone()).await;
    world.replace(device("d1"), first.clone()).await;
    world.delete("d1", first).await;
    world.fetch("d1").await;
    world.replace(device("gone"), IfMatch::Any).await;
    world.delete("gone", IfMatch::Any).await;
    world.replace(device("d1/gone"), IfMatch::Any).await;
    world.say_facts().await;
    world.check(
        "replace d1: d1 enabled sas etag1 gen1
         replace d1: PreconditionFailed 412001
         delete d1: PreconditionFailed 412001
         fetch d1: d1 enabled sas etag1 gen1
         replace gone: NotFound 404001
         delete gone: NotFound 404001
         replace d1/gone: NotFound 404010
         fact created d1 gen1
         fact updated d1 enabled",
    );
}

#[tokio::test(start_paused = true)]
async fn an_edge_device_brings_its_modules_in_one_unit() {
    let mut world = World::new().await;
    world.create(edge("e1")).await;
    world.fetch("e1/$edgeAgent").await;
    world.fetch("e1/$edgeHub").await;
    world.say_facts().await;
    world.check(
        "create e1: e1 enabled sas etag1 gen1 edge scope ms-azure-iot-edge://e1-{gen}
         fetch e1/$edgeAgent: e1/$edgeAgent enabled sas etag2 gen1 managed by iotEdge
         fetch e1/$edgeHub: e1/$edgeHub enabled sas etag3 gen1 managed by iotEdge
         fact created e1 gen1
         fact created e1/$edgeAgent gen1
         fact created e1/$edgeHub gen1",
    );
    world.create(edge("e1")).await;
    world.say_facts().await;
    world.delete("e1", IfMatch::Absent).await;
    world.fetch("e1/$edgeHub").await;
    world.say_facts().await;
    world.check(
        "create e1: AlreadyExists 409001
         delete e1: ()
         fetch e1/$edgeHub: NotFound 404010
         fact deleted e1/$edgeAgent gen1
         fact deleted e1/$edgeHub gen1
         fact deleted e1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_becomes_an_edge_device_gets_the_modules_it_lacks() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.replace(edge("d1"), IfMatch::Any).await;
    world.fetch("d1/$edgeAgent").await;
    world.fetch("d1/$edgeHub").await;
    world.replace(device("d1"), IfMatch::Any).await;
    world.replace(edge("d1"), IfMatch::Any).await;
    world.say_facts().await;
    world.check(
        "replace d1: d1 enabled sas etag1 gen1 edge scope ms-azure-iot-edge://d1-{gen}
         fetch d1/$edgeAgent: d1/$edgeAgent enabled sas etag2 gen1 managed by iotEdge
         fetch d1/$edgeHub: d1/$edgeHub enabled sas etag3 gen1 managed by iotEdge
         replace d1: d1 enabled sas etag4 gen1
         replace d1: d1 enabled sas etag5 gen1 edge scope ms-azure-iot-edge://d1-{gen}
         fact created d1 gen1
         fact updated d1 enabled
         fact created d1/$edgeAgent gen1
         fact created d1/$edgeHub gen1
         fact updated d1 enabled
         fact updated d1 enabled",
    );
}

#[tokio::test(start_paused = true)]
async fn the_modules_of_the_edge_runtime_are_reserved() {
    let mut world = World::new().await;
    world.given(edge("e1")).await;
    world.given(device("d1")).await;
    world.create(device("d1/$edgeAgent")).await;
    world.create(device("d1/$edgeHub")).await;
    world.delete("e1/$edgeAgent", IfMatch::Any).await;
    world.delete("e1/$edgeHub", IfMatch::Any).await;
    world.create(device("d1/$edgeAgent2")).await;
    world.check(
        "create d1/$edgeAgent: NotAllowed 401100
         create d1/$edgeHub: NotAllowed 401100
         delete e1/$edgeAgent: NotAllowed 401100
         delete e1/$edgeHub: NotAllowed 401100
         create d1/$edgeAgent2: d1/$edgeAgent2 enabled sas etag1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn a_module_needs_its_device_and_goes_with_it() {
    let mut world = World::new().await;
    world.create(device("d1/m1")).await;
    world.given(device("d1")).await;
    world.create(device("d1/m1")).await;
    world.create(device("d1/m2")).await;
    let modules = world
        .engine
        .registry
        .modules(&world.owner(), world.hub.no, &id("d1").device)
        .await;
    world.say_result("modules", modules.map(|page| ids(&page)));
    world.delete("d1/m1", IfMatch::Absent).await;
    world.delete("d1", IfMatch::Absent).await;
    world.fetch("d1/m2").await;
    let modules = world
        .engine
        .registry
        .modules(&world.owner(), world.hub.no, &id("d1").device)
        .await;
    world.say_result("modules", modules.map(|page| ids(&page)));
    world.say_facts().await;
    world.check(
        r#"create d1/m1: NotFound 404001
         create d1/m1: d1/m1 enabled sas etag1 gen1
         create d1/m2: d1/m2 enabled sas etag2 gen1
         modules: ["d1/m1", "d1/m2"]
         delete d1/m1: ()
         delete d1: ()
         fetch d1/m2: NotFound 404010
         modules: NotFound 404001
         fact created d1 gen1
         fact created d1/m1 gen1
         fact created d1/m2 gen1
         fact deleted d1/m1 gen1
         fact deleted d1/m2 gen1
         fact deleted d1 gen1"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_has_at_most_fifty_modules() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    for number in 0..50 {
        world.given(device(&format!("d1/m{number}"))).await;
    }
    world.create(device("d1/one-more")).await;
    world.delete("d1/m7", IfMatch::Absent).await;
    world.create(device("d1/one-more")).await;
    world.check(
        "create d1/one-more: TooLarge 413003
         delete d1/m7: ()
         create d1/one-more: d1/one-more enabled sas etag1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn an_identity_created_again_has_another_generation_and_other_keys() {
    let mut world = World::new().await;
    world.create(device("d1")).await;
    let first = world.key_of("d1").await;
    world.delete("d1", IfMatch::Absent).await;
    world.pass(Duration::from_millis(1)).await;
    world.create(device("d1")).await;
    assert!(
        first != world.key_of("d1").await,
        "the new identity has a key of its own"
    );
    world.check(
        "create d1: d1 enabled sas etag1 gen1
         delete d1: ()
         create d1: d1 enabled sas etag2 gen2",
    );
}

#[tokio::test(start_paused = true)]
async fn the_status_time_changes_only_with_the_status() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let disabled = || NewIdentity {
        status: Status::Disabled,
        ..device("d1")
    };
    world.pass(Duration::from_secs(1)).await;
    world.replace(device("d1"), IfMatch::Any).await;
    world.pass(Duration::from_secs(1)).await;
    world.replace(disabled(), IfMatch::Any).await;
    world.say_statistics().await;
    world.pass(Duration::from_secs(1)).await;
    world.replace(disabled(), IfMatch::Any).await;
    world.pass(Duration::from_secs(1)).await;
    world.replace(device("d1"), IfMatch::Any).await;
    world.say_statistics().await;
    world.check(
        "replace d1: d1 enabled sas etag1 gen1
         replace d1: d1 disabled sas etag2 gen1 status +2s
         statistics: RegistryStatistics { devices: 1, enabled: 0, connected: 0 }
         replace d1: d1 disabled sas etag3 gen1 status +2s
         replace d1: d1 enabled sas etag4 gen1 status +4s
         statistics: RegistryStatistics { devices: 1, enabled: 1, connected: 0 }",
    );
}

#[tokio::test(start_paused = true)]
async fn keys_that_are_not_given_are_made_at_creation_and_kept_afterwards() {
    let mut world = World::new().await;
    let with_keys = |primary, secondary| NewIdentity {
        authentication: NewAuthentication::Sas { primary, secondary },
        ..device("d1")
    };
    world.given(with_keys(Some(key(1)), None)).await;
    let made = keys_of(&world).await;
    assert_eq!(made.0, key(1).to_base64());
    world.replace(device("d1"), IfMatch::Any).await;
    assert_eq!(keys_of(&world).await, made, "keys that are not given stay");
    world
        .replace(with_keys(None, Some(key(2))), IfMatch::Any)
        .await;
    assert_eq!(keys_of(&world).await, (made.0, key(2).to_base64()));
    world.say_facts().await;
    world.check(
        "replace d1: d1 enabled sas etag1 gen1
         replace d1: d1 enabled sas etag2 gen1
         fact created d1 gen1
         fact updated d1 enabled
         fact updated d1 enabled credentials",
    );
}

async fn keys_of(world: &World) -> (String, String) {
    let view = world
        .engine
        .registry
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap();
    let (primary, secondary) = view.identity.authentication.keys().unwrap();
    (primary.to_base64(), secondary.to_base64())
}

#[tokio::test(start_paused = true)]
async fn texts_and_kinds_are_checked_at_both_edges() {
    let mut world = World::new().await;
    let reason = |count| NewIdentity {
        status_reason: Some("ä".repeat(count)),
        ..device("d1")
    };
    world.create(reason(129)).await;
    world
        .create(NewIdentity {
            status_reason: None,
            ..reason(0)
        })
        .await;
    world.replace(reason(129), IfMatch::Any).await;
    let kept = world
        .engine
        .registry
        .replace(&world.owner(), world.hub.no, reason(128), IfMatch::Any)
        .await;
    assert!(kept.is_ok(), "128 characters are allowed");
    let no_thumbprint = NewAuthentication::SelfSigned {
        primary: None,
        secondary: None,
    };
    world
        .create(NewIdentity {
            authentication: no_thumbprint,
            ..device("d2")
        })
        .await;
    world
        .create(NewIdentity {
            iot_edge: true,
            ..device("d1/m1")
        })
        .await;
    world
        .create(NewIdentity {
            device_scope: Some("s".to_owned()),
            ..device("d1/m1")
        })
        .await;
    world.check(
        "create d1: Invalid 400004
         create d1: d1 enabled sas etag1 gen1
         replace d1: Invalid 400004
         create d2: Invalid 400004
         create d1/m1: Invalid 400004
         create d1/m1: Invalid 400004",
    );
}

#[tokio::test(start_paused = true)]
async fn a_leaf_is_in_the_scope_it_was_given() {
    let mut world = World::new().await;
    world.create(edge("parent")).await;
    world
        .create(leaf("leaf", "ms-azure-iot-edge://parent-1"))
        .await;
    let child = NewIdentity {
        parent_scopes: vec!["ms-azure-iot-edge://parent-1".to_owned()],
        ..edge("child")
    };
    world.create(child).await;
    world.check(
        "create parent: parent enabled sas etag1 gen1 edge scope ms-azure-iot-edge://parent-{gen}
         create leaf: leaf enabled sas etag2 gen1 scope ms-azure-iot-edge://parent-1 parent ms-azure-iot-edge://parent-1
         create child: child enabled sas etag3 gen1 edge scope ms-azure-iot-edge://child-{gen} parent ms-azure-iot-edge://parent-1",
    );
}

#[tokio::test(start_paused = true)]
async fn devices_are_listed_in_pages_without_modules() {
    let mut world = World::new().await;
    for text in ["b", "a", "c", "a/m", "B"] {
        world.given(device(text)).await;
    }
    world.list(None, 1000).await;
    world.list(None, 2).await;
    world.list(Some("a"), 2).await;
    world.list(Some("c"), 2).await;
    world.list(Some("aa"), 1).await;
    world.list(None, 0).await;
    world.list(None, 1001).await;
    world.check(
        r#"list: ["B", "a", "b", "c"]
         list: ["B", "a"]
         list: ["b", "c"]
         list: []
         list: ["b"]
         list: Invalid 400004
         list: Invalid 400004"#,
    );
}

#[tokio::test(start_paused = true)]
async fn hubs_have_registries_of_their_own() {
    let mut world = World::new().await;
    let other = world.second_hub().await;
    world.given(device("d1")).await;
    let owner = world.policy_of(other.no, &hub_domain::Permission::ALL);
    let result = world
        .engine
        .registry
        .fetch(&owner, other.no, &id("d1"))
        .await;
    world.say_identity("fetch of the other hub", result);
    let result = world
        .engine
        .registry
        .create(&owner, other.no, device("d1"))
        .await;
    world.say_identity("create in the other hub", result);
    world.delete("d1", IfMatch::Absent).await;
    let result = world
        .engine
        .registry
        .fetch(&owner, other.no, &id("d1"))
        .await;
    world.say_identity("fetch of the other hub", result);
    world.check(
        "fetch of the other hub: NotFound 404001
         create in the other hub: d1 enabled sas etag1 gen1
         delete d1: ()
         fetch of the other hub: d1 enabled sas etag1 gen1",
    );
}

#[tokio::test(start_paused = true)]
async fn unguarded_replacements_at_the_same_time_all_take_effect() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.hold();
    let owner = world.owner();
    let writes: Vec<_> = (0..4)
        .map(|_| {
            world
                .engine
                .registry
                .replace(&owner, world.hub.no, device("d1"), IfMatch::Any)
        })
        .collect();
    let all = futures_util::future::join_all(writes);
    let (results, ()) = tokio::join!(all, async {
        world.idle().await;
        world.store.resume();
    });
    assert!(
        results.iter().all(Result::is_ok),
        "each was decided anew until it held"
    );
    world.say_facts().await;
    world.check(
        "fact created d1 gen1
         fact updated d1 enabled
         fact updated d1 enabled
         fact updated d1 enabled
         fact updated d1 enabled",
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_and_leaves_nothing() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.fail_next(3);
    world.create(device("d2")).await;
    world.replace(device("d1"), IfMatch::Any).await;
    world.delete("d1", IfMatch::Any).await;
    world.fetch("d1").await;
    world.fetch("d2").await;
    world.check(
        "create d2: Unavailable 503001
         replace d1: Unavailable 503001
         delete d1: Unavailable 503001
         fetch d1: d1 enabled sas etag1 gen1
         fetch d2: NotFound 404001",
    );
}
