//! `dps …`.

mod credential;
mod enrollment;
mod place;
mod policy;
mod registration;

use clap::{Args, Subcommand, ValueEnum};
use hub_api::native;

use super::{CertificateCommand, Common};

pub(crate) use credential::{CredentialPolicyCommand, IssuerCommand};
pub(crate) use enrollment::{
    AttestationChoice, EnrollmentCommand, EnrollmentRoll, EnrollmentWrite, GroupCommand, GroupRoll,
    GroupWrite, Proof, RollThrough, TermsArguments,
};
pub(crate) use place::{
    AddressRangeCommand, LatencyCommand, LatencyMeasure, LinkedHubCommand, LinkedHubCreate,
    LinkedHubUpdate, ListFile,
};
pub(crate) use policy::{PolicyCommand, PolicyCreate, PolicyRenewKey, PolicyUpdate, Right};
pub(crate) use registration::{
    AllocationCommand, AllocationPreview, RegistrationCommand, RegistrationDelete,
    RegistrationFilter, RegistrationList, RegistrationName,
};

/// Commands on the provisioning service.
#[derive(Debug, Subcommand)]
pub enum DpsCommand {
    /// Show the service: id scope, endpoint, policy, registrations
    Show(Common),
    /// Change the service
    Update(ServiceUpdate),
    /// Shared access policies of the service
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// What programs with the vendor's service clients connect with
    #[command(subcommand)]
    ConnectionString(ConnectionStringCommand),
    /// Hubs that devices can be assigned to
    #[command(subcommand)]
    LinkedHub(LinkedHubCommand),
    /// Authorities that may vouch for devices which register
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Enrollments of single devices
    #[command(subcommand)]
    Enrollment(EnrollmentCommand),
    /// Enrollments of groups of devices
    #[command(subcommand)]
    EnrollmentGroup(GroupCommand),
    /// What became of devices that asked for their hub
    #[command(subcommand)]
    Registration(RegistrationCommand),
    /// How long callers of a region take to a hub
    #[command(subcommand)]
    Latency(LatencyCommand),
    /// In which region callers of an address are
    #[command(subcommand)]
    AddressRange(AddressRangeCommand),
    /// How certificates are issued to devices
    #[command(subcommand)]
    CredentialPolicy(CredentialPolicyCommand),
    /// Authorities of the service that issue certificates
    #[command(subcommand)]
    Issuer(IssuerCommand),
    /// Where a device would go, and why
    #[command(subcommand)]
    Allocation(AllocationCommand),
}

/// `dps update`.
#[derive(Debug, Args)]
pub struct ServiceUpdate {
    /// How a hub is chosen where an enrollment says nothing
    #[arg(
        long,
        visible_alias = "ap",
        value_name = "POLICY",
        value_enum,
        ignore_case = true
    )]
    pub(crate) allocation_policy: Option<ServiceAllocation>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// What the service itself may decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceAllocation {
    /// Evenly, by weights
    Hashed,
    /// The nearest one
    #[value(name = "geolatency", alias = "geoLatency")]
    GeoLatency,
    /// The one that the enrollment names
    Static,
}

impl ServiceAllocation {
    pub(crate) const fn wire(self) -> native::AllocationPolicy {
        match self {
            Self::Hashed => native::AllocationPolicy::Hashed,
            Self::GeoLatency => native::AllocationPolicy::GeoLatency,
            Self::Static => native::AllocationPolicy::Static,
        }
    }
}

/// Commands on connection strings.
#[derive(Debug, Subcommand)]
pub enum ConnectionStringCommand {
    /// Show the connection string of a policy
    Show {
        /// The policy's name
        #[arg(
            long,
            visible_alias = "pn",
            value_name = "NAME",
            default_value = "provisioningserviceowner"
        )]
        policy_name: String,
        /// With which of its keys
        #[arg(
            long,
            visible_alias = "kt",
            value_name = "KEY",
            value_enum,
            default_value_t
        )]
        key_type: SlotChoice,
        /// Where
        #[command(flatten)]
        common: Common,
    },
}

/// One of two keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SlotChoice {
    /// The first
    #[default]
    Primary,
    /// The second
    Secondary,
}

/// Commands on keys and certificates of all kinds.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// List the certificates of hubs, enrollments, groups, issuers and the server that expire soon
    Expiring {
        /// In how many days, such as 30d
        #[arg(long, value_name = "DAYS", default_value = "30d", value_parser = days)]
        within: u32,
        /// Where
        #[command(flatten)]
        common: Common,
    },
}

/// `30d`, `30` or `4w`.
fn days(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.strip_suffix(['d', 'w']) {
        Some(number) if text.ends_with('w') => (number, 7),
        Some(number) => (number, 1),
        None => (text, 1),
    };
    let wrong = || format!("{text} is no number of days, such as 30d or 4w");
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let days = number.checked_mul(unit).ok_or_else(wrong)?;
    if days > 36_500 {
        return Err("that is more than a hundred years".to_owned());
    }
    Ok(days)
}

impl DpsCommand {
    /// What people type to see what there is, when this command finds nothing.
    pub(crate) const fn listing(&self) -> &'static str {
        match self {
            Self::Show(_) | Self::Update(_) => "dps show",
            Self::Policy(_) | Self::ConnectionString(_) => "dps policy list",
            Self::LinkedHub(_) => "dps linked-hub list",
            Self::Certificate(_) => "dps certificate list",
            Self::Enrollment(_) => "dps enrollment list",
            Self::EnrollmentGroup(_) => "dps enrollment-group list",
            Self::Registration(_) => "dps registration list",
            Self::Latency(_) => "dps latency list",
            Self::AddressRange(_) => "dps address-range list",
            Self::CredentialPolicy(_) => "dps credential-policy list",
            Self::Issuer(_) => "dps issuer list",
            Self::Allocation(_) => "dps enrollment-group list",
        }
    }

    /// The arguments that all commands have.
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Show(common) => common,
            Self::Policy(command) => command.common(),
            Self::ConnectionString(ConnectionStringCommand::Show { common, .. }) => common,
            Self::Update(update) => &update.common,
            Self::LinkedHub(command) => command.common(),
            Self::Certificate(command) => command.common(),
            Self::Enrollment(command) => command.common(),
            Self::EnrollmentGroup(command) => command.common(),
            Self::Registration(command) => command.common(),
            Self::Latency(command) => command.common(),
            Self::AddressRange(command) => command.common(),
            Self::CredentialPolicy(command) => command.common(),
            Self::Issuer(command) => command.common(),
            Self::Allocation(AllocationCommand::Preview(preview)) => &preview.common,
        }
    }
}

impl KeysCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Expiring { common, .. } => common,
        }
    }
}
