//! The store: `store.db`, its one committer, its readers and its keeper.

mod committer;
mod queue;
mod reads;
mod retention;
mod schema;
mod service_bound;
mod tail;
mod units;
mod writes;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, ProvisioningService, Refusal, Registration, RegistrationId,
};
use hub_domain::twin::Twin;
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{DeviceId, Fact, Hub, HubNo, IdentityId, ServiceBoundKind, Timestamp};
use hub_storage::pending::pending;
use hub_storage::store::{
    Committed, FactNo, Health, MessageNo, Ordinal, RefusalPosition, RegistrationFilter,
    RegistrationStatistics, ServiceBoundNo, Statistics, StoredIdentity, StoredMessage,
    StoredServiceBound, Unit,
};
use hub_storage::{Backlog, Pending, Reading, Store, StoreError};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::config::{Config, OnSyncFailure};
use crate::connection::{checkpoint_truncate, open_checkpointer, open_reader, open_writer};
use crate::data_directory::DataDirectory;
use crate::disk::Disk;
use crate::inbox::Inbox;
use crate::keeper::{Checkpointer, Chore, Keeper, WalState, report_checkpoint};
use crate::readers::Readers;
use crate::{OpenError, platform};
use committer::{Committer, Shared, Waiting, Work, now};
use reads::provisioning;
use tail::FactTail;
use units::Counters;

const FILE: &str = "store.db";
const FORGET_INTERVAL: Duration = Duration::from_secs(60);

/// The store in `store.db`. Closing or dropping it commits what was submitted and ends its threads.
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Readers<Connection>,
    keeper: Keeper,
    committer: Mutex<Option<JoinHandle<Connection>>>,
    on_sync_failure: OnSyncFailure,
    directory: DataDirectory,
}

impl SqliteStore {
    pub(crate) fn open(
        directory: DataDirectory,
        disk: Arc<Disk>,
        config: &Config,
    ) -> Result<Self, OpenError> {
        let path = directory.path().join(FILE);
        // SQLite would make the file readable for others; its WAL takes over the mode.
        drop(platform::create_private_file(&path)?);
        let writer = open_writer(&path, config.store_cache_bytes, config)?;
        schema::FORMAT.establish(&writer, |_| Ok(()))?;
        platform::sync_folder(directory.path())?;
        let counters = Counters::load(&writer)?;
        let wal = Arc::new(WalState::default());
        wal.note_commit();
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            backlog: Backlog::new(config.backlog_bytes_max),
            tail: FactTail::new(counters.last_fact, config.fact_tail_bytes_max),
            head: watch::Sender::new(FactNo(counters.last_fact)),
            service_bound_head: watch::Sender::new(counters.service_bound),
            disk: Arc::clone(&disk),
            wal: Arc::clone(&wal),
        });
        let connections = (0..config.store_readers.max(1))
            .map(|_| open_reader(&path, config))
            .collect::<Result<_, _>>()?;
        let readers = Readers::start("store-reader", connections)?;
        let keeper = Keeper::start("store-keeper", config.checkpoint_interval)?;
        keeper.add(upkeep(&path, &shared, config)?);
        let committer = Committer::new(
            writer,
            counters,
            Arc::clone(&shared),
            config.on_sync_failure.clone(),
        );
        let committer = thread::Builder::new()
            .name("store-committer".into())
            .spawn(move || committer.run())?;
        Ok(Self {
            shared,
            readers,
            keeper,
            committer: Mutex::new(Some(committer)),
            on_sync_failure: config.on_sync_failure.clone(),
            directory,
        })
    }

    /// Commits what was submitted, ends the threads and copies the WAL into the file. Submitting and
    /// reading afterwards is unavailable.
    pub fn close(&self) {
        self.shared.inbox.close();
        let handle = self
            .committer
            .lock()
            .expect("nothing panics while it holds the handle")
            .take();
        let Some(handle) = handle else { return };
        let writer = handle.join();
        self.keeper.close();
        self.readers.close();
        match writer {
            Ok(writer) => {
                if let Err(error) = checkpoint_truncate(&writer) {
                    report_checkpoint(&error, &self.on_sync_failure);
                }
            }
            Err(_) => tracing::error!("the committer of the store panicked"),
        }
        self.directory.release();
    }

    fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Reading<'_, T> {
        Box::pin(self.readers.read(|connection| read(connection)))
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the keeper does at each interval: ask a full disk, checkpoint, forget old results.
fn upkeep(path: &Path, shared: &Arc<Shared>, config: &Config) -> Result<Chore, OpenError> {
    let checkpointer = Checkpointer::new(
        open_checkpointer(path, config)?,
        Arc::clone(&shared.wal),
        config,
    );
    let shared = Arc::clone(shared);
    let retention = config.op_id_retention;
    let mut forgot: Option<Instant> = None;
    Ok(Box::new(move || {
        shared.disk.probe();
        checkpointer.pass();
        if forgot.is_none_or(|forgot| forgot.elapsed() >= FORGET_INTERVAL) {
            forgot = Some(Instant::now());
            drop(shared.inbox.push(
                Work::ForgetOperations {
                    before: now().minus(retention),
                },
                0,
            ));
        }
    }))
}

impl Store for SqliteStore {
    fn submit(&self, unit: Unit) -> Pending<Committed> {
        let bytes = unit.size();
        let (completer, pending) = pending();
        self.shared.backlog.add(bytes);
        // A work that is given back is dropped with its completer, which says that the store is unavailable.
        if self
            .shared
            .inbox
            .push(
                Work::Keep(Waiting {
                    unit,
                    bytes,
                    completer,
                }),
                bytes,
            )
            .is_err()
        {
            self.shared.backlog.remove(bytes);
        }
        pending
    }

