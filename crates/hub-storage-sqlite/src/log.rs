//! Message logs: a folder per hub, a file per hour or gigabyte, a row per committed group.

mod bucket;
mod committer;
mod disk_read;
mod heads;
mod page;
mod read_groups;
mod retention;
mod tail;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use hub_domain::{Hub, HubNo, Timestamp};
use hub_storage::log::{
    AppendBatch, Appended, LogRecord, MessageLog, MessageLogs, PartitionState, Position, ReadLimit,
};
use hub_storage::pending::pending;
use hub_storage::{Backlog, Pending, Reading, StoreError};
use rusqlite::Connection;
use tokio::sync::watch;

use crate::config::{Config, OnSyncFailure};
use crate::connection::{checkpoint_truncate, open_checkpointer};
use crate::data_directory::DataDirectory;
use crate::disk::Disk;
use crate::inbox::Inbox;
use crate::keeper::{Checkpointer, Chore, ChoreId, Keeper, WalState, report_checkpoint};
use crate::readers::Readers;
use crate::{OpenError, platform};
use bucket::{Bucket, Current, Pool, Start, remove_files};
use committer::{Committer, Files, Shared, Work};
use disk_read::{DiskPage, DiskRead};
use heads::Heads;
use page::From;
use read_groups::ReadGroups;
use tail::LogTail;

const FOLDER: &str = "log";

/// The message logs of a data directory.
pub struct SqliteLogs {
    logs: Mutex<HashMap<HubNo, Arc<SqliteLog>>>,
    folder: PathBuf,
    disk: Arc<Disk>,
    config: Config,
    services: Arc<Services>,
    directory: DataDirectory,
}

/// The threads that all logs share.
struct Services {
    keeper: Keeper,
    readers: Readers<()>,
}

impl SqliteLogs {
    pub(crate) fn open(
        directory: DataDirectory,
        disk: Arc<Disk>,
        config: &Config,
    ) -> Result<Self, OpenError> {
        let folder = directory.path().join(FOLDER);
        platform::create_private_folder(&folder)?;
        platform::sync_folder(directory.path())?;
        let services = Services {
            keeper: Keeper::start("log-keeper", config.checkpoint_interval)?,
            readers: Readers::start("log-reader", vec![(); config.log_readers.max(1)])?,
        };
        let config = config.clone();
        Ok(Self {
            logs: Mutex::default(),
            folder,
            disk,
            config,
            services: Arc::new(services),
            directory,
        })
    }

    /// The log of `hub` as by [`MessageLogs::open`], as its own type.
    ///
    /// # Errors
    /// When the log cannot be opened or its partition count is another one.
    pub fn open_log(&self, hub: &Hub) -> Result<Arc<SqliteLog>, StoreError> {
        let mut logs = self.lock();
        let log = match logs.get(&hub.no) {
            Some(log) => Arc::clone(log),
            None => {
                let log = Arc::new(self.start(hub).map_err(StoreError::internal)?);
                logs.insert(hub.no, Arc::clone(&log));
                log
            }
        };
        if log.partition_count() == hub.partition_count {
            Ok(log)
        } else {
            let (is, wanted) = (log.partition_count(), hub.partition_count);
            Err(StoreError::internal(format!(
                "the log of hub {} has {is} partitions, not {wanted}",
                hub.no
            )))
        }
    }

    /// Writes what was appended, ends the threads and copies the WALs into the files. Appending and
    /// reading afterwards is unavailable.
    pub fn close(&self) {
        let logs: Vec<_> = self.lock().values().cloned().collect();
        for log in logs {
            log.close();
        }
        self.services.keeper.close();
        self.services.readers.close();
        self.directory.release();
    }

    fn start(&self, hub: &Hub) -> Result<SqliteLog, OpenError> {
        let folder = self.folder_of(hub.no);
        platform::create_private_folder(&folder)?;
        platform::sync_folder(&self.folder)?;
        SqliteLog::open(
            &folder,
            hub,
            Arc::clone(&self.disk),
            Arc::clone(&self.services),
            &self.config,
        )
    }

