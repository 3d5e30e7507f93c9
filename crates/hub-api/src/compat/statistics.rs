//! Counts.

use serde::Serialize;

/// The answer of `GET /statistics/devices`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceStatistics {
    /// All devices.
    pub total_device_count: u64,
    /// Those that may connect.
    pub enabled_device_count: u64,
    /// Those that may not.
    pub disabled_device_count: u64,
}

impl DeviceStatistics {
    /// The counts of `devices`, of which `enabled` may connect.
    pub const fn new(devices: u64, enabled: u64) -> Self {
        Self {
            total_device_count: devices,
            enabled_device_count: enabled,
            disabled_device_count: devices.saturating_sub(enabled),
        }
    }
}

/// The answer of `GET /statistics/service`.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceStatistics {
    /// Devices with an open session.
    pub connected_device_count: u64,
}

/// The answer of `DELETE /devices/{id}/commands`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PurgeResult {
    /// How many messages were removed.
    pub total_messages_purged: u64,
    /// Whose.
    pub device_id: String,
    /// Whose, for a module.
    pub module_id: Option<String>,
}
