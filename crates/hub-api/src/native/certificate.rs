//! Certificates of authorities that vouch for a hub's devices.

use serde::{Deserialize, Serialize};

use super::Moment;

/// A registered certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Certificate {
    /// Its name, unique in the hub without regard to case.
    pub name: String,
    /// Guards writes.
    pub etag: String,
    /// Whether it vouches for devices.
    pub is_verified: bool,
    /// The common name that the proof of possession must have, once one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_code: Option<String>,
    /// The certificate's subject.
    pub subject: String,
    /// SHA-1 of the certificate, in upper case.
    pub thumbprint: String,
    /// When it begins to be valid.
    pub not_before: Moment,
    /// When it expires; then it vouches for nobody.
    pub expiry: Moment,
    /// When it was uploaded first.
    pub created: Moment,
    /// When it was last changed.
    pub updated: Moment,
    /// The certificate as PEM.
    pub certificate: String,
}

/// A certificate to be registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewCertificate {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// One certificate of an authority: PEM, or base64 of PEM or DER.
    pub certificate: String,
    /// True when no proof of possession is needed.
    #[serde(default)]
    pub is_verified: bool,
}

/// A certificate in the place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateReplacement {
    /// One certificate of an authority: PEM, or base64 of PEM or DER.
    pub certificate: String,
    /// True when no proof of possession is needed.
    #[serde(default)]
    pub is_verified: bool,
}

/// The proof that the owner of an authority holds its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateProof {
    /// A certificate that the authority issued to the verification code: PEM, or base64 of PEM or DER.
    pub certificate: String,
}
