//! Rolling the keys of devices and modules.

use std::collections::BTreeSet;

use axum::Json;
use hub_api::native::{
    Device, IdentityFailure, IdentityKeyRoll, IdentityKeyRollResult, IdentityName, KeyRoll,
    KeySlot, Module,
};
use hub_domain::{DeviceId, IdentityId, ModuleId};
use hub_engine::{Error, ErrorKind};

use super::identity_wire::{device_of, module_of};
use super::{Document, Failure, Guarded, Scope, failure};

/// The engine's word for it.
pub(super) const fn roll(slot: KeySlot) -> hub_engine::KeyRoll {
    match slot {
        KeySlot::Primary => hub_engine::KeyRoll::Primary,
        KeySlot::Secondary => hub_engine::KeyRoll::Secondary,
        KeySlot::Swap => hub_engine::KeyRoll::Swap,
        KeySlot::Both => hub_engine::KeyRoll::Both,
    }
}

pub(super) async fn roll_device(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(KeyRoll { slot }): Document<KeyRoll>,
) -> Result<Json<Device>, Failure> {
    let hub = scope.hub()?;
    let id = IdentityId::device(scope.device()?);
    let registry = &scope.engine().registry;
    let view = registry
        .roll_keys(&scope.ctx, hub.no, &id, roll(slot), &if_match)
        .await?;
    Ok(Json(device_of(hub, &view)))
}

pub(super) async fn roll_module(
    scope: Scope,
    Guarded(if_match): Guarded,
    Document(KeyRoll { slot }): Document<KeyRoll>,
) -> Result<Json<Module>, Failure> {
    let hub = scope.hub()?;
    let id = scope.identity()?;
    let registry = &scope.engine().registry;
    let view = registry
        .roll_keys(&scope.ctx, hub.no, &id, roll(slot), &if_match)
        .await?;
    Ok(Json(module_of(hub, &view)))
}

/// What failed is told, the others are done.
pub(super) async fn roll_many(
    scope: Scope,
    Document(IdentityKeyRoll { slot, identities }): Document<IdentityKeyRoll>,
) -> Result<Json<IdentityKeyRollResult>, Failure> {
    let hub = scope.hub()?;
    check(&identities)?;
    let parsed: Vec<Result<IdentityId, Error>> = identities.iter().map(parse).collect();
    let ids: Vec<IdentityId> = parsed.iter().flatten().cloned().collect();
    let registry = &scope.engine().registry;
    let outcomes = registry
        .roll_keys_of(&scope.ctx, hub.no, &ids, roll(slot))
        .await?;
    let mut outcomes = outcomes.into_iter();
    let mut result = IdentityKeyRollResult {
        rolled: Vec::new(),
        failed: Vec::new(),
    };
    for (identity, id) in identities.into_iter().zip(parsed) {
        let outcome = id.and_then(|_| outcomes.next().expect("invariant: an outcome for each id"));
        match outcome {
            Ok(_) => result.rolled.push(identity),
            Err(error) => result.failed.push(IdentityFailure {
                identity,
                error: failure::detail(&error, scope.ctx.request_id.clone()),
            }),
        }
    }
    Ok(Json(result))
}

/// Who stands there twice would be rolled twice, and a swap undone.
fn check(identities: &[IdentityName]) -> Result<(), Failure> {
    if identities.is_empty() {
        return Err(Failure::invalid("identities is empty; name at least one"));
    }
    let mut seen = BTreeSet::new();
    match identities.iter().find(|identity| !seen.insert(*identity)) {
        None => Ok(()),
        Some(twice) => Err(Failure::invalid(format!(
            "identities names {} twice",
            shown(twice)
        ))),
    }
}

fn shown(identity: &IdentityName) -> String {
    match &identity.module_id {
        None => identity.device_id.clone(),
        Some(module) => format!("{}/{module}", identity.device_id),
    }
}

fn parse(identity: &IdentityName) -> Result<IdentityId, Error> {
    let invalid =
        |error: hub_domain::ids::IdError| Error::new(ErrorKind::Invalid, error.to_string());
    let device = DeviceId::parse(&identity.device_id).map_err(invalid)?;
    Ok(match &identity.module_id {
        None => IdentityId::device(device),
        Some(module) => IdentityId::module(device, ModuleId::parse(module).map_err(invalid)?),
    })
}
