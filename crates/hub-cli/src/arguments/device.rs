//! `device …`.

use clap::{Args, Subcommand};

use super::{Common, KeyArguments, RollArgument, StatusArgument};

/// Commands on devices.
#[derive(Debug, Subcommand)]
pub enum DeviceCommand {
    /// Create a device
    Create(DeviceCreate),
    /// List devices in the order of their ids
    List(DeviceList),
    /// Show a device with its keys
    Show(DeviceShow),
    /// Change some settings of a device
    Update(DeviceUpdate),
    /// Delete a device with its modules, twin and messages
    Delete(DeviceDelete),
    /// Make a new key for devices, or swap their keys; they are cut off and come back with a key that stays
    RenewKey(DeviceRenewKey),
}

/// `device create`.
#[derive(Debug, Args)]
pub struct DeviceCreate {
    /// The new device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The device runs modules and forwards for others
    #[arg(long, visible_alias = "ee", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) edge_enabled: Option<bool>,
    /// Whether it may connect
    #[arg(long, value_name = "STATUS", value_enum, ignore_case = true)]
    pub(crate) status: Option<StatusArgument>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub(crate) status_reason: Option<String>,
    /// The edge scope it belongs to
    #[arg(long, value_name = "SCOPE")]
    pub(crate) device_scope: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArguments,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `device list`.
#[derive(Debug, Args)]
pub struct DeviceList {
    /// The most devices; all when absent
    #[arg(long, visible_alias = "top", value_name = "NUMBER")]
    pub(crate) max: Option<usize>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `device show`.
#[derive(Debug, Args)]
pub struct DeviceShow {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `device update`.
#[derive(Clone, Debug, Args)]
pub struct DeviceUpdate {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The device runs modules and forwards for others
    #[arg(long, visible_alias = "ee", value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub(crate) edge_enabled: Option<bool>,
    /// Whether it may connect
    #[arg(long, value_name = "STATUS", value_enum, ignore_case = true)]
    pub(crate) status: Option<StatusArgument>,
    /// Why; empty for no reason
    #[arg(long, value_name = "TEXT")]
    pub(crate) status_reason: Option<String>,
    /// The edge scope it belongs to; empty for none
    #[arg(long, value_name = "SCOPE")]
    pub(crate) device_scope: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArguments,
    /// Only while the device has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `device delete`.
#[derive(Debug, Args)]
pub struct DeviceDelete {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// Only while the device has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `device renew-key`.
#[derive(Debug, Args)]
pub struct DeviceRenewKey {
    /// The ids of one or more devices; '*' for all with keys
    #[arg(long, short, value_name = "ID", num_args = 1.., required_unless_present = "all")]
    pub(crate) device_id: Vec<String>,
    /// All devices with keys
    #[arg(long, conflicts_with = "device_id")]
    pub(crate) all: bool,
    /// Goes on with --all behind this device
    #[arg(long, value_name = "ID", requires = "all")]
    pub(crate) after: Option<String>,
    #[command(flatten)]
    pub(crate) roll: RollArgument,
    /// Their modules too
    #[arg(long, visible_alias = "im")]
    pub(crate) include_modules: bool,
    /// Only while the device has this etag; for one device
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}
