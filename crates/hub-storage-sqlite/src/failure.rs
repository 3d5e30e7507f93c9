//! What an error of SQLite means for those who wait.

use hub_storage::StoreError;
use rusqlite::ffi;

/// What a failed statement or commit means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// There is no space; later there may be.
    DiskFull,
    /// A sync failed: memory and disk may differ.
    SyncFailed,
    /// Anything else.
    Other,
}

pub(crate) fn meaning(error: &rusqlite::Error) -> Meaning {
    match error.sqlite_error() {
        Some(cause) => match cause.extended_code {
            // The second: the index of the WAL, a file too, could not grow.
            ffi::SQLITE_FULL | ffi::SQLITE_IOERR_SHMSIZE => Meaning::DiskFull,
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => Meaning::SyncFailed,
            _ => Meaning::Other,
        },
        None => Meaning::Other,
    }
}

/// The error for those who wait. Carries SQLite's words, which never hold values.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    match meaning(error) {
        Meaning::DiskFull => StoreError::DiskFull,
        Meaning::SyncFailed => StoreError::Unavailable,
        Meaning::Other => StoreError::internal(error),
    }
}
