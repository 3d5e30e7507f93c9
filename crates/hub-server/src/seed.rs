//! Many devices at once, written through the store: for benchmarks.

use std::path::Path;

use hub_domain::twin::Twin;
use hub_domain::{
    Authentication, DeviceId, Etag, GenerationId, HostName, HubNo, Identity, IdentityId, Status,
    SymmetricKey, Timestamp,
};
use hub_engine::Environment as _;
use hub_storage::Store as _;
use hub_storage::store::{Op, Unit};
use hub_storage_sqlite::{Config as StorageConfig, OpenError, SqliteStorage};

use crate::environment::SystemEnvironment;
use crate::serve::{ServeError, ensure_default_hub, open_engine};

/// Devices in one unit.
const UNIT_DEVICES: usize = 1_000;
/// Units under way at once.
const UNITS_MAX: usize = 8;

/// The devices cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The storage cannot be opened.
    #[error("the storage cannot be opened")]
    Open(#[from] OpenError),
    /// The hub cannot be made.
    #[error("the hub cannot be made")]
    Serve(#[from] ServeError),
    /// The engine cannot be opened.
    #[error("the hub cannot be opened")]
    Engine(#[from] hub_engine::Error),
    /// A unit failed.
    #[error("the devices cannot be written")]
    Store(#[from] hub_storage::StoreError),
}

/// Creates the devices `{prefix}0` to `{prefix}{count - 1}` in the default hub of `data_dir`, with `progress` called
/// with the number written so far.
///
/// # Errors
/// When the storage cannot be opened or a device is there already.
pub async fn seed(
    data_dir: &Path,
    host: &HostName,
    prefix: &str,
    count: u64,
    progress: impl Fn(u64),
) -> Result<(), SeedError> {
    let storage = SqliteStorage::open(data_dir, &StorageConfig::default())?;
    let engine = open_engine(&storage, crate::files::none()).await?;
    let hub = ensure_default_hub(&engine, host).await?;
    let now = engine.environment().now();
    let numbers: Vec<u64> = (0..count).collect();
    let mut under_way = std::collections::VecDeque::new();
    let mut written = 0;
    for part in numbers.chunks(UNIT_DEVICES) {
        let ops = part
            .iter()
            .map(|number| device(hub.no, prefix, *number, now))
            .collect();
        under_way.push_back((
            part.len(),
            storage.store.submit(Unit {
                op_id: None,
                ops,
                facts: Vec::new(),
            }),
        ));
        if under_way.len() >= UNITS_MAX
            && let Some((devices, pending)) = under_way.pop_front()
        {
            pending.await?;
            written += devices as u64;
            progress(written);
        }
    }
    for (devices, pending) in under_way {
        pending.await?;
        written += devices as u64;
        progress(written);
    }
    drop(engine);
    storage.close();
    Ok(())
}

fn device(hub: HubNo, prefix: &str, number: u64, now: Timestamp) -> Op {
    let key = || {
        let mut bytes = [0; 32];
        SystemEnvironment.fill_random(&mut bytes);
        SymmetricKey::from_bytes(&bytes).expect("invariant: 32 bytes are a key")
    };
    let id = DeviceId::parse(&format!("{prefix}{number}"))
        .expect("invariant: the prefix is checked by its caller");
    let identity = Identity {
        id: IdentityId::device(id),
        generation: GenerationId::from_creation(now),
        etag: Etag::from_random(number.to_be_bytes()),
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
    };
    Op::CreateIdentity {
        hub,
        identity: Box::new(identity),
        twin: Box::new(Twin::new()),
    }
}
