//! Durable registrations per second while more and more devices are registered.
//!
//! `cargo run --release -p hub-storage-sqlite --example registration_rates [FOLDER]`. A registration is the unit that
//! provisioning commits for a new device of a group: the group is unchanged, the identity and its twin, the record.
//! Ids come in no order, as a fleet's do. So many units are submitted at once and waited for; the times are theirs.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub_domain::provisioning::{
    Assignment, Attestation, AttestationKind, EnrollmentGroup, EnrollmentGroupId, OperationId,
    Origin, Progress, Registration, RegistrationId, Substatus, Terms,
};
use hub_domain::{
    Authentication, DeviceId, Etag, GenerationId, HostName, Hub, HubName, HubNo, Identity,
    IdentityId, Revision, Settings, Status, SymmetricKey, Timestamp,
};
use hub_storage::Store;
use hub_storage::store::{Op, RegistrationFilter, Unit};
use hub_storage_sqlite::{Config, SqliteStorage};

const HUB: HubNo = HubNo(1);
const DEVICES: u64 = 100_000;
const LINE: u64 = 10_000;
const AT_ONCE: u64 = 250;

fn main() {
    let folder = std::env::args().nth(1).map_or_else(
        || std::env::temp_dir().join("registration-rates"),
        PathBuf::from,
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts");
    runtime.block_on(measure(&folder));
    drop(std::fs::remove_dir_all(&folder));
}

#[expect(clippy::print_stdout, reason = "the example's purpose")]
async fn measure(folder: &Path) {
    let opened = SqliteStorage::open(folder, &Config::default()).expect("the storage opens");
    let store: &dyn Store = &*opened.store;
    for op in [
        Op::CreateHub(Box::new(hub())),
        Op::PutEnrollmentGroup {
            next: Box::new(group()),
            expected: None,
        },
    ] {
        store
            .submit(Unit::new(op, Vec::new()))
            .await
            .expect("it is new");
    }
    println!(
        "{:>24} {:>10} {:>10} {:>10}",
        "", "per s", "p50 µs", "max µs"
    );
    for line in 0..DEVICES / LINE {
        let first = line * LINE;
        let what = format!("new, from {first}");
        round(store, &what, first..first + LINE, new).await;
    }
    round(store, "again", 0..LINE, again).await;
    let begun = Instant::now();
    let statistics = store.registration_statistics().await;
    let unfinished = store
        .registrations(RegistrationFilter::Unfinished, None, 1_000)
        .await;
    println!(
        "{:?}, {} unfinished: read in {} µs",
        statistics.expect("they can be read"),
        unfinished.expect("they can be read").len(),
        begun.elapsed().as_micros()
    );
    opened.close();
}

#[expect(clippy::print_stdout, reason = "the example's purpose")]
async fn round(
    store: &dyn Store,
    what: &str,
    devices: std::ops::Range<u64>,
    unit: impl Fn(u64) -> Unit,
) {
    let started = Instant::now();
    let mut times = Vec::new();
    let steps = usize::try_from(AT_ONCE).expect("a small number");
    for first in devices.clone().step_by(steps) {
        let begun = Instant::now();
        let pending: Vec<_> = (first..first + AT_ONCE)
            .map(|n| store.submit(unit(n)))
            .collect();
        for unit in pending {
            unit.await.expect("a registration is kept");
        }
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    let count = (devices.end - devices.start) as f64;
    println!(
        "{what:>24} {:>10.0} {:>10} {:>10}",
        count / started.elapsed().as_secs_f64(),
        times[times.len() / 2].as_micros(),
        times[times.len() - 1].as_micros(),
    );
}

fn new(n: u64) -> Unit {
    Unit {
        op_id: None,
        ops: vec![
            Op::CheckEnrollmentGroup {
                id: group().id,
                etag: group().etag,
            },
            Op::CreateIdentity {
                hub: HUB,
                identity: Box::new(identity(n)),
                twin: Box::default(),
            },
            Op::PutRegistration {
                next: Box::new(registration(n, "MQ==")),
                expected: None,
            },
        ],
        facts: Vec::new(),
    }
}

fn again(n: u64) -> Unit {
    let op = Op::PutRegistration {
        next: Box::new(registration(n, "Mg==")),
        expected: Some(Etag("MQ==".into())),
    };
    Unit::new(op, Vec::new())
}

/// The name of a device: numbers that follow each other are far apart in the order of names.
fn name(n: u64) -> String {
    format!("device-{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn key() -> SymmetricKey {
    SymmetricKey::from_bytes(&[7; 32]).expect("a key")
}

fn identity(n: u64) -> Identity {
    Identity {
        id: IdentityId::parse(&name(n)).expect("an id"),
        generation: GenerationId("638000000000000000".into()),
        etag: Etag("MTIzNDU2Nzg=".into()),
        status: Status::Enabled,
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: Authentication::Sas {
            primary: key(),
            secondary: key(),
        },
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    }
}

fn registration(n: u64, etag: &str) -> Registration {
    Registration {
        id: RegistrationId::parse(&name(n)).expect("an id"),
        origin: Origin::Group(group().id),
        attestation: AttestationKind::SymmetricKey,
        operation: OperationId::from_random([1; 24]),
        progress: Progress::Assigned,
        assignment: Some(Assignment {
            hub: hub().host,
            own: Some(hub().no),
            device: DeviceId::parse(&name(n)).expect("an id"),
            substatus: Substatus::InitialAssignment,
            taken_over: false,
        }),
        strays: Vec::new(),
        payload: None,
        authentication_key: None,
        certificates: None,
        issued_certificates: Vec::new(),
        etag: Etag(etag.into()),
        created: Timestamp::from_seconds(1),
        updated: Timestamp::from_seconds(1),
    }
}

fn group() -> EnrollmentGroup {
    EnrollmentGroup {
        id: EnrollmentGroupId::parse("line-7").expect("an id"),
        attestation: Attestation::SymmetricKey {
            primary: key(),
            secondary: key(),
        },
        terms: Terms::default(),
        etag: Etag("MQ==".into()),
        created: Timestamp::from_seconds(1),
        updated: Timestamp::from_seconds(1),
        rolled_in: None,
    }
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
