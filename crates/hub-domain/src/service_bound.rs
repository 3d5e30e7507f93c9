//! What a hub tells back ends: outcomes of cloud-to-device messages, and finished uploads.
//!
//! Bodies as in the documentation "Send cloud-to-device messages from IoT Hub" (message feedback) and
//! "Upload files with IoT Hub" (file upload notifications).

use serde_json::{Value, json};

use crate::message::FeedbackAck;
use crate::{DeviceId, GenerationId, IdentityId, Timestamp};

/// The content type of a batch of feedback records.
pub const FEEDBACK_CONTENT_TYPE: &str = "application/vnd.microsoft.iothub.feedback.json";
/// The content type of a file notification.
pub const FILE_NOTIFICATION_CONTENT_TYPE: &str =
    "application/vnd.microsoft.iothub.filenotification.json";

/// A queue of records for back ends. A hub has one of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceBoundKind {
    /// Outcomes of cloud-to-device messages.
    Feedback,
    /// Finished uploads.
    FileNotification,
}

impl ServiceBoundKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Feedback, Self::FileNotification];

    /// The last part of the queue's address, `/messages/serviceBound/…`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feedback => "feedback",
            Self::FileNotification => "filenotifications",
        }
    }

    /// The content type of what is read from the queue.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Feedback => FEEDBACK_CONTENT_TYPE,
            Self::FileNotification => FILE_NOTIFICATION_CONTENT_TYPE,
        }
    }

    /// The kind with that last part of an address, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

/// One record of a service-bound queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceBoundRecord {
    /// What became of a message.
    Feedback(FeedbackRecord),
    /// A file that was uploaded.
    FileNotification(FileNotification),
}

impl ServiceBoundRecord {
    /// The queue it belongs to.
    pub const fn kind(&self) -> ServiceBoundKind {
        match self {
            Self::Feedback(_) => ServiceBoundKind::Feedback,
            Self::FileNotification(_) => ServiceBoundKind::FileNotification,
        }
    }

    /// When it was made; its time to live is counted from here.
    pub const fn enqueued(&self) -> Timestamp {
        match self {
            Self::Feedback(record) => record.at,
            Self::FileNotification(notification) => notification.enqueued,
        }
    }
}

/// What became of a cloud-to-device message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedbackRecord {
    /// The sender's id of the message.
    pub message_id: Option<String>,
    /// The outcome.
    pub status: FeedbackStatus,
    /// When the message came to it.
    pub at: Timestamp,
    /// Whom the message was for.
    pub id: IdentityId,
    /// Which of the lives of that id.
    pub generation: GenerationId,
}

/// The outcome of a cloud-to-device message, in the documented words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FeedbackStatus {
    /// The device completed it.
    Success,
    /// Its time ran out.
    Expired,
    /// It was delivered too often.
    DeliveryCountExceeded,
    /// The device refused it.
    Rejected,
    /// A back end emptied the queue.
    Purged,
}

impl FeedbackStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Success,
        Self::Expired,
        Self::DeliveryCountExceeded,
        Self::Rejected,
        Self::Purged,
    ];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Expired",
            Self::DeliveryCountExceeded => "DeliveryCountExceeded",
            Self::Rejected => "Rejected",
            Self::Purged => "Purged",
        }
    }

    /// Reads the wire spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    /// True when a sender that asked for `ack` wants to hear of it.
    pub const fn is_wanted_by(self, ack: FeedbackAck) -> bool {
        match self {
            Self::Success => ack.wants_positive(),
            Self::Expired | Self::DeliveryCountExceeded | Self::Rejected | Self::Purged => {
                ack.wants_negative()
            }
        }
    }

    /// The outcome in a sentence, for people.
    const fn description(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::Expired => "Message expired before it was completed",
            Self::DeliveryCountExceeded => "Message was delivered the maximum number of times",
            Self::Rejected => "Message was rejected by the device",
            Self::Purged => "Message was purged from the queue",
        }
    }
}

/// A file that a device uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileNotification {
    /// Which device.
    pub device: DeviceId,
    /// The address of the file.
    pub blob_uri: String,
    /// Its name.
    pub blob_name: String,
    /// When it was last written.
    pub last_updated: Timestamp,
    /// Its size.
    pub size_bytes: u64,
    /// When the device said that it was done.
    pub enqueued: Timestamp,
}

/// The body of a message with these feedback records: a JSON array.
pub fn feedback_body<'a>(records: impl IntoIterator<Item = &'a FeedbackRecord>) -> String {
    Value::Array(records.into_iter().map(feedback_json).collect()).to_string()
}

