//! Durable writes per second by group size, and what each costs this process in CPU time.
//!
//! `cargo run --release -p hub-storage-sqlite --example group_rates [FOLDER]`. Groups are made by submitting so
//! many units at once and waiting for all. CPU time covers all threads, the submitting one and checkpoints included.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub_domain::twin::{Twin, patch_reported};
use hub_domain::{
    Authentication, Etag, GenerationId, HostName, Hub, HubName, HubNo, Identity, IdentityId,
    Revision, Settings, Status, SymmetricKey, Timestamp,
};
use hub_storage::log::{BatchWriter, MessageLog, RecordFlags, TelemetrySource};
use hub_storage::store::{Op, OpResult, Ordinal, Unit};
use hub_storage::{MessageLogs, Store};
use hub_storage_sqlite::{Config, Opened, SqliteStorage};
use serde_json::{Map, Value};

const HUB: HubNo = HubNo(1);
const DEVICES: usize = 20_000;
const RUN: Duration = Duration::from_secs(2);

fn main() {
    let folder = std::env::args()
        .nth(1)
        .map_or_else(|| std::env::temp_dir().join("group-rates"), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    runtime.block_on(measure(&folder));
    drop(std::fs::remove_dir_all(&folder));
}

#[expect(clippy::print_stdout, reason = "the example's purpose")]
async fn measure(folder: &Path) {
    let opened = SqliteStorage::open(folder, &Config::default()).expect("the storage opens");
    let started = Instant::now();
    let devices = create_devices(&opened).await;
    println!(
        "{DEVICES} devices created in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    println!(
        "{:>32} {:>10} {:>10} {:>12} {:>12}",
        "", "per s", "CPU µs", "p50 µs", "max µs"
    );
    point_reads(&opened).await;
    for group in [1, 16, 64, 256, 512] {
        reported_updates(&opened, &devices, group).await;
    }
    let log = opened.logs.open(&hub()).expect("the log opens");
    for (batches, messages) in [
        (1, 1),
        (16, 1),
        (64, 1),
        (512, 1),
        (4, 32),
        (64, 8),
        (64, 32),
    ] {
        appends(&*log, batches, messages).await;
    }
    opened.close();
}

/// Repeats rounds of `count` operations for a while and prints their rate, cost and time to completion.
#[expect(clippy::print_stdout, reason = "the example's purpose")]
async fn repeat(what: &str, count: usize, mut round: impl AsyncFnMut()) {
    let cpu = cpu_time();
    let started = Instant::now();
    let mut times = Vec::new();
    while started.elapsed() < RUN {
        let begun = Instant::now();
        round().await;
        times.push(begun.elapsed());
    }
    let seconds = started.elapsed().as_secs_f64();
    times.sort_unstable();
    let operations = (times.len() * count) as f64;
    println!(
        "{what:>32} {:>10.0} {:>10.2} {:>12} {:>12}",
        operations / seconds,
        (cpu_time() - cpu).as_secs_f64() * 1e6 / operations,
        times[times.len() / 2].as_micros(),
        times[times.len() - 1].as_micros(),
    );
}

async fn reported_updates(opened: &Opened, devices: &[Ordinal], group: usize) {
    let mut section = Twin::new().reported;
    let text = "x".repeat(40);
    let mut members: Map<String, Value> = (0..20)
        .map(|n| (format!("property-{n}"), Value::from(text.as_str())))
        .collect();
    // Each device has its own place in the round, so that all are at the same version.
    let mut versions = vec![1_u64; devices.len()];
    if let Some((_, twin)) = opened
        .store
        .twin(HUB, &id(0))
        .await
        .expect("twins can be read")
    {
        section.version = twin.reported.version;
    }
    let mut at = 0;
    let mut count = 0_u64;
    for (version, n) in versions.iter_mut().zip(0..) {
        let twin = opened
            .store
            .twin(HUB, &id(n))
            .await
            .expect("twins can be read")
            .expect("the device is there")
            .1;
        *version = twin.reported.version;
    }
    repeat(&format!("reported, groups of {group}"), group, async || {
        let mut pending = Vec::with_capacity(group);
        for _ in 0..group {
            at = (at + 7_919) % devices.len();
            count += 1;
            members.insert("count".to_owned(), Value::from(count));
            section.version = versions[at];
            let next = patch_reported(&section, &members, None, Timestamp::from_micros(1))
                .expect("a legal patch");
            versions[at] = next.version;
            let op = Op::ReplaceReported {
                identity: devices[at],
                expected: section.version,
                next: Box::new(next),
            };
            pending.push(opened.store.submit(Unit::new(op, Vec::new())));
        }
        for unit in pending {
            unit.await.expect("an update is kept");
        }
    })
    .await;
}

async fn point_reads(opened: &Opened) {
    let mut n = 0;
    repeat("identity, one reader", 1, async || {
        n = (n + 7_919) % DEVICES;
        opened
            .store
            .identity(HUB, &id(n))
            .await
            .expect("identities can be read")
            .expect("the device is there");
    })
    .await;
    repeat("identity, 256 at once", 256, async || {
        let reads: Vec<_> = (0..256)
            .map(|_| {
                n = (n + 7_919) % DEVICES;
                opened.store.identity(HUB, &id(n))
            })
            .collect();
        for read in reads {
            read.await
                .expect("identities can be read")
                .expect("the device is there");
        }
    })
    .await;
    repeat("twin, 256 at once", 256, async || {
        let reads: Vec<_> = (0..256)
            .map(|_| {
                n = (n + 7_919) % DEVICES;
                opened.store.twin(HUB, &id(n))
            })
            .collect();
        for read in reads {
            read.await
                .expect("twins can be read")
                .expect("the device is there");
        }
    })
    .await;
}

async fn appends(log: &dyn MessageLog, batches: usize, messages: usize) {
    let source = TelemetrySource {
        device: "device-000001".into(),
        generation: "638000000000000000".into(),
        auth_method:
            r#"{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}"#
                .into(),
        ..TelemetrySource::default()
    }
    .encode();
    let bag = b"%24.mid=0123456789&%24.ct=application%2Fjson&a=1&b=2&c=3";
    let body = [b'x'; 100];
    repeat(
        &format!("log, {batches} batches of {messages}"),
        batches * messages,
        async || {
            let mut pending = Vec::with_capacity(batches);
            for n in 0..batches {
                let mut writer = BatchWriter::new();
                for _ in 0..messages {
                    writer.push(RecordFlags::default(), bag, &body);
                }
                let partition = u16::try_from(n % 4).expect("a small number");
                pending.push(log.append(writer.take(
                    partition,
                    source.clone(),
                    Timestamp::from_seconds(1),
                )));
            }
            for batch in pending {
                batch.await.expect("a batch is kept");
            }
        },
    )
    .await;
}

async fn create_devices(opened: &Opened) -> Vec<Ordinal> {
    opened
        .store
        .submit(Unit::new(Op::CreateHub(Box::new(hub())), Vec::new()))
        .await
        .expect("a hub can be created");
    let mut devices = Vec::with_capacity(DEVICES);
    let key = SymmetricKey::from_bytes(&[7; 32]).expect("a key");
    for first in (0..DEVICES).step_by(500) {
        let submit = |n| {
            let identity = Box::new(Identity {
                id: id(n),
                generation: GenerationId("638000000000000000".into()),
                etag: Etag("MTIzNDU2Nzg=".into()),
                status: Status::Enabled,
                status_reason: None,
                status_updated: Timestamp::NEVER,
                authentication: Authentication::Sas {
                    primary: key.clone(),
                    secondary: key.clone(),
                },
                iot_edge: false,
                device_scope: None,
                parent_scopes: Vec::new(),
                managed_by: None,
            });
            let op = Op::CreateIdentity {
                hub: HUB,
                identity,
                twin: Box::default(),
            };
            opened.store.submit(Unit::new(op, Vec::new()))
        };
        let pending: Vec<_> = (first..DEVICES.min(first + 500)).map(submit).collect();
        for unit in pending {
            match unit.await.expect("a device is created").results[..] {
                [OpResult::Created(ordinal)] => devices.push(ordinal),
                _ => panic!("a created device has a number"),
            }
        }
    }
    devices
}

fn id(n: usize) -> IdentityId {
    IdentityId::parse(&format!("device-{n:06}")).expect("an id")
}

fn hub() -> Hub {
    Hub {
        no: HUB,
        name: HubName::parse("h").expect("a name"),
        host: HostName::parse("localhost").expect("a name"),
        aliases: Vec::new(),
        policies: Vec::new(),
        partition_count: 4,
        retention: Duration::from_secs(86_400),
        retention_bytes_max: 10_000_000_000,
        created: Timestamp::from_seconds(1),
        settings: Settings::default(),
        revision: Revision::default(),
    }
}

/// CPU time of all threads, in steps of 10 ms. Zero where the system does not say.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text
        .rsplit_once(')')
        .map_or("", |(_, rest)| rest)
        .split_whitespace();
    let ticks: u64 = fields
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
