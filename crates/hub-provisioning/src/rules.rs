//! What enrollments of both kinds have to keep.

use hub_domain::Timestamp;
use hub_domain::provisioning::{AllocationPolicy, Attestation, InitialTwin, Terms};
use hub_domain::twin::BackEndReplacement;
use hub_domain::twin::Twin;
use hub_engine::IfMatch;
use hub_engine::x509::Certificate;

use crate::Error;

/// Checks what does not depend on anything else that is stored.
///
/// # Errors
/// `Invalid` with what to change.
pub(crate) fn check_terms(terms: &Terms, now: Timestamp) -> Result<(), Error> {
    twin_of(&terms.initial_twin, now)?;
    match terms.allocation {
        Some(AllocationPolicy::Custom) if terms.webhook.is_none() => Err(Error::invalid(
            "a CustomAllocationDefinition is required when the allocation policy is custom",
        )),
        Some(AllocationPolicy::Static) if terms.hub.is_none() && terms.hubs.len() != 1 => {
            Err(Error::invalid(
                "the static allocation policy needs iotHubHostName, or iotHubs with one hub",
            ))
        }
        Some(
            AllocationPolicy::Custom
            | AllocationPolicy::Static
            | AllocationPolicy::Hashed
            | AllocationPolicy::GeoLatency,
        )
        | None => Ok(()),
    }
}

/// Every certificate of an enrollment can be read, and those that sign are of authorities.
///
/// # Errors
/// `Invalid` with what to change.
pub(crate) fn check_certificates(attestation: &Attestation) -> Result<(), Error> {
    let unreadable = || Error::invalid("a certificate of the enrollment cannot be read");
    match attestation {
        Attestation::ClientCertificates(slots) => {
            for slot in slots.iter() {
                Certificate::read(&slot.der).map_err(|_| unreadable())?;
            }
            require_one(slots.iter().count())
        }
        Attestation::SigningCertificates(slots) => {
            for slot in slots.iter() {
                let certificate = Certificate::read(&slot.der).map_err(|_| unreadable())?;
                if !certificate.is_authority() {
                    return Err(Error::invalid(
                        "a signing certificate is none of an authority: its basic constraints must say CA:TRUE",
                    ));
                }
            }
            require_one(slots.iter().count())
        }
        Attestation::AuthorityReferences(slots) => require_one(slots.iter().count()),
        Attestation::Tpm { .. } | Attestation::SymmetricKey { .. } => Ok(()),
    }
}

fn require_one(count: usize) -> Result<(), Error> {
    if count == 0 {
        return Err(Error::invalid("x509 attestation needs a certificate"));
    }
    Ok(())
}

/// The twin with which a device begins.
///
/// # Errors
/// It breaks a rule of twins.
pub(crate) fn twin_of(initial: &InitialTwin, now: Timestamp) -> Result<Twin, Error> {
    let content = BackEndReplacement {
        tags: Some(initial.tags.clone()),
        desired: (!initial.desired.is_empty()).then(|| initial.desired.clone()),
    };
    if initial.is_empty() {
        return Ok(Twin::new());
    }
    Ok(hub_engine::initial_twin(&content, now)?)
}

/// # Errors
/// `PreconditionFailed` when another etag was asked for.
pub(crate) fn check_match(if_match: &IfMatch, actual: &str) -> Result<(), Error> {
    match if_match {
        IfMatch::Absent | IfMatch::Any => Ok(()),
        IfMatch::Etag(expected) if expected == actual => Ok(()),
        IfMatch::Etag(_) => Err(Error::new(
            hub_engine::ErrorKind::PreconditionFailed,
            "the etag is not the present one, read it again",
        )),
    }
}
