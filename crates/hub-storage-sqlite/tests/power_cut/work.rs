//! What is done until the power fails, and what of it was acknowledged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use hub_domain::fact::SectionChange;
use hub_domain::message::{CloudToDeviceDraft, CloudToDeviceMessage};
use hub_domain::twin::{Section, Twin, patch_reported};
use hub_domain::{
    Authentication, Etag, Fact, FactKind, GenerationId, HostName, Hub, HubName, HubNo, Identity,
    IdentityId, Revision, Settings, Status, Timestamp, TwinChange,
};
use hub_power_cut::PowerCut;
use hub_storage::log::{BatchWriter, RecordFlags, TelemetrySource};
use hub_storage::store::{Op, OpResult, Ordinal, Outcome, Unit};
use hub_storage::{MessageLog, Pending, Store, StoreError};
use hub_storage_sqlite::Opened;
use serde_json::{Map, Value};

pub(crate) const HUB: HubNo = HubNo(1);
pub(crate) const PARTITIONS: u16 = 3;
/// Devices whose twins are written one by one.
const SINGLES: usize = 4;
/// Two devices that one unit writes together.
pub(crate) const PAIR: [&str; 2] = ["pair-a", "pair-b"];
pub(crate) const MAILBOX: &str = "mailbox";

/// What the back ends and devices were told is safe.
#[derive(Clone, Default)]
pub(crate) struct Acknowledged {
    /// Reported version by device.
    pub(crate) versions: BTreeMap<String, u64>,
    /// The highest number of a fact.
    pub(crate) last_fact: u64,
    /// Queued messages that nobody began to settle, by number.
    pub(crate) queued: BTreeSet<u64>,
    /// Settled messages.
    pub(crate) settled: BTreeSet<u64>,
    /// Bodies by partition and sequence number.
    pub(crate) messages: BTreeMap<(u16, u64), Vec<u8>>,
}

/// One run up to the cut.
pub(crate) struct Run {
    seed: u64,
    layer: PowerCut,
    after: PathBuf,
    cut_at: u64,
    done: AtomicU64,
    over: AtomicBool,
    acknowledged: Mutex<Acknowledged>,
    at_the_cut: Mutex<Option<Acknowledged>>,
}

impl Run {
    pub(crate) fn new(seed: u64, layer: PowerCut, after: &Path) -> Self {
        Self {
            seed,
            layer,
            after: after.to_owned(),
            cut_at: 1 + (seed * 7_919 + 13) % (20 + 40 * seed),
            done: AtomicU64::new(0),
            over: AtomicBool::new(false),
            acknowledged: Mutex::default(),
            at_the_cut: Mutex::default(),
        }
    }

