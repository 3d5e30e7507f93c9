//! Settings of the queues for devices and for back ends.

use std::time::Duration;

use hub_domain::{CloudToDeviceSettings, ServiceBoundSettings};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CloudToDeviceRecord {
    ttl_seconds: u64,
    delivery_count: u32,
    feedback: ServiceBoundRecord,
}

#[derive(Serialize, Deserialize)]
#[serde(default)]
pub(super) struct ServiceBoundRecord {
    lock_seconds: u64,
    ttl_seconds: u64,
    delivery_count: u32,
}

impl CloudToDeviceRecord {
    pub(super) const fn of(settings: &CloudToDeviceSettings) -> Self {
        Self {
            ttl_seconds: settings.default_ttl.as_secs(),
            delivery_count: settings.delivery_count_max,
            feedback: ServiceBoundRecord::of(&settings.feedback),
        }
    }

    pub(super) const fn settings(self) -> CloudToDeviceSettings {
        CloudToDeviceSettings {
            default_ttl: Duration::from_secs(self.ttl_seconds),
            delivery_count_max: self.delivery_count,
            feedback: self.feedback.settings(),
        }
    }
}

impl Default for CloudToDeviceRecord {
    fn default() -> Self {
        Self::of(&CloudToDeviceSettings::default())
    }
}

impl ServiceBoundRecord {
    pub(super) const fn of(settings: &ServiceBoundSettings) -> Self {
        Self {
            lock_seconds: settings.lock.as_secs(),
            ttl_seconds: settings.ttl.as_secs(),
            delivery_count: settings.delivery_count_max,
        }
    }

    pub(super) const fn settings(self) -> ServiceBoundSettings {
        ServiceBoundSettings {
            lock: Duration::from_secs(self.lock_seconds),
            ttl: Duration::from_secs(self.ttl_seconds),
            delivery_count_max: self.delivery_count,
        }
    }
}

impl Default for ServiceBoundRecord {
    fn default() -> Self {
        Self::of(&ServiceBoundSettings::default())
    }
}
