//! `hub …`.

use clap::{Args, Subcommand};

use super::{CertificateCommand, Common};

/// Commands on hubs.
#[derive(Debug, Subcommand)]
pub enum HubCommand {
    /// Everything a client needs to reach a hub, beside a running server or without one
    Show {
        /// The hub's name; the default hub when absent
        #[arg(conflicts_with = "hub")]
        name: Option<String>,
        /// Where
        #[command(flatten)]
        common: Common,
    },
    /// Create a hub
    Create(HubCreate),
    /// Show or change what may be set while a hub runs
    Update(HubUpdate),
    /// List the hubs
    List(Common),
    /// Count a hub's devices
    Statistics(Common),
    /// Authorities that may vouch for devices with certificates
    #[command(subcommand)]
    Certificate(CertificateCommand),
}

/// `hub update`.
#[derive(Debug, Args)]
pub struct HubUpdate {
    /// The limits of throughput it keeps: unlimited, F1, S1, S2 or S3
    #[arg(long, value_name = "PROFILE")]
    pub(crate) quota_profile: Option<String>,
    /// Whether devices may ask the hub to harm their connection, for tests
    #[arg(long, value_name = "TRUE_OR_FALSE")]
    pub(crate) fault_injection: Option<bool>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `hub create`.
#[derive(Debug, Args)]
pub struct HubCreate {
    /// The new hub's name: letters, digits and `-`
    pub(crate) name: String,
    /// The host name that clients resolve
    #[arg(long, value_name = "HOST")]
    pub(crate) hostname: String,
    /// A further host name; may be given again
    #[arg(long = "alias", value_name = "HOST")]
    pub(crate) aliases: Vec<String>,
    /// Partitions of its message log, fixed for ever
    #[arg(long, value_name = "NUMBER")]
    pub(crate) partition_count: Option<u16>,
    #[command(flatten)]
    pub(crate) common: Common,
}
