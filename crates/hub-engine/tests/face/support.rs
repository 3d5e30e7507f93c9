//! A whole engine in memory, and its answers as lines of text.

mod device;
mod fixtures;
mod stalling;
mod text;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hub_domain::{Hub, HubNo, Permission, Permissions, Timestamp};
use hub_engine::{Caller, Engine, EngineParts, Environment, Error, FactNo, NewHub, OpContext};
use hub_storage::bus::LocalBus;
use hub_storage::memory::{MemoryLogs, MemoryStore};
use hub_storage::{Bus, MessageLogs, Store};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use device::{Connect, Device, Token};
pub(crate) use fixtures::{device, edge, host, id, key, leaf, members, message, method};
use stalling::{Barrier, StallingBus};
pub(crate) use text::{answer, failure, session_failure};

/// An engine, what it stands on, and what it said so far.
pub(crate) struct World {
    pub(crate) engine: Arc<Engine>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) logs: Arc<MemoryLogs>,
    pub(crate) environment: Arc<Scripted>,
    parts: EngineParts,
    said: Vec<String>,
    labels: HashMap<(&'static str, String), usize>,
    facts_seen: FactNo,
    running: Option<JoinHandle<()>>,
}

/// A clock that follows tokio's paused one, and randomness from a seed.
pub(crate) struct Scripted {
    start: Instant,
    random: Mutex<Random>,
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// The first moment of every scenario.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_seconds(1_700_000_000);

impl Environment for Scripted {
    fn now(&self) -> Timestamp {
        BEGINNING.plus(self.start.elapsed())
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let mut random = self.random.lock().unwrap();
        for byte in bytes {
            *byte = random.next().to_le_bytes()[0];
        }
    }
}

impl World {
    /// An engine with the one hub `hub.test`. Nothing runs beside the operations.
    pub(crate) async fn new() -> Self {
        Self::on(local_bus()).await
    }

    /// As [`World::new`], with a bus that can be stopped.
    pub(crate) async fn stalling() -> (Self, Arc<StallingBus>) {
        let bus = Arc::new(StallingBus {
            inner: local_bus(),
            before_claim: Barrier::default(),
            after_claim: Barrier::default(),
        });
        (Self::on(Arc::clone(&bus) as Arc<dyn Bus>).await, bus)
    }

    async fn on(bus: Arc<dyn Bus>) -> Self {
        let store = Arc::new(MemoryStore::new());
        let logs = Arc::new(MemoryLogs::new());
        let environment = Arc::new(Scripted {
            start: Instant::now(),
            random: Mutex::new(Random(1)),
        });
        let parts = EngineParts {
            files: hub_engine::Files::new(Arc::new(hub_storage::memory::MemoryBlobs::default())),
            store: Arc::clone(&store) as Arc<dyn Store>,
            logs: Arc::clone(&logs) as Arc<dyn MessageLogs>,
            bus,
            environment: Arc::clone(&environment) as Arc<dyn Environment>,
        };
        let engine = Engine::open(parts.clone()).await.unwrap();
        let hub = create_hub(&engine, "hub").await;
        Self {
            engine,
            hub,
            store,
            logs,
            environment,
            parts,
            said: Vec::new(),
            labels: HashMap::new(),
            facts_seen: FactNo(0),
            running: None,
        }
    }

    /// As [`World::new`], with the dispatcher and the chores running.
    pub(crate) async fn running() -> Self {
        let mut world = Self::new().await;
        world.run();
        world.idle().await;
        world
    }

    /// Starts the dispatcher and the chores.
    pub(crate) fn run(&mut self) {
        let engine = Arc::clone(&self.engine);
        self.running = Some(tokio::spawn(async move {
            engine.run(std::future::pending()).await.unwrap();
        }));
    }

    /// Ends what runs beside the operations, as a kill would.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }

    /// Adds a second hub, `other.test`.
    pub(crate) async fn second_hub(&self) -> Arc<Hub> {
        create_hub(&self.engine, "other").await
    }

    /// Ends the engine and opens another one on the same storage, as a restart would.
    pub(crate) async fn restart(&mut self) {
        let ran = self.running.take().inspect(JoinHandle::abort).is_some();
        self.parts.bus = local_bus();
        self.engine = Engine::open(self.parts.clone()).await.unwrap();
        if ran {
            self.run();
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.environment.now()
    }

    /// Lets everything that can go on do so. Costs a millisecond of the paused clock.
    pub(crate) async fn idle(&self) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }

    /// Lets time pass.
    pub(crate) async fn pass(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    /// Context of the policy with all permissions.
    pub(crate) fn owner(&self) -> OpContext {
        self.with(&Permission::ALL)
    }

    /// Context of a policy of the hub with these permissions.
    pub(crate) fn with(&self, permissions: &[Permission]) -> OpContext {
        self.policy_of(self.hub.no, permissions)
    }

    pub(crate) fn policy_of(&self, hub: HubNo, permissions: &[Permission]) -> OpContext {
        self.called_by(Caller::Policy {
            hub,
            name: "test".to_owned(),
            permissions: Permissions::of(permissions),
        })
    }

    pub(crate) fn called_by(&self, caller: Caller) -> OpContext {
        OpContext {
            caller,
            request_id: "request".to_owned(),
            now: self.now(),
        }
    }

    /// Adds a line to what was said.
    pub(crate) fn say(&mut self, line: impl Into<String>) {
        self.said.push(line.into());
    }

    /// Adds an answer, or the error in its place.
    pub(crate) fn say_result<T: Debug>(&mut self, what: &str, result: Result<T, Error>) {
        let line = match result {
            Ok(value) => format!("{what}: {value:?}"),
            Err(error) => format!("{what}: {}", failure(&error)),
        };
        self.say(line);
    }

    /// A short name for a random value: the first one of its kind is 1.
    pub(crate) fn label(&mut self, kind: &'static str, value: &str) -> String {
        let next = self.labels.keys().filter(|(k, _)| *k == kind).count() + 1;
        let number = self.labels.entry((kind, value.to_owned())).or_insert(next);
        format!("{kind}{number}")
    }

    /// Says the facts that were committed since the last call.
    pub(crate) async fn say_facts(&mut self) {
        let facts = self.store.changes(self.facts_seen, 10_000).await.unwrap();
        for (no, fact) in facts {
            self.facts_seen = no;
            let line = text::fact(self, &fact);
            self.say(line);
        }
    }

    /// Compares what was said since the last check with `expected`, line by line; indentation is ignored.
    #[track_caller]
    pub(crate) fn check(&mut self, expected: &str) {
        let lines: Vec<&str> = expected
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let said = std::mem::take(&mut self.said);
        assert!(
            said == lines,
            "expected:\n{}\nsaid:\n{}",
            lines.join("\n"),
            said.join("\n")
        );
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

fn local_bus() -> Arc<dyn Bus> {
    Arc::new(LocalBus::new(|duration| {
        Box::pin(tokio::time::sleep(duration))
    }))
}

async fn create_hub(engine: &Engine, name: &str) -> Arc<Hub> {
    let ctx = OpContext {
        caller: Caller::Admin,
        request_id: "set-up".to_owned(),
        now: engine.environment().now(),
    };
    let new = NewHub {
        name: hub_domain::HubName::parse(name).unwrap(),
        host: host(&format!("{name}.test")),
        aliases: vec![host(&format!("{name}.alias"))],
        partition_count: 4,
    };
    engine.hubs.create(&ctx, new).await.unwrap()
}
