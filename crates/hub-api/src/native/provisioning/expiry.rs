//! What expires, and when.

use serde::{Deserialize, Serialize};

use crate::native::Moment;

/// Certificates that expire soon or have expired, the next one first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ExpiryReport {
    /// Until when was looked.
    pub until: Moment,
    /// The certificates.
    pub items: Vec<Expiry>,
    /// What the caller may not see; nothing for the administrator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<ExpiryWhat>,
    /// True when there are more; those that expire next are shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_cut: bool,
}

/// A certificate that expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// What it is for.
    pub what: ExpiryWhat,
    /// Of which hub, enrollment or group, or its own name.
    pub name: String,
    /// Which of two certificates, where there are two; or its name among those of a hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<String>,
    /// Its subject.
    pub subject: String,
    /// SHA-1 of the certificate, in upper case.
    pub thumbprint: String,
    /// When it expires.
    pub expiry: Moment,
    /// True when it has.
    pub is_expired: bool,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum ExpiryWhat {
    /// It is what the server shows to clients.
    Server,
    /// It vouches for devices of a hub.
    HubCertificate,
    /// It vouches for devices that register.
    ProvisioningCertificate,
    /// It is that of an enrolled device.
    Enrollment,
    /// It signs those of a group's devices.
    EnrollmentGroup,
    /// A device registered with it, for which an authority vouches.
    Registration,
    /// It issues certificates to devices.
    Issuer,
}

impl ExpiryWhat {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::HubCertificate => "hubCertificate",
            Self::ProvisioningCertificate => "provisioningCertificate",
            Self::Enrollment => "enrollment",
            Self::EnrollmentGroup => "enrollmentGroup",
            Self::Registration => "registration",
            Self::Issuer => "issuer",
        }
    }
}
