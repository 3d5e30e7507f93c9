//! Files in an object store.
//!
//! ```text
//! {prefix}/{hub}/{device}/{file}              blobs
//! {prefix}/.blocks/{hub}/{sha256}/{block id}  staged blocks
//! ```
//!
//! An object appears when its multipart upload is completed. What a crash leaves are parts that nobody sees: the
//! bucket's own rule for unfinished multipart uploads removes them. Listings come in the byte order of the keys, as S3,
//! Azure Blob Storage and Google Cloud Storage give them.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _};
use hub_domain::upload::BlobName;
use hub_domain::{HubNo, Timestamp};
use hub_storage::blobs::{
    BlobContent, BlobError, BlobPath, BlobState, BlobWriter, Blobs, BlockId, Existing, Writing,
};
use object_store::path::{Path, PathPart};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use percent_encoding::percent_decode_str;
use sha2::{Digest as _, Sha256};

/// Bytes of one part; the smallest that S3 and Google take is 5 MiB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts of one writer that are under way at the same time.
const PARTS_MAX: usize = 2;

/// Blobs as objects.
#[derive(Clone, Debug)]
pub struct ObjectBlobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

/// The object store cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the object store {url} cannot be used: {source}")]
pub struct ObjectError {
    url: String,
    source: object_store::Error,
}

impl ObjectBlobs {
    /// Opens the store that `url` names (`s3://bucket/prefix`, `az://container/prefix`, `gs://bucket/prefix`) with
    /// options by the names of the `object_store` crate (`aws_region`, `aws_endpoint`, `azure_storage_account_name`).
    ///
    /// # Errors
    /// When the URL names no known store or an option is not valid. Nothing is sent yet.
    pub fn open(
        url: &str,
        options: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ObjectError> {
        let failed = |source| ObjectError {
            url: url.to_owned(),
            source,
        };
        let parsed = url::Url::parse(url).map_err(|error| {
            failed(object_store::Error::Generic {
                store: "URL",
                source: Box::new(error),
            })
        })?;
        let (store, prefix) = object_store::parse_url_opts(&parsed, options).map_err(failed)?;
        Ok(Self::new(Arc::from(store), prefix))
    }

    /// Blobs below `prefix` of a store.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: Path) -> Self {
        Self { store, prefix }
    }

    fn hub(&self, hub: HubNo) -> Path {
        self.prefix.clone().join(hub.0.to_string())
    }

    fn object(&self, path: &BlobPath) -> Path {
        let parts = path.name.as_str().split('/').map(PathPart::from);
        parts.fold(self.hub(path.hub), Path::join)
    }

    fn blocks(&self, path: &BlobPath) -> Path {
        let digest = Sha256::digest(path.name.as_str());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let blocks = self.prefix.clone().join(".blocks");
        blocks.join(path.hub.0.to_string()).join(digest)
    }

    fn name_of(&self, hub: HubNo, object: &Path) -> Option<BlobName> {
        let parts = object.prefix_match(&self.hub(hub))?;
        let decoded: Option<Vec<String>> = parts
            .map(|part| {
                let text = percent_decode_str(part.as_ref()).decode_utf8().ok()?;
                Some(text.into_owned())
            })
            .collect();
        BlobName::parse(&decoded?.join("/")).ok()
    }

    async fn writer(&self, object: Path) -> Result<WriteMultipart, BlobError> {
        let upload = self.store.put_multipart(&object).await.map_err(failed)?;
        Ok(WriteMultipart::new_with_chunk_size(upload, PART_BYTES))
    }

