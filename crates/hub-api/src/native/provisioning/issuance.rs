//! Certificates that the service issues to devices.

use serde::{Deserialize, Serialize};

use crate::native::Moment;

/// An authority of the service that issues certificates. Its key is never shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Issuer {
    /// Its name.
    pub name: String,
    /// The subject of its certificate.
    pub subject: String,
    /// SHA-1 of its certificate, in upper case.
    pub thumbprint: String,
    /// When its certificate expires.
    pub expiry: Moment,
    /// When it was made or given.
    pub created: Moment,
    /// Its certificate and what leads to the root, as PEM.
    pub certificate_chain: String,
}

/// An authority that shall issue certificates. Without a certificate and key of its own it gets new ones.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewIssuer {
    /// Its name: 1 to 64 letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Its certificate and what leads to the root, as PEM, its own first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_chain: Option<String>,
    /// The key of its certificate, PKCS#8 as PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
}

/// How certificates are issued to the devices of the enrollments that name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CredentialPolicy {
    /// Its name.
    pub name: String,
    /// Which authority issues them.
    pub issuer: String,
    /// How many days they are good.
    pub validity_days: u32,
    /// Guards writes.
    pub etag: String,
    /// When it was created.
    pub created: Moment,
    /// When it was last written.
    pub updated: Moment,
}

/// A credential policy, as it is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialPolicySettings {
    /// Its name: 1 to 64 letters, digits, `-` and `_`.
    pub name: String,
    /// Which authority issues them.
    pub issuer: String,
    /// How many days they are good, 7 to 90; 30 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validity_days: Option<u32>,
}
