//! The one thread that writes a log: groups of batches, one row and one sync each.

use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use hub_domain::{Hub, Timestamp};
use hub_storage::log::{AppendBatch, Appended};
use hub_storage::pending::Completer;
use hub_storage::{Backlog, StoreError};
use rusqlite::{Connection, params};
use tokio::sync::watch;

use super::bucket::{Bucket, Current, Pool, Start};
use super::heads::Heads;
use super::read_groups::ReadGroups;
use super::retention::{self, Oldest};
use super::tail::LogTail;
use crate::OpenError;
use crate::config::Config;
use crate::connection::{checkpoint_restart, roll_back};
use crate::disk::Disk;
use crate::failure::{Meaning, meaning, store_error};
use crate::inbox::{AbandonOnDrop, Inbox, Rhythm};
use crate::keeper::{WalState, report_checkpoint};
use crate::sql::int;

/// What a committer is asked for.
pub(super) enum Work {
    Append(AppendBatch, Completer<Appended>),
    Trim(Timestamp, Completer<u64>),
}

/// What the committer shares with those who append and read.
pub(super) struct Shared {
    pub(super) inbox: Inbox<Work>,
    pub(super) backlog: Backlog,
    pub(super) head: watch::Sender<u64>,
    pub(super) tail: LogTail,
    pub(super) read_groups: ReadGroups,
    pub(super) pool: Pool,
    pub(super) disk: Arc<Disk>,
    pub(super) files: Mutex<Files>,
    pub(super) retention: std::time::Duration,
    pub(super) retention_bytes_max: u64,
}

/// The files of a log, oldest first; the last one is appended to.
pub(super) struct Files {
    pub(super) buckets: Arc<Vec<Arc<Bucket>>>,
    /// Tells the checkpointer of the newest file.
    pub(super) wal: Arc<WalState>,
    /// Connections of files that are no longer appended to, to be checkpointed and closed.
    pub(super) retired: Vec<Connection>,
}

impl Shared {
    pub(super) fn files(&self) -> MutexGuard<'_, Files> {
        self.files
            .lock()
            .expect("nothing panics while it holds the list of files")
    }

    pub(super) fn buckets(&self) -> Arc<Vec<Arc<Bucket>>> {
        Arc::clone(&self.files().buckets)
    }
}

pub(super) struct Committer {
    current: Current,
    wal: Arc<WalState>,
    shared: Arc<Shared>,
    config: Config,
    hub: Hub,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    /// A sync failed and the process was not ended: nothing is promised any more.
    Broken,
}

enum Trim {
    Removed,
    Nothing,
}

type Waiting = (AppendBatch, Completer<Appended>);

/// A group while it is put together.
struct Group {
    heads: Heads,
    oldest: Timestamp,
    body: Vec<u8>,
    results: Vec<Result<Appended, StoreError>>,
}

impl Committer {
    pub(super) fn new(current: Current, shared: Arc<Shared>, config: Config, hub: Hub) -> Self {
        let wal = Arc::clone(&shared.files().wal);
        wal.note_commit();
        Self {
            current,
            wal,
            shared,
            config,
            hub,
            state: State::Sound,
        }
    }

    /// Works until the inbox is closed; gives the connection back for the last checkpoint.
    pub(super) fn run(mut self) -> Connection {
        let shared = Arc::clone(&self.shared);
        let abandon = AbandonOnDrop(&shared.inbox);
        let mut rhythm = Rhythm::default();
        let mut works = Vec::new();
        while shared.inbox.next_group(&mut rhythm, &mut works) {
            if self.wal.take_too_large()
                && let Err(error) = checkpoint_restart(&self.current.connection)
            {
                report_checkpoint(&error, &self.config.on_sync_failure);
            }
            self.serve(&mut works);
        }
        drop(abandon);
        self.current.connection
    }

    fn serve(&mut self, works: &mut Vec<Work>) {
        let mut batches = Vec::with_capacity(works.len());
        for work in works.drain(..) {
            match work {
                Work::Append(batch, completer) => batches.push((batch, completer)),
                Work::Trim(now, completer) => {
                    self.append(std::mem::take(&mut batches));
                    completer.complete(self.trim(now));
                }
            }
        }
        self.append(batches);
    }

