//! Shared access policies of the service.

use clap::{Args, Subcommand, ValueEnum};

use crate::arguments::{Common, KeyChoice};

/// Commands on policies.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// List the policies, without keys
    List(Common),
    /// Show a policy with its keys
    Show {
        /// Its name
        #[arg(
            long,
            visible_alias = "pn",
            short = 'n',
            value_name = "NAME",
            default_value = "provisioningserviceowner"
        )]
        policy_name: String,
        /// Where
        #[command(flatten)]
        common: Common,
    },
    /// Make a policy; keys that are not given are made
    Create(PolicyCreate),
    /// Change rights or keys of a policy
    Update(PolicyUpdate),
    /// Make a new key for a policy, or swap its keys
    RenewKey(PolicyRenewKey),
    /// Delete a policy; its tokens are refused at once
    Delete(PolicyName),
}

/// A policy by its name.
#[derive(Debug, Args)]
pub struct PolicyName {
    /// Its name
    #[arg(long, visible_alias = "pn", short = 'n', value_name = "NAME")]
    pub(crate) policy_name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps policy create`.
#[derive(Debug, Args)]
pub struct PolicyCreate {
    #[command(flatten)]
    pub(crate) name: PolicyName,
    /// What it allows; a right to write includes the right to read
    #[arg(long, visible_alias = "rights", short = 'r', value_name = "RIGHT", value_enum, ignore_case = true,
        num_args = 1.., required = true)]
    pub(crate) permissions: Vec<Right>,
    #[command(flatten)]
    pub(crate) keys: PolicyKeys,
}

/// `dps policy update`.
#[derive(Debug, Args)]
pub struct PolicyUpdate {
    #[command(flatten)]
    pub(crate) name: PolicyName,
    /// What it allows, all of it
    #[arg(long, visible_alias = "rights", short = 'r', value_name = "RIGHT", value_enum, ignore_case = true,
        num_args = 1..)]
    pub(crate) permissions: Vec<Right>,
    #[command(flatten)]
    pub(crate) keys: PolicyKeys,
}

/// `dps policy renew-key`.
#[derive(Debug, Args)]
pub struct PolicyRenewKey {
    #[command(flatten)]
    pub(crate) name: PolicyName,
    /// Which key: the one that no program uses first, then swap
    #[arg(long, visible_aliases = ["kt", "renew-key", "rk"], value_name = "KEY", value_enum, ignore_case = true)]
    pub(crate) key_type: KeyChoice,
}

/// Keys of a policy.
#[derive(Debug, Args)]
pub(crate) struct PolicyKeys {
    /// The first key, base64
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    pub(crate) primary_key: Option<String>,
    /// The second key, base64
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    pub(crate) secondary_key: Option<String>,
}

/// What a policy may allow, in the vendor's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Right {
    /// Change the service itself
    #[value(name = "ServiceConfig")]
    ServiceConfig,
    /// Read enrollments
    #[value(name = "EnrollmentRead")]
    EnrollmentRead,
    /// Write enrollments
    #[value(name = "EnrollmentWrite")]
    EnrollmentWrite,
    /// Read registrations
    #[value(name = "RegistrationStatusRead")]
    RegistrationStatusRead,
    /// Delete registrations
    #[value(name = "RegistrationStatusWrite")]
    RegistrationStatusWrite,
}

impl Right {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::ServiceConfig => "ServiceConfig",
            Self::EnrollmentRead => "EnrollmentRead",
            Self::EnrollmentWrite => "EnrollmentWrite",
            Self::RegistrationStatusRead => "RegistrationStatusRead",
            Self::RegistrationStatusWrite => "RegistrationStatusWrite",
        }
    }
}

impl PolicyCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List(common) | Self::Show { common, .. } => common,
            Self::Create(create) => &create.name.common,
            Self::Update(update) => &update.name.common,
            Self::RenewKey(renew) => &renew.name.common,
            Self::Delete(name) => &name.common,
        }
    }
}
