//! Where uploaded files are kept: in a folder, or in an object store.
//!
//! [`FolderBlobs`] writes beside the data directory with the promises of the default storage: a file appears by one
//! rename, after a sync. [`ObjectBlobs`] hands the same operations to S3, Azure Blob Storage, Google Cloud Storage or
//! whatever speaks like one of them. Both keep the laws of `hub_storage::conformance::blobs`.
//!
//! It is no cache and no index: what is there is asked of the place itself.

mod folder;
mod object;

pub use folder::{FolderBlobs, FolderError};
pub use object::{ObjectBlobs, ObjectError};
