//! What works without a running server.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use hub_api::native::HubDocument;

/// A document that is being read from a data directory.
pub type OfflineDocument<'a> = Pin<Box<dyn Future<Output = anyhow::Result<HubDocument>> + 'a>>;

/// Reads a data directory without a server.
pub trait Offline {
    /// The document of the hub of that name, or of the default hub.
    fn hub_document<'a>(&'a self, data_dir: &'a Path, name: Option<&'a str>)
    -> OfflineDocument<'a>;
}
