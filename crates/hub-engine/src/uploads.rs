//! File uploads: a device begins one, writes its file with a ticket, and finishes it.
//!
//! An open upload is a durable record; its ticket is good for that one file, until the upload is finished, expires, or
//! its device may no longer connect. The file itself is a blob, which appears whole or not at all.

mod files;
mod write;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use hub_domain::limits::{
    SERVICE_BOUND_RECORDS_MAX, UPLOAD_MEMORY, UPLOAD_WRITERS_MAX, UPLOADS_OPEN_MAX,
};
use hub_domain::quota::Throttle;
use hub_domain::service_bound::FileNotification;
use hub_domain::upload::{BlobName, CorrelationId, Upload};
use hub_domain::{DeviceId, ErrorCode, Hub, HubNo, IdentityId, Notifications, ServiceBoundRecord};
use hub_storage::blobs::{BlobError, BlobPath};
use hub_storage::store::{Op, Ordinal, Unit};
use hub_storage::{Conflict, StoreError};
use tokio::sync::Semaphore;

use crate::hubs::random_key;
use crate::room::check_room;
use crate::{EngineParts, Error, ErrorKind, OpContext, Registry};
use write::Written;
pub use write::{BlobWrite, Ticket, WriteGrant};

/// Begins, takes and finishes uploads, and gives the files to operators.
pub struct Uploads {
    parts: EngineParts,
    registry: Registry,
    /// One permit for each file or block being written.
    writers: Arc<Semaphore>,
    /// What was staged for each open upload since the start.
    written: Arc<Mutex<HashMap<CorrelationId, Written>>>,
}

/// What a device says of its upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The file is there.
    Succeeded,
    /// It gave up.
    Failed,
}

impl Uploads {
    pub(crate) fn new(parts: EngineParts, registry: Registry) -> Self {
        Self {
            parts,
            registry,
            writers: Arc::new(Semaphore::new(UPLOAD_WRITERS_MAX)),
            written: Arc::default(),
        }
    }

    /// Begins the upload of the file `name` of the calling device; done when it is durable.
    ///
    /// # Errors
    /// Only the device itself may. The name cannot be a file's (400004); 10 uploads of the device are open (403006);
    /// the hub's throttle (429001); no room.
    pub async fn begin(
        &self,
        ctx: &OpContext,
        hub: &Hub,
        device: &DeviceId,
        name: &str,
    ) -> Result<Upload, Error> {
        require_device(ctx, hub.no, device)?;
        let quotas = self.registry.quotas();
        quotas.take(ctx, hub.no, Throttle::FileUploads)?;
        check_room(&*self.parts.store)?;
        let name = BlobName::of_device(device, name)
            .map_err(|error| Error::new(ErrorKind::Invalid, error.to_string()))?;
        let stored = self.stored(hub.no, device).await?;
        let mut random = [0; 16];
        self.parts.environment.fill_random(&mut random);
        let upload = Upload {
            correlation: CorrelationId::from_random(random),
            hub: hub.no,
            name,
            key: random_key(&*self.parts.environment),
            begun: ctx.now,
            expires: ctx.now.plus(hub.settings.file_upload.ticket_ttl),
        };
        let op = Op::BeginUpload {
            identity: stored,
            upload: Box::new(upload.clone()),
            open_max: UPLOADS_OPEN_MAX,
        };
        let begun = self.parts.store.submit(Unit::new(op, Vec::new())).await;
        begun.map_err(|error| gone(device, error))?;
        Ok(upload)
    }

    /// Finishes an upload of the calling device; done when it is durable. Back ends are told of a file that is there,
    /// under the address that `uri` makes of its name, when the hub's settings say so.
    ///
    /// # Errors
    /// Only the device itself may. No such upload, or it is finished (400015); it expired (400016); the device says that
    /// it succeeded but there is no file (400020).
    pub async fn finish(
        &self,
        ctx: &OpContext,
        hub: &Hub,
        device: &DeviceId,
        correlation: &str,
        outcome: UploadOutcome,
        uri: impl FnOnce(&BlobName) -> String + Send,
    ) -> Result<(), Error> {
        require_device(ctx, hub.no, device)?;
        check_room(&*self.parts.store)?;
        let stored = self.stored(hub.no, device).await?;
        let correlation = CorrelationId::parse(correlation).ok_or_else(unknown_upload)?;
        let upload = self.parts.store.upload(stored, &correlation).await?;
        let upload = upload.ok_or_else(unknown_upload)?;
        if upload.expires <= ctx.now {
            return Err(Error::new(
                ErrorKind::Invalid,
                "the upload has expired, begin a new one",
            )
            .with_code(ErrorCode::ExpiredFileUploadCorrelationId));
        }
        let path = BlobPath {
            hub: hub.no,
            name: upload.name.clone(),
        };
        let mut unit = Unit::new(
            Op::FinishUpload {
                identity: stored,
                correlation: correlation.clone(),
            },
            Vec::new(),
        );
        if outcome == UploadOutcome::Succeeded {
            let uri = uri(&upload.name);
            let notification = self.notification(ctx, hub, device, &path, uri).await?;
            unit.ops.extend(notification);
        }
        match self.parts.store.submit(unit).await {
            Ok(_) => {}
            Err(StoreError::Conflict(Conflict::NotFound)) => return Err(unknown_upload()),
            Err(error) => return Err(error.into()),
        }
        self.forget_written(&correlation);
        // The file counts; blocks that no list named are only in the way.
        if let Err(error) = self.parts.files.blobs.discard(&path).await {
            tracing::warn!(%error, "blocks of a finished upload cannot be removed");
        }
        Ok(())
    }

