//! Writes to twins that do not fit into the cache.

use hub_domain::identity::Activity;
use hub_domain::{
    Authentication, Etag, GenerationId, HostName, Hub, HubName, Identity, Permissions, Revision,
    Settings, Status,
};
use hub_storage::bus::LocalBus;
use hub_storage::memory::{Faults as _, MemoryLogs, MemoryStore};

use super::*;
use crate::activity::Activities;
use crate::quotas::Quotas;
use crate::{Caller, EngineParts, Environment, Hubs};

const HUB: HubNo = HubNo(1);
const DEVICES: u64 = 48;

struct Still;

impl Environment for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn ctx() -> OpContext {
    OpContext {
        caller: Caller::System,
        request_id: String::new(),
        now: Timestamp::from_seconds(1),
    }
}

fn name(number: u64) -> IdentityId {
    IdentityId::parse(&format!("d{number}")).unwrap()
}

/// Twins with room for `bytes_max`, over a store with some devices.
async fn twins(bytes_max: usize) -> (Arc<MemoryStore>, Arc<Twins>) {
    let store = Arc::new(MemoryStore::new());
    let hub = Hub {
        no: HUB,
        name: HubName::parse("hub").unwrap(),
        host: HostName::parse("hub.test").unwrap(),
        aliases: Vec::new(),
        policies: Vec::new(),
        partition_count: 2,
        retention: std::time::Duration::from_secs(1),
        retention_bytes_max: 1,
        created: Timestamp::NEVER,
        settings: Settings::default(),
        revision: Revision::default(),
    };
    store
        .submit(Unit::new(Op::CreateHub(Box::new(hub)), Vec::new()))
        .await
        .unwrap();
    for number in 0..DEVICES {
        let identity = Identity {
            id: name(number),
            generation: GenerationId(Arc::from("g")),
            etag: Etag("e".to_owned()),
            status: Status::Enabled,
            status_reason: None,
            status_updated: Timestamp::NEVER,
            authentication: Authentication::None,
            iot_edge: false,
            device_scope: None,
            parent_scopes: Vec::new(),
            managed_by: None,
        };
        let op = Op::CreateIdentity {
            hub: HUB,
            identity: Box::new(identity),
            twin: Box::new(Twin::new()),
        };
        store.submit(Unit::new(op, Vec::new())).await.unwrap();
    }
    let parts = EngineParts {
        files: crate::Files::new(Arc::new(hub_storage::memory::MemoryBlobs::default())),
        store: Arc::clone(&store) as Arc<dyn Store>,
        logs: Arc::new(MemoryLogs::new()),
        bus: Arc::new(LocalBus::new(|duration| {
            Box::pin(tokio::time::sleep(duration))
        })),
        environment: Arc::new(Still),
    };
    let hubs = Hubs::open(parts.clone()).await.unwrap();
    let quotas = Arc::new(Quotas::new(hubs));
    let registry = Registry::new(parts, Arc::new(Activities::new()), quotas);
    let twins = Twins {
        store: Arc::clone(&store) as Arc<dyn Store>,
        registry,
        cache: TwinCache::new(bytes_max),
    };
    (store, Arc::new(twins))
}

