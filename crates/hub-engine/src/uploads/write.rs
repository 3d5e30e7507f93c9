//! Writing with a ticket.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hub_domain::limits::{UPLOAD_BLOCKS_MAX, UPLOAD_BLOCKS_STAGED_MAX};
use hub_domain::upload::{BlobName, CorrelationId, Upload};
use hub_domain::{DeviceId, ErrorCode, Hub, IdentityId, Timestamp};
use hub_storage::blobs::{BlobPath, BlobState, BlobWriter, BlockId, Existing};
use tokio::sync::OwnedSemaphorePermit;

use super::{Uploads, blob_error};
use crate::{Error, ErrorKind};

/// What of a ticket counts.
#[derive(Clone, Copy)]
pub struct Ticket<'a> {
    /// The id of the upload.
    pub upload: &'a str,
    /// The signature, base64.
    pub signature: &'a str,
}

/// The right to write one file, proved by a ticket.
pub struct WriteGrant {
    correlation: CorrelationId,
    path: BlobPath,
}

/// What was staged for an upload, replaced blocks included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    blocks: usize,
    bytes: u64,
}

/// Counts what is staged for an upload. Blocks that are sent again count again: a client that never sends its list is
/// bounded by it, and nobody else.
struct Staged {
    written: Arc<Mutex<HashMap<CorrelationId, Written>>>,
    correlation: CorrelationId,
    bytes_max: u64,
}

impl Staged {
    fn begin(&self, announced: u64) -> Result<(), Error> {
        self.change(|written| {
            written.blocks += 1;
            written.blocks <= UPLOAD_BLOCKS_STAGED_MAX
                && announced <= self.bytes_max.saturating_sub(written.bytes)
        })
    }

    fn add(&self, bytes: u64) -> Result<(), Error> {
        self.change(|written| {
            written.bytes = written.bytes.saturating_add(bytes);
            written.bytes <= self.bytes_max
        })
    }

    fn change(&self, change: impl FnOnce(&mut Written) -> bool) -> Result<(), Error> {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if change(all.entry(self.correlation.clone()).or_default()) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::QuotaExceeded,
            "too many blocks wait for their list",
        ))
    }
}

/// A file or block being written. Dropping it before its end leaves nothing.
pub struct BlobWrite {
    writer: Box<dyn BlobWriter>,
    bytes: u64,
    bytes_max: u64,
    /// Where a block's bytes are counted.
    staged: Option<Staged>,
    _permit: OwnedSemaphorePermit,
}

impl Uploads {
    /// Checks that a ticket lets its holder write the file `name` of `hub` now.
    ///
    /// # Errors
    /// `NotAuthenticated` when it is not the ticket of an open upload of that file; nothing more is told.
    pub async fn authorize(
        &self,
        now: Timestamp,
        hub: &Hub,
        name: &str,
        ticket: Ticket<'_>,
    ) -> Result<WriteGrant, Error> {
        let upload = self.upload_of(hub, name, ticket.upload).await?;
        let upload = upload.ok_or_else(refused)?;
        let is_signed = upload.is_ticket_signed_by(ticket.signature);
        if !is_signed || upload.name.as_str() != name || upload.hub != hub.no {
            return Err(refused());
        }
        if upload.expires <= now {
            return Err(Error::new(
                ErrorKind::NotAuthenticated,
                "the ticket has expired, begin a new upload",
            ));
        }
        Ok(WriteGrant {
            path: BlobPath {
                hub: hub.no,
                name: upload.name,
            },
            correlation: upload.correlation,
        })
    }

    /// The open upload of that id, of a device that may connect.
    async fn upload_of(&self, hub: &Hub, name: &str, id: &str) -> Result<Option<Upload>, Error> {
        let (Some(correlation), Ok(name)) = (CorrelationId::parse(id), BlobName::parse(name))
        else {
            return Ok(None);
        };
        let Ok(device) = DeviceId::parse(name.device()) else {
            return Ok(None);
        };
        let store = &self.parts.store;
        let device = store.identity(hub.no, &IdentityId::device(device)).await?;
        match device.filter(|stored| stored.identity.is_enabled()) {
            Some(stored) => Ok(store.upload(stored.ordinal, &correlation).await?),
            None => Ok(None),
        }
    }

    /// The largest file in bytes.
    pub const fn bytes_max(&self) -> u64 {
        self.parts.files.bytes_max
    }

