//! Settings of the queues for devices and for back ends.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::limits::{
    CLOUD_TO_DEVICE_TTL_DEFAULT, CLOUD_TO_DEVICE_TTL_MAX, CLOUD_TO_DEVICE_TTL_MIN,
    DELIVERY_COUNT_DEFAULT, DELIVERY_COUNT_RANGE, SERVICE_BOUND_LOCK_DEFAULT,
    SERVICE_BOUND_LOCK_RANGE, SERVICE_BOUND_TTL_DEFAULT,
};

/// How a hub treats cloud-to-device messages (hub resource documentation, `cloudToDevice`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloudToDeviceSettings {
    /// Time to live of a message that names no expiry, 1 minute to 2 days.
    pub default_ttl: Duration,
    /// Deliveries before a message counts as dead, 1 to 100.
    pub delivery_count_max: u32,
    /// How back ends read feedback.
    pub feedback: ServiceBoundSettings,
}

impl Default for CloudToDeviceSettings {
    fn default() -> Self {
        Self {
            default_ttl: CLOUD_TO_DEVICE_TTL_DEFAULT,
            delivery_count_max: DELIVERY_COUNT_DEFAULT,
            feedback: ServiceBoundSettings::default(),
        }
    }
}

impl CloudToDeviceSettings {
    /// Checks every setting against its documented range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), SettingError> {
        check_duration(
            "the default time to live",
            self.default_ttl,
            CLOUD_TO_DEVICE_TTL_MIN..=CLOUD_TO_DEVICE_TTL_MAX,
        )?;
        check_number(
            "the maximum delivery count",
            self.delivery_count_max,
            DELIVERY_COUNT_RANGE,
        )?;
        self.feedback.check()
    }
}

/// How back ends read a service-bound queue (hub resource documentation, `feedback`, `fileNotifications`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceBoundSettings {
    /// How long what was read is kept from other readers, 5 to 300 seconds.
    pub lock: Duration,
    /// How long a record is kept, 1 minute to 2 days.
    pub ttl: Duration,
    /// Deliveries before a record is dropped, 1 to 100.
    pub delivery_count_max: u32,
}

impl Default for ServiceBoundSettings {
    fn default() -> Self {
        Self {
            lock: SERVICE_BOUND_LOCK_DEFAULT,
            ttl: SERVICE_BOUND_TTL_DEFAULT,
            delivery_count_max: DELIVERY_COUNT_DEFAULT,
        }
    }
}

impl ServiceBoundSettings {
    /// Checks every setting against its documented range.
    ///
    /// # Errors
    /// The first setting that is out of its range.
    pub fn check(&self) -> Result<(), SettingError> {
        check_duration("the lock duration", self.lock, SERVICE_BOUND_LOCK_RANGE)?;
        check_duration(
            "the time to live",
            self.ttl,
            CLOUD_TO_DEVICE_TTL_MIN..=CLOUD_TO_DEVICE_TTL_MAX,
        )?;
        check_number(
            "the maximum delivery count",
            self.delivery_count_max,
            DELIVERY_COUNT_RANGE,
        )
    }
}

/// A setting is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// A time.
    #[error("{what} must be {min:?} to {max:?}")]
    Duration {
        /// Which setting.
        what: &'static str,
        /// The shortest.
        min: Duration,
        /// The longest.
        max: Duration,
    },
    /// A number.
    #[error("{what} must be {min} to {max}")]
    Number {
        /// Which setting.
        what: &'static str,
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

pub(super) fn check_duration(
    what: &'static str,
    value: Duration,
    range: RangeInclusive<Duration>,
) -> Result<(), SettingError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (min, max) = range.into_inner();
    Err(SettingError::Duration { what, min, max })
}

fn check_number(
    what: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
) -> Result<(), SettingError> {
    if range.contains(&value) {
        return Ok(());
    }
    let (min, max) = range.into_inner();
    Err(SettingError::Number { what, min, max })
}
