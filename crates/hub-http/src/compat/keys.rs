//! New keys for many identities at once (version 2024-03-31, "Bulk regenerate device key").

use axum::response::Response;
use hub_api::compat::{KeyRegeneration, KeyRegenerationError, KeyRegenerationResult, PolicyKey};
use hub_domain::limits::BULK_IDENTITIES_MAX;
use hub_domain::{DeviceId, ErrorCode, IdentityId, ModuleId};
use hub_engine::{Error, ErrorKind, KeyRoll};

use super::refusal::Refusal;
use super::{Call, json};

/// Each identity by itself: what failed is told, the others are done.
pub(super) async fn regenerate(call: Call) -> Result<Response, Refusal> {
    let input = KeyRegeneration::parse(&call.body)?;
    if input.devices.len() > BULK_IDENTITIES_MAX {
        return Err(Refusal::new(
            ErrorCode::ArgumentInvalid,
            format!("at most {BULK_IDENTITIES_MAX} identities at once"),
        ));
    }
    let roll = match input.policy_key {
        PolicyKey::Primary => KeyRoll::Primary,
        PolicyKey::Secondary => KeyRoll::Secondary,
        PolicyKey::Swap => KeyRoll::Swap,
    };
    let registry = &call.engine.registry;
    let mut errors = Vec::new();
    for one in input.devices {
        let result = match identity(&one.id, one.module_id.as_deref()) {
            Ok(id) => registry.roll_keys(&call.ctx, call.hub.no, &id, roll).await,
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            errors.push(KeyRegenerationError {
                id: one.id,
                module_id: one.module_id,
                error_code: error.code().number(),
                error_status: error.message().to_owned(),
            });
        }
    }
    json(&KeyRegenerationResult {
        policy_key: input.policy_key.as_str(),
        errors,
    })
}

fn identity(device: &str, module: Option<&str>) -> Result<IdentityId, Error> {
    let invalid =
        |error: hub_domain::ids::IdError| Error::new(ErrorKind::Invalid, error.to_string());
    let device = DeviceId::parse(device).map_err(invalid)?;
    match module {
        None => Ok(IdentityId::device(device)),
        Some(module) => Ok(IdentityId::module(
            device,
            ModuleId::parse(module).map_err(invalid)?,
        )),
    }
}
