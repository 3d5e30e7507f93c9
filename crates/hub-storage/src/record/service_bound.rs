//! Service-bound records as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use hub_domain::service_bound::{
    FeedbackRecord, FeedbackStatus, FileNotification, ServiceBoundRecord,
};
use hub_domain::{DeviceId, GenerationId, IdentityId, ModuleId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json, unreadable};
use crate::StoreError;

const WHAT: &str = "service-bound record";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Record<'a> {
    Feedback {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message_id: Option<Cow<'a, str>>,
        status: StatusRecord,
        at: i64,
        device: Cow<'a, str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        module: Option<Cow<'a, str>>,
        generation: Cow<'a, str>,
    },
    File {
        device: Cow<'a, str>,
        uri: Cow<'a, str>,
        name: Cow<'a, str>,
        updated: i64,
        size: u64,
        enqueued: i64,
    },
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusRecord {
    Success,
    Expired,
    DeliveryCountExceeded,
    Rejected,
    Purged,
}

impl From<FeedbackStatus> for StatusRecord {
    fn from(status: FeedbackStatus) -> Self {
        match status {
            FeedbackStatus::Success => Self::Success,
            FeedbackStatus::Expired => Self::Expired,
            FeedbackStatus::DeliveryCountExceeded => Self::DeliveryCountExceeded,
            FeedbackStatus::Rejected => Self::Rejected,
            FeedbackStatus::Purged => Self::Purged,
        }
    }
}

impl From<StatusRecord> for FeedbackStatus {
    fn from(status: StatusRecord) -> Self {
        match status {
            StatusRecord::Success => Self::Success,
            StatusRecord::Expired => Self::Expired,
            StatusRecord::DeliveryCountExceeded => Self::DeliveryCountExceeded,
            StatusRecord::Rejected => Self::Rejected,
            StatusRecord::Purged => Self::Purged,
        }
    }
}

/// The record of `record`.
pub fn encode_service_bound(record: &ServiceBoundRecord) -> Vec<u8> {
    to_json(&match record {
        ServiceBoundRecord::Feedback(feedback) => Record::Feedback {
            message_id: feedback.message_id.as_deref().map(Cow::from),
            status: feedback.status.into(),
            at: feedback.at.micros(),
            device: feedback.id.device.as_str().into(),
            module: feedback.id.module.as_ref().map(|id| id.as_str().into()),
            generation: feedback.generation.as_str().into(),
        },
        ServiceBoundRecord::FileNotification(file) => Record::File {
            device: file.device.as_str().into(),
            uri: file.blob_uri.as_str().into(),
            name: file.blob_name.as_str().into(),
            updated: file.last_updated.micros(),
            size: file.size_bytes,
            enqueued: file.enqueued.micros(),
        },
    })
}

/// Reads what [`encode_service_bound`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_service_bound(bytes: &[u8]) -> Result<ServiceBoundRecord, StoreError> {
    let device_of = |text: &str| DeviceId::parse(text).map_err(|_| unreadable(WHAT));
    Ok(match from_json::<Record<'static>>(WHAT, bytes)? {
        Record::Feedback {
            message_id,
            status,
            at,
            device,
            module,
            generation,
        } => ServiceBoundRecord::Feedback(FeedbackRecord {
            message_id: message_id.map(Cow::into_owned),
            status: status.into(),
            at: Timestamp::from_micros(at),
            id: IdentityId {
                device: device_of(&device)?,
                module: module
                    .map(|module| ModuleId::parse(&module).map_err(|_| unreadable(WHAT)))
                    .transpose()?,
            },
            generation: GenerationId(Arc::from(generation)),
        }),
        Record::File {
            device,
            uri,
            name,
            updated,
            size,
            enqueued,
        } => ServiceBoundRecord::FileNotification(FileNotification {
            device: device_of(&device)?,
            blob_uri: uri.into_owned(),
            blob_name: name.into_owned(),
            last_updated: Timestamp::from_micros(updated),
            size_bytes: size,
            enqueued: Timestamp::from_micros(enqueued),
        }),
    })
}
