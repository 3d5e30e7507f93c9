//! What of a hub may be set while it runs.

mod queues;

use hub_domain::fault::FaultInjection;
use hub_domain::{QuotaProfile, Settings};
use serde::{Deserialize, Serialize};

pub use queues::{
    CloudToDeviceSettings, CloudToDeviceSettingsChange, FileUploadSettings,
    FileUploadSettingsChange, QueueSettings, QueueSettingsChange,
};

/// The settings of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct HubSettings {
    /// Which limits of throughput the hub keeps: `unlimited`, or those of the vendor's tiers `F1`, `S1`, `S2`, `S3`.
    pub quota_profile: String,
    /// Whether telemetry with `AzIoTHub_Fault…` properties makes the hub harm its sender's connection, for tests.
    pub fault_injection: bool,
    /// How the hub treats cloud-to-device messages.
    pub cloud_to_device: CloudToDeviceSettings,
    /// How back ends read the notifications of finished uploads.
    pub file_notifications: QueueSettings,
    /// How devices upload files.
    pub file_upload: FileUploadSettings,
}

impl HubSettings {
    /// The settings of a hub.
    pub fn of(settings: &Settings) -> Self {
        Self {
            quota_profile: settings.quota.as_str().to_owned(),
            fault_injection: settings.fault_injection == FaultInjection::On,
            cloud_to_device: CloudToDeviceSettings::of(&settings.cloud_to_device),
            file_notifications: QueueSettings::of(&settings.file_notifications),
            file_upload: FileUploadSettings::of(&settings.file_upload),
        }
    }
}

/// A change of settings; an absent member stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HubSettingsChange {
    /// Which limits of throughput the hub keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quota_profile: Option<String>,
    /// Whether devices may ask for faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault_injection: Option<bool>,
    /// How the hub treats cloud-to-device messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_to_device: Option<CloudToDeviceSettingsChange>,
    /// How back ends read the notifications of finished uploads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_notifications: Option<QueueSettingsChange>,
    /// How devices upload files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_upload: Option<FileUploadSettingsChange>,
}

/// A change that no hub can have; the text says what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is no such profile.
    #[error("there is no quota profile {0:?}, choose unlimited, F1, S1, S2 or S3")]
    QuotaProfile(String),
    /// A time or a count is out of its range.
    #[error(transparent)]
    Range(#[from] hub_domain::hub::SettingError),
}

impl HubSettingsChange {
    /// The settings with this change.
    ///
    /// # Errors
    /// When a value is not allowed.
    pub fn apply(&self, settings: &Settings) -> Result<Settings, SettingsError> {
        let mut next = settings.clone();
        if let Some(name) = &self.quota_profile {
            next.quota = QuotaProfile::parse(name)
                .ok_or_else(|| SettingsError::QuotaProfile(name.clone()))?;
        }
        match self.fault_injection {
            None => {}
            Some(true) => next.fault_injection = FaultInjection::On,
            Some(false) => next.fault_injection = FaultInjection::Off,
        }
        if let Some(change) = &self.cloud_to_device {
            change.apply(&mut next.cloud_to_device)?;
        }
        if let Some(change) = &self.file_notifications {
            change.apply(&mut next.file_notifications)?;
        }
        if let Some(change) = &self.file_upload {
            change.apply(&mut next.file_upload)?;
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_touches_what_it_names() {
        let limited = HubSettingsChange {
            quota_profile: Some("s1".to_owned()),
            fault_injection: Some(true),
            cloud_to_device: Some(CloudToDeviceSettingsChange {
                max_delivery_count: Some(3),
                ..CloudToDeviceSettingsChange::default()
            }),
            ..HubSettingsChange::default()
        };
        let settings = limited.apply(&Settings::default()).unwrap();
        assert_eq!(HubSettings::of(&settings).quota_profile, "S1");
        assert!(HubSettings::of(&settings).fault_injection);
        let queues = HubSettings::of(&settings).cloud_to_device;
        assert_eq!(
            (queues.max_delivery_count, queues.default_ttl_seconds),
            (3, 3_600)
        );
        let unchanged = HubSettingsChange::default().apply(&settings).unwrap();
        assert_eq!(unchanged, settings);
    }

    #[test]
    fn an_unknown_profile_is_refused() {
        let change = HubSettingsChange {
            quota_profile: Some("S9".to_owned()),
            ..HubSettingsChange::default()
        };
        assert!(change.apply(&Settings::default()).is_err());
    }
}