    /// Appends batches as one group, or as more where the log goes on in a new file.
    fn append(&mut self, mut batches: Vec<Waiting>) {
        while !batches.is_empty() {
            if let Some(refusal) = self.refusal() {
                return self.fail(batches, &refusal);
            }
            if self.needs_new_file(&self.current.heads, &batches[0].0)
                && let Err(error) = self.begin_file()
            {
                return self.fail(batches, &error);
            }
            let group = self.join(&batches);
            let rest = batches.split_off(group.results.len());
            let written = if group.body.is_empty() {
                Ok(())
            } else {
                self.write(&group)
            };
            match written {
                Ok(()) => self.complete(batches, group),
                Err(error) => {
                    roll_back(&self.current.connection);
                    if self.note(&error) == Meaning::Other {
                        tracing::error!(%error, hub = %self.hub.name, "a group of messages could not be written");
                    }
                    self.fail(batches, &store_error(&error));
                }
            }
            batches = rest;
        }
    }

    /// Puts as many batches together as belong into the present file: at least the first one.
    fn join(&self, batches: &[Waiting]) -> Group {
        let mut group = Group {
            heads: self.current.heads.clone(),
            oldest: Timestamp::from_micros(i64::MAX),
            body: Vec::with_capacity(batches.iter().map(|(batch, _)| batch.size()).sum()),
            results: Vec::with_capacity(batches.len()),
        };
        for (batch, _) in batches {
            let is_first = group.results.is_empty();
            if !is_first && self.needs_new_file(&group.heads, batch) {
                break;
            }
            group.add(batch);
        }
        group
    }

    fn needs_new_file(&self, heads: &Heads, batch: &AppendBatch) -> bool {
        let started = self
            .current
            .bucket
            .start(&self.shared.pool)
            .map_or(0, |start| start.heads.payload);
        let written = heads.payload - started;
        let is_full = written >= self.config.bucket_bytes_max;
        let is_over = self.slot(batch.at) > self.slot(heads.newest);
        batch.count > 0 && written > 0 && (is_full || is_over)
    }

    fn slot(&self, moment: Timestamp) -> i64 {
        retention::slot(moment, self.config.bucket_span)
    }

    fn write(&self, group: &Group) -> rusqlite::Result<()> {
        let sql = "INSERT INTO g(id, t0, t1, heads, body) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.current
            .connection
            .prepare_cached(sql)?
            .execute(params![
                int(self.current.next_group),
                group.oldest.micros(),
                group.heads.newest.micros(),
                group.heads.encode(),
                group.body,
            ])?;
        Ok(())
    }

    /// Tells everybody, in this order: live readers, who waits for room, who waits for a batch.
    fn complete(&mut self, batches: Vec<Waiting>, group: Group) {
        if !group.body.is_empty() {
            self.wal.note_commit();
            self.current.heads = group.heads.clone();
            self.shared.tail.push(
                self.current.next_group,
                group.heads,
                Bytes::from(group.body),
            );
            self.current.next_group += 1;
            self.shared.head.send_modify(|groups| *groups += 1);
        }
        self.shared
            .backlog
            .remove(batches.iter().map(|(batch, _)| batch.size()).sum());
        for ((_, completer), result) in batches.into_iter().zip(group.results) {
            completer.complete(result);
        }
    }

    fn fail(&self, batches: Vec<Waiting>, error: &StoreError) {
        self.shared
            .backlog
            .remove(batches.iter().map(|(batch, _)| batch.size()).sum());
        for (_, completer) in batches {
            completer.complete(Err(error.clone()));
        }
    }

