//! What happens when the disk, the data directory or a file is not as it should be.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hub_domain::{
    Authentication, Etag, GenerationId, HostName, Hub, HubName, HubNo, Identity, IdentityId,
    Revision, Settings, Status, Timestamp,
};
use hub_power_cut::{Fault, PowerCut};
use hub_storage::log::{
    AppendBatch, BatchWriter, MessageLog, Position, ReadLimit, RecordFlags, TelemetrySource,
};
use hub_storage::store::{Health, Op, OpId, OpResult, Ordinal, Subscriptions, Unit};
use hub_storage::{Conflict, MessageLogs, Store, StoreError};
use hub_storage_sqlite::{Config, FreeSpace, OnSyncFailure, OpenError, Opened, SqliteStorage};

const HUB: HubNo = HubNo(1);

fn quick() -> Config {
    Config {
        checkpoint_interval: Duration::from_millis(1),
        disk_check_interval: Duration::ZERO,
        disk_probe_interval: Duration::ZERO,
        ..Config::default()
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder can be made")
}

fn open(folder: &Path, config: &Config) -> Opened {
    SqliteStorage::open(folder, config).expect("the storage opens")
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}

fn hub() -> Hub {
    Hub {
        no: HUB,
        name: HubName::parse("h").expect("a name"),
        host: HostName::parse("localhost").expect("a name"),
        aliases: Vec::new(),
        policies: Vec::new(),
        partition_count: 2,
        retention: Duration::from_secs(86_400),
        retention_bytes_max: u64::MAX,
        created: Timestamp::from_seconds(1),
        settings: Settings::default(),
        revision: Revision::default(),
    }
}

fn id() -> IdentityId {
    IdentityId::parse("d").expect("an id")
}

fn create() -> Vec<Op> {
    let identity = Identity {
        id: id(),
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
    };
    let identity = Op::CreateIdentity {
        hub: HUB,
        identity: Box::new(identity),
        twin: Box::default(),
    };
    vec![Op::CreateHub(Box::new(hub())), identity]
}

/// A store with one device.
async fn with_device(opened: &Opened) -> Ordinal {
    let unit = Unit {
        ops: create(),
        ..Unit::default()
    };
    let committed = opened
        .store
        .submit(unit)
        .await
        .expect("a device can be created");
    match committed.results[..] {
        [_, OpResult::Created(ordinal)] => ordinal,
        _ => panic!("a created device has a number"),
    }
}

fn subscribe(identity: Ordinal, bits: u32) -> Unit {
    Unit::new(
        Op::ReplaceSubscriptions {
            identity,
            next: Subscriptions(bits),
        },
        Vec::new(),
    )
}

fn batch(at: i64, body: &[u8]) -> AppendBatch {
    let mut writer = BatchWriter::new();
    writer.push(RecordFlags::default(), b"", body);
    writer.take(
        0,
        TelemetrySource::default().encode(),
        Timestamp::from_seconds(at),
    )
}

async fn bodies(log: &dyn MessageLog) -> Vec<Vec<u8>> {
    let limit = ReadLimit {
        records: 1_000,
        bytes: usize::MAX,
    };
    let page = log
        .read(0, Position::Start, limit)
        .await
        .expect("messages can be read");
    page.into_iter()
        .map(|record| record.body.to_vec())
        .collect()
}

fn log_files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("log/1")).expect("the log has a folder");
    let names = entries.map(|entry| {
        entry
            .expect("the folder can be read")
            .file_name()
            .into_string()
            .expect("text")
    });
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".db")).collect();
    names.sort();
    names
}

#[test]
fn writes_stop_while_free_space_is_short_and_go_on_after() {
    let folder = folder();
    let free = Arc::new(AtomicU64::new(u64::MAX));
    let told = Arc::clone(&free);
    let config = Config {
        free_space: FreeSpace::from(move |_| Ok(told.load(Ordering::SeqCst))),
        ..quick()
    };
    let opened = open(folder.path(), &config);
    wait(async {
        let device = with_device(&opened).await;
        let log = opened.logs.open(&hub()).unwrap();
        log.append(batch(1, b"before")).await.unwrap();

        free.store(config.disk_free_bytes_min - 1, Ordering::SeqCst);
        assert!(matches!(
            opened.store.submit(subscribe(device, 1)).await,
            Err(StoreError::DiskFull)
        ));
        assert!(matches!(
            log.append(batch(2, b"lost")).await,
            Err(StoreError::DiskFull)
        ));
        assert_eq!(opened.store.health(), Health::DiskFull);
        assert_eq!(
            opened
                .store
                .identity(HUB, &id())
                .await
                .unwrap()
                .unwrap()
                .subscriptions,
            Subscriptions(0)
        );
        assert_eq!(bodies(&*log).await, [b"before"]);
        assert_eq!(
            (opened.store.backlog().bytes(), log.backlog().bytes()),
            (0, 0)
        );

        free.store(config.disk_free_bytes_min, Ordering::SeqCst);
        while opened.store.health() == Health::DiskFull {
            tokio::task::yield_now().await;
        }
        opened.store.submit(subscribe(device, 2)).await.unwrap();
        log.append(batch(3, b"after")).await.unwrap();
        assert_eq!(bodies(&*log).await, [b"before".as_slice(), b"after"]);
    });
}

