//! How `/api/v1` says that something failed.

use serde::{Deserialize, Serialize};

/// The body of every answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// What failed.
    pub error: ErrorDetail,
}

/// What failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ErrorDetail {
    /// The stable number: the HTTP status times 1000 plus a detail.
    pub code: u32,
    /// The stable name of the number, such as `DeviceNotFound`.
    pub name: String,
    /// What failed and what to do, for people.
    pub message: String,
    /// Names the request in the server's log.
    pub request_id: String,
}