    /// Notes an acknowledgement, and cuts the power at the chosen one.
    fn acknowledge(&self, note: impl FnOnce(&mut Acknowledged)) {
        note(&mut self.acknowledged.lock().expect("nothing panics here"));
        if self.done.fetch_add(1, Ordering::SeqCst) + 1 == self.cut_at {
            // First what was acknowledged, then the disk: the other way round, the disk might be older.
            let mut acknowledged = self
                .acknowledged
                .lock()
                .expect("nothing panics here")
                .clone();
            self.layer.survivors(self.seed, &self.after);
            // A settlement that began between the two may be on the disk already.
            let later = self.acknowledged.lock().expect("nothing panics here");
            acknowledged.queued.retain(|no| later.queued.contains(no));
            drop(later);
            *self.at_the_cut.lock().expect("nothing panics here") = Some(acknowledged);
            self.over.store(true, Ordering::SeqCst);
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

pub(crate) fn hub() -> Hub {
    Hub {
        no: HUB,
        name: HubName::parse("h").expect("a name"),
        host: HostName::parse("localhost").expect("a name"),
        aliases: Vec::new(),
        policies: Vec::new(),
        partition_count: PARTITIONS,
        retention: Duration::from_secs(86_400),
        retention_bytes_max: u64::MAX,
        created: Timestamp::from_seconds(1),
        settings: Settings::default(),
        revision: Revision::default(),
    }
}

pub(crate) fn id(device: &str) -> IdentityId {
    IdentityId::parse(device).expect("a device id")
}

pub(crate) fn singles() -> Vec<String> {
    (0..SINGLES).map(|n| format!("single-{n}")).collect()
}

fn identity(device: &str) -> Identity {
    Identity {
        id: id(device),
        generation: GenerationId("1".into()),
        etag: Etag("e".into()),
        status: Status::Enabled,
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: Authentication::None,
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

async fn create(store: &dyn Store, device: &str) -> Ordinal {
    let op = Op::CreateIdentity {
        hub: HUB,
        identity: Box::new(identity(device)),
        twin: Box::default(),
    };
    let committed = store
        .submit(Unit::new(op, Vec::new()))
        .await
        .expect("a device can be created");
    match committed.results[..] {
        [OpResult::Created(ordinal)] => ordinal,
        _ => panic!("a created device has a number"),
    }
}

/// Works from many sides at once until the power fails; returns what was acknowledged by then.
pub(crate) async fn until_the_cut(opened: &Opened, run: Arc<Run>) -> Acknowledged {
    let store: Arc<dyn Store> = opened.store.clone();
    store
        .submit(Unit::new(Op::CreateHub(Box::new(hub())), Vec::new()))
        .await
        .expect("a hub can be created");
    let log = hub_storage::MessageLogs::open(&*opened.logs, &hub()).expect("the log opens");

    let mut tasks = tokio::task::JoinSet::new();
    for device in singles() {
        let ordinal = create(&*store, &device).await;
        tasks.spawn(report(store.clone(), run.clone(), vec![(device, ordinal)]));
    }
    let mut pair = Vec::new();
    for device in PAIR {
        pair.push((device.to_owned(), create(&*store, device).await));
    }
    tasks.spawn(report(store.clone(), run.clone(), pair));
    let mailbox = create(&*store, MAILBOX).await;
    tasks.spawn(send(store, run.clone(), mailbox));
    for sender in 0..4 {
        tasks.spawn(telemeter(log.clone(), run.clone(), sender));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("nothing panics while it works");
    }
    let at_the_cut = run.at_the_cut.lock().expect("nothing panics here").take();
    at_the_cut.expect("the work ends with the cut")
}

fn reported_fact(device: &str, section: &Section, members: &Map<String, Value>) -> Fact {
    let reported = SectionChange {
        members: members.clone(),
        version: section.version,
    };
    let change = TwinChange {
        replaced: false,
        version: section.version + 1,
        tags: None,
        desired: None,
        reported: Some(reported),
        untouched_reported: None,
    };
    Fact {
        hub: HUB,
        id: id(device),
        at: Timestamp::from_seconds(1),
        kind: FactKind::TwinChanged(change),
    }
}

/// Reports for some devices in one unit, each decision built on the one before, a few ahead of the acknowledgement.
async fn report(store: Arc<dyn Store>, run: Arc<Run>, devices: Vec<(String, Ordinal)>) {
    let mut section = Twin::new().reported;
    let mut waiting = VecDeque::new();
    while !run.is_over() {
        let members = Map::from_iter([("n".to_owned(), Value::from(section.version))]);
        let next = patch_reported(&section, &members, None, Timestamp::from_seconds(1))
            .expect("a legal patch");
        let mut unit = Unit::default();
        for (device, ordinal) in &devices {
            unit.facts.push(reported_fact(device, &next, &members));
            let expected = section.version;
            unit.ops.push(Op::ReplaceReported {
                identity: *ordinal,
                next: Box::new(next.clone()),
                expected,
            });
        }
        waiting.push_back((next.version, store.submit(unit)));
        section = next;
        if waiting.len() > 3 {
            let (version, pending) = waiting.pop_front().expect("it was just filled");
            let committed = pending.await.expect("a report is kept");
            run.acknowledge(|acknowledged| {
                acknowledged.last_fact = acknowledged.last_fact.max(committed.last_fact.0);
                for (device, _) in &devices {
                    acknowledged.versions.insert(device.clone(), version);
                }
            });
        }
    }
}

/// Queues two messages and settles one, over and over.
async fn send(store: Arc<dyn Store>, run: Arc<Run>, identity: Ordinal) {
    let mut queue = VecDeque::new();
    while !run.is_over() {
        for _ in 0..2 {
            let draft = CloudToDeviceDraft::new(
                &id(MAILBOX),
                Bytes::from_static(&[7; 300]),
                Timestamp::from_seconds(1),
            );
            let message = Box::new(CloudToDeviceMessage::parse(draft).expect("a legal message"));
            let op = Op::EnqueueMessage {
                identity,
                message,
                depth_max: u64::MAX,
                bytes_max: u64::MAX,
            };
            let committed = store
                .submit(Unit::new(op, Vec::new()))
                .await
                .expect("a message is queued");
            let [OpResult::Enqueued(no)] = committed.results[..] else {
                panic!("a queued message has a number")
            };
            queue.push_back(no);
            run.acknowledge(|acknowledged| {
                acknowledged.queued.insert(no.0);
            });
        }
        let message = queue.pop_front().expect("two were queued");
        run.acknowledged
            .lock()
            .expect("nothing panics here")
            .queued
            .remove(&message.0);
        let op = Op::SettleMessage {
            identity,
            message,
            outcome: Outcome::Completed,
            feedback: hub_storage::store::FeedbackTerms {
                at: Timestamp::from_seconds(1),
                records_max: 1_000,
            },
        };
        store
            .submit(Unit::new(op, Vec::new()))
            .await
            .expect("a queued message is settled");
        run.acknowledge(|acknowledged| {
            acknowledged.settled.insert(message.0);
        });
    }
}

/// Appends batches of one to five messages, two ahead of the acknowledgement.
async fn telemeter(log: Arc<dyn MessageLog>, run: Arc<Run>, sender: u16) {
    let source = TelemetrySource {
        device: format!("sender-{sender}"),
        ..TelemetrySource::default()
    }
    .encode();
    let partition = sender % PARTITIONS;
    let mut count = 0_u64;
    let mut waiting: VecDeque<(Vec<Vec<u8>>, Pending<_>)> = VecDeque::new();
    while !run.is_over() {
        let mut writer = BatchWriter::new();
        let mut bodies = Vec::new();
        for _ in 0..=count % 5 {
            let body = format!(
                "{sender}/{count}/{}",
                "x".repeat(usize::try_from(count % 400).expect("small"))
            );
            writer.push(RecordFlags::default(), b"k=v", body.as_bytes());
            bodies.push(body.into_bytes());
            count += 1;
        }
        waiting.push_back((
            bodies,
            log.append(writer.take(partition, source.clone(), Timestamp::from_seconds(1))),
        ));
        if waiting.len() > 2 {
            let (bodies, pending) = waiting.pop_front().expect("it was just filled");
            let appended: Result<hub_storage::log::Appended, StoreError> = pending.await;
            let first = appended.expect("a batch is kept").first;
            run.acknowledge(|acknowledged| {
                acknowledged
                    .messages
                    .extend((first..).map(|sequence| (partition, sequence)).zip(bodies));
            });
        }
    }
}