#[test]
fn a_write_that_finds_no_space_fails_its_group_and_the_next_may_do() {
    let folder = folder();
    let layer = PowerCut::install("faults-full", folder.path());
    let config = Config {
        file_layer: Some(layer.name().to_owned()),
        ..quick()
    };
    let opened = open(folder.path(), &config);
    wait(async {
        let device = with_device(&opened).await;
        let log = opened.logs.open(&hub()).unwrap();
        log.append(batch(1, b"before")).await.unwrap();

        layer.set_fault(Fault::DiskFull);
        let units: Vec<_> = (1..40)
            .map(|bits| opened.store.submit(subscribe(device, bits)))
            .collect();
        for unit in units {
            assert!(matches!(unit.await, Err(StoreError::DiskFull)));
        }
        assert!(matches!(
            log.append(batch(2, b"lost")).await,
            Err(StoreError::DiskFull)
        ));
        assert_eq!(
            opened
                .store
                .identity(HUB, &id())
                .await
                .unwrap()
                .unwrap()
                .subscriptions,
            Subscriptions(0)
        );

        layer.set_fault(Fault::None);
        while opened.store.submit(subscribe(device, 7)).await.is_err() {
            tokio::task::yield_now().await;
        }
        while log.append(batch(3, b"after")).await.is_err() {
            tokio::task::yield_now().await;
        }
        assert_eq!(opened.store.health(), Health::Good);
        assert_eq!(
            opened
                .store
                .identity(HUB, &id())
                .await
                .unwrap()
                .unwrap()
                .subscriptions,
            Subscriptions(7)
        );
        assert_eq!(bodies(&*log).await, [b"before".as_slice(), b"after"]);
    });
}

#[test]
fn a_failed_sync_is_told_and_nothing_is_promised_after() {
    let folder = folder();
    let layer = PowerCut::install("faults-sync", folder.path());
    let told = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&told);
    let config = Config {
        file_layer: Some(layer.name().to_owned()),
        on_sync_failure: OnSyncFailure::call(move |_| {
            count.fetch_add(1, Ordering::SeqCst);
        }),
        // No checkpoint meets the fault first.
        checkpoint_interval: Duration::from_secs(3_600),
        ..Config::default()
    };
    let opened = open(folder.path(), &config);
    wait(async {
        let device = with_device(&opened).await;
        let log = opened.logs.open(&hub()).unwrap();
        layer.set_fault(Fault::SyncFails);
        assert!(matches!(
            opened.store.submit(subscribe(device, 1)).await,
            Err(StoreError::Unavailable)
        ));
        assert!(matches!(
            log.append(batch(1, b"x")).await,
            Err(StoreError::Unavailable)
        ));
        assert_eq!(told.load(Ordering::SeqCst), 2);
        layer.set_fault(Fault::None);
        assert!(matches!(
            opened.store.submit(subscribe(device, 1)).await,
            Err(StoreError::Unavailable)
        ));
        assert!(matches!(
            log.append(batch(1, b"x")).await,
            Err(StoreError::Unavailable)
        ));
    });
}

