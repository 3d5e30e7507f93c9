//! `dps enrollment …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{
    AttestationType, Enrollment, EnrollmentAttestation, EnrollmentSettings, EnrollmentTerms,
    KeyRoll, KeyRollScope, TpmKeys,
};

use super::terms::{Certified, kind_changes};
use super::{first_page, next_page, nothing_to_change, object, registration, rolling};
use crate::arguments::{EnrollmentCommand, EnrollmentRoll, EnrollmentWrite};
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: EnrollmentCommand,
    client: &Client,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let output = command.common().output;
    let enrollment = match command {
        EnrollmentCommand::Create(write) => {
            let settings = EnrollmentSettings {
                registration_id: write.name.enrollment_id.clone(),
                device_id: None,
                attestation: EnrollmentAttestation::default(),
                terms: EnrollmentTerms::default(),
                information: None,
            };
            client
                .create_enrollment(&changed(&write, settings)?)
                .await?
        }
        EnrollmentCommand::List(list) => {
            let mut items: Vec<Enrollment> = Vec::new();
            let mut query = first_page(list.top);
            loop {
                let page = client.list_enrollments(&query).await?;
                items.extend(page.items);
                match next_page(page.next, items.len(), list.top) {
                    Some(next) => query = next,
                    None => break,
                }
            }
            let table = |items: &Vec<Enrollment>| render::dps::enrollments(items);
            return render::answer(output, &items, table, out);
        }
        EnrollmentCommand::Show(show) => {
            let id = &show.name.enrollment_id;
            let mut enrollment = client.enrollment(id).await?;
            if show.show_keys {
                enrollment.attestation = client.enrollment_keys(id).await?;
            }
            enrollment
        }
        EnrollmentCommand::Update(write) => update(&write, client).await?,
        EnrollmentCommand::Delete(delete) => {
            let (id, etag) = (&delete.name.enrollment_id, delete.etag.as_deref());
            client.delete_enrollment(id, etag).await?;
            return render::deleted(output, id, out);
        }
        EnrollmentCommand::Registration(command) => {
            return registration::execute(command.general(), client, out).await;
        }
        EnrollmentCommand::RegenerateKeys(roll) => return self::roll(&roll, client, out).await,
    };
    render::answer(output, &enrollment, render::dps::enrollment, out)
}

/// Reads, changes and writes back, guarded by what was read.
async fn update(write: &EnrollmentWrite, client: &Client) -> Result<Enrollment, Failure> {
    let is_empty = write.device_id.is_none()
        && write.device_information.is_none()
        && write.endorsement_key.is_none()
        && write.storage_root_key.is_none();
    if is_empty && write.proof.is_empty() && write.terms.is_empty() {
        return Err(nothing_to_change("enrollment"));
    }
    let id = &write.name.enrollment_id;
    let former = client.enrollment(id).await?;
    write.proof.check_kind(former.attestation.kind)?;
    let has_tpm = former.attestation.kind == AttestationType::Tpm;
    if write.endorsement_key.is_some() && !has_tpm && write.proof.attestation_type.is_none() {
        return Err(kind_changes(former.attestation.kind, AttestationType::Tpm));
    }
    let etag = write.etag.clone().unwrap_or(former.etag);
    let settings = EnrollmentSettings {
        registration_id: former.registration_id,
        device_id: former.device_id,
        attestation: former.attestation,
        terms: former.terms,
        information: former.information,
    };
    let settings = changed(write, settings)?;
    Ok(client
        .replace_enrollment(id, &settings, Some(&etag))
        .await?)
}

fn changed(
    write: &EnrollmentWrite,
    mut settings: EnrollmentSettings,
) -> Result<EnrollmentSettings, Failure> {
    if let Some(device) = &write.device_id {
        settings.device_id = (!device.is_empty()).then(|| device.clone());
    }
    if let Some(text) = &write.device_information {
        settings.information = Some(object("--device-information", text)?);
    }
    settings.attestation = write.proof.apply(settings.attestation, Certified::Device)?;
    apply_tpm(write, &mut settings.attestation)?;
    if settings.attestation.kind == AttestationType::Tpm && settings.attestation.tpm.is_none() {
        return Err(Failure::usage("a TPM needs --endorsement-key"));
    }
    write.terms.apply(&mut settings.terms)?;
    Ok(settings)
}

/// The storage root key may come later, beside the endorsement key that is there.
fn apply_tpm(
    write: &EnrollmentWrite,
    attestation: &mut EnrollmentAttestation,
) -> Result<(), Failure> {
    if let Some(endorsement_key) = &write.endorsement_key {
        *attestation = EnrollmentAttestation {
            kind: AttestationType::Tpm,
            tpm: Some(TpmKeys {
                endorsement_key: endorsement_key.clone(),
                storage_root_key: None,
            }),
            ..EnrollmentAttestation::default()
        };
    }
    match (&write.storage_root_key, &mut attestation.tpm) {
        (None, _) => Ok(()),
        (Some(key), Some(keys)) => {
            keys.storage_root_key = Some(key.clone());
            Ok(())
        }
        (Some(_), None) => Err(Failure::usage(
            "--storage-root-key goes with --endorsement-key",
        )),
    }
}

async fn roll(roll: &EnrollmentRoll, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let (output, slot) = (roll.common.output, roll.roll.key_type.wire());
    match &roll.enrollment_id {
        Some(id) => {
            let keys = client
                .roll_enrollment_keys(id, &KeyRoll { slot }, None)
                .await?;
            render::answer(output, &keys, render::dps::attestation, out)
        }
        None => {
            let what = (KeyRollScope::Enrollments, roll.roll.key_type);
            rolling::all(what, &roll.through, output, client, out).await
        }
    }
}
