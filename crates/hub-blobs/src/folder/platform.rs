//! What differs between operating systems.

use std::fs::{self, Metadata};
use std::io;
use std::path::Path;

/// Free bytes that this process may use on the disk of `path`.
#[cfg(unix)]
pub(super) fn free_bytes(path: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Free bytes are not known here; a full disk shows by failing writes.
#[cfg(not(unix))]
pub(super) fn free_bytes(_path: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}

/// Makes the names in a folder durable.
#[cfg(unix)]
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Folders cannot be synced here; the file system keeps its own journal of names.
#[cfg(not(unix))]
pub(super) fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Makes a folder and those above it; nobody else may look in.
pub(super) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Tells a file from the one that had its name before.
#[cfg(unix)]
pub(super) fn file_number(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Files have no numbers here.
#[cfg(not(unix))]
pub(super) fn file_number(metadata: &Metadata) -> u64 {
    metadata.len()
}
