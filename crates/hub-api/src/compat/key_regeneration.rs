//! New keys for many identities at once.

use serde::Serialize;
use serde_json::Value;

use super::read::{InputError, Members, object_body};

/// What is asked: which key, of whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRegeneration {
    /// Which key.
    pub policy_key: PolicyKey,
    /// Of whom.
    pub devices: Vec<KeyOwner>,
}

/// Which key becomes new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKey {
    /// The primary one.
    Primary,
    /// The secondary one.
    Secondary,
    /// None: they change places.
    Swap,
}

impl PolicyKey {
    const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Swap];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primaryKey",
            Self::Secondary => "secondaryKey",
            Self::Swap => "swap",
        }
    }
}

/// An identity whose key becomes new.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyOwner {
    /// The device.
    pub id: String,
    /// The module, when it is one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
}

impl KeyRegeneration {
    /// Reads a request body.
    ///
    /// # Errors
    /// When it is not such a document.
    pub fn parse(body: &[u8]) -> Result<Self, InputError> {
        let document = object_body(body)?;
        let members = Members::of_body(&document);
        let policy_key = members.text("policyKey")?.unwrap_or_default();
        let policy_key = PolicyKey::ALL
            .into_iter()
            .find(|key| key.as_str().eq_ignore_ascii_case(policy_key))
            .ok_or_else(|| {
                InputError::invalid("policyKey", "it is primaryKey, secondaryKey or swap")
            })?;
        let devices = document.get("devices").and_then(Value::as_array);
        let devices = devices
            .ok_or_else(|| InputError::invalid("devices", "it is an array of identities"))?;
        let devices = devices.iter().map(|device| {
            let not_one =
                || InputError::invalid("devices", "each has an id, and perhaps a moduleId");
            let device = device.as_object().ok_or_else(not_one)?;
            let members = Members::at("devices".to_owned(), device);
            Ok(KeyOwner {
                id: members.text("id")?.ok_or_else(not_one)?.to_owned(),
                module_id: members.text("moduleId")?.map(str::to_owned),
            })
        });
        Ok(Self {
            policy_key,
            devices: devices.collect::<Result<_, _>>()?,
        })
    }
}

/// What became of it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRegenerationResult {
    /// Which key was asked for.
    pub policy_key: &'static str,
    /// Whose key did not become new; empty when all did.
    pub errors: Vec<KeyRegenerationError>,
    /// Whose key did. `az iot hub device-identity renew-key` shows it (azure-iot-cli-extension, `hub.py`).
    pub rotated_keys: Vec<KeyOwner>,
}

/// An identity whose key did not become new.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyRegenerationError {
    /// The device.
    pub id: String,
    /// The module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub module_id: Option<String>,
    /// The six-digit code.
    pub error_code: u32,
    /// Why.
    pub error_status: String,
}
