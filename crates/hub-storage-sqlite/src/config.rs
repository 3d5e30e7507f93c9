//! What can be set, with the defaults that were measured.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hub_domain::limits;

/// Settings of the SQLite backend.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes that may wait for one committer. Default 64 MiB.
    pub backlog_bytes_max: usize,
    /// Free bytes of the disk below which writes are refused. Default 256 MiB.
    pub disk_free_bytes_min: u64,
    /// How old the knowledge of the free bytes may be while writes go on. Default 250 ms.
    pub disk_check_interval: Duration,
    /// How often a full disk is asked again. Default 1 s.
    pub disk_probe_interval: Duration,
    /// Threads that read `store.db`, each with its own connection. Default 2.
    pub store_readers: usize,
    /// Threads that read message logs from disk. Default 2.
    pub log_readers: usize,
    /// Page cache of the connection that writes `store.db`, in bytes. Default 512 MiB, taken as used.
    pub store_cache_bytes: u64,
    /// Page cache of each reading connection, in bytes. Default 16 MiB, taken as used.
    pub reader_cache_bytes: u64,
    /// Newest messages of each log kept in memory for live readers, in bytes. Default 32 MiB.
    pub log_tail_bytes_max: usize,
    /// Messages of each log kept in memory after they were read from disk, in bytes. Default 8 MiB.
    pub log_read_bytes_max: usize,
    /// Newest facts kept in memory for the change feed, in bytes as stored. Default 8 MiB.
    pub fact_tail_bytes_max: usize,
    /// Time of messages in one file of a log. Default 1 h.
    pub bucket_span: Duration,
    /// Bytes of messages after which a log goes on in a new file. Default 1 GB.
    pub bucket_bytes_max: u64,
    /// Size of a write-ahead log at which the committer starts it afresh. Default 256 MiB.
    pub wal_bytes_max: u64,
    /// How often what was committed is copied from the write-ahead log into the file. Default 200 ms.
    pub checkpoint_interval: Duration,
    /// How long the result of a unit with an id is remembered. Default 1 h.
    pub op_id_retention: Duration,
    /// What happens when the operating system could not write down what was committed.
    pub on_sync_failure: OnSyncFailure,
    /// How the free space of the disk is found.
    pub free_space: FreeSpace,
    /// The SQLite file layer to use; `None` is SQLite's own. For tests of faults.
    pub file_layer: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            backlog_bytes_max: limits::COMMITTER_WAITING_BYTES_MAX,
            disk_free_bytes_min: limits::DISK_FREE_BYTES_MIN,
            disk_check_interval: Duration::from_millis(250),
            disk_probe_interval: Duration::from_secs(1),
            store_readers: 2,
            log_readers: 2,
            store_cache_bytes: 512 << 20,
            reader_cache_bytes: 16 << 20,
            log_tail_bytes_max: limits::LOG_TAIL_BYTES_MAX,
            log_read_bytes_max: limits::LOG_READ_BYTES_MAX,
            fact_tail_bytes_max: 8 << 20,
            bucket_span: Duration::from_secs(3_600),
            bucket_bytes_max: 1_000_000_000,
            wal_bytes_max: 256 << 20,
            checkpoint_interval: Duration::from_millis(200),
            op_id_retention: Duration::from_secs(3_600),
            on_sync_failure: OnSyncFailure::default(),
            free_space: FreeSpace::default(),
            file_layer: None,
        }
    }
}

/// What to do when a sync failed. The default logs one line and aborts the process: what the page cache
/// says is then no longer what the disk says, and only a new start reads the truth.
#[derive(Clone)]
pub struct OnSyncFailure(Arc<dyn Fn(&str) + Send + Sync>);

impl OnSyncFailure {
    /// Calls `handler` with the words of SQLite. When it returns, the backend refuses everything.
    pub fn call(handler: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(handler))
    }

    pub(crate) fn fire(&self, text: &str) {
        (self.0)(text);
    }
}

impl Default for OnSyncFailure {
    fn default() -> Self {
        Self::call(|text| {
            tracing::error!(
                error = text,
                "a sync to disk failed; stopping, because memory and disk may differ"
            );
            std::process::abort();
        })
    }
}

impl fmt::Debug for OnSyncFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnSyncFailure(..)")
    }
}

/// Finds the free bytes of the disk that holds a path. The default asks the operating system.
#[derive(Clone)]
pub struct FreeSpace(Arc<FindFreeBytes>);

type FindFreeBytes = dyn Fn(&Path) -> std::io::Result<u64> + Send + Sync;

impl FreeSpace {
    /// Asks `source` instead.
    pub fn from(source: impl Fn(&Path) -> std::io::Result<u64> + Send + Sync + 'static) -> Self {
        Self(Arc::new(source))
    }

    pub(crate) fn bytes(&self, path: &Path) -> std::io::Result<u64> {
        (self.0)(path)
    }
}

impl Default for FreeSpace {
    fn default() -> Self {
        Self::from(crate::platform::free_bytes)
    }
}

impl fmt::Debug for FreeSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreeSpace(..)")
    }
}
