//! `dps enrollment-group …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{
    AttestationType, EnrollmentAttestation, EnrollmentGroup, EnrollmentGroupSettings,
    EnrollmentTerms, KeyRoll, KeyRollScope,
};
use hub_domain::SymmetricKey;
use hub_domain::provisioning::{RegistrationId, derived_key};

use super::terms::Certified;
use super::{first_page, next_page, nothing_to_change, registration, rolling};
use crate::arguments::{GroupCommand, GroupRoll, GroupWrite, OutputFormat};
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: GroupCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let group = match command {
        GroupCommand::Create(write) => {
            let settings = EnrollmentGroupSettings {
                enrollment_group_id: write.name.enrollment_id.clone(),
                attestation: EnrollmentAttestation::default(),
                terms: EnrollmentTerms::default(),
            };
            let settings = changed(&write, settings)?;
            client.create_enrollment_group(&settings).await?
        }
        GroupCommand::List(list) => {
            let mut items: Vec<EnrollmentGroup> = Vec::new();
            let mut query = first_page(list.top);
            loop {
                let page = client.list_enrollment_groups(&query).await?;
                items.extend(page.items);
                match next_page(page.next, items.len(), list.top) {
                    Some(next) => query = next,
                    None => break,
                }
            }
            let table = |items: &Vec<EnrollmentGroup>| render::dps::groups(items);
            return render::answer(output, &items, table, out);
        }
        GroupCommand::Show(show) => {
            let id = &show.name.enrollment_id;
            let mut group = client.enrollment_group(id).await?;
            if show.show_keys {
                group.attestation = client.enrollment_group_keys(id).await?;
            }
            group
        }
        GroupCommand::Update(write) => update(&write, client).await?,
        GroupCommand::Delete(delete) => {
            let (id, etag) = (&delete.name.enrollment_id, delete.etag.as_deref());
            client.delete_enrollment_group(id, etag).await?;
            return render::deleted(output, id, out);
        }
        GroupCommand::Registration(command) => {
            return registration::execute(command.general(), client, out).await;
        }
        GroupCommand::RegenerateKeys(roll) => return self::roll(&roll, client, out).await,
        GroupCommand::ComputeDeviceKey(device) => {
            let group = device.enrollment_id.as_deref().unwrap_or_default();
            let keys = client.enrollment_group_keys(group).await?;
            let key = keys.symmetric_key.and_then(|keys| keys.primary_key);
            let key = key.ok_or_else(|| {
                Failure::operation(format!("the group {group} has no symmetric keys"))
                    .with_hint("its devices prove themselves with certificates, which need no key")
            })?;
            return show_key(output, &derived(&key, &device.registration_id)?, out);
        }
    };
    render::answer(output, &group, render::dps::group, out)
}

/// The key of a device when the group's key is given, for which no server is asked.
pub(super) fn offline_key(command: &GroupCommand) -> Result<Option<String>, Failure> {
    match command {
        GroupCommand::ComputeDeviceKey(device) => device
            .symmetric_key
            .as_deref()
            .map(|key| derived(key, &device.registration_id))
            .transpose(),
        GroupCommand::Create(_)
        | GroupCommand::List(_)
        | GroupCommand::Show(_)
        | GroupCommand::Update(_)
        | GroupCommand::Delete(_)
        | GroupCommand::Registration(_)
        | GroupCommand::RegenerateKeys(_) => Ok(None),
    }
}

fn derived(key: &str, registration_id: &str) -> Result<String, Failure> {
    RegistrationId::parse(registration_id)
        .map_err(|error| Failure::usage(format!("--registration-id: {error}")))?;
    let key = SymmetricKey::parse(key)
        .map_err(|error| Failure::usage(format!("the group's key: {error}")))?;
    Ok(derived_key(&key, registration_id).to_base64())
}

pub(super) fn show_key(
    output: OutputFormat,
    key: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    render::answer(output, &key, |key| (*key).to_owned(), out)
}

/// Reads, changes and writes back, guarded by what was read.
async fn update(write: &GroupWrite, client: &Client) -> Result<EnrollmentGroup, Failure> {
    if write.proof.is_empty() && write.terms.is_empty() {
        return Err(nothing_to_change("enrollment-group"));
    }
    let id = &write.name.enrollment_id;
    let former = client.enrollment_group(id).await?;
    write.proof.check_kind(former.attestation.kind)?;
    let etag = write.etag.clone().unwrap_or(former.etag);
    let settings = EnrollmentGroupSettings {
        enrollment_group_id: former.enrollment_group_id,
        attestation: former.attestation,
        terms: former.terms,
    };
    let settings = changed(write, settings)?;
    Ok(client
        .replace_enrollment_group(id, &settings, Some(&etag))
        .await?)
}

fn changed(
    write: &GroupWrite,
    mut settings: EnrollmentGroupSettings,
) -> Result<EnrollmentGroupSettings, Failure> {
    settings.attestation = write
        .proof
        .apply(settings.attestation, Certified::Signers)?;
    if settings.attestation.kind == AttestationType::Tpm {
        return Err(Failure::usage(
            "a group cannot have a TPM: each device needs an enrollment of its own",
        ));
    }
    write.terms.apply(&mut settings.terms)?;
    Ok(settings)
}

async fn roll(roll: &GroupRoll, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let (output, slot) = (roll.common.output, roll.roll.key_type.wire());
    match &roll.enrollment_id {
        Some(id) => {
            let keys = client
                .roll_enrollment_group_keys(id, &KeyRoll { slot }, None)
                .await?;
            render::answer(output, &keys, render::dps::attestation, out)
        }
        None => {
            let what = (KeyRollScope::EnrollmentGroups, roll.roll.key_type);
            rolling::all(what, &roll.through, output, client, out).await
        }
    }
}