    async fn notification(
        &self,
        ctx: &OpContext,
        hub: &Hub,
        device: &DeviceId,
        path: &BlobPath,
        blob_uri: String,
    ) -> Result<Option<Op>, Error> {
        let state = self
            .parts
            .files
            .blobs
            .state(path)
            .await
            .map_err(blob_error)?;
        let state = state.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "there is no such file, upload it first")
                .with_code(ErrorCode::InvalidStorageEndpointOrBlob)
        })?;
        match hub.settings.file_upload.notifications {
            Notifications::Off => Ok(None),
            Notifications::On => Ok(Some(Op::AppendServiceBound {
                hub: hub.no,
                record: Box::new(ServiceBoundRecord::FileNotification(FileNotification {
                    device: device.clone(),
                    blob_uri,
                    blob_name: path.name.as_str().to_owned(),
                    last_updated: state.modified,
                    size_bytes: state.size,
                    enqueued: ctx.now,
                })),
                records_max: SERVICE_BOUND_RECORDS_MAX,
            })),
        }
    }

    async fn stored(&self, hub: HubNo, device: &DeviceId) -> Result<Ordinal, Error> {
        let id = IdentityId::device(device.clone());
        Ok(self.registry.stored(hub, &id).await?.ordinal)
    }
}

/// Forgets uploads that expired long ago, with what was staged for them.
pub(crate) async fn forget_expired(parts: &EngineParts) {
    /// Uploads forgotten at one turn.
    const EXPIRED_MAX: usize = 256;
    let before = parts.environment.now().minus(UPLOAD_MEMORY);
    let expired = match parts.store.expired_uploads(before, EXPIRED_MAX).await {
        Ok(expired) => expired,
        Err(error) => return tracing::warn!(%error, "expired uploads cannot be read"),
    };
    for (identity, upload) in expired {
        let path = BlobPath {
            hub: upload.hub,
            name: upload.name,
        };
        if let Err(error) = parts.files.blobs.discard(&path).await {
            tracing::warn!(%error, "blocks of an expired upload cannot be removed");
            continue;
        }
        let op = Op::FinishUpload {
            identity,
            correlation: upload.correlation,
        };
        match parts.store.submit(Unit::new(op, Vec::new())).await {
            Ok(_) | Err(StoreError::Conflict(_)) => {}
            Err(error) => return tracing::warn!(%error, "an expired upload cannot be forgotten"),
        }
    }
}

fn require_device(ctx: &OpContext, hub: HubNo, device: &DeviceId) -> Result<(), Error> {
    if ctx.caller.is_device(hub, device) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::NotAllowed,
        "only the device itself uploads its files",
    ))
}

fn unknown_upload() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "the device has no such upload, or it is finished",
    )
    .with_code(ErrorCode::InvalidFileUploadCorrelationId)
}

fn gone(device: &DeviceId, error: StoreError) -> Error {
    match error {
        StoreError::Conflict(Conflict::NotFound) => {
            Error::device_not_found(&IdentityId::device(device.clone())).with_source(error)
        }
        other => other.into(),
    }
}

/// What a failure of the file storage means to callers.
fn blob_error(error: BlobError) -> Error {
    let result = match &error {
        BlobError::AlreadyExists => Error::new(ErrorKind::AlreadyExists, "the file exists already"),
        BlobError::UnknownBlock => {
            Error::new(ErrorKind::Invalid, "a block of the list was not sent")
        }
        BlobError::DiskFull => Error::new(
            ErrorKind::Unavailable,
            "the disk of the files is full, nothing can be written",
        ),
        BlobError::Failed { .. } => Error::new(ErrorKind::Internal, "the file storage failed"),
    };
    result.with_source(error)
}
