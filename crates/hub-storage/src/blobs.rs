//! The port for uploaded files: blobs that are written in one piece or in blocks, and appear whole or not at all.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::future::BoxFuture;
use hub_domain::upload::BlobName;
use hub_domain::{HubNo, Timestamp};

/// The blobs of an installation.
///
/// A blob is visible as a whole, with its new content, from the moment its write is acknowledged; an acknowledged
/// write outlives a crash of process and machine as far as the backend promises it. Blocks are staged beside their
/// blob and are nothing that readers see.
pub trait Blobs: Send + Sync + 'static {
    /// Begins to write a whole blob. Nothing is visible before [`BlobWriter::finish`].
    fn put<'a>(&'a self, path: &'a BlobPath) -> Writing<'a>;

    /// Begins to write a block. One of the same id is replaced.
    fn stage<'a>(&'a self, path: &'a BlobPath, block: &'a BlockId) -> Writing<'a>;

    /// Joins staged blocks in this order to the blob, replacing it or as `existing` says; all staged blocks of the
    /// blob are gone afterwards.
    fn commit<'a>(
        &'a self,
        path: &'a BlobPath,
        blocks: &'a [BlockId],
        existing: Existing,
    ) -> BoxFuture<'a, Result<BlobState, BlobError>>;

    /// The staged blocks of a blob with their sizes, in the order of their ids.
    fn staged<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Vec<(BlockId, u64)>, BlobError>>;

    /// Drops the staged blocks of a blob.
    fn discard<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<(), BlobError>>;

    /// What is known of a blob; `None` when there is none.
    fn state<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobState>, BlobError>>;

    /// A blob's content; `None` when there is none. A blob that is replaced meanwhile is read to its old end.
    fn read<'a>(
        &'a self,
        path: &'a BlobPath,
    ) -> BoxFuture<'a, Result<Option<BlobContent>, BlobError>>;

    /// Deletes a blob; false when there was none.
    fn delete<'a>(&'a self, path: &'a BlobPath) -> BoxFuture<'a, Result<bool, BlobError>>;

    /// Blobs of a hub, of one device if one is named, in an order of the backend's own, after `after`, at most `max`.
    fn list<'a>(
        &'a self,
        hub: HubNo,
        device: Option<&'a str>,
        after: Option<&'a BlobName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<(BlobName, BlobState)>, BlobError>>;
}

/// The beginning of a write.
pub type Writing<'a> = BoxFuture<'a, Result<Box<dyn BlobWriter>, BlobError>>;

/// Takes the bytes of a blob or block. Dropping it before its end leaves nothing.
pub trait BlobWriter: Send {
    /// Takes more bytes. The caller waits for it before it gives the next ones, so that a writer holds few.
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<(), BlobError>>;

    /// Makes what was written durable and, for a blob, visible. `existing` counts for blobs.
    fn finish(
        self: Box<Self>,
        existing: Existing,
    ) -> BoxFuture<'static, Result<BlobState, BlobError>>;
}

/// What a write does to a blob that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced.
    Replace,
    /// It stays, and the write fails.
    Keep,
}

/// Where a blob is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobPath {
    /// In which hub.
    pub hub: HubNo,
    /// Its name there.
    pub name: BlobName,
}

/// Names a block within its blob: 1 to 64 bytes, chosen by the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(Box<[u8]>);

impl BlockId {
    /// The id of these bytes; `None` when there are none or too many ("Put Block").
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let max = hub_domain::limits::UPLOAD_BLOCK_ID_BYTES_MAX;
        (1..=max).contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes as hexadecimal digits, for names of files.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what [`Self::to_hex`] prints.
    pub fn from_hex(text: &str) -> Option<Self> {
        let digit = |byte: u8| {
            char::from(byte)
                .to_digit(16)
                .and_then(|d| u8::try_from(d).ok())
        };
        let pairs = text.as_bytes().chunks(2);
        let bytes: Option<Vec<u8>> = pairs
            .map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            })
            .collect();
        Self::from_bytes(&bytes?)
    }
}

/// What is known of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobState {
    /// Its size in bytes.
    pub size: u64,
    /// Changes with its content. Opaque, no quotes in it.
    pub etag: String,
    /// When it was written.
    pub modified: Timestamp,
}

/// A blob's content as it was when its reading began.
pub struct BlobContent {
    /// What is known of it.
    pub state: BlobState,
    /// Its bytes in parts.
    pub bytes: BlobStream,
}

/// Bytes in parts.
pub type BlobStream = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// A blob operation failed, and changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// There is a blob that was to stay.
    #[error("the file exists already")]
    AlreadyExists,
    /// A block to be joined was not staged.
    #[error("a block of the list was not sent")]
    UnknownBlock,
    /// The disk is full or nearly so.
    #[error("the disk is full")]
    DiskFull,
    /// The place of the blobs failed or cannot be reached.
    #[error("the file storage failed: {text}")]
    Failed {
        /// The backend's own words.
        text: String,
    },
}

impl BlobError {
    /// A failure with the text of `error`.
    pub fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed {
            text: error.to_string(),
        }
    }
}

impl From<std::io::Error> for BlobError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_ids_survive_their_hexadecimal_form() {
        let id = BlockId::from_bytes(&[0, 255, 16]).unwrap();
        assert_eq!(id.to_hex(), "00ff10");
        assert_eq!(BlockId::from_hex("00ff10"), Some(id));
        for bad in ["", "0", "0g", &"00".repeat(65)] {
            assert_eq!(BlockId::from_hex(bad), None, "{bad}");
        }
    }
}
