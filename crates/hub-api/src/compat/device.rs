//! Device identities.

use hub_domain::identity::Activity;
use hub_domain::{Identity, Status};
use serde::Serialize;

use super::authentication::{AuthenticationInput, AuthenticationMechanism};
use super::connection_state;
use super::read::{InputError, Members, object_body};

/// A device identity as answered. Holds keys in clear: it has no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its id.
    pub device_id: String,
    /// Changes when the id is deleted and created again.
    pub generation_id: String,
    /// The guard of registry writes, unquoted.
    pub etag: String,
    /// `Connected` or `Disconnected`.
    pub connection_state: &'static str,
    /// `enabled` or `disabled`.
    pub status: &'static str,
    /// Why.
    pub status_reason: Option<String>,
    /// When the connection state last changed.
    pub connection_state_updated_time: String,
    /// When the status last changed.
    pub status_updated_time: String,
    /// When the device last connected or sent something.
    pub last_activity_time: String,
    /// Cloud-to-device messages that wait.
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    pub authentication: AuthenticationMechanism,
    /// What it can do.
    pub capabilities: Capabilities,
    /// The edge scope it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parent_scopes: Vec<String>,
}

/// What a device can do.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// It runs modules and forwards for others.
    pub iot_edge: bool,
}

impl Device {
    /// The answer for `identity`, which must be a device.
    pub fn new(identity: &Identity, activity: &Activity, message_count: u64) -> Self {
        Self {
            device_id: identity.id.device.to_string(),
            generation_id: identity.generation.as_str().to_owned(),
            etag: identity.etag.0.clone(),
            connection_state: connection_state(activity),
            status: identity.status.as_str(),
            status_reason: identity.status_reason.clone(),
            connection_state_updated_time: activity.connection_updated.to_registry_text(),
            status_updated_time: identity.status_updated.to_registry_text(),
            last_activity_time: activity.last_activity.to_registry_text(),
            cloud_to_device_message_count: message_count,
            authentication: AuthenticationMechanism::new(&identity.authentication),
            capabilities: Capabilities {
                iot_edge: identity.iot_edge,
            },
            device_scope: identity.device_scope.clone(),
            parent_scopes: identity.parent_scopes.clone(),
        }
    }
}

/// The body of a device's PUT. What only the hub writes (`generationId`, times, counts, `etag`) is ignored.
#[derive(Clone)]
pub struct DeviceInput {
    /// The id in the body, to be compared with the path's.
    pub device_id: Option<String>,
    /// Whether it may connect; enabled when absent.
    pub status: Status,
    /// Why.
    pub status_reason: Option<String>,
    /// How it proves itself.
    pub authentication: AuthenticationInput,
    /// Whether it is an edge device; not, when absent.
    pub iot_edge: bool,
    /// The edge scope it belongs to.
    pub device_scope: Option<String>,
    /// The scopes of its parents.
    pub parent_scopes: Vec<String>,
}

impl DeviceInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, or a member has a wrong type or value.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let map = object_body(body)?;
        let members = Members::of_body(&map);
        Ok(Self {
            device_id: members.text("deviceId")?.map(str::to_owned),
            status: read_status(&members)?,
            status_reason: members.text("statusReason")?.map(str::to_owned),
            authentication: AuthenticationInput::read(&members)?,
            iot_edge: read_iot_edge(&members)?,
            device_scope: members.text("deviceScope")?.map(str::to_owned),
            parent_scopes: members.texts("parentScopes")?,
        })
    }
}

fn read_status(members: &Members<'_>) -> Result<Status, InputError> {
    match members.text("status")? {
        None => Ok(Status::Enabled),
        Some(text) => Status::parse(text)
            .ok_or_else(|| InputError::invalid("status", "it must be enabled or disabled")),
    }
}

fn read_iot_edge(members: &Members<'_>) -> Result<bool, InputError> {
    match members.object("capabilities")? {
        None => Ok(false),
        Some(capabilities) => Ok(capabilities.boolean("iotEdge")?.unwrap_or(false)),
    }
}
