//! Registrations and the allocation preview.

use std::net::IpAddr;

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::Common;

/// Commands on registrations.
#[derive(Debug, Subcommand)]
pub enum RegistrationCommand {
    /// List registrations, with the reason of those that failed
    List(RegistrationList),
    /// Show a registration, or why the device was turned away
    Show(RegistrationName),
    /// Forget a registration; the device stays in its hub
    Delete(RegistrationDelete),
}

/// `dps registration list`.
#[derive(Debug, Args)]
pub struct RegistrationList {
    /// Which
    #[arg(long, value_name = "FILTER", value_enum, default_value_t)]
    pub(crate) filter: RegistrationFilter,
    /// Only those of this enrollment group
    #[arg(long, visible_aliases = ["eid", "gid", "group-id"], value_name = "ID")]
    pub(crate) enrollment_id: Option<String>,
    /// The most that are listed; all when absent
    #[arg(long, value_name = "NUMBER")]
    pub(crate) top: Option<usize>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Which registrations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum RegistrationFilter {
    /// All
    #[default]
    All,
    /// Devices that wait for their hub
    Assigning,
    /// Devices whose newest attempt failed
    Failed,
    /// Devices with an enrollment of their own
    Individual,
    /// Devices that were turned away before they had a registration
    Refused,
}

impl RegistrationFilter {
    /// The spelling on the wire; none for refusals, which are kept elsewhere.
    pub(crate) const fn wire(self) -> Option<&'static str> {
        match self {
            Self::All => Some("all"),
            Self::Assigning => Some("assigning"),
            Self::Failed => Some("failed"),
            Self::Individual => Some("individual"),
            Self::Refused => None,
        }
    }
}

/// A registration by its id.
#[derive(Debug, Args)]
pub struct RegistrationName {
    /// The registration id
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    pub(crate) registration_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps registration delete`.
#[derive(Debug, Args)]
pub struct RegistrationDelete {
    #[command(flatten)]
    pub(crate) name: RegistrationName,
    /// Only while the registration has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

impl RegistrationCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List(list) => &list.common,
            Self::Show(name) => &name.common,
            Self::Delete(delete) => &delete.name.common,
        }
    }
}

/// Commands on allocation.
#[derive(Debug, Subcommand)]
pub enum AllocationCommand {
    /// Say where a device would go, and why; nothing is written and no webhook is asked
    Preview(AllocationPreview),
}

/// `dps allocation preview`.
#[derive(Debug, Args)]
pub struct AllocationPreview {
    /// The registration id
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    pub(crate) registration_id: String,
    /// The group it would register by, when it has no enrollment of its own
    #[arg(long, visible_aliases = ["eid", "gid", "group-id"], value_name = "ID")]
    pub(crate) enrollment_id: Option<String>,
    /// Where it would call from
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) address: Option<IpAddr>,
    /// What it would send, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) payload: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}
