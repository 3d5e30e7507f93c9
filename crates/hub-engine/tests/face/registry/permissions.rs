//! Each operation of a back end, and who may not do it.

use std::future::Future;
use std::pin::Pin;

use hub_domain::Permission;
use hub_domain::twin::BackEndPatch;
use hub_engine::{Caller, Error, FactNo, IfMatch, OpContext, Position, ReadLimit};

use crate::support::{World, device, failure, id, message, method};

type Called<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;
type Operation = for<'a> fn(&'a World, OpContext) -> Called<'a>;

fn call<'a, T>(operation: impl Future<Output = Result<T, Error>> + 'a) -> Called<'a> {
    Box::pin(async move { operation.await.map(drop) })
}

const LIMIT: ReadLimit = ReadLimit {
    records: 1,
    bytes: 1,
};

/// Every operation that a back end may ask for, with the permissions of which one suffices.
const OPERATIONS: [(&str, &[Permission], Operation); 17] = {
    use Permission::{RegistryRead, RegistryWrite, ServiceConnect};
    const READ: &[Permission] = &[RegistryRead, RegistryWrite];
    const WRITE: &[Permission] = &[RegistryWrite];
    const SERVICE: &[Permission] = &[ServiceConnect];
    [
        ("registry create", WRITE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .create(&ctx, world.hub.no, device("new"))
                    .await
            })
        }),
        ("registry replace", WRITE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .replace(&ctx, world.hub.no, device("d1"), IfMatch::Any)
                    .await
            })
        }),
        ("registry delete", WRITE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .delete(&ctx, world.hub.no, &id("d1"), IfMatch::Any)
                    .await
            })
        }),
        ("registry fetch", READ, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .fetch(&ctx, world.hub.no, &id("d1"))
                    .await
            })
        }),
        ("registry list", READ, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .list(&ctx, world.hub.no, None, 10)
                    .await
            })
        }),
        ("registry modules", READ, |world, ctx| {
            call(async move {
                world
                    .engine
                    .registry
                    .modules(&ctx, world.hub.no, &id("d1").device)
                    .await
            })
        }),
        (
            "registry statistics",
            &[RegistryRead, RegistryWrite, ServiceConnect],
            |world, ctx| {
                call(async move { world.engine.registry.statistics(&ctx, world.hub.no).await })
            },
        ),
        ("twins fetch", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .twins
                    .fetch(&ctx, world.hub.no, &id("d1"))
                    .await
            })
        }),
        ("twins patch", SERVICE, |world, ctx| {
            call(async move {
                let patch = BackEndPatch::default();
                world
                    .engine
                    .twins
                    .patch(&ctx, world.hub.no, &id("d1"), patch, IfMatch::Any)
                    .await
            })
        }),
        ("twins replace", SERVICE, |world, ctx| {
            call(async move {
                let patch = BackEndPatch::default();
                world
                    .engine
                    .twins
                    .replace(&ctx, world.hub.no, &id("d1"), patch, IfMatch::Any)
                    .await
            })
        }),
        ("methods invoke", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .methods
                    .invoke(&ctx, world.hub.no, &id("d1"), method("m"))
                    .await
            })
        }),
        ("messages send", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .messages
                    .send(&ctx, world.hub.no, &id("d1"), message("m"))
                    .await
            })
        }),
        ("messages purge", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .messages
                    .purge(&ctx, world.hub.no, &id("d1"))
                    .await
            })
        }),
        ("events telemetry", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .events
                    .telemetry(&ctx, world.hub.no, 0, Position::Start, LIMIT)
                    .await
            })
        }),
        ("events partition", SERVICE, |world, ctx| {
            call(async move { world.engine.events.partition(&ctx, world.hub.no, 0).await })
        }),
        ("events facts", SERVICE, |world, ctx| {
            call(async move {
                world
                    .engine
                    .events
                    .facts(&ctx, world.hub.no, FactNo(0), 10)
                    .await
            })
        }),
        ("hubs create", &[], |world, ctx| {
            call(async move {
                let new = hub_engine::NewHub {
                    name: hub_domain::HubName::parse("new").unwrap(),
                    host: crate::support::host("new.test"),
                    aliases: Vec::new(),
                    partition_count: 2,
                };
                world.engine.hubs.create(&ctx, new).await
            })
        }),
    ]
};

/// Who is refused comes away with nothing but `NotAllowed`; who is allowed does not.
async fn tried(world: &World, operation: Operation, ctx: OpContext) -> String {
    match operation(world, ctx).await {
        Err(error) if error.code().number() == 401_002 => failure(&error),
        Ok(()) | Err(_) => "allowed".to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn each_operation_needs_its_permission() {
    for (name, sufficient, operation) in OPERATIONS {
        for permission in Permission::ALL {
            let world = World::new().await;
            world.given(device("d1")).await;
            let expected = if sufficient.contains(&permission) {
                "allowed"
            } else {
                "NotAllowed 401002"
            };
            let said = tried(&world, operation, world.with(&[permission])).await;
            assert_eq!(said, expected, "{name} with {}", permission.as_str());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_devices_and_policies_of_other_hubs_may_do_nothing() {
    for (name, _, operation) in OPERATIONS {
        let world = World::new().await;
        world.given(device("d1")).await;
        world.given(device("d2")).await;
        let other = world.second_hub().await;
        let strangers = [
            Caller::Identity {
                hub: world.hub.no,
                id: id("d2"),
            },
            world.policy_of(other.no, &Permission::ALL).caller,
            world.policy_of(world.hub.no, &[]).caller,
        ];
        for stranger in strangers {
            let shown = format!("{name} by {stranger:?}");
            let said = tried(&world, operation, world.called_by(stranger)).await;
            assert_eq!(said, "NotAllowed 401002", "{shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_may_see_its_own_modules_and_nothing_of_itself() {
    let mut allowed = Vec::new();
    for (name, _, operation) in OPERATIONS {
        let world = World::new().await;
        world.given(device("d1")).await;
        let itself = Caller::Identity {
            hub: world.hub.no,
            id: id("d1"),
        };
        if tried(&world, operation, world.called_by(itself)).await == "allowed" {
            allowed.push(name);
        }
    }
    assert_eq!(allowed, ["registry modules"]);
}

#[tokio::test(start_paused = true)]
async fn the_administrator_and_the_engine_itself_may_do_everything() {
    for (name, _, operation) in OPERATIONS {
        for caller in [Caller::Admin, Caller::System] {
            let world = World::new().await;
            world.given(device("d1")).await;
            let said = tried(&world, operation, world.called_by(caller)).await;
            assert_eq!(said, "allowed", "{name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_leaves_no_trace() {
    for (name, _, operation) in OPERATIONS {
        let mut world = World::new().await;
        world.given(device("d1")).await;
        world.say_facts().await;
        world.check("fact created d1 gen1");
        tried(&world, operation, world.with(&[Permission::DeviceConnect])).await;
        let facts = world.store_facts().await;
        assert_eq!(facts, 1, "{name}");
    }
}

impl World {
    async fn store_facts(&self) -> usize {
        let page = self
            .engine
            .events
            .facts(&self.owner(), self.hub.no, FactNo(0), 100)
            .await
            .unwrap();
        page.facts.len()
    }
}
