//! `dps enrollment …`.

use std::io::Write;

use hub_api::client::Client;
use hub_api::native::{
    AttestationType, Enrollment, EnrollmentAttestation, EnrollmentSettings, EnrollmentTerms,
    KeyRoll, KeyRollScope, KeyRollTarget, TpmKeys,
};

use super::terms::Certified;
use super::{first_page, next_page, object};
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
            return Ok(client.delete_enrollment(id, etag).await?);
        }
        EnrollmentCommand::RegenerateKeys(roll) => return self::roll(&roll, client, out).await,
    };
    render::answer(output, &enrollment, render::dps::enrollment, out)
}

/// Reads, changes and writes back, guarded by what was read.
async fn update(write: &EnrollmentWrite, client: &Client) -> Result<Enrollment, Failure> {
    let id = &write.name.enrollment_id;
    let former = client.enrollment(id).await?;
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
    if let Some(endorsement_key) = &write.endorsement_key {
        settings.attestation = EnrollmentAttestation {
            kind: AttestationType::Tpm,
            tpm: Some(TpmKeys {
                endorsement_key: endorsement_key.clone(),
                storage_root_key: write.storage_root_key.clone(),
            }),
            ..EnrollmentAttestation::default()
        };
    }
    if settings.attestation.kind == AttestationType::Tpm && settings.attestation.tpm.is_none() {
        return Err(Failure::usage("a TPM needs --endorsement-key"));
    }
    write.terms.apply(&mut settings.terms)?;
    Ok(settings)
}

async fn roll(roll: &EnrollmentRoll, client: &Client, out: &mut dyn Write) -> Result<(), Failure> {
    let (output, slot) = (roll.common.output, roll.key_type.wire());
    match &roll.enrollment_id {
        Some(id) => {
            let keys = client
                .roll_enrollment_keys(id, &KeyRoll { slot }, None)
                .await?;
            render::answer(output, &keys, render::dps::attestation, out)
        }
        None => {
            let of = KeyRollScope::Enrollments;
            let result = client.roll_all_keys(&KeyRollTarget { slot, of }).await?;
            render::answer(output, &result, render::dps::rolled, out)
        }
    }
}
