//! The files of a log: one per hour or gigabyte of messages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use hub_storage::StoreError;
use rusqlite::{Connection, OptionalExtension, params};

use super::heads::Heads;
use crate::config::Config;
use crate::connection::{open_reader, open_writer};
use crate::failure::store_error;
use crate::format::Format;
use crate::sql::{int, uint};
use crate::{OpenError, platform};

const FORMAT: Format = Format {
    what: "message log",
    // "THlg"
    application_id: 0x5448_6c67,
    version: 1,
    // `heads` stands before `body`, so that a search does not read the pages of the messages.
    schema: "
CREATE TABLE start(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  first_group INTEGER NOT NULL,
  heads BLOB NOT NULL
) STRICT;

CREATE TABLE g(
  id INTEGER PRIMARY KEY,
  t0 INTEGER NOT NULL,
  t1 INTEGER NOT NULL,
  heads BLOB NOT NULL,
  body BLOB NOT NULL
) STRICT;
",
};

/// Page cache of the connection that appends: what one group changes.
const WRITER_CACHE_BYTES: u64 = 8 << 20;
const POOL_MAX: usize = 8;

/// One file of a log.
#[derive(Debug)]
pub(super) struct Bucket {
    pub(super) number: u64,
    pub(super) path: PathBuf,
    start: OnceLock<Start>,
    removed: AtomicBool,
}

/// What was there when a file was begun.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The number of the file's first group.
    pub(super) first_group: u64,
    pub(super) heads: Heads,
}

/// A file as the committer has it.
pub(super) struct Current {
    pub(super) bucket: Arc<Bucket>,
    pub(super) connection: Connection,
    pub(super) next_group: u64,
    pub(super) heads: Heads,
}

impl Bucket {
    pub(super) fn new(folder: &Path, number: u64) -> Self {
        let path = folder.join(format!("ev-{number:010}.db"));
        Self {
            number,
            path,
            start: OnceLock::new(),
            removed: AtomicBool::new(false),
        }
    }

    /// The numbers of the files in `folder`, oldest first.
    pub(super) fn list(folder: &Path) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number: Option<u64> = name
                .to_str()
                .and_then(|name| name.strip_prefix("ev-")?.strip_suffix(".db")?.parse().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes the file, to go on after `start`, and makes its name durable.
    pub(super) fn create(self, start: Start, config: &Config) -> Result<Current, OpenError> {
        drop(platform::create_private_file(&self.path)?);
        let connection = open_writer(&self.path, WRITER_CACHE_BYTES, config)?;
        FORMAT.establish(&connection, |connection| {
            let sql = "INSERT INTO start(id, first_group, heads) VALUES(1, ?1, ?2)";
            connection
                .execute(sql, params![int(start.first_group), start.heads.encode()])
                .map(drop)
        })?;
        if let Some(folder) = self.path.parent() {
            platform::sync_folder(folder)?;
        }
        let next_group = start.first_group;
        let heads = start.heads.clone();
        drop(self.start.set(start));
        Ok(Current {
            bucket: Arc::new(self),
            connection,
            next_group,
            heads,
        })
    }

    /// Opens the newest file to go on with it. `None` when it was never finished making.
    pub(super) fn resume(self, config: &Config) -> Result<Option<Current>, OpenError> {
        let connection = open_writer(&self.path, WRITER_CACHE_BYTES, config)?;
        if FORMAT.is_blank(&connection)? {
            return Ok(None);
        }
        FORMAT.check(&connection)?;
        let start = read_start(&connection)?;
        let last: Option<(i64, Vec<u8>)> = connection
            .query_row(
                "SELECT id, heads FROM g ORDER BY id DESC LIMIT 1",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()?;
        let (next_group, heads) = match last {
            Some((id, bytes)) => (
                uint(id) + 1,
                Heads::decode(&bytes).ok_or_else(unreadable_heads)?,
            ),
            None => (start.first_group, start.heads.clone()),
        };
        drop(self.start.set(start));
        Ok(Some(Current {
            bucket: Arc::new(self),
            connection,
            next_group,
            heads,
        }))
    }

    /// What was there when the file was begun; read once.
    pub(super) fn start(&self, pool: &Pool) -> Result<&Start, StoreError> {
        if let Some(start) = self.start.get() {
            return Ok(start);
        }
        let connection = pool.take(self)?;
        let start = read_start(&connection).map_err(|error| store_error(&error))?;
        pool.give_back(self, connection);
        Ok(self.start.get_or_init(|| start))
    }

    pub(super) fn is_removed(&self) -> bool {
        self.removed.load(Ordering::Acquire)
    }

    /// Removes the file. Whoever reads it at the moment can finish.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.removed.store(true, Ordering::Release);
        remove_files(&self.path)
    }
}

/// Removes a database with its WAL. The WAL goes last: without its database it means nothing.
pub(super) fn remove_files(path: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::remove_file(PathBuf::from(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn read_start(connection: &Connection) -> rusqlite::Result<Start> {
    let sql = "SELECT first_group, heads FROM start WHERE id = 1";
    let (first_group, bytes): (i64, Vec<u8>) =
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(Start {
        first_group: uint(first_group),
        heads: Heads::decode(&bytes).ok_or_else(unreadable_heads)?,
    })
}

pub(super) fn unreadable_heads() -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure("the heads of a group cannot be read".into())
}

/// Idle reading connections of one log. Those of removed files are closed, so that the disk gets its space back.
#[derive(Debug)]
pub(super) struct Pool {
    idle: Mutex<Vec<(u64, Connection)>>,
    config: Config,
}

impl Pool {
    pub(super) const fn new(config: Config) -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
            config,
        }
    }

    pub(super) fn take(&self, bucket: &Bucket) -> Result<Connection, StoreError> {
        let mut idle = self.lock();
        match idle
            .iter()
            .rposition(|(number, _)| *number == bucket.number)
        {
            Some(index) => Ok(idle.swap_remove(index).1),
            None => {
                drop(idle);
                open_reader(&bucket.path, &self.config).map_err(|error| store_error(&error))
            }
        }
    }

    pub(super) fn give_back(&self, bucket: &Bucket, connection: Connection) {
        let mut idle = self.lock();
        // Under this lock `purge` has either run, and the mark is set, or will still see the connection.
        if bucket.is_removed() {
            return;
        }
        if idle.len() >= POOL_MAX {
            idle.remove(0);
        }
        idle.push((bucket.number, connection));
    }

    /// Closes the connections of files before `number`.
    pub(super) fn purge(&self, number: u64) {
        self.lock().retain(|(other, _)| *other >= number);
    }

    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Connection)>> {
        self.idle
            .lock()
            .expect("nothing panics while it holds the connections")
    }
}