    fn folder_of(&self, hub: HubNo) -> PathBuf {
        self.folder.join(hub.to_string())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<HubNo, Arc<SqliteLog>>> {
        self.logs
            .lock()
            .expect("nothing panics while it holds the logs")
    }
}

impl Drop for SqliteLogs {
    fn drop(&mut self) {
        self.close();
    }
}

impl MessageLogs for SqliteLogs {
    fn open(&self, hub: &Hub) -> Result<Arc<dyn MessageLog>, StoreError> {
        Ok(self.open_log(hub)?)
    }

    fn delete(&self, hub: HubNo) -> Result<(), StoreError> {
        let mut logs = self.lock();
        if let Some(log) = logs.remove(&hub) {
            log.close();
        }
        match fs::remove_dir_all(self.folder_of(hub)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(StoreError::internal(error))
            }
            Ok(()) | Err(_) => platform::sync_folder(&self.folder).map_err(StoreError::internal),
        }
    }
}

/// The message log of one hub. Closing or dropping it writes what was appended.
pub struct SqliteLog {
    shared: Arc<Shared>,
    services: Arc<Services>,
    chore: ChoreId,
    committer: Mutex<Option<JoinHandle<Connection>>>,
    partition_count: u16,
    on_sync_failure: OnSyncFailure,
}

impl SqliteLog {
    fn open(
        folder: &Path,
        hub: &Hub,
        disk: Arc<Disk>,
        services: Arc<Services>,
        config: &Config,
    ) -> Result<Self, OpenError> {
        let (buckets, current) = open_files(folder, hub, config)?;
        let partition_count = current.heads.partition_count();
        let wal = Arc::new(WalState::default());
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            backlog: Backlog::new(config.backlog_bytes_max),
            head: watch::Sender::new(0),
            tail: LogTail::new(current.heads.clone(), config.log_tail_bytes_max),
            read_groups: ReadGroups::new(config.log_read_bytes_max),
            pool: Pool::new(config.clone()),
            disk,
            files: Mutex::new(Files {
                buckets: Arc::new(buckets),
                wal,
                retired: Vec::new(),
            }),
            retention: hub.retention,
            retention_bytes_max: hub.retention_bytes_max,
        });
        let committer = Committer::new(current, Arc::clone(&shared), config.clone(), hub.clone());
        let committer = thread::Builder::new()
            .name(format!("log-{}", hub.no))
            .spawn(move || committer.run())?;
        let chore = services.keeper.add(upkeep(&shared, config));
        Ok(Self {
            shared,
            services,
            chore,
            committer: Mutex::new(Some(committer)),
            partition_count,
            on_sync_failure: config.on_sync_failure.clone(),
        })
    }

    fn close(&self) {
        self.shared.inbox.close();
        let handle = self
            .committer
            .lock()
            .expect("nothing panics while it holds the handle")
            .take();
        let Some(handle) = handle else { return };
        let writer = handle.join();
        self.services.keeper.remove(self.chore);
        self.shared.pool.clear();
        let Ok(writer) = writer else {
            return tracing::error!("the committer of a log panicked");
        };
        let retired = std::mem::take(&mut self.shared.files().retired);
        for connection in retired.into_iter().chain([writer]) {
            finish_file(connection, &self.on_sync_failure);
        }
    }

    fn check(&self, partition: u16) -> Result<(), StoreError> {
        if partition < self.partition_count {
            Ok(())
        } else {
            Err(no_partition(partition))
        }
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        self.close();
    }
}

/// Finds the files of a log and opens the newest to go on with it, making one when there is none.
fn open_files(
    folder: &Path,
    hub: &Hub,
    config: &Config,
) -> Result<(Vec<Arc<Bucket>>, Current), OpenError> {
    let mut numbers = Bucket::list(folder)?;
    let current = loop {
        let Some(newest) = numbers.pop() else {
            let start = Start {
                first_group: 1,
                heads: Heads::new(hub.partition_count),
            };
            break Bucket::new(folder, 1).create(start, config)?;
        };
        let bucket = Bucket::new(folder, newest);
        let path = bucket.path.clone();
        match bucket.resume(config)? {
            Some(current) => break current,
            // The process ended while it made the file; nothing was ever acknowledged in it.
            None => remove_files(&path)?,
        }
    };
    let mut buckets: Vec<_> = numbers
        .into_iter()
        .map(|number| Arc::new(Bucket::new(folder, number)))
        .collect();
    buckets.push(Arc::clone(&current.bucket));
    Ok((buckets, current))
}