    fn backlog(&self) -> &Backlog {
        &self.shared.backlog
    }

    fn hubs(&self) -> Reading<'_, Vec<Hub>> {
        self.read(reads::hubs)
    }

    fn identity(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<StoredIdentity>> {
        let id = id.clone();
        self.read(move |connection| reads::identity(connection, hub, &id))
    }

    fn twin(&self, hub: HubNo, id: &IdentityId) -> Reading<'_, Option<(StoredIdentity, Twin)>> {
        let id = id.clone();
        self.read(move |connection| reads::twin(connection, hub, &id))
    }

    fn devices(
        &self,
        hub: HubNo,
        after: Option<&DeviceId>,
        max: usize,
    ) -> Reading<'_, Vec<StoredIdentity>> {
        let after = after.cloned();
        self.read(move |connection| reads::devices(connection, hub, after.as_ref(), max))
    }

    fn modules(&self, hub: HubNo, device: &DeviceId) -> Reading<'_, Vec<StoredIdentity>> {
        let device = device.clone();
        self.read(move |connection| reads::modules(connection, hub, &device))
    }

    fn messages(
        &self,
        identity: Ordinal,
        after: MessageNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredMessage>> {
        self.read(move |connection| reads::messages(connection, identity, after, max))
    }

    fn expired_messages(
        &self,
        now: Timestamp,
        max: usize,
    ) -> Reading<'_, Vec<(Ordinal, MessageNo)>> {
        self.read(move |connection| reads::expired_messages(connection, now, max))
    }

    fn service_bound(
        &self,
        hub: HubNo,
        kind: ServiceBoundKind,
        after: ServiceBoundNo,
        max: usize,
    ) -> Reading<'_, Vec<StoredServiceBound>> {
        self.read(move |connection| service_bound::read(connection, hub, kind, after, max))
    }

    fn service_bound_head(&self) -> watch::Receiver<u64> {
        self.shared.service_bound_head.subscribe()
    }

    fn upload(
        &self,
        identity: Ordinal,
        correlation: &CorrelationId,
    ) -> Reading<'_, Option<Upload>> {
        let correlation = correlation.clone();
        self.read(move |connection| reads::upload(connection, identity, &correlation))
    }

    fn expired_uploads(
        &self,
        before: Timestamp,
        max: usize,
    ) -> Reading<'_, Vec<(Ordinal, Upload)>> {
        self.read(move |connection| reads::expired_uploads(connection, before, max))
    }

    fn provisioning_service(&self) -> Reading<'_, Option<ProvisioningService>> {
        self.read(provisioning::service)
    }

    fn enrollment(&self, id: &RegistrationId) -> Reading<'_, Option<Enrollment>> {
        let id = id.clone();
        self.read(move |connection| provisioning::enrollment(connection, &id))
    }

    fn enrollments(&self, after: Option<&str>, max: usize) -> Reading<'_, Vec<Enrollment>> {
        let after = after.map(str::to_owned);
        self.read(move |connection| provisioning::enrollments(connection, after.as_deref(), max))
    }

    fn enrollment_groups(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<EnrollmentGroup>> {
        let after = after.map(str::to_owned);
        self.read(move |connection| provisioning::groups(connection, after.as_deref(), max))
    }

    fn registration(&self, id: &RegistrationId) -> Reading<'_, Option<Registration>> {
        let id = id.clone();
        self.read(move |connection| provisioning::registration(connection, &id))
    }

    fn registrations(
        &self,
        filter: RegistrationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Reading<'_, Vec<Registration>> {
        let after = after.map(str::to_owned);
        self.read(move |connection| {
            provisioning::registrations(connection, &filter, after.as_deref(), max)
        })
    }

    fn enrollment_count(&self) -> Reading<'_, u64> {
        self.read(provisioning::enrollment_count)
    }

    fn registration_statistics(&self) -> Reading<'_, RegistrationStatistics> {
        self.read(provisioning::statistics)
    }

    fn refusals(&self, after: Option<&RefusalPosition>, max: usize) -> Reading<'_, Vec<Refusal>> {
        let after = after.cloned();
        self.read(move |connection| provisioning::refusals(connection, after.as_ref(), max))
    }

    fn refusal(&self, id: &RegistrationId) -> Reading<'_, Option<Refusal>> {
        let id = id.clone();
        self.read(move |connection| provisioning::refusal(connection, &id))
    }

    fn statistics(&self, hub: HubNo) -> Reading<'_, Statistics> {
        self.read(move |connection| reads::statistics(connection, hub))
    }

    fn changes(&self, after: FactNo, max: usize) -> Reading<'_, Vec<(FactNo, Fact)>> {
        match self.shared.tail.page(after, max) {
            Some(page) => Box::pin(std::future::ready(Ok(page))),
            None => self.read(move |connection| reads::changes(connection, after, max)),
        }
    }

    fn checkpoint(&self, hub: HubNo) -> Reading<'_, Option<FactNo>> {
        self.read(move |connection| reads::checkpoint(connection, hub))
    }

    fn fact_head(&self) -> watch::Receiver<FactNo> {
        self.shared.head.subscribe()
    }

    fn trim_facts(&self, before: Timestamp) -> Pending<Committed> {
        let (completer, pending) = pending();
        drop(
            self.shared
                .inbox
                .push(Work::TrimFacts { before, completer }, 0),
        );
        pending
    }

    fn health(&self) -> Health {
        self.shared.disk.health()
    }
}
