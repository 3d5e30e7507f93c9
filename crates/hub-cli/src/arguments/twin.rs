//! `twin …`.

use clap::{Args, Subcommand};

use super::Common;

/// Commands on twins.
#[derive(Debug, Subcommand)]
pub enum TwinCommand {
    /// Show a twin
    Show(TwinShow),
    /// Merge into tags and desired properties; null removes
    Update(TwinWrite),
    /// Replace tags and desired properties; a part that is not given becomes empty
    Replace(TwinWrite),
}

/// `twin show`.
#[derive(Debug, Args)]
pub struct TwinShow {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id, for a module's twin
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `twin update`, `twin replace`.
#[derive(Debug, Args)]
pub struct TwinWrite {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The module's id, for a module's twin
    #[arg(long, short, value_name = "ID")]
    pub(crate) module_id: Option<String>,
    /// Desired properties: a JSON object, or @FILE
    #[arg(long, value_name = "JSON", required_unless_present = "tags")]
    pub(crate) desired: Option<String>,
    /// Tags: a JSON object, or @FILE
    #[arg(long, value_name = "JSON")]
    pub(crate) tags: Option<String>,
    /// Only while the twin has this etag
    #[arg(long, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}