/// Writes each device's twin many times, several at once, and checks that each write is there.
async fn every_write_is_kept(bytes_max: usize) {
    const TURNS: u64 = 30;
    let (store, twins) = twins(bytes_max).await;
    let mut writers = Vec::new();
    for writer in 0..4_u64 {
        let twins = Arc::clone(&twins);
        writers.push(tokio::spawn(async move {
            for turn in 0..TURNS {
                for number in 0..DEVICES {
                    // Writers meet on some twins and not on others.
                    let id = name((number * (writer + 1) + turn) % DEVICES);
                    let member = (format!("w{writer}"), Value::from(turn));
                    let patch = BackEndPatch {
                        tags: Some(Map::from_iter([member])),
                        desired: None,
                    };
                    twins
                        .patch(&ctx(), HUB, &id, patch, IfMatch::Absent)
                        .await
                        .unwrap();
                    if (number + turn) % 3 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            }
        }));
    }
    // Holding commits back now and then makes chains.
    for turn in 0..200_u32 {
        store.hold();
        for _ in 0..turn % 5 {
            tokio::task::yield_now().await;
        }
        store.resume();
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut writes = 0;
    for number in 0..DEVICES {
        let (stored, twin) = store.twin(HUB, &name(number)).await.unwrap().unwrap();
        assert_eq!(stored.activity, Activity::NONE);
        writes += twin.back_end.etag.0 - 1;
    }
    assert_eq!(writes, 4 * TURNS * DEVICES);
}

#[tokio::test(start_paused = true)]
async fn every_write_is_kept_without_any_room() {
    every_write_is_kept(0).await;
}

#[tokio::test(start_paused = true)]
async fn every_write_is_kept_with_room_for_some_twins() {
    every_write_is_kept(16 * 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_write_is_kept_without_room_on_several_threads() {
    every_write_is_kept(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_permission_is_needed_even_for_a_twin_at_hand() {
    let (_store, twins) = twins(1 << 20).await;
    twins
        .patch(
            &ctx(),
            HUB,
            &name(0),
            BackEndPatch::default(),
            IfMatch::Absent,
        )
        .await
        .unwrap();
    let stranger = OpContext {
        caller: Caller::Policy {
            hub: HUB,
            name: "none".to_owned(),
            permissions: Permissions::NONE,
        },
        ..ctx()
    };
    let refused = twins
        .patch(
            &stranger,
            HUB,
            &name(0),
            BackEndPatch::default(),
            IfMatch::Absent,
        )
        .await;
    assert_eq!(
        refused.err().map(|error| error.kind()),
        Some(ErrorKind::NotAllowed)
    );
}

fn tags(text: &str) -> BackEndPatch {
    BackEndPatch {
        tags: Some(Map::from_iter([("by".to_owned(), Value::from(text))])),
        desired: None,
    }
}

/// What the device reads, and how often it was told.
async fn seen(store: &MemoryStore, twins: &Twins, key: TwinKey<'_>) -> (Value, u64, usize) {
    let twin = twins.of_session(key).await.unwrap();
    let facts = store
        .changes(hub_storage::store::FactNo(0), 100)
        .await
        .unwrap();
    let tag = twin.back_end.tags["by"].clone();
    (tag, twin.reported.version, facts.len())
}

#[tokio::test(start_paused = true)]
async fn a_twin_at_hand_follows_a_unit_that_replaces_it() {
    let (store, twins) = twins(1 << 20).await;
    let id = name(0);
    twins
        .patch(&ctx(), HUB, &id, tags("a"), IfMatch::Absent)
        .await
        .unwrap();
    let (stored, _) = store.twin(HUB, &id).await.unwrap().unwrap();
    let key = TwinKey {
        hub: HUB,
        id: &id,
        ordinal: stored.ordinal,
    };
    let replacement = |text: &str| TwinReplacement {
        hub: HUB,
        id: id.clone(),
        identity: stored.ordinal,
        content: tags(text),
    };
    let now = Timestamp::from_seconds(1);
    let reports = |member: &str| {
        let member = (member.to_owned(), Value::from(1));
        let patch = Map::from_iter([member]);
        let twins = Arc::clone(&twins);
        async move { twins.patch_reported(key, &patch, None, now).await }
    };

    store.hold();
    let submitted = twins
        .submit_with(&ctx(), &replacement("b"), Unit::default())
        .await
        .unwrap();
    assert_eq!(
        seen(&store, &twins, key).await,
        (Value::from("a"), 1, 1),
        "the device sees what is durable"
    );
    let committed = async {
        while store.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        store.resume();
    };
    let (result, reported, ()) = tokio::join!(submitted, reports("onTop"), committed);
    assert_eq!((result.is_ok(), reported.ok()), (true, Some(2)));
    assert_eq!(seen(&store, &twins, key).await, (Value::from("b"), 2, 3));

    // A unit that fails takes the twin with it, and what was decided on it is decided anew.
    let check = Op::ReplaceIdentity {
        identity: stored.ordinal,
        next: Box::new(stored.identity.clone()),
        expected: Etag("another".to_owned()),
    };
    store.hold();
    let unit = Unit::new(check, Vec::new());
    let submitted = twins
        .submit_with(&ctx(), &replacement("c"), unit)
        .await
        .unwrap();
    let committed = async {
        while store.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        store.resume();
    };
    let (result, reported, ()) = tokio::join!(submitted, reports("anew"), committed);
    assert!(matches!(
        result,
        Err(hub_storage::StoreError::Conflict(
            hub_storage::Conflict::VersionMismatch
        ))
    ));
    assert_eq!(reported.ok(), Some(3));
    assert_eq!(seen(&store, &twins, key).await, (Value::from("b"), 3, 4));
}

#[tokio::test(start_paused = true)]
async fn a_successor_of_the_same_name_keeps_its_twin() {
    let (store, twins) = twins(1 << 20).await;
    let (stored, _) = store.twin(HUB, &name(0)).await.unwrap().unwrap();
    let replacement = TwinReplacement {
        hub: HUB,
        id: name(1),
        identity: stored.ordinal,
        content: tags("a"),
    };
    let submitted = twins
        .submit_with(&ctx(), &replacement, Unit::default())
        .await
        .unwrap();
    assert!(matches!(
        submitted.await,
        Err(hub_storage::StoreError::Conflict(
            hub_storage::Conflict::NotFound
        ))
    ));
    let stranger = OpContext {
        caller: Caller::Policy {
            hub: HUB,
            name: "all".to_owned(),
            permissions: Permissions::of(&hub_domain::Permission::ALL),
        },
        ..ctx()
    };
    let refused = twins
        .submit_with(&stranger, &replacement, Unit::default())
        .await;
    assert_eq!(
        refused.err().map(|error| error.kind()),
        Some(ErrorKind::NotAllowed)
    );
}
