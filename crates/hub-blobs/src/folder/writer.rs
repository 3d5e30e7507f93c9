//! One file being written.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hub_storage::blobs::{BlobError, BlobState, BlobWriter, Existing};
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use super::{Place, blocking, remove_tree, state_of};

/// How many bytes are written between two looks at the disk's room.
const LOOK_BYTES: u64 = 16 * 1024 * 1024;

/// What a finished file becomes.
pub(super) enum Target {
    /// A blob; its staged blocks go.
    Blob { file: PathBuf, blocks: PathBuf },
    /// A block.
    Block(PathBuf),
}

pub(super) struct FileWriter {
    place: Place,
    target: Target,
    file: Option<File>,
    unfinished: Unfinished,
    since_look: u64,
}

/// A file that is removed unless it got its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already when it got its name.
        drop(fs::remove_file(&self.0));
    }
}

impl FileWriter {
    pub(super) async fn begin(
        place: Place,
        target: Target,
    ) -> Result<Box<dyn BlobWriter>, BlobError> {
        let path = place.new_file();
        let unfinished = Unfinished(path.clone());
        let looking = place.clone();
        let file = blocking(move || {
            looking.check_room()?;
            Ok(fs::File::create_new(&path)?)
        });
        let file = file.await?;
        Ok(Box::new(Self {
            place,
            target,
            file: Some(File::from_std(file)),
            unfinished,
            since_look: 0,
        }))
    }

    async fn write_bytes(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.since_look += bytes.len() as u64;
        if self.since_look >= LOOK_BYTES {
            self.since_look = 0;
            let place = self.place.clone();
            blocking(move || place.check_room()).await?;
        }
        let file = self.file.as_mut();
        file.ok_or_else(closed)?.write_all(&bytes).await?;
        Ok(())
    }

    async fn finish_file(mut self, existing: Existing) -> Result<BlobState, BlobError> {
        let mut file = self.file.take().ok_or_else(closed)?;
        file.flush().await?;
        file.sync_all().await?;
        let metadata = file.metadata().await?;
        drop(file);
        let Self {
            place,
            target,
            unfinished,
            ..
        } = self;
        blocking(move || {
            match target {
                Target::Blob { file, blocks } => {
                    place.publish(&unfinished.0, &file, existing)?;
                    remove_tree(&blocks)?;
                }
                Target::Block(file) => place.publish(&unfinished.0, &file, Existing::Replace)?,
            }
            state_of(&metadata)
        })
        .await
    }
}

fn closed() -> BlobError {
    BlobError::failed("the file is closed")
}

impl BlobWriter for FileWriter {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), BlobError>> {
        Box::pin(self.write_bytes(bytes))
    }

    fn finish(
        self: Box<Self>,
        existing: Existing,
    ) -> BoxFuture<'static, Result<BlobState, BlobError>> {
        Box::pin((*self).finish_file(existing))
    }
}
