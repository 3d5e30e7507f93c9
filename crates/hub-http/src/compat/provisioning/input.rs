//! What back ends send, as the service takes it; and what is said of certificates.

use hub_api::compat::provisioning::{
    AttestationInput, CertificateDescription, CertificateInput, EnrollmentGroupInput,
    EnrollmentInput,
};
use hub_domain::provisioning::{
    Attestation, CertificateSlot, EnrollmentGroupId, RegistrationId, Slots,
};
use hub_engine::ErrorKind;
use hub_provisioning::{Error, NewAttestation, NewEnrollment, NewGroup, certificate_info};

use super::refusal::Refusal;

/// What a certificate says of itself.
pub(crate) fn describe(der: &[u8]) -> Option<CertificateDescription> {
    certificate_info(der).ok().map(Into::into)
}

/// The enrollment to write; `former` is the stored one, from which certificates are taken that the request only names.
pub(super) fn new_enrollment(
    id: RegistrationId,
    input: EnrollmentInput,
    former: Option<&Attestation>,
) -> Result<NewEnrollment, Refusal> {
    Ok(NewEnrollment {
        id,
        device: input.device,
        attestation: new_attestation(input.attestation, former)?,
        terms: input.terms,
        information: input.information,
    })
}

/// The group to write.
pub(super) fn new_group(
    id: EnrollmentGroupId,
    input: EnrollmentGroupInput,
    former: Option<&Attestation>,
) -> Result<NewGroup, Refusal> {
    Ok(NewGroup {
        id,
        attestation: new_attestation(input.attestation, former)?,
        terms: input.terms,
    })
}

/// True when the request names certificates that only the stored enrollment has.
pub(super) fn needs_former(attestation: &AttestationInput) -> bool {
    match attestation {
        AttestationInput::ClientCertificates(slots)
        | AttestationInput::SigningCertificates(slots) => slots
            .iter()
            .any(|slot| matches!(slot, CertificateInput::Known { .. })),
        AttestationInput::Tpm { .. }
        | AttestationInput::AuthorityReferences(_)
        | AttestationInput::SymmetricKey { .. } => false,
    }
}

fn new_attestation(
    input: AttestationInput,
    former: Option<&Attestation>,
) -> Result<NewAttestation, Refusal> {
    Ok(match input {
        AttestationInput::Tpm {
            endorsement_key,
            storage_root_key,
        } => NewAttestation::Tpm {
            endorsement_key,
            storage_root_key,
        },
        AttestationInput::ClientCertificates(slots) => {
            NewAttestation::ClientCertificates(certificates(slots, former)?)
        }
        AttestationInput::SigningCertificates(slots) => {
            NewAttestation::SigningCertificates(certificates(slots, former)?)
        }
        AttestationInput::AuthorityReferences(names) => NewAttestation::AuthorityReferences(names),
        AttestationInput::SymmetricKey { primary, secondary } => {
            NewAttestation::SymmetricKey { primary, secondary }
        }
    })
}

fn certificates(
    slots: Slots<CertificateInput>,
    former: Option<&Attestation>,
) -> Result<Slots<CertificateSlot>, Refusal> {
    let slot = |input: Option<CertificateInput>| {
        match input {
        None => Ok(None),
        Some(CertificateInput::Given(der)) => Ok(Some(CertificateSlot { der: der.into() })),
        Some(CertificateInput::Known { sha1_thumbprint }) => known(former, &sha1_thumbprint)
            .cloned()
            .map(Some)
            .ok_or_else(|| {
                let text = "the enrollment has no certificate of the thumbprint that is named, send the certificate itself";
                Refusal::from(Error::new(ErrorKind::Invalid, text))
            }),
    }
    };
    Ok(Slots {
        primary: slot(slots.primary)?,
        secondary: slot(slots.secondary)?,
    })
}

fn known<'a>(former: Option<&'a Attestation>, sha1: &str) -> Option<&'a CertificateSlot> {
    match former? {
        Attestation::ClientCertificates(slots) | Attestation::SigningCertificates(slots) => {
            slots.iter().find(|slot| {
                certificate_info(&slot.der).is_ok_and(|info| info.sha1.eq_ignore_ascii_case(sha1))
            })
        }
        Attestation::Tpm { .. }
        | Attestation::AuthorityReferences(_)
        | Attestation::SymmetricKey { .. } => None,
    }
}

/// An id in the body must be the one of the path.
pub(super) fn check_id(path: &str, body: Option<&str>, name: &str) -> Result<(), Refusal> {
    if body.is_none_or(|body| body.eq_ignore_ascii_case(path)) {
        return Ok(());
    }
    let text = format!("{name} in the body is not the one of the path");
    Err(Error::new(ErrorKind::Invalid, text).into())
}