    async fn state_at(&self, object: &Path) -> Result<Option<BlobState>, BlobError> {
        match self.store.head(object).await {
            Ok(meta) => Ok(Some(state_of(&meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Makes the object visible. Stores have no multipart upload that fails when there is an object, so that one which
    /// came after the look is replaced.
    async fn complete(
        &self,
        writer: WriteMultipart,
        object: &Path,
        existing: Existing,
    ) -> Result<BlobState, BlobError> {
        if existing == Existing::Keep && self.state_at(object).await?.is_some() {
            writer.abort().await.map_err(failed)?;
            return Err(BlobError::AlreadyExists);
        }
        writer.finish().await.map_err(failed)?;
        let state = self.state_at(object).await?;
        state.ok_or_else(|| BlobError::failed("the object is gone"))
    }

    async fn copy(&self, from: &Path, to: &mut WriteMultipart) -> Result<(), BlobError> {
        let read = match self.store.get(from).await {
            Ok(read) => read,
            Err(object_store::Error::NotFound { .. }) => return Err(BlobError::UnknownBlock),
            Err(error) => return Err(failed(error)),
        };
        let mut parts = read.into_stream();
        while let Some(part) = parts.try_next().await.map_err(failed)? {
            to.wait_for_capacity(PARTS_MAX).await.map_err(failed)?;
            to.put(part);
        }
        Ok(())
    }

    async fn join(
        &self,
        path: &BlobPath,
        blocks: &[BlockId],
        existing: Existing,
    ) -> Result<BlobState, BlobError> {
        let object = self.object(path);
        let staged = self.blocks(path);
        let mut writer = self.writer(object.clone()).await?;
        for block in blocks {
            let block = staged.clone().join(block.to_hex());
            if let Err(error) = self.copy(&block, &mut writer).await {
                writer.abort().await.map_err(failed)?;
                return Err(error);
            }
        }
        let state = self.complete(writer, &object, existing).await?;
        self.discard_at(&staged).await?;
        Ok(state)
    }

    async fn discard_at(&self, staged: &Path) -> Result<(), BlobError> {
        let blocks = self.store.list(Some(staged));
        let blocks = blocks.map_ok(|meta| meta.location).boxed();
        let deleted = self.store.delete_stream(blocks);
        deleted
            .try_for_each(|_| std::future::ready(Ok(())))
            .await
            .or_else(|error| match error {
                object_store::Error::NotFound { .. } => Ok(()),
                other => Err(failed(other)),
            })
    }
}

fn failed(error: object_store::Error) -> BlobError {
    BlobError::failed(error)
}

fn state_of(meta: &ObjectMeta) -> BlobState {
    let modified = Timestamp::from_micros(meta.last_modified.timestamp_micros());
    let etag = meta.e_tag.as_deref().map(|etag| etag.replace('"', ""));
    BlobState {
        size: meta.size,
        etag: etag.unwrap_or_else(|| format!("0x{:X}", modified.micros())),
        modified,
    }
}

/// An object being written. One that is dropped leaves parts that nobody sees.
struct ObjectWriter {
    blobs: ObjectBlobs,
    object: Path,
    /// The staged blocks that go with it, when it is a blob.
    blocks: Option<Path>,
    upload: WriteMultipart,
    size: u64,
}

impl BlobWriter for ObjectWriter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        Box::pin(async move {
            self.upload
                .wait_for_capacity(PARTS_MAX)
                .await
                .map_err(failed)?;
            self.size += bytes.len() as u64;
            self.upload.put(bytes);
            Ok(())
        })
    }

    fn finish(
        self: Box<Self>,
        existing: Existing,
    ) -> BoxFuture<'static, Result<BlobState, BlobError>> {
        Box::pin(async move {
            let Self {
                blobs,
                object,
                blocks,
                upload,
                size: _,
            } = *self;
            let Some(blocks) = blocks else {
                return blobs.complete(upload, &object, Existing::Replace).await;
            };
            let state = blobs.complete(upload, &object, existing).await?;
            blobs.discard_at(&blocks).await?;
            Ok(state)
        })
    }
}

impl Blobs for ObjectBlobs {
    fn put<'a>(&'a self, path: &'a BlobPath) -> Writing<'a> {
        Box::pin(async move {
            let object = self.object(path);
            let writer: Box<dyn BlobWriter> = Box::new(ObjectWriter {
                blobs: self.clone(),
                upload: self.writer(object.clone()).await?,
                blocks: Some(self.blocks(path)),
                object,
                size: 0,
            });
            Ok(writer)
        })
    }

    fn stage<'a>(&'a self, path: &'a BlobPath, block: &'a BlockId) -> Writing<'a> {
        Box::pin(async move {
            let object = self.blocks(path).join(block.to_hex());
            let writer: Box<dyn BlobWriter> = Box::new(ObjectWriter {
                blobs: self.clone(),
                upload: self.writer(object.clone()).await?,
                blocks: None,
                object,
                size: 0,
            });
            Ok(writer)
        })
    }

