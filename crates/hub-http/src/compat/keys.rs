//! New keys for many identities at once (version 2024-03-31, "Bulk regenerate device key").

use axum::response::Response;
use hub_api::compat::{
    KeyOwner, KeyRegeneration, KeyRegenerationError, KeyRegenerationResult, PolicyKey,
};
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
    let parsed: Vec<Result<IdentityId, Error>> = input.devices.iter().map(identity).collect();
    let ids: Vec<IdentityId> = parsed.iter().flatten().cloned().collect();
    let registry = &call.engine.registry;
    let outcomes = registry
        .roll_keys_of(&call.ctx, call.hub.no, &ids, roll)
        .await?;
    let mut outcomes = outcomes.into_iter();
    let mut errors = Vec::new();
    let mut rotated_keys = Vec::new();
    for (owner, id) in input.devices.into_iter().zip(parsed) {
        let outcome = id.and_then(|_| outcomes.next().expect("invariant: an outcome for each id"));
        match outcome {
            Ok(_) => rotated_keys.push(owner),
            Err(error) => errors.push(KeyRegenerationError {
                id: owner.id,
                module_id: owner.module_id,
                error_code: error.code().number(),
                error_status: error.message().to_owned(),
            }),
        }
    }
    json(&KeyRegenerationResult {
        policy_key: input.policy_key.as_str(),
        errors,
        rotated_keys,
    })
}

fn identity(owner: &KeyOwner) -> Result<IdentityId, Error> {
    let invalid =
        |error: hub_domain::ids::IdError| Error::new(ErrorKind::Invalid, error.to_string());
    let device = DeviceId::parse(&owner.id).map_err(invalid)?;
    match &owner.module_id {
        None => Ok(IdentityId::device(device)),
        Some(module) => Ok(IdentityId::module(
            device,
            ModuleId::parse(module).map_err(invalid)?,
        )),
    }
}
