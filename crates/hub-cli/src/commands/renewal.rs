//! `device renew-key` and `module renew-key`.

use std::io::Write;

use hub_api::client::{Client, ClientError};
use hub_api::native::{
    Authentication, AuthenticationKind, IdentityKeyRoll, IdentityKeyRollResult, IdentityName,
    KeyRoll, Module,
};
use hub_domain::limits::BULK_IDENTITIES_MAX;

use super::device;
use crate::arguments::{DeviceRenewKey, KeyChoice, ModuleRenewKey, OutputFormat};
use crate::failure::Failure;
use crate::render;

/// Stands for all of them, as in `az iot`.
const ALL: &str = "*";

/// Whose keys are meant.
enum Whose {
    /// Of one, whom the answer shows.
    One(String),
    /// Of these.
    Several(Vec<String>),
    /// Of all that have keys.
    All,
}

impl Whose {
    fn of(ids: Vec<String>, all: bool) -> Result<Self, Failure> {
        if all || ids == [ALL] {
            return Ok(Self::All);
        }
        if ids.iter().any(|id| id == ALL) {
            return Err(Failure::usage("'*' stands for all; name it alone"));
        }
        match <[String; 1]>::try_from(ids) {
            Ok([id]) => Ok(Self::One(id)),
            Err(ids) => Ok(Self::Several(ids)),
        }
    }
}

pub(super) async fn devices(
    renew: DeviceRenewKey,
    client: &Client,
    hub: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (key, output) = (renew.roll.key_type, renew.common.output);
    let slot = key.wire();
    let whose = Whose::of(renew.device_id, renew.all)?;
    let named = match whose {
        Whose::One(id) if !renew.include_modules => {
            let (roll, etag) = (KeyRoll { slot }, renew.etag.as_deref());
            let device = client.roll_device_keys(hub, &id, &roll, etag).await?;
            return render::answer(output, &device, render::device_with_keys, out);
        }
        Whose::One(id) => vec![id],
        Whose::Several(ids) => ids,
        Whose::All => {
            check_etag(renew.etag.as_deref())?;
            let devices = device::list(client, hub, None).await?;
            let mut names = Vec::new();
            for device in devices {
                let id = device.device_id;
                if renew.after.as_ref().is_some_and(|after| id <= *after) {
                    continue;
                }
                if has_keys(&device.authentication) {
                    names.push(of_device(id.clone()));
                }
                if renew.include_modules {
                    names.extend(modules_with_keys(client, hub, &id).await?);
                }
            }
            let modules = if renew.include_modules {
                " --include-modules"
            } else {
                ""
            };
            let again = format!("device renew-key --all{modules}");
            let key = renew.roll.key_type;
            return several((key, Some(&again)), names, (client, hub), output, out).await;
        }
    };
    check_etag(renew.etag.as_deref())?;
    let mut names = Vec::new();
    for id in named {
        if renew.include_modules {
            let modules = modules_with_keys(client, hub, &id).await?;
            names.push(of_device(id));
            names.extend(modules);
        } else {
            names.push(of_device(id));
        }
    }
    several((key, None), names, (client, hub), output, out).await
}

pub(super) async fn modules(
    renew: ModuleRenewKey,
    client: &Client,
    hub: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let (key, output) = (renew.roll.key_type, renew.common.output);
    let slot = key.wire();
    let device = renew.device_id;
    let names = match Whose::of(renew.module_id, renew.all)? {
        Whose::One(module) => {
            let (roll, etag) = (KeyRoll { slot }, renew.etag.as_deref());
            let module = client
                .roll_module_keys(hub, &device, &module, &roll, etag)
                .await?;
            return render::answer(output, &module, render::module_with_keys, out);
        }
        Whose::Several(modules) => {
            check_etag(renew.etag.as_deref())?;
            let named = |module| of_module(device.clone(), module);
            modules.into_iter().map(named).collect()
        }
        Whose::All => {
            check_etag(renew.etag.as_deref())?;
            modules_with_keys(client, hub, &device).await?
        }
    };
    several((key, None), names, (client, hub), output, out).await
}

fn check_etag(etag: Option<&str>) -> Result<(), Failure> {
    match etag {
        None => Ok(()),
        Some(_) => Err(Failure::usage("--etag goes with one device or module")),
    }
}

const fn of_device(device_id: String) -> IdentityName {
    IdentityName {
        device_id,
        module_id: None,
    }
}

const fn of_module(device_id: String, module_id: String) -> IdentityName {
    IdentityName {
        device_id,
        module_id: Some(module_id),
    }
}

const fn has_keys(authentication: &Authentication) -> bool {
    matches!(authentication.kind, AuthenticationKind::Sas)
}

async fn modules_with_keys(
    client: &Client,
    hub: &str,
    device: &str,
) -> Result<Vec<IdentityName>, Failure> {
    let modules = client.list_modules(hub, device).await?.items;
    let with_keys = |module: &Module| has_keys(&module.authentication);
    Ok(modules
        .into_iter()
        .filter(with_keys)
        .map(|module| of_module(module.device_id, module.module_id))
        .collect())
}

/// Renews batch by batch. What was done before a batch that fails as a whole is shown all the same; `again` is the command
/// that can go on behind a device.
async fn several(
    (key, again): (KeyChoice, Option<&str>),
    names: Vec<IdentityName>,
    (client, hub): (&Client, &str),
    output: OutputFormat,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let mut result = IdentityKeyRollResult {
        rolled: Vec::new(),
        failed: Vec::new(),
    };
    let mut broken = None;
    for identities in names.chunks(BULK_IDENTITIES_MAX) {
        let roll = IdentityKeyRoll {
            slot: key.wire(),
            identities: identities.to_vec(),
        };
        match client.roll_identity_keys(hub, &roll).await {
            Ok(batch) => {
                result.rolled.extend(batch.rolled);
                result.failed.extend(batch.failed);
            }
            Err(error) => {
                broken = Some(broken_off(error, key, again, identities));
                break;
            }
        }
    }
    let is_shown = !(result.rolled.is_empty() && result.failed.is_empty());
    match broken {
        Some(failure) if is_shown => {
            render::answer(output, &result, render::renewed, out)?;
            return Err(failure);
        }
        Some(failure) => return Err(failure),
        None => render::answer(output, &result, render::renewed, out)?,
    }
    if result.failed.is_empty() {
        return Ok(());
    }
    let (failed, all) = (result.failed.len(), names.len());
    Err(Failure::operation(format!(
        "the keys of {failed} of {all} were not renewed"
    )))
}

/// A batch without an answer may be done or not. To do it again would swap keys back, and bring forth others that no device
/// has: it is said whom that is about, and how to go on behind them.
fn broken_off(
    error: ClientError,
    key: KeyChoice,
    again: Option<&str>,
    batch: &[IdentityName],
) -> Failure {
    if matches!(&error, ClientError::Refused { status, .. } if *status < 500) {
        return error.into();
    }
    let name = |one: &IdentityName| match &one.module_id {
        None => one.device_id.clone(),
        Some(module) => format!("{}/{module}", one.device_id),
    };
    let unknown: Vec<String> = batch.iter().map(name).collect();
    let behind = match (again, batch.last()) {
        (Some(again), Some(last)) => format!(
            "; look at them, and go on behind them with `thingstead {again} --key-type {} --after {}`",
            key.as_str(),
            last.device_id
        ),
        (None, _) | (_, None) => "; look at them before they are renewed again".to_owned(),
    };
    Failure::from(error).meaning(format!(
        "nobody knows whether these have new keys: {}{behind}",
        unknown.join(" ")
    ))
}