    /// Goes on in a new file.
    fn begin_file(&mut self) -> Result<(), StoreError> {
        let Some(folder) = self.current.bucket.path.parent() else {
            return Err(StoreError::Unavailable);
        };
        let bucket = Bucket::new(folder, self.current.bucket.number + 1);
        let start = Start {
            first_group: self.current.next_group,
            heads: self.current.heads.clone(),
        };
        let next = bucket
            .create(start, &self.config)
            .map_err(|error| match error {
                OpenError::Sqlite(error) => {
                    self.note(&error);
                    store_error(&error)
                }
                OpenError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
                    self.shared.disk.write_failed();
                    StoreError::DiskFull
                }
                error => StoreError::internal(error),
            })?;
        let before = std::mem::replace(&mut self.current, next);
        self.wal = Arc::new(WalState::default());
        let mut files = self.shared.files();
        let mut buckets = files.buckets.to_vec();
        buckets.push(Arc::clone(&self.current.bucket));
        files.buckets = Arc::new(buckets);
        files.wal = Arc::clone(&self.wal);
        files.retired.push(before.connection);
        Ok(())
    }

    fn trim(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        if self.state == State::Broken {
            return Err(StoreError::Unavailable);
        }
        let mut removed = 0;
        let oldest_kept = now.minus(self.shared.retention);
        loop {
            match self.trim_one(oldest_kept) {
                Ok(Trim::Removed) => removed += 1,
                Ok(Trim::Nothing) => return Ok(removed),
                // What is gone made room; the next trim gets further.
                Err(_) if removed > 0 => return Ok(removed),
                Err(error) => return Err(error),
            }
        }
    }

    fn trim_one(&mut self, oldest_kept: Timestamp) -> Result<Trim, StoreError> {
        let Some(why) = self.oldest_is_to_go(oldest_kept)? else {
            return Ok(Trim::Nothing);
        };
        if self.shared.buckets().len() == 1 {
            self.begin_file()?;
        }
        self.remove_oldest(why)?;
        Ok(Trim::Removed)
    }

    fn oldest_is_to_go(&self, oldest_kept: Timestamp) -> Result<Option<Oldest>, StoreError> {
        let buckets = self.shared.buckets();
        let start = buckets[0].start(&self.shared.pool)?;
        let (end, is_newest) = match buckets.get(1) {
            Some(next) => (&next.start(&self.shared.pool)?.heads, false),
            None => (&self.current.heads, true),
        };
        if is_newest && end.payload == start.heads.payload {
            return Ok(None);
        }
        let slot_end = retention::slot_end(end.newest, self.config.bucket_span);
        let bytes = self.current.heads.payload - start.heads.payload;
        Ok(if slot_end <= oldest_kept {
            Some(Oldest::IsOld)
        } else if !is_newest && bytes > self.shared.retention_bytes_max {
            Some(Oldest::IsTooMuch { bytes })
        } else {
            None
        })
    }

    fn remove_oldest(&self, why: Oldest) -> Result<(), StoreError> {
        let (oldest, kept) = {
            let mut files = self.shared.files();
            let mut buckets = files.buckets.to_vec();
            let oldest = buckets.remove(0);
            let kept = Arc::clone(&buckets[0]);
            files.buckets = Arc::new(buckets);
            (oldest, kept)
        };
        if let Oldest::IsTooMuch { bytes } = why {
            let max = self.shared.retention_bytes_max;
            tracing::warn!(hub = %self.hub.name, bytes, max, "the message log is over its size limit; the oldest hour is removed");
        }
        let first_kept = kept.start(&self.shared.pool)?.first_group;
        self.shared.tail.forget(first_kept);
        self.shared.read_groups.forget(first_kept);
        let removed = oldest.remove();
        self.shared.pool.purge(kept.number);
        removed.map_err(StoreError::internal)
    }

    fn refusal(&self) -> Option<StoreError> {
        if self.state == State::Broken {
            Some(StoreError::Unavailable)
        } else if self.shared.disk.accepts_writes() {
            None
        } else {
            Some(StoreError::DiskFull)
        }
    }

    /// Draws the consequences of an error for what comes after.
    fn note(&mut self, error: &rusqlite::Error) -> Meaning {
        let meaning = meaning(error);
        match meaning {
            Meaning::DiskFull => self.shared.disk.write_failed(),
            Meaning::SyncFailed => {
                self.state = State::Broken;
                self.config.on_sync_failure.fire(&error.to_string());
            }
            Meaning::Other => {}
        }
        meaning
    }
}

impl Group {
    fn add(&mut self, batch: &AppendBatch) {
        let Some(partition) = self.heads.partitions.get_mut(usize::from(batch.partition)) else {
            self.results.push(Err(super::no_partition(batch.partition)));
            return;
        };
        let first = partition.next;
        let enqueued = batch.at.max(partition.last_enqueued);
        if batch.count > 0 {
            partition.next += u64::from(batch.count);
            partition.last_enqueued = enqueued;
            batch.write_to(&mut self.body, first, enqueued);
            self.heads.payload += batch.size() as u64;
            self.heads.newest = self.heads.newest.max(enqueued);
            self.oldest = self.oldest.min(enqueued);
        }
        self.results.push(Ok(Appended { first, enqueued }));
    }
}
