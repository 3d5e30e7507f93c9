//! `module …`.

use clap::{Args, Subcommand};

use super::{Common, KeyArguments};

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
