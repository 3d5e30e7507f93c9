//! `module …`.

use clap::{Args, Subcommand};

use super::{Common, KeyArguments, RollArgument};

/// Commands on modules.
#[derive(Debug, Subcommand)]
pub enum ModuleCommand {
    /// Create a module of a device
    Create(ModuleCreate),
    /// List a device's modules
    List(ModuleList),
    /// Show a module with its keys
    Show(ModuleShow),
    /// Change some settings of a module
    Update(ModuleUpdate),
    /// Delete a module with its twin
    Delete(ModuleDelete),
    /// Make a new key for modules of a device, or swap their keys
    RenewKey(ModuleRenewKey),
}

/// `module create`.
#[derive(Debug, Args)]
pub struct ModuleCreate {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The new module's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: String,
    /// Who manages it
    #[arg(long, value_name = "TEXT")]
    pub(crate) managed_by: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArguments,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `module list`.
#[derive(Debug, Args)]
pub struct ModuleList {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `module show`.
#[derive(Debug, Args)]
pub struct ModuleShow {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `module update`.
#[derive(Clone, Debug, Args)]
pub struct ModuleUpdate {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: String,
    /// Who manages it; empty for nobody
    #[arg(long, value_name = "TEXT")]
    pub(crate) managed_by: Option<String>,
    #[command(flatten)]
    pub(crate) keys: KeyArguments,
    /// Only while the module has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `module delete`.
#[derive(Debug, Args)]
pub struct ModuleDelete {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: String,
    /// Only while the module has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `module renew-key`.
#[derive(Debug, Args)]
pub struct ModuleRenewKey {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The ids of one or more modules; '*' for all with keys
    #[arg(long, short, value_name = "ID", num_args = 1.., required_unless_present = "all")]
    pub(crate) module_id: Vec<String>,
    /// All modules of the device with keys
    #[arg(long, conflicts_with = "module_id")]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) roll: RollArgument,
    /// Only while the module has this etag; for one module
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}