    /// Begins to write the whole file.
    ///
    /// # Errors
    /// Too many are written at the same time; no room.
    pub async fn put(&self, grant: &WriteGrant) -> Result<BlobWrite, Error> {
        let permit = self.permit()?;
        let writer = self.parts.files.blobs.put(&grant.path).await;
        Ok(BlobWrite {
            writer: writer.map_err(blob_error)?,
            bytes: 0,
            bytes_max: self.bytes_max(),
            staged: None,
            _permit: permit,
        })
    }

    /// Begins to write a block of the file. `bytes` is how many its sender announced.
    ///
    /// # Errors
    /// As [`Self::put`]; `QuotaExceeded` when blocks for twice the largest file, or too many, wait for their list.
    pub async fn stage(
        &self,
        grant: &WriteGrant,
        block: &BlockId,
        bytes: Option<u64>,
    ) -> Result<BlobWrite, Error> {
        let permit = self.permit()?;
        let staged = Staged {
            written: Arc::clone(&self.written),
            correlation: grant.correlation.clone(),
            bytes_max: self.bytes_max().saturating_mul(2),
        };
        staged.begin(bytes.unwrap_or_default())?;
        let writer = self.parts.files.blobs.stage(&grant.path, block).await;
        Ok(BlobWrite {
            writer: writer.map_err(blob_error)?,
            bytes: 0,
            bytes_max: self.bytes_max(),
            staged: Some(staged),
            _permit: permit,
        })
    }

    /// Joins blocks to the file.
    ///
    /// # Errors
    /// A block was not sent, or there are more than 50,000 (`Invalid`); the file would be too large (`TooLarge`); it
    /// exists and is to stay (`AlreadyExists`); no room.
    pub async fn commit(
        &self,
        grant: &WriteGrant,
        blocks: &[BlockId],
        existing: Existing,
    ) -> Result<BlobState, Error> {
        let _permit = self.permit()?;
        let blobs = &self.parts.files.blobs;
        if blocks.len() > UPLOAD_BLOCKS_MAX {
            let text = format!("a file has at most {UPLOAD_BLOCKS_MAX} blocks");
            return Err(Error::new(ErrorKind::Invalid, text));
        }
        let staged = blobs.staged(&grant.path).await.map_err(blob_error)?;
        let named: HashSet<&BlockId> = blocks.iter().collect();
        let sizes: HashMap<&BlockId, u64> = staged
            .iter()
            .filter(|(block, _)| named.contains(block))
            .map(|(block, size)| (block, *size))
            .collect();
        let total = blocks
            .iter()
            .filter_map(|block| sizes.get(block))
            .fold(0_u64, |total, size| total.saturating_add(*size));
        check_size(total, self.bytes_max())?;
        let committed = blobs.commit(&grant.path, blocks, existing).await;
        let state = committed.map_err(blob_error)?;
        self.forget_written(&grant.correlation);
        Ok(state)
    }

    /// What is known of the file, for conditions.
    ///
    /// # Errors
    /// The file storage fails.
    pub async fn state(&self, grant: &WriteGrant) -> Result<Option<BlobState>, Error> {
        let state = self.parts.files.blobs.state(&grant.path).await;
        state.map_err(blob_error)
    }

    pub(super) fn forget_written(&self, correlation: &CorrelationId) {
        let mut all = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(correlation);
    }

    fn permit(&self) -> Result<OwnedSemaphorePermit, Error> {
        self.writers.clone().try_acquire_owned().map_err(|error| {
            Error::new(
                ErrorKind::Unavailable,
                "too many files are written at the same time, try again",
            )
            .with_source(error)
        })
    }
}

impl BlobWrite {
    /// Takes more bytes.
    ///
    /// # Errors
    /// `TooLarge` beyond the largest file; no room.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        check_size(self.bytes, self.bytes_max)?;
        if let Some(staged) = &self.staged {
            staged.add(bytes.len() as u64)?;
        }
        self.writer.write(bytes).await.map_err(blob_error)
    }

    /// Makes what was written durable, and a file visible.
    ///
    /// # Errors
    /// The file exists and is to stay (`AlreadyExists`); no room.
    pub async fn finish(self, existing: Existing) -> Result<BlobState, Error> {
        self.writer.finish(existing).await.map_err(blob_error)
    }
}

fn check_size(bytes: u64, max: u64) -> Result<(), Error> {
    if bytes <= max {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::TooLarge,
        format!("the file or block has more than {max} bytes"),
    )
    .with_code(ErrorCode::GenericRequestEntityTooLarge))
}

fn refused() -> Error {
    Error::new(
        ErrorKind::NotAuthenticated,
        "the ticket is not one of an open upload of this file",
    )
}
