//! Settings of the queues for devices and for back ends.

use std::time::Duration;

use hub_domain::hub::{Notifications, SettingError};
use serde::{Deserialize, Serialize};

/// How a hub treats cloud-to-device messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CloudToDeviceSettings {
    /// Time to live of a message that names no expiry: 60 to 172,800 seconds.
    pub default_ttl_seconds: u64,
    /// Deliveries before a message counts as dead, 1 to 100.
    pub max_delivery_count: u32,
    /// How back ends read feedback.
    pub feedback: QueueSettings,
}

impl CloudToDeviceSettings {
    pub(super) const fn of(settings: &hub_domain::CloudToDeviceSettings) -> Self {
        Self {
            default_ttl_seconds: settings.default_ttl.as_secs(),
            max_delivery_count: settings.delivery_count_max,
            feedback: QueueSettings::of(&settings.feedback),
        }
    }
}

/// How back ends read a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct QueueSettings {
    /// How long what was read is kept from other readers: 5 to 300 seconds.
    pub lock_seconds: u64,
    /// How long a record is kept: 60 to 172,800 seconds.
    pub ttl_seconds: u64,
    /// Deliveries before a record is dropped, 1 to 100.
    pub max_delivery_count: u32,
}

impl QueueSettings {
    pub(super) const fn of(settings: &hub_domain::ServiceBoundSettings) -> Self {
        Self {
            lock_seconds: settings.lock.as_secs(),
            ttl_seconds: settings.ttl.as_secs(),
            max_delivery_count: settings.delivery_count_max,
        }
    }
}

/// How devices upload files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct FileUploadSettings {
    /// How long the ticket of an upload is good: 60 to 86,400 seconds.
    pub ticket_ttl_seconds: u64,
    /// Whether back ends are told of finished uploads.
    pub notifications: bool,
}

impl FileUploadSettings {
    pub(super) fn of(settings: &hub_domain::FileUploadSettings) -> Self {
        Self {
            ticket_ttl_seconds: settings.ticket_ttl.as_secs(),
            notifications: settings.notifications == Notifications::On,
        }
    }
}

/// A change of how devices upload files; an absent member stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileUploadSettingsChange {
    /// How long the ticket of an upload is good: 60 to 86,400 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket_ttl_seconds: Option<u64>,
    /// Whether back ends are told of finished uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notifications: Option<bool>,
}

impl FileUploadSettingsChange {
    pub(super) fn apply(
        &self,
        settings: &mut hub_domain::FileUploadSettings,
    ) -> Result<(), SettingError> {
        if let Some(seconds) = self.ticket_ttl_seconds {
            settings.ticket_ttl = Duration::from_secs(seconds);
        }
        match self.notifications {
            None => {}
            Some(true) => settings.notifications = Notifications::On,
            Some(false) => settings.notifications = Notifications::Off,
        }
        settings.check()
    }
}

/// A change of how a hub treats cloud-to-device messages; an absent member stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloudToDeviceSettingsChange {
    /// Time to live of a message that names no expiry: 60 to 172,800 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_ttl_seconds: Option<u64>,
    /// Deliveries before a message counts as dead, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delivery_count: Option<u32>,
    /// How back ends read feedback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feedback: Option<QueueSettingsChange>,
}

impl CloudToDeviceSettingsChange {
    pub(super) fn apply(
        &self,
        settings: &mut hub_domain::CloudToDeviceSettings,
    ) -> Result<(), SettingError> {
        if let Some(seconds) = self.default_ttl_seconds {
            settings.default_ttl = Duration::from_secs(seconds);
        }
        if let Some(count) = self.max_delivery_count {
            settings.delivery_count_max = count;
        }
        if let Some(change) = &self.feedback {
            change.apply(&mut settings.feedback)?;
        }
        settings.check()
    }
}

/// A change of how back ends read a queue; an absent member stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct QueueSettingsChange {
    /// How long what was read is kept from other readers: 5 to 300 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_seconds: Option<u64>,
    /// How long a record is kept: 60 to 172,800 seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Deliveries before a record is dropped, 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_delivery_count: Option<u32>,
}

impl QueueSettingsChange {
    pub(super) fn apply(
        &self,
        settings: &mut hub_domain::ServiceBoundSettings,
    ) -> Result<(), SettingError> {
        if let Some(seconds) = self.lock_seconds {
            settings.lock = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.ttl_seconds {
            settings.ttl = Duration::from_secs(seconds);
        }
        if let Some(count) = self.max_delivery_count {
            settings.delivery_count_max = count;
        }
        settings.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tickets_live_a_minute_to_a_day() {
        let with = |seconds| {
            let change = FileUploadSettingsChange {
                ticket_ttl_seconds: Some(seconds),
                notifications: Some(false),
            };
            let mut settings = hub_domain::FileUploadSettings::default();
            let applied = change.apply(&mut settings);
            applied.map(|()| FileUploadSettings::of(&settings))
        };
        for seconds in [60, 86_400] {
            let expected = FileUploadSettings {
                ticket_ttl_seconds: seconds,
                notifications: false,
            };
            assert_eq!(with(seconds).unwrap(), expected);
        }
        assert!(with(59).is_err());
        assert!(with(86_401).is_err());
    }

    #[test]
    fn every_range_is_checked_at_both_edges() {
        let with = |ttl: u64, lock: u64, count: u32| {
            let change = CloudToDeviceSettingsChange {
                default_ttl_seconds: Some(ttl),
                max_delivery_count: Some(count),
                feedback: Some(QueueSettingsChange {
                    lock_seconds: Some(lock),
                    ttl_seconds: Some(ttl),
                    max_delivery_count: Some(count),
                }),
            };
            let mut settings = hub_domain::CloudToDeviceSettings::default();
            change.apply(&mut settings).map(|()| settings)
        };
        let settings = with(60, 5, 1).unwrap();
        assert_eq!(
            CloudToDeviceSettings::of(&settings).feedback.lock_seconds,
            5
        );
        assert!(with(172_800, 300, 100).is_ok());
        for (ttl, lock, count) in [
            (59, 5, 1),
            (172_801, 5, 1),
            (60, 4, 1),
            (60, 301, 1),
            (60, 5, 0),
            (60, 5, 101),
        ] {
            assert!(with(ttl, lock, count).is_err(), "{ttl} {lock} {count}");
        }
    }
}