#[test]
fn a_unit_that_sqlite_refuses_does_not_take_its_group_with_it() {
    let folder = folder();
    let opened = open(folder.path(), &quick());
    wait(async {
        let device = with_device(&opened).await;
        let other = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
        let trigger = "CREATE TRIGGER refuse BEFORE UPDATE OF subscriptions ON identity
                       WHEN new.subscriptions % 10 = 6 BEGIN SELECT RAISE(ABORT, 'refused'); END";
        other.execute_batch(trigger).unwrap();
        drop(other);
        let units: Vec<_> = (0..50)
            .map(|bits| opened.store.submit(subscribe(device, bits)))
            .collect();
        for (bits, unit) in units.into_iter().enumerate() {
            match unit.await {
                Ok(_) => assert_ne!(bits % 10, 6),
                Err(StoreError::Internal { .. }) => assert_eq!(bits % 10, 6),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(
            opened
                .store
                .identity(HUB, &id())
                .await
                .unwrap()
                .unwrap()
                .subscriptions,
            Subscriptions(49)
        );
    });
}

#[test]
fn a_data_directory_has_one_process() {
    let folder = folder();
    let opened = open(folder.path(), &quick());
    let Err(error) = SqliteStorage::open(folder.path(), &quick()) else {
        panic!("it was opened twice")
    };
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    opened.close();
    let again = open(folder.path(), &quick());
    drop(opened);
    drop(again);
    open(folder.path(), &quick());
}

#[test]
fn other_formats_are_refused_with_a_clear_text() {
    let folder = folder();
    open(folder.path(), &quick()).close();
    let refusal = |pragma: &str| {
        let connection = rusqlite::Connection::open(folder.path().join("store.db")).unwrap();
        connection.execute_batch(pragma).unwrap();
        drop(connection);
        let Err(error) = SqliteStorage::open(folder.path(), &quick()) else {
            panic!("{pragma} was taken")
        };
        error.to_string()
    };
    assert!(refusal("PRAGMA user_version=10").starts_with("the store has format 10, newer than 9"));
    assert!(refusal("PRAGMA user_version=0").starts_with("the store has format 0, older than 9"));
    assert_eq!(
        refusal("PRAGMA application_id=7"),
        "the store file was not written by this program"
    );
}

#[test]
fn what_is_closed_says_so() {
    let folder = folder();
    let opened = open(folder.path(), &quick());
    wait(async {
        let device = with_device(&opened).await;
        let log = opened.logs.open(&hub()).unwrap();
        let last = opened.store.submit(subscribe(device, 1));
        opened.close();
        last.await.unwrap();
        assert!(matches!(
            opened.store.submit(subscribe(device, 2)).await,
            Err(StoreError::Unavailable)
        ));
        assert!(matches!(
            opened.store.identity(HUB, &id()).await,
            Err(StoreError::Unavailable)
        ));
        assert!(matches!(
            log.append(batch(1, b"x")).await,
            Err(StoreError::Unavailable)
        ));
        assert!(matches!(
            log.trim(Timestamp::from_seconds(1)).await,
            Err(StoreError::Unavailable)
        ));
        assert_eq!(
            (opened.store.backlog().bytes(), log.backlog().bytes()),
            (0, 0)
        );
    });
    assert!(
        !folder.path().join("store.db-wal").exists(),
        "an orderly end leaves no WAL"
    );
}

#[test]
fn retention_removes_files() {
    let folder = folder();
    let opened = open(
        folder.path(),
        &Config {
            log_tail_bytes_max: 0,
            ..quick()
        },
    );
    wait(async {
        let log = opened.logs.open(&hub()).unwrap();
        for hour in 0..4 {
            log.append(batch(hour * 3_600, b"x")).await.unwrap();
        }
        assert_eq!(log_files(folder.path()).len(), 4);
        assert_eq!(bodies(&*log).await.len(), 4);
        assert_eq!(
            log.trim(Timestamp::from_seconds(86_400 + 2 * 3_600))
                .await
                .unwrap(),
            2
        );
        assert_eq!(
            log_files(folder.path()),
            ["ev-0000000003.db", "ev-0000000004.db"]
        );
        assert_eq!(bodies(&*log).await.len(), 2);
        assert_eq!(log.partition(0).await.unwrap().first, 2);
    });
}

#[test]
fn a_file_whose_making_was_interrupted_is_made_again() {
    let folder = folder();
    wait(async {
        let opened = open(folder.path(), &quick());
        opened
            .logs
            .open(&hub())
            .unwrap()
            .append(batch(1, b"kept"))
            .await
            .unwrap();
        opened.close();
        std::fs::write(folder.path().join("log/1/ev-0000000002.db"), b"").unwrap();
        let opened = open(folder.path(), &quick());
        let log = opened.logs.open(&hub()).unwrap();
        assert_eq!(log_files(folder.path()), ["ev-0000000001.db"]);
        log.append(batch(3_601, b"next")).await.unwrap();
        assert_eq!(
            log_files(folder.path()),
            ["ev-0000000001.db", "ev-0000000002.db"]
        );
        assert_eq!(bodies(&*log).await, [b"kept", b"next"]);
    });
}

#[test]
fn results_of_units_are_forgotten_in_the_end() {
    let folder = folder();
    let unit = || Unit {
        op_id: Some(OpId([9; 16])),
        ops: create(),
        facts: Vec::new(),
    };
    wait(async {
        let opened = open(folder.path(), &quick());
        let first = opened.store.submit(unit()).await.unwrap();
        assert_eq!(opened.store.submit(unit()).await.unwrap(), first);
        opened.close();
        let opened = open(
            folder.path(),
            &Config {
                op_id_retention: Duration::ZERO,
                ..quick()
            },
        );
        while opened.store.submit(unit()).await.is_ok() {
            tokio::task::yield_now().await;
        }
        let again = opened.store.submit(unit()).await;
        assert!(matches!(
            again,
            Err(StoreError::Conflict(Conflict::AlreadyExists))
        ));
    });
}

#[test]
fn the_wal_starts_afresh_under_load() {
    const WRITTEN_MAX: u64 = 200 << 20;
    let folder = folder();
    let opened = open(
        folder.path(),
        &Config {
            wal_bytes_max: 500_000,
            ..quick()
        },
    );
    let wal = folder.path().join("log/1/ev-0000000001.db-wal");
    wait(async {
        let log = opened.logs.open(&hub()).unwrap();
        let body = vec![0x5a; 100_000];
        let mut written = 0;
        loop {
            log.append(batch(1, &body)).await.unwrap();
            written += body.len() as u64;
            let length = std::fs::metadata(&wal).unwrap().len();
            if written > 5_000_000 && written > 3 * length {
                break;
            }
            assert!(
                written < WRITTEN_MAX,
                "the WAL only grows: {length} bytes after {written}"
            );
        }
    });
}
