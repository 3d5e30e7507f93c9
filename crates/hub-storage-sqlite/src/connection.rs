//! Connections with the settings that were measured.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::config::Config;

/// How long to wait for a lock of another connection. Only a checkpoint that starts the WAL afresh ever holds one that is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements that a connection keeps: more than there are.
const STATEMENTS_MAX: usize = 128;
const PAGE_BYTES: u64 = 4_096;

/// Bytes of a WAL frame: a page and its head.
pub(crate) const FRAME_BYTES: u64 = PAGE_BYTES + 24;

/// Opens the one writing connection of a file, making the file when there is none.
pub(crate) fn open_writer(
    path: &Path,
    cache_bytes: u64,
    config: &Config,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, cache_bytes, config)?;
    connection.execute_batch(&format!(
        "PRAGMA page_size={PAGE_BYTES}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;
         PRAGMA journal_size_limit={}; PRAGMA temp_store=MEMORY;",
        config.wal_bytes_max
    ))?;
    Ok(connection)
}

/// Opens a further connection of a file that has a writer.
pub(crate) fn open_reader(path: &Path, config: &Config) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    open(path, flags, config.reader_cache_bytes, config)
}

/// Opens a further connection that only checkpoints.
pub(crate) fn open_checkpointer(path: &Path, config: &Config) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = open(path, flags, 0, config)?;
    connection.execute_batch("PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")?;
    Ok(connection)
}

fn open(
    path: &Path,
    flags: OpenFlags,
    cache_bytes: u64,
    config: &Config,
) -> rusqlite::Result<Connection> {
    let connection = match &config.file_layer {
        Some(layer) => Connection::open_with_flags_and_vfs(path, flags, layer.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    // One plan for all values. Otherwise this build of SQLite (with STAT4) parses a cached statement again
    // whenever a value that a plan might depend on is bound, which trebles the cost of reading a twin.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.execute_batch(&format!(
        "PRAGMA cache_size=-{};",
        cache_bytes.max(1 << 20) / 1_024
    ))?;
    Ok(connection)
}

/// What a checkpoint left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checkpointed {
    /// Frames in the WAL.
    pub(crate) frames: u64,
}

/// Copies what it can from the WAL into the file, waiting for nobody.
pub(crate) fn checkpoint_passive(connection: &Connection) -> rusqlite::Result<Checkpointed> {
    checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)")
}

/// Copies all, waits for readers of older states, and lets the next write start at the WAL's beginning.
pub(crate) fn checkpoint_restart(connection: &Connection) -> rusqlite::Result<Checkpointed> {
    // A reader that stays must not hold up the committer: the next try comes soon.
    connection.busy_timeout(Duration::from_millis(50))?;
    let result = checkpoint(connection, "PRAGMA wal_checkpoint(RESTART)");
    connection.busy_timeout(BUSY_TIMEOUT)?;
    result
}

/// Copies all and empties the WAL; for the end.
pub(crate) fn checkpoint_truncate(connection: &Connection) -> rusqlite::Result<Checkpointed> {
    checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
}

fn checkpoint(connection: &Connection, sql: &str) -> rusqlite::Result<Checkpointed> {
    let frames: i64 = connection.query_row(sql, [], |row| row.get(1))?;
    Ok(Checkpointed {
        frames: u64::try_from(frames).unwrap_or(0),
    })
}

/// Undoes the open transaction, if there is one: some errors have ended it already.
pub(crate) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(error) = connection.execute_batch("ROLLBACK")
    {
        tracing::warn!(%error, "a rollback failed");
    }
}