/// What the keeper does for a log at each interval: checkpoint the newest file, finish those before it.
fn upkeep(shared: &Arc<Shared>, config: &Config) -> Chore {
    let shared = Arc::clone(shared);
    let config = config.clone();
    let mut checkpointer: Option<(u64, Checkpointer)> = None;
    Box::new(move || {
        let (newest, wal, retired) = {
            let mut files = shared.files();
            let newest = files.buckets.last().map(Arc::clone);
            (
                newest,
                Arc::clone(&files.wal),
                std::mem::take(&mut files.retired),
            )
        };
        let Some(newest) = newest else { return };
        if checkpointer
            .as_ref()
            .is_none_or(|(number, _)| *number != newest.number)
        {
            match open_checkpointer(&newest.path, &config) {
                Ok(connection) => {
                    checkpointer =
                        Some((newest.number, Checkpointer::new(connection, wal, &config)))
                }
                Err(error) => report_checkpoint(&error, &config.on_sync_failure),
            }
        }
        for connection in retired {
            finish_file(connection, &config.on_sync_failure);
        }
        if let Some((_, checkpointer)) = &checkpointer {
            checkpointer.pass();
        }
    })
}

/// Copies the WAL into a file that is no longer written, and closes it.
fn finish_file(connection: Connection, on_sync_failure: &OnSyncFailure) {
    if let Err(error) = checkpoint_truncate(&connection) {
        report_checkpoint(&error, on_sync_failure);
    }
    drop(connection);
}

fn no_partition(partition: u16) -> StoreError {
    StoreError::internal(format!("the log has no partition {partition}"))
}

impl MessageLog for SqliteLog {
    fn append(&self, batch: AppendBatch) -> Pending<Appended> {
        let bytes = batch.size();
        let (completer, pending) = pending();
        self.shared.backlog.add(bytes);
        // A batch that is given back is dropped with its completer, which says that the log is unavailable.
        if self
            .shared
            .inbox
            .push(Work::Append(batch, completer), bytes)
            .is_err()
        {
            self.shared.backlog.remove(bytes);
        }
        pending
    }

    fn backlog(&self) -> &Backlog {
        &self.shared.backlog
    }

    fn partition_count(&self) -> u16 {
        self.partition_count
    }

    fn read(
        &self,
        partition: u16,
        from: Position,
        limit: ReadLimit,
    ) -> Reading<'_, Vec<LogRecord>> {
        if let Err(error) = self.check(partition) {
            return Box::pin(std::future::ready(Err(error)));
        }
        if let Some(page) = self.shared.tail.page(partition, from, limit) {
            return Box::pin(std::future::ready(page));
        }
        if let Some(page) = self.shared.read_groups.page(partition, from, limit) {
            return Box::pin(std::future::ready(page));
        }
        let from = match from {
            Position::Start | Position::End => From::Sequence(0),
            Position::Sequence(sequence) => From::Sequence(sequence),
            Position::Time(time) => From::Time(time),
        };
        let shared = Arc::clone(&self.shared);
        Box::pin(self.services.readers.read(move |()| {
            loop {
                let buckets = shared.buckets();
                let disk = DiskRead {
                    pool: &shared.pool,
                    read_groups: &shared.read_groups,
                    partition,
                };
                match disk.read(&buckets, from, limit)? {
                    DiskPage::Page(page) => return Ok(page),
                    DiskPage::FileGone => {}
                }
            }
        }))
    }

    fn partition(&self, partition: u16) -> Reading<'_, PartitionState> {
        if let Err(error) = self.check(partition) {
            return Box::pin(std::future::ready(Err(error)));
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(self.services.readers.read(move |()| {
            loop {
                let oldest = Arc::clone(&shared.buckets()[0]);
                match oldest.start(&shared.pool) {
                    Err(_) if oldest.is_removed() => {}
                    start => {
                        let first = start?.heads.partitions[usize::from(partition)].next;
                        return Ok(shared.tail.partition(partition, first));
                    }
                }
            }
        }))
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.shared.head.subscribe()
    }

    fn trim(&self, now: Timestamp) -> Pending<u64> {
        let (completer, pending) = pending();
        drop(self.shared.inbox.push(Work::Trim(now, completer), 0));
        pending
    }
}
