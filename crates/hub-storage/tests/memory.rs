//! The in-memory reference keeps the laws.

use std::sync::Arc;

use hub_storage::conformance::Backend;
use hub_storage::memory::{MemoryLogs, MemoryStore};
use hub_storage::{MessageLogs, Store};

/// Keeps what it has as long as it lives, so that opening again is nothing.
struct Memory {
    store: Arc<MemoryStore>,
    logs: Arc<MemoryLogs>,
}

impl Memory {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            logs: Arc::new(MemoryLogs::new()),
        }
    }
}

impl Backend for Memory {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }

    fn logs(&self) -> Arc<dyn MessageLogs> {
        Arc::clone(&self.logs) as Arc<dyn MessageLogs>
    }

    async fn reopen(self) -> Self {
        self
    }
}

hub_storage::conformance_tests!(async || Memory::new());
