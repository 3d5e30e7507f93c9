//! The data directory and the lock that keeps it to one process.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::{OpenError, platform};

const LOCK_FILE: &str = "lock";

/// A share in the one lock of a data directory; the lock is free when all shares are released or dropped.
#[derive(Debug)]
pub(crate) struct DataDirectory {
    path: PathBuf,
    lock: Mutex<Option<Arc<File>>>,
}

impl DataDirectory {
    /// Makes the folder when there is none, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        platform::create_private_folder(path)?;
        let file = platform::create_private_file(&path.join(LOCK_FILE))?;
        match file.try_lock() {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                lock: Mutex::new(Some(Arc::new(file))),
            }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// One more share.
    pub(crate) fn share(&self) -> Self {
        Self {
            path: self.path.clone(),
            lock: Mutex::new(self.held().clone()),
        }
    }

    /// Gives this share up.
    pub(crate) fn release(&self) {
        *self.held() = None;
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Option<Arc<File>>> {
        self.lock
            .lock()
            .expect("nothing panics while it holds the lock's file")
    }
}
