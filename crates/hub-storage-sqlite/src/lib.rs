//! The default backend: SQLite files in one data directory.
//!
//! - `store.db` holds everything but messages, for all hubs.
//! - `log/<hub>/ev-<bucket>.db` holds the messages of a hub, one file per hour or gigabyte; retention is
//!   the removal of whole files.
//!
//! One committer thread per file writes groups: whatever arrived while the group before was synced is
//! one transaction and one sync. An acknowledgement waits for exactly one group in one file. Readers have
//! their own threads and connections, checkpoints run on a thread of their own. No async runtime is
//! needed; results are futures of any.
//!
//! Invariants: nothing is acknowledged before its group is synced (`synchronous=FULL`); units and batches
//! take effect in the order of their submission; what was acknowledged is seen by every later read; a
//! failed sync ends the process; the start reads nothing per device and nothing per old file.

mod config;
mod connection;
mod data_directory;
mod disk;
mod failure;
mod format;
mod inbox;
mod keeper;
mod log;
mod platform;
mod readers;
mod sql;
mod store;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use config::{Config, FreeSpace, OnSyncFailure};
pub use log::{SqliteLog, SqliteLogs};
pub use store::SqliteStore;

use data_directory::DataDirectory;
use disk::Disk;

/// The backend's face.
#[derive(Debug)]
pub struct SqliteStorage;

impl SqliteStorage {
    /// Opens the storage in `folder`, making it when there is none. One process at a time may.
    ///
    /// # Errors
    /// When another process has it open, a file is of another format, or the disk fails.
    pub fn open(folder: &Path, config: &Config) -> Result<Opened, OpenError> {
        let directory = DataDirectory::open(folder)?;
        let disk = Arc::new(Disk::new(folder, config));
        let logs = SqliteLogs::open(directory.share(), Arc::clone(&disk), config)?;
        let store = SqliteStore::open(directory, disk, config)?;
        Ok(Opened {
            store: Arc::new(store),
            logs: Arc::new(logs),
        })
    }
}

/// An open storage. Dropping the last handle of a part closes it; [`Opened::close`] does so at once.
#[derive(Clone)]
pub struct Opened {
    /// Everything but messages.
    pub store: Arc<SqliteStore>,
    /// The messages.
    pub logs: Arc<SqliteLogs>,
}

impl Opened {
    /// Commits what was submitted, ends all threads and frees the data directory. Blocks until done.
    pub fn close(&self) {
        self.logs.close();
        self.store.close();
    }
}

/// Why the storage could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("the data directory {} is in use by another process", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A file in the data directory is something else.
    #[error("the {what} file was not written by this program")]
    Foreign {
        /// What was expected.
        what: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "the {what} has format {found}, newer than {known}, the one this program knows; use the program that wrote it"
    )]
    Newer {
        /// Which file.
        what: &'static str,
        /// Its format.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// An older program wrote it, and there is no migration.
    #[error(
        "the {what} has format {found}, older than {known}, and cannot be carried over; use the program that wrote it or start with an empty data directory"
    )]
    Older {
        /// Which file.
        what: &'static str,
        /// Its format.
        found: i32,
        /// This program's.
        known: i32,
    },
    /// A file or folder could not be used.
    #[error("the data directory cannot be used")]
    Io(#[from] std::io::Error),
    /// SQLite refused.
    #[error("the database cannot be opened")]
    Sqlite(#[from] rusqlite::Error),
}
