//! Linked hubs, address ranges, latencies.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

use crate::arguments::Common;

/// Commands on linked hubs.
#[derive(Debug, Subcommand)]
pub enum LinkedHubCommand {
    /// Link a hub of another installation; those of this one are linked by themselves
    Create(LinkedHubCreate),
    /// List the hubs that devices can be assigned to
    List(Common),
    /// Show a linked hub
    Show(LinkedHubName),
    /// Change weight, use, region or connection string of a linked hub
    Update(LinkedHubUpdate),
    /// Try whether devices can be assigned to a linked hub; nothing is written there
    Check(LinkedHubName),
    /// Unlink a hub of another installation, or forget what is set for an own one
    Delete(LinkedHubName),
}

/// A linked hub by its host name.
#[derive(Debug, Args)]
pub struct LinkedHubName {
    /// The hub's host name
    #[arg(long, visible_alias = "lh", value_name = "HOST")]
    pub(crate) linked_hub: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps linked-hub create`.
#[derive(Debug, Args)]
pub struct LinkedHubCreate {
    /// The connection string of a policy of that hub with RegistryWrite and ServiceConnect
    #[arg(long, visible_alias = "lcs", value_name = "STRING")]
    pub(crate) hub_connection_string: String,
    #[command(flatten)]
    pub(crate) settings: LinkSettings,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps linked-hub update`.
#[derive(Debug, Args)]
pub struct LinkedHubUpdate {
    #[command(flatten)]
    pub(crate) name: LinkedHubName,
    /// Another connection string to the same hub
    #[arg(long, visible_alias = "lcs", value_name = "STRING")]
    pub(crate) hub_connection_string: Option<String>,
    #[command(flatten)]
    pub(crate) settings: LinkSettings,
}

/// What is set for a linked hub.
#[derive(Debug, Args)]
pub(crate) struct LinkSettings {
    /// Its share of devices under the hashed policy, 1 to 1,000
    #[arg(long, visible_alias = "weight", value_name = "NUMBER")]
    pub(crate) allocation_weight: Option<u32>,
    /// Whether policies may choose it
    #[arg(long, visible_alias = "aap", value_name = "BOOL", action = ArgAction::Set)]
    pub(crate) apply_allocation_policy: Option<bool>,
    /// Where it is
    #[arg(long, value_name = "NAME")]
    pub(crate) region: Option<String>,
}

impl LinkSettings {
    pub(crate) const fn is_empty(&self) -> bool {
        self.allocation_weight.is_none()
            && self.apply_allocation_policy.is_none()
            && self.region.is_none()
    }
}

impl LinkedHubCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.common,
            Self::List(common) => common,
            Self::Show(name) | Self::Check(name) | Self::Delete(name) => &name.common,
            Self::Update(update) => &update.name.common,
        }
    }
}

/// Commands on address ranges.
#[derive(Debug, Subcommand)]
pub enum AddressRangeCommand {
    /// List the ranges
    List(Common),
    /// Say where a range of addresses is
    Set {
        /// An address and a prefix, such as 10.0.0.0/8
        #[arg(long, value_name = "RANGE")]
        range: String,
        /// The region
        #[arg(long, value_name = "NAME")]
        region: String,
        /// Where
        #[command(flatten)]
        common: Common,
    },
    /// Say where all ranges of addresses are, in the place of everything that was said
    Replace(ListFile),
    /// Forget where a range of addresses is
    Delete {
        /// An address and a prefix
        #[arg(long, value_name = "RANGE")]
        range: String,
        /// Where
        #[command(flatten)]
        common: Common,
    },
}

impl AddressRangeCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List(common) | Self::Set { common, .. } | Self::Delete { common, .. } => common,
            Self::Replace(file) => &file.common,
        }
    }
}

/// A whole list.
#[derive(Debug, Args)]
pub struct ListFile {
    /// A file with the list as `list -o json` prints it
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Commands on latencies.
#[derive(Debug, Subcommand)]
pub enum LatencyCommand {
    /// List what is known
    List(Common),
    /// Say how long callers of a region take to a hub
    Set {
        /// Where callers are
        #[arg(long, value_name = "NAME")]
        region: String,
        /// The hub's host name
        #[arg(long, visible_alias = "lh", value_name = "HOST")]
        linked_hub: String,
        /// How long, in milliseconds
        #[arg(long, visible_alias = "ms", value_name = "NUMBER")]
        milliseconds: f64,
        /// Where
        #[command(flatten)]
        common: Common,
    },
    /// Say how long callers of all regions take to the hubs, in the place of everything that was said
    Replace(ListFile),
    /// Forget how long callers of a region take to a hub
    Delete {
        /// Where callers are
        #[arg(long, value_name = "NAME")]
        region: String,
        /// The hub's host name
        #[arg(long, visible_alias = "lh", value_name = "HOST")]
        linked_hub: String,
        /// Where
        #[command(flatten)]
        common: Common,
    },
    /// Measure from this machine how long each linked hub takes, and set that for the region it is in
    Measure(LatencyMeasure),
}

/// `dps latency measure`.
#[derive(Debug, Args)]
pub struct LatencyMeasure {
    /// The region that this machine is in
    #[arg(long, value_name = "NAME")]
    pub(crate) region: String,
    /// The port that connections are made to; that of HTTPS when absent
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// How many connections are made to each hub; the fastest counts
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) count: u32,
    /// Only show what was measured
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl LatencyCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List(common) | Self::Set { common, .. } | Self::Delete { common, .. } => common,
            Self::Replace(file) => &file.common,
            Self::Measure(measure) => &measure.common,
        }
    }
}
