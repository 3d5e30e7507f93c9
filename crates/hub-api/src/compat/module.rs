//! Module identities.

use hub_domain::Identity;
use hub_domain::identity::Activity;
use serde::Serialize;

use super::authentication::{AuthenticationInput, AuthenticationMechanism};
use super::connection_state;
use super::read::{InputError, Members, object_body};

/// A module identity as answered. Holds keys in clear: it has no `Debug`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Module {
    /// Its id within the device.
    pub module_id: String,
    /// Who manages it.
    pub managed_by: Option<String>,
    /// Its device.
    pub device_id: String,
    /// Changes when the id is deleted and created again.
    pub generation_id: String,
    /// The guard of registry writes, unquoted.
    pub etag: String,
    /// `Connected` or `Disconnected`.
    pub connection_state: &'static str,
    /// When the connection state last changed.
    pub connection_state_updated_time: String,
    /// When the module last connected or sent something.
    pub last_activity_time: String,
    /// Cloud-to-device messages that wait.
    pub cloud_to_device_message_count: u64,
    /// How it proves itself.
    pub authentication: AuthenticationMechanism,
}

impl Module {
    /// The answer for `identity`, which must be a module.
    pub fn new(identity: &Identity, activity: &Activity, message_count: u64) -> Self {
        Self {
            module_id: identity.id.module_text().to_owned(),
            managed_by: identity.managed_by.clone(),
            device_id: identity.id.device.to_string(),
            generation_id: identity.generation.as_str().to_owned(),
            etag: identity.etag.0.clone(),
            connection_state: connection_state(activity),
            connection_state_updated_time: activity.connection_updated.to_registry_text(),
            last_activity_time: activity.last_activity.to_registry_text(),
            cloud_to_device_message_count: message_count,
            authentication: AuthenticationMechanism::new(&identity.authentication),
        }
    }
}

/// The body of a module's PUT. What only the hub writes is ignored.
#[derive(Clone)]
pub struct ModuleInput {
    /// The device id in the body, to be compared with the path's.
    pub device_id: Option<String>,
    /// The module id in the body, to be compared with the path's.
    pub module_id: Option<String>,
    /// Who manages it.
    pub managed_by: Option<String>,
    /// How it proves itself.
    pub authentication: AuthenticationInput,
}

impl ModuleInput {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is no JSON object, or a member has a wrong type or value.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let map = object_body(body)?;
        let members = Members::of_body(&map);
        Ok(Self {
            device_id: members.text("deviceId")?.map(str::to_owned),
            module_id: members.text("moduleId")?.map(str::to_owned),
            managed_by: members.text("managedBy")?.map(str::to_owned),
            authentication: AuthenticationInput::read(&members)?,
        })
    }
}
