//! The files, for operators.

use hub_domain::upload::BlobName;
use hub_domain::{DeviceId, HubNo, Permission};
use hub_storage::blobs::{BlobContent, BlobPath, BlobState};

use super::{Uploads, blob_error};
use crate::{Error, ErrorKind, OpContext};

impl Uploads {
    /// Files of a hub, or of one device, in an order of the storage's own, after `after`, at most `max`.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. The file storage fails.
    pub async fn list(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        device: Option<&DeviceId>,
        after: Option<&BlobName>,
        max: usize,
    ) -> Result<Vec<(BlobName, BlobState)>, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let blobs = &self.parts.files.blobs;
        let device = device.map(DeviceId::as_str);
        let files = blobs.list(hub, device, after, max).await;
        files.map_err(blob_error)
    }

    /// A file with its content.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. There is no such file; the file storage fails.
    pub async fn read(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        name: BlobName,
    ) -> Result<BlobContent, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let path = BlobPath { hub, name };
        let content = self.parts.files.blobs.read(&path).await;
        content.map_err(blob_error)?.ok_or_else(|| no_file(&path))
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. There is no such file; the file storage fails.
    pub async fn delete(&self, ctx: &OpContext, hub: HubNo, name: BlobName) -> Result<(), Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        let path = BlobPath { hub, name };
        let deleted = self.parts.files.blobs.delete(&path).await;
        if deleted.map_err(blob_error)? {
            return Ok(());
        }
        Err(no_file(&path))
    }
}

fn no_file(path: &BlobPath) -> Error {
    let text = format!("there is no file {}", path.name);
    Error::new(ErrorKind::NotFound, text)
}
