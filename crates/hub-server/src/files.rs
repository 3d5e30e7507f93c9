//! Where uploaded files are kept.

use std::path::Path;
use std::sync::Arc;

use hub_blobs::{FolderBlobs, ObjectBlobs};
use hub_engine::Files;
use hub_storage::Blobs;
use hub_storage::memory::MemoryBlobs;

use crate::config;
use crate::serve::ServeError;

/// The folder in the data directory.
const FOLDER: &str = "files";
/// Beginnings of variables that are options of object stores.
const OPTION_VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];

/// Opens the place that the configuration names.
///
/// # Errors
/// When the folder cannot be used, or the object store's URL or options are not valid.
pub(crate) fn open(config: &config::Files, data_dir: &Path) -> Result<Files, ServeError> {
    let blobs: Arc<dyn Blobs> = match &config.url {
        Some(url) => {
            let variables = std::env::vars().filter(|(name, _)| {
                OPTION_VARIABLES
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
            });
            let variables = variables.map(|(name, value)| (name.to_ascii_lowercase(), value));
            // The file is after the environment here: what it says, it says of this store.
            Arc::new(ObjectBlobs::open(
                url,
                variables.chain(config.options.clone()),
            )?)
        }
        None => {
            let own = || data_dir.join(FOLDER);
            Arc::new(FolderBlobs::open(
                &config.folder.clone().unwrap_or_else(own),
            )?)
        }
    };
    Ok(Files {
        blobs,
        bytes_max: config.bytes_max,
    })
}

/// No files, for commands beside a stopped server.
pub(crate) fn none() -> Files {
    Files::new(Arc::new(MemoryBlobs::default()))
}
