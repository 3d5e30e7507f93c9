//! Files that devices uploaded.

use serde::{Deserialize, Serialize};

use super::Moment;

/// A file, without its content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct File {
    /// Its name: the device's id, a slash, the name that the device gave.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// When it was written.
    pub modified_time: Moment,
    /// Changes with its content.
    pub etag: String,
}
