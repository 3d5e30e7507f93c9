//! The laws of the ports, over SQLite files.

use std::sync::Arc;

use hub_storage::conformance::Backend;
use hub_storage::{MessageLogs, Store};
use hub_storage_sqlite::{Config, Opened, SqliteStorage};

struct Files {
    folder: tempfile::TempDir,
    config: Config,
    opened: Opened,
}

impl Files {
    fn new(config: Config) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let opened = SqliteStorage::open(folder.path(), &config).expect("the storage opens");
        Self {
            folder,
            config,
            opened,
        }
    }
}

impl Backend for Files {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.opened.store) as Arc<dyn Store>
    }

    fn logs(&self) -> Arc<dyn MessageLogs> {
        Arc::clone(&self.opened.logs) as Arc<dyn MessageLogs>
    }

    async fn reopen(self) -> Self {
        let Self {
            folder,
            config,
            opened,
        } = self;
        opened.close();
        drop(opened);
        let opened = SqliteStorage::open(folder.path(), &config).expect("the storage opens");
        Self {
            folder,
            config,
            opened,
        }
    }
}

mod with_tails {
    use super::*;

    hub_storage::conformance_tests!(async || Files::new(Config::default()));
}

/// Every read of messages and facts asks the disk.
mod without_tails {
    use super::*;

    hub_storage::conformance_tests!(async || Files::new(Config {
        log_tail_bytes_max: 0,
        fact_tail_bytes_max: 0,
        ..Config::default()
    }));
}
