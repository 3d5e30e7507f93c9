//! The faults; the contract itself is tested by the conformance suite.

use futures_util::FutureExt as _;
use hub_domain::identity::{Authentication, Status};
use hub_domain::twin::Twin;
use hub_domain::{
    Etag, GenerationId, Hub, HubName, HubNo, Identity, IdentityId, Revision, Settings, Timestamp,
};
use std::time::Duration;

use super::{Faults as _, MemoryLogs, MemoryStore};
use crate::log::{BatchWriter, RecordFlags, TelemetrySource};
use crate::store::{Health, Op, Unit};
use crate::{Conflict, MessageLog as _, Store as _, StoreError};

fn hub() -> Hub {
    let host = hub_domain::HostName::parse("hub.test").unwrap();
    Hub {
        no: HubNo(1),
        name: HubName::parse("hub").unwrap(),
        host,
        aliases: Vec::new(),
        policies: Vec::new(),
        partition_count: 2,
        retention: Duration::from_secs(86_400),
        retention_bytes_max: 1_000_000,
        created: Timestamp::from_seconds(0),
        settings: Settings::default(),
        revision: Revision::default(),
    }
}

fn create(id: &str) -> Unit {
    let identity = Identity {
        id: IdentityId::parse(id).unwrap(),
        generation: GenerationId("1".into()),
        etag: Etag("e1".to_owned()),
        status: Status::Enabled,
        status_reason: None,
        status_updated: Timestamp::NEVER,
        authentication: Authentication::None,
        iot_edge: false,
        device_scope: None,
        parent_scopes: Vec::new(),
        managed_by: None,
    };
    Unit::new(
        Op::CreateIdentity {
            hub: HubNo(1),
            identity: Box::new(identity),
            twin: Box::new(Twin::new()),
        },
        Vec::new(),
    )
}

fn store() -> MemoryStore {
    let store = MemoryStore::new();
    store
        .submit(Unit::new(Op::CreateHub(Box::new(hub())), Vec::new()))
        .now_or_never()
        .unwrap()
        .unwrap();
    store
}

#[test]
fn held_units_wait_until_they_are_released_oldest_first() {
    let store = store();
    store.hold();
    let mut first = store.submit(create("d1"));
    let mut second = store.submit(create("d1/m1"));
    assert!((&mut first).now_or_never().is_none());
    assert_eq!(store.waiting(), 2);
    assert_eq!(store.backlog().bytes(), 2 * create("d1").size());

    assert_eq!(store.release(1), 1);
    assert!(first.now_or_never().unwrap().is_ok());
    assert!((&mut second).now_or_never().is_none());
    store.resume();
    assert!(second.now_or_never().unwrap().is_ok());
    assert_eq!(store.backlog().bytes(), 0);
    assert!(store.submit(create("d2")).now_or_never().unwrap().is_ok());
}

#[test]
fn a_unit_that_fails_fails_what_was_built_on_it() {
    let store = store();
    store.hold();
    store.fail_next(1);
    let device = store.submit(create("d1"));
    let module = store.submit(create("d1/m1"));
    assert_eq!(store.health(), Health::DiskFull);
    store.resume();
    assert!(matches!(
        device.now_or_never().unwrap(),
        Err(StoreError::DiskFull)
    ));
    assert!(matches!(
        module.now_or_never().unwrap(),
        Err(StoreError::Conflict(Conflict::NotFound))
    ));
    assert_eq!(store.health(), Health::Good);
}

#[test]
fn units_that_wait_when_the_store_goes_are_unavailable() {
    let store = store();
    store.hold();
    let waiting = store.submit(create("d1"));
    drop(store);
    assert!(matches!(
        waiting.now_or_never().unwrap(),
        Err(StoreError::Unavailable)
    ));
}

#[test]
fn appends_are_held_and_failed_like_units() {
    let log = MemoryLogs::new().open_memory(&hub()).unwrap();
    let source = TelemetrySource::default().encode();
    let batch = || {
        let mut writer = BatchWriter::new();
        writer.push(RecordFlags::default(), b"", b"body");
        writer.take(1, source.clone(), Timestamp::from_seconds(5))
    };
    log.hold();
    log.fail_next(1);
    let first = log.append(batch());
    let second = log.append(batch());
    assert_eq!(log.waiting(), 2);
    log.resume();
    assert!(matches!(
        first.now_or_never().unwrap(),
        Err(StoreError::DiskFull)
    ));
    assert_eq!(second.now_or_never().unwrap().unwrap().first, 0);
    assert_eq!(log.backlog().bytes(), 0);
    assert_eq!(*log.head().borrow(), 1);
}

mod blobs {
    use std::sync::Arc;

    use super::super::MemoryBlobs;
    use crate::Blobs;

    struct Shared(MemoryBlobs);

    impl crate::conformance::blobs::BlobBackend for Shared {
        fn blobs(&self) -> Arc<dyn Blobs> {
            Arc::new(self.0.clone())
        }

        async fn reopen(self) -> Self {
            self
        }
    }

    crate::blob_conformance_tests!(async || Shared(MemoryBlobs::default()));
}
