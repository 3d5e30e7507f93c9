//! `hub certificate …`.

use std::path::PathBuf;

use clap::{ArgAction, Args, Subcommand};

use super::Common;

/// Commands on the authorities of a hub.
#[derive(Debug, Subcommand)]
pub enum CertificateCommand {
    /// Register the certificate of an authority
    Create(CertificateUpload),
    /// Put another certificate under the same name; it has to be verified anew
    Update(CertificateUpdate),
    /// List the authorities
    List(Common),
    /// Show an authority
    Show(CertificateName),
    /// Forget an authority; a hub cuts off the devices that it vouched for
    Delete(GuardedCertificate),
    /// Make a code that the owner of the authority has to certify
    GenerateVerificationCode(GuardedCertificate),
    /// Prove possession with a certificate that the authority issued to the code
    Verify(CertificateVerify),
}

/// `hub certificate create`.
#[derive(Debug, Args)]
pub struct CertificateUpload {
    /// Its name: letters, digits, `.`, `_` and `-`
    #[arg(long, short, visible_alias = "certificate-name")]
    pub(crate) name: String,
    /// A file with the certificate, PEM or DER
    #[arg(long, short, value_name = "FILE")]
    pub(crate) path: PathBuf,
    /// Trust it without a proof of possession
    #[arg(long, short, value_name = "BOOL", action = ArgAction::Set, num_args = 0..=1, default_value = "false", default_missing_value = "true", hide_default_value = true)]
    pub(crate) verified: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `hub certificate update`.
#[derive(Debug, Args)]
pub struct CertificateUpdate {
    #[command(flatten)]
    pub(crate) upload: CertificateUpload,
    /// Only while the certificate has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
}

/// A certificate by its name.
#[derive(Debug, Args)]
pub struct CertificateName {
    /// Its name
    #[arg(long, short, visible_alias = "certificate-name")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// A certificate by its name, and in which state.
#[derive(Debug, Args)]
pub struct GuardedCertificate {
    /// Its name
    #[arg(long, short, visible_alias = "certificate-name")]
    pub(crate) name: String,
    /// Only while the certificate has this etag
    #[arg(long, short, value_name = "ETAG")]
    pub(crate) etag: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `hub certificate verify`.
#[derive(Debug, Args)]
pub struct CertificateVerify {
    #[command(flatten)]
    pub(crate) certificate: GuardedCertificate,
    /// A file with the certificate whose common name is the code, PEM or DER
    #[arg(long, short, value_name = "FILE")]
    pub(crate) path: PathBuf,
}

impl CertificateCommand {
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::Create(create) => &create.common,
            Self::Update(update) => &update.upload.common,
            Self::List(common) => common,
            Self::Show(show) => &show.common,
            Self::Delete(named) | Self::GenerateVerificationCode(named) => &named.common,
            Self::Verify(verify) => &verify.certificate.common,
        }
    }
}
