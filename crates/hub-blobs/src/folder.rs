//! Files in a folder.
//!
//! ```text
//! lock                              one process at a time
//! writing/{number}                  what is being written; emptied at the start
//! {hub}/files/{device}/{file}       blobs, see `names`
//! {hub}/blocks/{sha256}/{block id}  staged blocks
//! ```

mod list;
mod names;
mod platform;
mod writer;

use std::fs::{self, File, Metadata, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use futures_util::stream;
use hub_domain::limits::DISK_FREE_BYTES_MIN;
use hub_domain::upload::BlobName;
use hub_domain::{HubNo, Timestamp};
use hub_storage::blobs::{
    BlobContent, BlobError, BlobPath, BlobState, Blobs, BlockId, Existing, Writing,
};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use writer::{FileWriter, Target};

/// Bytes of one part of a read.
const READ_BYTES: usize = 64 * 1024;
/// Staged blocks that are older are removed at the start.
const BLOCKS_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Blobs as files of a folder.
#[derive(Debug)]
pub struct FolderBlobs {
    place: Place,
    /// Held as long as this value.
    _lock: File,
}

/// The folder, without its lock.
#[derive(Clone, Debug)]
struct Place {
    root: PathBuf,
    next: Arc<AtomicU64>,
    free_bytes_min: u64,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("the folder {} is in use by another process", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("the folder {} cannot be used", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FolderBlobs {
    /// Opens the folder, making it when there is none, and removes what was not written to its end.
    ///
    /// # Errors
    /// When another process has it open, or it cannot be written.
    pub fn open(root: &Path) -> Result<Self, FolderError> {
        Self::open_with_free_bytes(root, DISK_FREE_BYTES_MIN)
    }

    /// As [`Self::open`]; writes stop when the disk has less than `free_bytes_min` left.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with_free_bytes(root: &Path, free_bytes_min: u64) -> Result<Self, FolderError> {
        let failed = |source| FolderError::Io {
            path: root.to_owned(),
            source,
        };
        platform::create_private_folder(root).map_err(failed)?;
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let lock = options.open(root.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(FolderError::InUse {
                    path: root.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let place = Place {
            root: root.to_owned(),
            next: Arc::default(),
            free_bytes_min,
        };
        remove_tree(&place.writing()).map_err(failed)?;
        platform::create_private_folder(&place.writing()).map_err(failed)?;
        place.remove_old_blocks().map_err(failed)?;
        Ok(Self { place, _lock: lock })
    }
}

impl Place {
    fn writing(&self) -> PathBuf {
        self.root.join("writing")
    }

    /// A file that nobody else writes.
    fn new_file(&self) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.writing().join(number.to_string())
    }

    fn files(&self, hub: HubNo) -> PathBuf {
        self.root.join(hub.0.to_string()).join("files")
    }

    fn file(&self, path: &BlobPath) -> PathBuf {
        let mut file = self.files(path.hub);
        file.extend(names::pieces(&path.name));
        file
    }

    fn blocks(&self, path: &BlobPath) -> PathBuf {
        let digest = Sha256::digest(path.name.as_str());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let hub = self.root.join(path.hub.0.to_string());
        hub.join("blocks").join(digest)
    }

    /// Blocks of devices that were deleted have no upload that would end them ("Put Block": a week).
    fn remove_old_blocks(&self) -> io::Result<()> {
        for hub in fs::read_dir(&self.root)? {
            let blocks = hub?.path().join("blocks");
            if !blocks.is_dir() {
                continue;
            }
            for staged in fs::read_dir(blocks)? {
                let staged = staged?;
                let age = staged.metadata()?.modified()?.elapsed().unwrap_or_default();
                if age > BLOCKS_AGE_MAX {
                    remove_tree(&staged.path())?;
                }
            }
        }
        Ok(())
    }

    /// A full disk refuses writes before it is full: the hub's own store needs room to go on.
    fn check_room(&self) -> Result<(), BlobError> {
        if platform::free_bytes(&self.root)? < self.free_bytes_min {
            return Err(BlobError::DiskFull);
        }
        Ok(())
    }

    /// Gives a synced file its name, in place of one that has it or not.
    fn publish(&self, from: &Path, to: &Path, existing: Existing) -> Result<(), BlobError> {
        let folder = to.parent().unwrap_or(&self.root);
        self.create_folder(folder)?;
        match existing {
            Existing::Replace => fs::rename(from, to)?,
            // Unlike a rename, a link fails when the name is taken.
            Existing::Keep => match fs::hard_link(from, to) {
                Ok(()) => fs::remove_file(from)?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    return Err(BlobError::AlreadyExists);
                }
                Err(error) => return Err(error.into()),
            },
        }
        platform::sync_folder(folder)?;
        Ok(())
    }

    /// Makes a folder below the root whose name outlives a power cut.
    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        if folder.is_dir() {
            return Ok(());
        }
        let above = folder.parent().unwrap_or(&self.root);
        if above.starts_with(&self.root) && above != self.root {
            self.create_folder(above)?;
        }
        platform::create_private_folder(folder)?;
        platform::sync_folder(above)
    }

    fn commit(
        &self,
        path: &BlobPath,
        blocks: &[BlockId],
        existing: Existing,
    ) -> Result<BlobState, BlobError> {
        self.check_room()?;
        let file = self.file(path);
        if existing == Existing::Keep && file.exists() {
            return Err(BlobError::AlreadyExists);
        }
        let staged = self.blocks(path);
        let new = self.new_file();
        let joined = self.join(&staged, blocks, &new);
        let published = joined.and_then(|()| self.publish(&new, &file, existing));
        if let Err(error) = published {
            drop(fs::remove_file(&new));
            return Err(error);
        }
        remove_tree(&staged)?;
        state_of(&fs::metadata(&file)?)
    }

    fn join(&self, staged: &Path, blocks: &[BlockId], new: &Path) -> Result<(), BlobError> {
        let mut whole = File::create(new)?;
        for block in blocks {
            let mut part = match File::open(staged.join(block.to_hex())) {
                Ok(part) => part,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(BlobError::UnknownBlock);
                }
                Err(error) => return Err(error.into()),
            };
            io::copy(&mut part, &mut whole)?;
            self.check_room()?;
        }
        whole.sync_all()?;
        Ok(())
    }

    fn staged(&self, path: &BlobPath) -> Result<Vec<(BlockId, u64)>, BlobError> {
        let read = match fs::read_dir(self.blocks(path)) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let mut blocks = Vec::new();
        for entry in read {
            let entry = entry?;
            let name = entry.file_name();
            if let Some(block) = name.to_str().and_then(BlockId::from_hex) {
                blocks.push((block, entry.metadata()?.len()));
            }
        }
        blocks.sort_unstable();
        Ok(blocks)
    }
}

/// Removes a folder with all in it; none is fine.
fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn state_of(metadata: &Metadata) -> Result<BlobState, BlobError> {
    let modified = metadata.modified()?;
    let since = modified
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let number = platform::file_number(metadata);
    Ok(BlobState {
        size: metadata.len(),
        etag: format!("0x{:X}{number:X}", since.as_nanos()),
        modified: Timestamp::from_seconds(0).plus(since),
    })
}

/// Runs what waits for the disk where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(BlobError::failed(error)),
    }
}

