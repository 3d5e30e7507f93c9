//! Issuers and credential policies.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::Common;

/// Commands on issuers.
#[derive(Debug, Subcommand)]
pub enum IssuerCommand {
    /// Make an authority, or take a given one
    Create(IssuerCreate),
    /// List the authorities
    List(Common),
    /// Show an authority with its certificates
    Show(IssuerName),
    /// Forget an authority; what it issued stays good
    Delete(IssuerName),
}

/// An issuer by its name.
#[derive(Debug, Args)]
pub struct IssuerName {
    /// Its name
    #[arg(long, short, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps issuer create`.
#[derive(Debug, Args)]
pub struct IssuerCreate {
    #[command(flatten)]
    pub(crate) name: IssuerName,
    /// A file with its certificate and what leads to the root, PEM; made when absent
    #[arg(long, visible_alias = "cp", value_name = "FILE", requires = "key_path")]
    pub(crate) certificate_path: Option<PathBuf>,
    /// A file with the key of its certificate, PKCS#8 as PEM
    #[arg(
        long,
        visible_alias = "kp",
        value_name = "FILE",
        requires = "certificate_path"
    )]
    pub(crate) key_path: Option<PathBuf>,
}

impl IssuerCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.name.common,
            Self::List(common) => common,
            Self::Show(name) | Self::Delete(name) => &name.common,
        }
    }
}

/// Commands on credential policies.
#[derive(Debug, Subcommand)]
pub enum CredentialPolicyCommand {
    /// Make a policy that enrollments can name
    Create(CredentialPolicyCreate),
    /// List the policies
    List(Common),
    /// Show a policy
    Show(CredentialPolicyName),
    /// Change a policy
    Update(CredentialPolicyUpdate),
    /// Delete a policy
    Delete(CredentialPolicyDelete),
}

/// A credential policy by its name.
#[derive(Debug, Args)]
pub struct CredentialPolicyName {
    /// Its name
    #[arg(long, short, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `dps credential-policy create`.
#[derive(Debug, Args)]
pub struct CredentialPolicyCreate {
    #[command(flatten)]
    pub(crate) name: CredentialPolicyName,
    /// Which authority issues
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: String,
    /// How many days certificates are good, 7 to 90
    #[arg(long, value_name = "NUMBER")]
    pub(crate) validity_days: Option<u32>,
}

/// `dps credential-policy update`.
#[derive(Debug, Args)]
pub struct CredentialPolicyUpdate {
    #[command(flatten)]
    pub(crate) name: CredentialPolicyName,
    /// Which authority issues
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: Option<String>,
    /// How many days certificates are good, 7 to 90
    #[arg(long, value_name = "NUMBER")]
    pub(crate) validity_days: Option<u32>,
    /// Only while it has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

/// `dps credential-policy delete`.
#[derive(Debug, Args)]
pub struct CredentialPolicyDelete {
    #[command(flatten)]
    pub(crate) name: CredentialPolicyName,
    /// Only while it has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

impl CredentialPolicyCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.name.common,
            Self::List(common) => common,
            Self::Show(name) => &name.common,
            Self::Delete(delete) => &delete.name.common,
            Self::Update(update) => &update.name.common,
        }
    }
}
