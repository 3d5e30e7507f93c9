//! Service-bound queues: what a hub tells back ends, kept until one of them has it.

use hub_domain::Timestamp;
use hub_domain::service_bound::{FeedbackStatus, ServiceBoundRecord};

use super::Outcome;

/// The number of a record in its queue, from 1, growing in commit order. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceBoundNo(pub u64);

/// A record of a service-bound queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredServiceBound {
    /// Its number.
    pub no: ServiceBoundNo,
    /// How often it was abandoned.
    pub delivery_count: u32,
    /// The record.
    pub record: ServiceBoundRecord,
}

/// How a write that may give feedback gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedbackTerms {
    /// The moment of the outcome.
    pub at: Timestamp,
    /// The most records that the hub's feedback queue may hold; the oldest go.
    pub records_max: u64,
}

impl Outcome {
    /// What a sender who asked for feedback is told.
    pub const fn feedback_status(self) -> FeedbackStatus {
        match self {
            Self::Completed => FeedbackStatus::Success,
            Self::Rejected => FeedbackStatus::Rejected,
            Self::Expired => FeedbackStatus::Expired,
            Self::DeliveryCountExceeded => FeedbackStatus::DeliveryCountExceeded,
        }
    }
}
