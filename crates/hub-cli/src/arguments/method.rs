//! `method …`.

use clap::{Args, Subcommand};

use super::Common;

/// Commands on direct methods.
#[derive(Debug, Subcommand)]
pub enum MethodCommand {
    /// Invoke a direct method and print the answer
    Invoke(MethodInvoke),
}

/// `method invoke`.
#[derive(Debug, Args)]
pub struct MethodInvoke {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id, for a module's method
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: Option<String>,
    /// The method's name
    #[arg(long, visible_alias = "mn", value_name = "NAME")]
    pub(crate) method_name: String,
    /// Its payload: any JSON, or @FILE; no payload when absent
    #[arg(
        long,
        visible_alias = "mp",
        value_name = "JSON",
        allow_hyphen_values = true
    )]
    pub(crate) method_payload: Option<String>,
    /// Seconds that the device may take to answer, 5 to 300
    #[arg(long, visible_alias = "to", value_name = "SECONDS")]
    pub(crate) timeout: Option<u64>,
    /// Seconds to wait for the device to connect, 0 to 300
    #[arg(long, value_name = "SECONDS")]
    pub(crate) connect_timeout: Option<u64>,
    #[command(flatten)]
    pub(crate) common: Common,
}