    fn commit<'a>(
        &'a self,
        path: &'a BlobPath,
        blocks: &'a [BlockId],
        existing: Existing,
    ) -> BoxFuture<'a, Result<BlobState, BlobError>> {
        Box::pin(self.join(path, blocks, existing))
    }

    fn staged<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Vec<(BlockId, u64)>, BlobError>> {
        Box::pin(async move {
            let staged = self.store.list(Some(&self.blocks(path)));
            let staged: Vec<ObjectMeta> = staged.try_collect().await.map_err(failed)?;
            let mut blocks: Vec<_> = staged
                .iter()
                .filter_map(|meta| {
                    let block = BlockId::from_hex(meta.location.filename()?)?;
                    Some((block, meta.size))
                })
                .collect();
            blocks.sort_unstable();
            Ok(blocks)
        })
    }

    fn discard<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<(), BlobError>> {
        Box::pin(async move { self.discard_at(&self.blocks(path)).await })
    }

    fn state<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobState>, BlobError>> {
        Box::pin(async move { self.state_at(&self.object(path)).await })
    }

    fn read<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobContent>, BlobError>> {
        Box::pin(async move {
            match self.store.get(&self.object(path)).await {
                Ok(read) => Ok(Some(BlobContent {
                    state: state_of(&read.meta),
                    bytes: Box::pin(read.into_stream().map_err(failed)),
                })),
                Err(object_store::Error::NotFound { .. }) => Ok(None),
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, BlobError>> {
        Box::pin(async move {
            let object = self.object(path);
            // Stores do not say whether there was one.
            if self.state_at(&object).await?.is_none() {
                return Ok(false);
            }
            match self.store.delete(&object).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(true),
                Err(error) => Err(failed(error)),
            }
        })
    }

    fn list<'a>(
        &'a self,
        hub: HubNo,
        device: Option<&'a str>,
        after: Option<&'a BlobName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<(BlobName, BlobState)>, BlobError>> {
        Box::pin(async move {
            let place = match device {
                Some(device) => self.hub(hub).join(PathPart::from(device)),
                None => self.hub(hub),
            };
            let found = match after {
                None => self.store.list(Some(&place)),
                Some(name) => {
                    let name = name.clone();
                    let offset = self.object(&BlobPath { hub, name });
                    self.store.list_with_offset(Some(&place), &offset)
                }
            };
            let named = found.try_filter_map(|meta| {
                let named = self.name_of(hub, &meta.location);
                std::future::ready(Ok(named.map(|name| (name, state_of(&meta)))))
            });
            named.take(max).try_collect().await.map_err(failed)
        })
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    struct Bucket(Arc<InMemory>);

    impl hub_storage::conformance::blobs::BlobBackend for Bucket {
        fn blobs(&self) -> Arc<dyn Blobs> {
            let store = Arc::clone(&self.0) as Arc<dyn ObjectStore>;
            Arc::new(ObjectBlobs::new(store, Path::from("a/prefix")))
        }

        async fn reopen(self) -> Self {
            self
        }
    }

    hub_storage::blob_conformance_tests!(async || Bucket(Arc::new(InMemory::new())));

    #[test]
    fn urls_and_options_are_checked_when_they_are_read() {
        let options = || [("aws_region".to_owned(), "eu-central-1".to_owned())];
        assert!(ObjectBlobs::open("s3://bucket/prefix", options()).is_ok());
        assert!(ObjectBlobs::open("az://account/container", []).is_err());
        for bad in ["", "bucket", "ftp://bucket"] {
            let error = ObjectBlobs::open(bad, []).unwrap_err().to_string();
            assert!(error.contains("cannot be used"), "{error}");
        }
    }
}