impl Blobs for FolderBlobs {
    fn put<'a>(&'a self, path: &'a BlobPath) -> Writing<'a> {
        let target = Target::Blob {
            file: self.place.file(path),
            blocks: self.place.blocks(path),
        };
        Box::pin(FileWriter::begin(self.place.clone(), target))
    }

    fn stage<'a>(&'a self, path: &'a BlobPath, block: &'a BlockId) -> Writing<'a> {
        let target = Target::Block(self.place.blocks(path).join(block.to_hex()));
        Box::pin(FileWriter::begin(self.place.clone(), target))
    }

    fn commit<'a>(
        &'a self,
        path: &'a BlobPath,
        blocks: &'a [BlockId],
        existing: Existing,
    ) -> BoxFuture<'a, Result<BlobState, BlobError>> {
        let (place, path, blocks) = (self.place.clone(), path.clone(), blocks.to_vec());
        Box::pin(blocking(move || place.commit(&path, &blocks, existing)))
    }

    fn staged<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Vec<(BlockId, u64)>, BlobError>> {
        let (place, path) = (self.place.clone(), path.clone());
        Box::pin(blocking(move || place.staged(&path)))
    }

    fn discard<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<(), BlobError>> {
        let blocks = self.place.blocks(path);
        Box::pin(blocking(move || Ok(remove_tree(&blocks)?)))
    }

    fn state<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobState>, BlobError>> {
        let file = self.place.file(path);
        Box::pin(blocking(move || match fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => state_of(&metadata).map(Some),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }))
    }

    fn read<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobContent>, BlobError>> {
        let file = self.place.file(path);
        Box::pin(async move {
            let opened = blocking(move || match File::open(&file) {
                Ok(file) => {
                    let metadata = file.metadata()?;
                    Ok(metadata.is_file().then_some((file, metadata)))
                }
                Err(error) if is_absent(&error) => Ok(None),
                Err(error) => Err(error.into()),
            });
            let Some((file, metadata)) = opened.await? else {
                return Ok(None);
            };
            Ok(Some(BlobContent {
                state: state_of(&metadata)?,
                bytes: Box::pin(parts(tokio::fs::File::from_std(file))),
            }))
        })
    }

    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, BlobError>> {
        let file = self.place.file(path);
        Box::pin(blocking(move || match fs::remove_file(&file) {
            Ok(()) => {
                platform::sync_folder(file.parent().unwrap_or(&file))?;
                Ok(true)
            }
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }))
    }

    fn list<'a>(
        &'a self,
        hub: HubNo,
        device: Option<&'a str>,
        after: Option<&'a BlobName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<(BlobName, BlobState)>, BlobError>> {
        let files = self.place.files(hub);
        let (device, after) = (device.map(str::to_owned), after.cloned());
        Box::pin(blocking(move || {
            list::list(&files, device.as_deref(), after.as_ref(), max)
        }))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn parts(
    file: tokio::fs::File,
) -> impl futures_util::Stream<Item = Result<Bytes, BlobError>> + Send {
    stream::try_unfold(file, async |mut file| {
        let mut part = BytesMut::with_capacity(READ_BYTES);
        let count = file.read_buf(&mut part).await?;
        Ok((count > 0).then(|| (part.freeze(), file)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder {
        root: Arc<tempfile::TempDir>,
        blobs: Arc<FolderBlobs>,
    }

    impl Folder {
        fn in_folder(root: Arc<tempfile::TempDir>) -> Self {
            let blobs = Arc::new(FolderBlobs::open_with_free_bytes(root.path(), 0).unwrap());
            Self { root, blobs }
        }
    }

    impl hub_storage::conformance::blobs::BlobBackend for Folder {
        fn blobs(&self) -> Arc<dyn Blobs> {
            Arc::clone(&self.blobs) as Arc<dyn Blobs>
        }

        async fn reopen(self) -> Self {
            let Self { root, blobs } = self;
            drop(blobs);
            Self::in_folder(root)
        }
    }

    hub_storage::blob_conformance_tests!(async || {
        Folder::in_folder(Arc::new(tempfile::tempdir().unwrap()))
    });

    #[test]
    fn one_process_has_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let first = FolderBlobs::open(root.path()).unwrap();
        assert!(matches!(
            FolderBlobs::open(root.path()),
            Err(FolderError::InUse { .. })
        ));
        drop(first);
        FolderBlobs::open(root.path()).unwrap();
    }

    #[tokio::test]
    async fn a_disk_that_is_nearly_full_takes_nothing() {
        let root = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open_with_free_bytes(root.path(), u64::MAX).unwrap();
        let path = BlobPath {
            hub: HubNo(1),
            name: BlobName::parse("d1/a").unwrap(),
        };
        assert_eq!(blobs.put(&path).await.err(), Some(BlobError::DiskFull));
        let commit = blobs.commit(&path, &[], Existing::Keep).await;
        assert_eq!(commit, Err(BlobError::DiskFull));
    }
}
