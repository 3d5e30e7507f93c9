//! Devices for measurements, written through the server's storage.

use std::path::Path;

use anyhow::{Context as _, Result};
use hub_load::bench::Seed;
use hub_server::Config;

/// Writes into data directories as the server would.
pub(crate) struct Storage;

impl Seed for Storage {
    fn seed(
        &self,
        data_dir: &Path,
        prefix: &str,
        count: u64,
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.context("the runtime cannot start")?;
        let host = Config::default().host()?;
        Ok(runtime.block_on(hub_server::seed(data_dir, &host, prefix, count, progress))?)
    }
}
