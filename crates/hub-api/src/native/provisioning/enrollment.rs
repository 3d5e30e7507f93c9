//! Enrollments of devices and of groups.
//!
//! What is read can be written back: keys that are absent stay as they are, and what only the server says is ignored.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::native::{KeySlot, Moment, Status, SymmetricKeys};

/// The enrollment of one device.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Enrollment {
    /// Under which id it registers, compared without case.
    pub registration_id: String,
    /// Its id in the hub; the registration id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What it shows as proof.
    pub attestation: EnrollmentAttestation,
    /// What it gets.
    pub terms: EnrollmentTerms,
    /// Whatever the back end wants to remember of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information: Option<Map<String, Value>>,
    /// Guards writes.
    pub etag: String,
    /// When it was created.
    pub created: Moment,
    /// When it was last written.
    pub updated: Moment,
}

/// The enrollment of one device, as it is to be.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentSettings {
    /// Under which id it registers: letters, digits, `-`, `.`, `_`, `:`; at most 128.
    pub registration_id: String,
    /// Its id in the hub; the registration id when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// What it shows as proof.
    pub attestation: EnrollmentAttestation,
    /// What it gets.
    #[serde(default)]
    pub terms: EnrollmentTerms,
    /// Whatever the back end wants to remember of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information: Option<Map<String, Value>>,
}

/// The enrollment of all devices that show proof of the same origin.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct EnrollmentGroup {
    /// Its id, compared without case.
    pub enrollment_group_id: String,
    /// What a device shows as proof.
    pub attestation: EnrollmentAttestation,
    /// What it gets.
    pub terms: EnrollmentTerms,
    /// Guards writes.
    pub etag: String,
    /// When it was created.
    pub created: Moment,
    /// When it was last written.
    pub updated: Moment,
}

/// An enrollment group, as it is to be.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentGroupSettings {
    /// Its id: letters, digits, `-`, `.`, `_`, `:`; at most 128.
    pub enrollment_group_id: String,
    /// What a device shows as proof.
    pub attestation: EnrollmentAttestation,
    /// What it gets.
    #[serde(default)]
    pub terms: EnrollmentTerms,
}

/// How a device proves that it is the one that was enrolled. The member that fits `type` counts.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentAttestation {
    /// The kind.
    #[serde(rename = "type", default)]
    pub kind: AttestationType,
    /// Keys, base64. Absent ones are made at creation and stay at replacement; they are shown only where keys are asked
    /// for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeys>,
    /// Keys of a TPM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpm: Option<TpmKeys>,
    /// Certificates of the device itself; individual enrollments only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_certificates: Option<EnrollmentCertificates>,
    /// Certificates of authorities that sign those of devices; groups only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_certificates: Option<EnrollmentCertificates>,
    /// Names of certificates of the provisioning service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_references: Option<AuthorityReferences>,
}

/// The kind of proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum AttestationType {
    /// Tokens signed with a key.
    #[default]
    SymmetricKey,
    /// A certificate.
    X509,
    /// A TPM.
    Tpm,
}

/// The public keys of a TPM, base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TpmKeys {
    /// The endorsement key.
    pub endorsement_key: String,
    /// The storage root key, when it is known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_root_key: Option<String>,
}

/// Two certificates, both valid, so that one can be replaced while the other is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentCertificates {
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<EnrollmentCertificate>,
    /// The second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<EnrollmentCertificate>,
}

/// A certificate. Only the certificate itself is read; the rest is what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentCertificate {
    /// The certificate: PEM, or DER in base64.
    pub certificate: String,
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// SHA-1 of the certificate, in upper case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbprint: Option<String>,
    /// When it expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Moment>,
}

/// Two certificates of the service, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AuthorityReferences {
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<String>,
    /// The second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<String>,
}

/// What a device gets, and on what terms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnrollmentTerms {
    /// Whether it may register at all.
    #[serde(default)]
    pub status: Status,
    /// Whether it becomes an edge device.
    #[serde(default)]
    pub iot_edge: bool,
    /// The twin with which it begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_twin: Option<InitialTwin>,
    /// What happens when it registers again; when absent its hub is chosen anew and its twin goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reprovision_policy: Option<ReprovisionPolicy>,
    /// How its hub is chosen; as the service says when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocation_policy: Option<AllocationPolicy>,
    /// The host name of the hub of the static policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<String>,
    /// The host names of the hubs to choose from; all linked ones when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hubs: Vec<String>,
    /// Whom the custom policy asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<AllocationWebhook>,
    /// By which credential policy it gets certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_policy: Option<String>,
}

/// Tags and desired properties.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InitialTwin {
    /// The tags.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub tags: Map<String, Value>,
    /// The desired properties.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub desired: Map<String, Value>,
}

/// What happens to a device that registers again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReprovisionPolicy {
    /// Whether its hub is chosen anew.
    pub update_hub_assignment: bool,
    /// Whether its twin goes with it to another hub.
    pub migrate_device_data: bool,
}

/// How a hub is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum AllocationPolicy {
    /// Evenly, by weights.
    #[default]
    Hashed,
    /// The nearest one.
    GeoLatency,
    /// The one that the enrollment names.
    Static,
    /// The one that a webhook names.
    Custom,
}

impl AllocationPolicy {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hashed => "hashed",
            Self::GeoLatency => "geoLatency",
            Self::Static => "static",
            Self::Custom => "custom",
        }
    }
}

impl AttestationType {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SymmetricKey => "symmetricKey",
            Self::X509 => "x509",
            Self::Tpm => "tpm",
        }
    }
}

/// Whom the custom policy asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllocationWebhook {
    /// Its address.
    pub url: String,
    /// The version of the documents that it is sent.
    pub api_version: String,
}

/// Keys to roll in all enrollments of a kind, a page with each call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyRollTarget {
    /// Which.
    pub slot: KeySlot,
    /// Where.
    pub of: KeyRollScope,
    /// What the first answer said. A call without it begins a roll, and rolls nothing yet. All calls with the same moment
    /// are one roll, which does each enrollment once: a page may be asked for again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Moment>,
    /// What the last answer said as `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Where keys are rolled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum KeyRollScope {
    /// In every individual enrollment with symmetric keys.
    Enrollments,
    /// In every group with symmetric keys.
    EnrollmentGroups,
}

/// What became of a page of rolling many keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct KeyRollResult {
    /// In how many enrollments of the page keys are rolled, by this call or an earlier one of the same roll.
    pub rolled: u64,
    /// How many were left as they are: without symmetric keys, or younger than the roll.
    pub skipped: u64,
    /// After what the next page begins; absent when all is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// When the roll began; the calls that follow say it.
    pub begun: Moment,
}
