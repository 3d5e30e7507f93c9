//! What back ends are told: feedback on messages, and finished uploads.

use hub_domain::ServiceBoundRecord;
use serde::{Deserialize, Serialize};

use super::Moment;

/// What a reader was handed from a queue; without a token when there was nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct QueueBatch {
    /// Names the batch until it is completed or abandoned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_token: Option<String>,
    /// When others may read it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked_until: Option<Moment>,
    /// Oldest first: up to 64 of feedback, or one file.
    pub records: Vec<QueueRecord>,
}

/// One record of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(
    tag = "kind",
    rename_all = "camelCase",
    rename_all_fields = "camelCase"
)]
pub enum QueueRecord {
    /// What became of a message.
    Feedback {
        /// The sender's id of the message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<String>,
        /// `Success`, `Expired`, `DeliveryCountExceeded`, `Rejected` or `Purged`.
        status: String,
        /// When.
        time: Moment,
        /// The device it was for.
        device_id: String,
        /// The module it was for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module_id: Option<String>,
        /// Which of the lives of that id.
        generation_id: String,
    },
    /// A file that a device uploaded.
    File {
        /// Which device.
        device_id: String,
        /// The address of the file.
        blob_uri: String,
        /// Its name.
        blob_name: String,
        /// Its size.
        size_bytes: u64,
        /// When it was last written.
        last_updated: Moment,
        /// When the device said that it was done.
        time: Moment,
    },
}

impl QueueRecord {
    /// The record as it goes over the wire.
    pub fn of(record: &ServiceBoundRecord) -> Self {
        match record {
            ServiceBoundRecord::Feedback(feedback) => Self::Feedback {
                message_id: feedback.message_id.clone(),
                status: feedback.status.as_str().to_owned(),
                time: Moment(feedback.at),
                device_id: feedback.id.device.to_string(),
                module_id: feedback.id.module.as_ref().map(ToString::to_string),
                generation_id: feedback.generation.as_str().to_owned(),
            },
            ServiceBoundRecord::FileNotification(file) => Self::File {
                device_id: file.device.to_string(),
                blob_uri: file.blob_uri.clone(),
                blob_name: file.blob_name.clone(),
                size_bytes: file.size_bytes,
                last_updated: Moment(file.last_updated),
                time: Moment(file.enqueued),
            },
        }
    }
}
