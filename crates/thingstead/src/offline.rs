//! What the commands can say without a running server.

use std::path::Path;

use hub_cli::{Offline, OfflineDocument};

/// Reads data directories as the server would.
pub(crate) struct DataDirectory;

impl Offline for DataDirectory {
    fn hub_document<'a>(
        &'a self,
        data_dir: &'a Path,
        name: Option<&'a str>,
    ) -> OfflineDocument<'a> {
        Box::pin(async move { Ok(hub_server::hub_document(data_dir, name).await?) })
    }
}
