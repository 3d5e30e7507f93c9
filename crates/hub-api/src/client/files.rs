//! Files that devices uploaded.

use super::{Call, Client, ClientError, PageQuery};
use crate::native::{File, OperationId, Page};

/// A file's content as it comes.
pub struct FileStream {
    response: reqwest::Response,
    base: String,
}

impl Client {
    /// Files of a hub, or of one device.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn list_files(
        &self,
        hub: &str,
        device: Option<&str>,
        page: &PageQuery,
    ) -> Result<Page<File>, ClientError> {
        let segments = [hub];
        let call = Call::new(OperationId::ListFiles, &segments)
            .parameter("after", page.after.as_ref())
            .parameter("max", page.max)
            .parameter("device", device);
        self.fetch(call).await
    }

    /// Opens a file. It may take as long as it takes, while bytes come.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn file(&self, hub: &str, name: &str) -> Result<FileStream, ClientError> {
        let segments = [hub, name];
        let call = Call::new(OperationId::GetFile, &segments).timeout(None);
        let response = self.send(call, None).await?;
        Ok(FileStream {
            response,
            base: self.base.clone(),
        })
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn delete_file(&self, hub: &str, name: &str) -> Result<(), ClientError> {
        self.perform(Call::new(OperationId::DeleteFile, &[hub, name]))
            .await
    }
}

impl FileStream {
    /// The next bytes; `None` at the end of the file.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn next(&mut self) -> Result<Option<bytes::Bytes>, ClientError> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|source| ClientError::Interrupted {
            base: self.base.clone(),
            source: source.without_url(),
        })
    }
}
