//! `ProvisioningServiceErrorDetails`.

use hub_domain::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// The body of a refusal.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProvisioningErrorBody {
    /// The six-digit code: the HTTP status times 1000 plus a detail.
    pub error_code: u32,
    /// Names the request in the server's log.
    pub tracking_id: String,
    /// What is wrong and what to do, for people.
    pub message: String,
    /// Nothing.
    pub info: Map<String, Value>,
    /// When.
    pub timestamp_utc: String,
}

impl ProvisioningErrorBody {
    /// The body for `error_code`, explained by `message`.
    pub fn new(error_code: u32, message: &str, tracking_id: &str, now: Timestamp) -> Self {
        Self {
            error_code,
            tracking_id: tracking_id.to_owned(),
            message: message.to_owned(),
            info: Map::new(),
            timestamp_utc: now.to_rfc3339(),
        }
    }
}
