//! What became of devices that asked for their hub.

use serde::{Deserialize, Serialize};

use super::AttestationType;
use crate::native::Moment;

/// A registration: the newest attempt of a device, and the hub that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// Under which id it registered.
    pub registration_id: String,
    /// The group that let it register; absent for an individual enrollment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// How it proved itself.
    pub attestation: AttestationType,
    /// The certificate that it proved itself with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<RegisteredCertificate>,
    /// The certificate of its group or of the service that vouched for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_certificate: Option<RegisteredCertificate>,
    /// How far the newest attempt is.
    pub status: RegistrationStatus,
    /// The host name of its hub, kept while a new attempt is under way or has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_hub: Option<String>,
    /// Its id there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// How it came there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substatus: Option<String>,
    /// Why the newest attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_code: Option<u32>,
    /// The same for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// The newest attempt.
    pub operation_id: String,
    /// Guards deletion.
    pub etag: String,
    /// Where it may still be besides its hub, and is to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<DevicePlace>,
    /// When it registered first.
    pub created: Moment,
    /// When it last changed.
    pub updated: Moment,
}

/// A device in a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct DevicePlace {
    /// The hub.
    pub hub: String,
    /// The id there.
    pub device_id: String,
}

/// What a certificate said when a device registered with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RegisteredCertificate {
    /// Its subject.
    pub subject: String,
    /// Its issuer.
    pub issuer: String,
    /// SHA-1 of the certificate, in upper case.
    pub thumbprint: String,
    /// SHA-256 of the certificate, in upper case.
    pub sha256_thumbprint: String,
    /// Its serial number in hexadecimal, in upper case.
    pub serial_number: String,
    /// When it begins to be valid.
    pub not_before: Moment,
    /// When it expires.
    pub expiry: Moment,
}

/// How far a registration is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum RegistrationStatus {
    /// A webhook or another installation has to answer first.
    Assigning,
    /// The device has its hub.
    Assigned,
    /// It has none, or not the new one.
    Failed,
}

impl RegistrationStatus {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Assigning => "assigning",
            Self::Assigned => "assigned",
            Self::Failed => "failed",
        }
    }
}

/// Devices that were turned away, the newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refusals {
    /// The newest refusal of each id, those of enrolled devices first.
    pub items: Vec<Refusal>,
    /// After which the next page begins, when there may be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A device that was turned away, and has not registered since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Refusal {
    /// Under which id it asked.
    pub registration_id: String,
    /// The group that it asked by, when one was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_group_id: Option<String>,
    /// The six-digit code.
    pub error_code: u32,
    /// Why, for people.
    pub error_message: String,
    /// Where it called from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// How often since the first time.
    pub count: u64,
    /// The first time.
    pub first: Moment,
    /// The last time.
    pub last: Moment,
}
