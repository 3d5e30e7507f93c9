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
    pub(crate) queues: QueueArguments,
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

/// Settings of the queues for devices and for back ends; times are in seconds.
#[derive(Debug, Args)]
pub(crate) struct QueueArguments {
    /// Time to live of a message for a device that names no expiry
    #[arg(long, value_name = "SECONDS")]
    pub(crate) c2d_ttl: Option<u64>,
    /// Deliveries before a message for a device is given up
    #[arg(long, value_name = "NUMBER")]
    pub(crate) c2d_max_delivery_count: Option<u32>,
    /// How long feedback that was read is kept from other readers
    #[arg(long, value_name = "SECONDS")]
    pub(crate) feedback_lock_duration: Option<u64>,
    /// How long feedback is kept
    #[arg(long, value_name = "SECONDS")]
    pub(crate) feedback_ttl: Option<u64>,
    /// Deliveries before feedback is dropped
    #[arg(long, value_name = "NUMBER")]
    pub(crate) feedback_max_delivery_count: Option<u32>,
    /// How long an upload's notification that was read is kept from other readers
    #[arg(long, value_name = "SECONDS")]
    pub(crate) fileupload_notification_lock_duration: Option<u64>,
    /// How long an upload's notification is kept
    #[arg(long, value_name = "SECONDS")]
    pub(crate) fileupload_notification_ttl: Option<u64>,
    /// Deliveries before an upload's notification is dropped
    #[arg(long, value_name = "NUMBER")]
    pub(crate) fileupload_notification_max_delivery_count: Option<u32>,
    /// Whether back ends are told of finished uploads
    #[arg(long, value_name = "TRUE_OR_FALSE")]
    pub(crate) fileupload_notifications: Option<bool>,
    /// How long the ticket of an upload is good
    #[arg(long, value_name = "SECONDS")]
    pub(crate) fileupload_sas_ttl: Option<u64>,
}
