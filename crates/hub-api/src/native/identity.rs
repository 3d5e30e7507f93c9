//! Devices and modules.

use serde::{Deserialize, Serialize};

use super::Moment;

/// A device of the registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its id.
    pub device_id: String,
    /// Changes when the id is deleted and created again.
    pub generation_id: String,
    /// Changes with every registry write; without quotes.
    pub etag: String,
    /// Whether it may connect.
    pub status: Status,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When the status last changed; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_updated_time: Option<Moment>,
    /// Whether a session is open.
    pub connection_state: ConnectionState,
    /// When that last changed; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state_updated_time: Option<Moment>,
    /// When the device last connected or sent something; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_time: Option<Moment>,
    /// Cloud-to-device messages that wait.
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    pub authentication: Authentication,
    /// What it may be.
    pub capabilities: Capabilities,
    /// The edge scope the device belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_scopes: Vec<String>,
    /// What the device's program connects with, when it has keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

impl Device {
    /// What a replacement needs to change nothing.
    pub fn settings(&self) -> DeviceSettings {
        DeviceSettings {
            device_id: Some(self.device_id.clone()),
            status: self.status,
            status_reason: self.status_reason.clone(),
            authentication: self.authentication.clone(),
            capabilities: self.capabilities,
            device_scope: self.device_scope.clone(),
            parent_scopes: self.parent_scopes.clone(),
        }
    }
}

/// What a back end says of a device. Absent members have their defaults, on replacement too.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DeviceSettings {
    /// Which device: needed to create one, and the one of the path on replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// Whether it may connect.
    #[serde(default)]
    pub status: Status,
    /// Why, up to 128 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// How it proves itself: keys of the hub's making when absent; keys left out of a replacement stay.
    #[serde(default)]
    pub authentication: Authentication,
    /// What it may be.
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The edge scope the device belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent_scopes: Vec<String>,
}

/// A module of the registry.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Its device.
    pub device_id: String,
    /// Its id within the device.
    pub module_id: String,
    /// Changes when the id is deleted and created again.
    pub generation_id: String,
    /// Changes with every registry write; without quotes.
    pub etag: String,
    /// Who manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// Whether a session is open.
    pub connection_state: ConnectionState,
    /// When that last changed; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_state_updated_time: Option<Moment>,
    /// When the module last connected or sent something; absent when it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_time: Option<Moment>,
    /// Cloud-to-device messages that wait.
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    pub authentication: Authentication,
    /// What the module's program connects with, when it has keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_string: Option<String>,
}

impl Module {
    /// What a replacement needs to change nothing.
    pub fn settings(&self) -> ModuleSettings {
        ModuleSettings {
            module_id: Some(self.module_id.clone()),
            managed_by: self.managed_by.clone(),
            authentication: self.authentication.clone(),
        }
    }
}

/// What a back end says of a module.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModuleSettings {
    /// Which module: needed to create one, and the one of the path on replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// Who manages it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_by: Option<String>,
    /// How it proves itself: keys of the hub's making when absent; keys left out of a replacement stay.
    #[serde(default)]
    pub authentication: Authentication,
}

/// Whether an identity may connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// It may.
    #[default]
    Enabled,
    /// It may not; its connections are cut.
    Disabled,
}

impl Status {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether a session is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ConnectionState {
    /// It is.
    Connected,
    /// It is not.
    Disconnected,
}

impl ConnectionState {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "Connected",
            Self::Disconnected => "Disconnected",
        }
    }
}

/// What a device may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Capabilities {
    /// It runs modules and forwards for others.
    #[serde(default)]
    pub iot_edge: bool,
}

/// How an identity proves itself.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authentication {
    /// Which way.
    #[serde(rename = "type", default)]
    pub kind: AuthenticationKind,
    /// The keys of `sas`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub symmetric_key: Option<SymmetricKeys>,
    /// The thumbprints of `selfSigned`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x509_thumbprint: Option<Thumbprints>,
}

/// Which way an identity proves itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum AuthenticationKind {
    /// Tokens signed with one of two keys.
    #[default]
    Sas,
    /// A certificate whose thumbprint is one of two.
    SelfSigned,
    /// A certificate issued by a registered authority.
    CertificateAuthority,
    /// Not by itself.
    None,
}

impl AuthenticationKind {
    /// The spelling on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sas => "sas",
            Self::SelfSigned => "selfSigned",
            Self::CertificateAuthority => "certificateAuthority",
            Self::None => "none",
        }
    }
}

/// Two keys, both valid, so that one can be changed while the other is in use. Base64 of 16 to 64 bytes.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SymmetricKeys {
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_key: Option<String>,
    /// The second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_key: Option<String>,
}

/// Two thumbprints, both valid: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Thumbprints {
    /// The first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary_thumbprint: Option<String>,
    /// The second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_thumbprint: Option<String>,
}
