//! What can go wrong in storage.

/// A unit or read failed. Nothing of a failed unit is kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A precondition did not hold.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// The disk is full or nearly so. Writes are refused until space is free again; reads go on.
    #[error("the disk is full")]
    DiskFull,
    /// The backend is stopping or gone. The unit may or may not have been kept.
    #[error("storage is not available")]
    Unavailable,
    /// The stored data or the backend is broken; `text` says how.
    #[error("storage failed: {text}")]
    Internal {
        /// The backend's own words.
        text: String,
    },
}

impl StoreError {
    /// An internal error with the text of `error`.
    pub fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal {
            text: error.to_string(),
        }
    }
}

/// A precondition of a unit did not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The identity or hub is there already.
    #[error("it exists already")]
    AlreadyExists,
    /// The identity, hub or message is not there.
    #[error("it does not exist")]
    NotFound,
    /// The stored version is another one than the unit was built on.
    #[error("it was changed meanwhile")]
    VersionMismatch,
    /// The message queue of the identity is full.
    #[error("the message queue is full")]
    QueueFull,
    /// The device has as many modules as it may have.
    #[error("the device has too many modules")]
    TooManyModules,
    /// The device has as many open uploads as it may have.
    #[error("the device has too many open uploads")]
    TooManyUploads,
}