fn feedback_json(record: &FeedbackRecord) -> Value {
    let mut json = json!({
        // A message without an id has the empty one here: some clients read a text and nothing else.
        "originalMessageId": record.message_id.as_deref().unwrap_or_default(),
        "enqueuedTimeUtc": record.at.to_rfc3339(),
        "statusCode": record.status.as_str(),
        "description": record.status.description(),
        "deviceId": record.id.device.as_str(),
        "deviceGenerationId": record.generation.as_str(),
    });
    if let (Some(module), Some(members)) = (&record.id.module, json.as_object_mut()) {
        members.insert("moduleId".to_owned(), module.as_str().into());
    }
    json
}

/// The body of a file notification: a JSON object.
pub fn file_notification_body(notification: &FileNotification) -> String {
    json!({
        "deviceId": notification.device.as_str(),
        "blobUri": notification.blob_uri,
        "blobName": notification.blob_name,
        "lastUpdatedTime": notification.last_updated.to_rfc3339(),
        "blobSizeInBytes": notification.size_bytes,
        "enqueuedTimeUtc": notification.enqueued.to_rfc3339(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn record(id: &str, message_id: Option<&str>, status: FeedbackStatus) -> FeedbackRecord {
        FeedbackRecord {
            message_id: message_id.map(str::to_owned),
            status,
            at: Timestamp::from_millis(1_438_100_688_789),
            id: IdentityId::parse(id).unwrap(),
            generation: GenerationId(Arc::from("635")),
        }
    }

    #[test]
    fn feedback_is_spelled_as_documented() {
        let records = [
            record("d1", Some("m-1"), FeedbackStatus::Success),
            record("d1/m1", None, FeedbackStatus::Expired),
        ];
        let body: Value = serde_json::from_str(&feedback_body(&records)).unwrap();
        let time = Timestamp::from_millis(1_438_100_688_789).to_rfc3339();
        assert_eq!(
            body,
            json!([
                {
                    "originalMessageId": "m-1",
                    "enqueuedTimeUtc": time,
                    "statusCode": "Success",
                    "description": "Success",
                    "deviceId": "d1",
                    "deviceGenerationId": "635",
                },
                {
                    "originalMessageId": "",
                    "enqueuedTimeUtc": time,
                    "statusCode": "Expired",
                    "description": "Message expired before it was completed",
                    "deviceId": "d1",
                    "moduleId": "m1",
                    "deviceGenerationId": "635",
                },
            ])
        );
    }

    #[test]
    fn a_file_notification_is_spelled_as_documented() {
        let notification = FileNotification {
            device: DeviceId::parse("d1").unwrap(),
            blob_uri: "https://hub.test/uploads/d1/a%20b".to_owned(),
            blob_name: "d1/a b".to_owned(),
            last_updated: Timestamp::from_seconds(1),
            size_bytes: 7,
            enqueued: Timestamp::from_seconds(2),
        };
        let body: Value = serde_json::from_str(&file_notification_body(&notification)).unwrap();
        assert_eq!(
            body,
            json!({
                "deviceId": "d1",
                "blobUri": "https://hub.test/uploads/d1/a%20b",
                "blobName": "d1/a b",
                "lastUpdatedTime": Timestamp::from_seconds(1).to_rfc3339(),
                "blobSizeInBytes": 7,
                "enqueuedTimeUtc": Timestamp::from_seconds(2).to_rfc3339(),
            })
        );
    }

    #[test]
    fn each_outcome_is_told_to_who_asked_for_it() {
        let wanted = |ack: FeedbackAck| {
            FeedbackStatus::ALL
                .into_iter()
                .filter(|status| status.is_wanted_by(ack))
                .map(FeedbackStatus::as_str)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(wanted(FeedbackAck::None), "");
        assert_eq!(wanted(FeedbackAck::Positive), "Success");
        assert_eq!(
            wanted(FeedbackAck::Negative),
            "Expired DeliveryCountExceeded Rejected Purged"
        );
        assert_eq!(
            wanted(FeedbackAck::Full),
            "Success Expired DeliveryCountExceeded Rejected Purged"
        );
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for status in FeedbackStatus::ALL {
            assert_eq!(FeedbackStatus::parse(status.as_str()), Some(status));
        }
        for kind in ServiceBoundKind::ALL {
            assert_eq!(ServiceBoundKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(
            ServiceBoundKind::parse("FileNotifications"),
            Some(ServiceBoundKind::FileNotification)
        );
        assert_eq!(ServiceBoundKind::parse("other"), None);
    }
}
