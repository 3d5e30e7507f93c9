//! What enrollments of both kinds have to keep.

use std::fmt;

use hub_domain::certificate::CertificateOfAuthority;
use hub_domain::provisioning::{
    AllocationPolicy, Attestation, InitialTwin, ProvisioningSettings, Terms,
};
use hub_domain::twin::BackEndReplacement;
use hub_domain::twin::Twin;
use hub_domain::{Etag, HostName, Timestamp};
use hub_engine::IfMatch;
use hub_engine::certificates::authorities;
use hub_engine::x509::Certificate;
use hub_storage::{Conflict, StoreError};

use crate::Error;
use crate::allocation::Candidate;
use crate::challenges::{read_endorsement_key, read_storage_root_key};

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

/// The hubs that an enrollment names are linked. One that it named before may have gone since.
///
/// # Errors
/// `Invalid` with what to change.
pub(crate) fn check_hubs(
    terms: &Terms,
    former: Option<&Terms>,
    linked: &[Candidate],
) -> Result<(), Error> {
    let named = |terms: &Terms, host: &HostName| {
        terms.hub.as_ref() == Some(host) || terms.hubs.contains(host)
    };
    let unknown = terms.hub.iter().chain(&terms.hubs).find(|host| {
        !linked.iter().any(|hub| hub.is(host)) && !former.is_some_and(|former| named(former, host))
    });
    match unknown {
        Some(host) => Err(Error::invalid(format!(
            "the enrollment names the hub {host}, which is not linked"
        ))),
        None => Ok(()),
    }
}

/// The authorities and the credential policy that an enrollment names are there. What it named before may have gone
/// since.
///
/// # Errors
/// `Invalid` with what to change.
pub(crate) fn check_names(
    (terms, attestation): (&Terms, &Attestation),
    former: Option<(&Terms, &Attestation)>,
    settings: &ProvisioningSettings,
) -> Result<(), Error> {
    let authorities = |attestation: &Attestation| match attestation {
        Attestation::AuthorityReferences(slots) => slots.iter().cloned().collect(),
        Attestation::Tpm { .. }
        | Attestation::ClientCertificates(_)
        | Attestation::SigningCertificates(_)
        | Attestation::SymmetricKey { .. } => Vec::new(),
    };
    let known_before = former.map_or_else(Vec::new, |(_, attestation)| authorities(attestation));
    for name in authorities(attestation) {
        let is_there = |known: &CertificateOfAuthority| known.name.is(name.as_str());
        if !known_before.contains(&name) && !settings.certificates.iter().any(is_there) {
            return Err(Error::invalid(format!(
                "the enrollment names the CA certificate {name}, which the service does not have"
            )));
        }
    }
    let Some(policy) = &terms.credential_policy else {
        return Ok(());
    };
    let named_before = former.and_then(|(terms, _)| terms.credential_policy.as_ref());
    let mut policies = settings.credential_policies.iter();
    if named_before == Some(policy) || policies.any(|known| known.name.is(policy)) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the enrollment names the credential policy {policy}, which the service does not have"
    )))
}

/// Every certificate and every key of a TPM can be read, and certificates that sign can vouch for devices.
///
/// # Errors
/// `Invalid` with what to change.
pub(crate) fn check_certificates(
    attestation: &Attestation,
    former: Option<&Attestation>,
    now: Timestamp,
) -> Result<(), Error> {
    let was_there = |der: &[u8]| match former {
        Some(Attestation::SigningCertificates(slots)) => slots.iter().any(|slot| *slot.der == *der),
        Some(
            Attestation::ClientCertificates(_)
            | Attestation::AuthorityReferences(_)
            | Attestation::Tpm { .. }
            | Attestation::SymmetricKey { .. },
        )
        | None => false,
    };
    let unreadable = || Error::invalid("a certificate of the enrollment cannot be read");
    match attestation {
        Attestation::ClientCertificates(slots) => {
            for slot in slots.iter() {
                Certificate::read(&slot.der).map_err(|_| unreadable())?;
            }
            require_one(slots.iter().count())
        }
        Attestation::SigningCertificates(slots) => {
            // One that has expired meanwhile is no reason to refuse other changes.
            for slot in slots.iter().filter(|slot| !was_there(&slot.der)) {
                authorities::check(&slot.der, now).map_err(|error| {
                    Error::invalid(format!("a signing certificate: {}", error.message()))
                })?;
            }
            require_one(slots.iter().count())
        }
        Attestation::AuthorityReferences(slots) => require_one(slots.iter().count()),
        Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        } => check_tpm(endorsement_key, storage_root_key.as_deref(), former),
        Attestation::SymmetricKey { .. } => Ok(()),
    }
}

/// The keys of a TPM can be challenged. One that was there is no reason to refuse other changes.
fn check_tpm(
    endorsement_key: &[u8],
    storage_root_key: Option<&[u8]>,
    former: Option<&Attestation>,
) -> Result<(), Error> {
    let (former_endorsement, former_storage) = match former {
        Some(Attestation::Tpm {
            endorsement_key,
            storage_root_key,
        }) => (Some(&**endorsement_key), storage_root_key.as_deref()),
        Some(
            Attestation::ClientCertificates(_)
            | Attestation::SigningCertificates(_)
            | Attestation::AuthorityReferences(_)
            | Attestation::SymmetricKey { .. },
        )
        | None => (None, None),
    };
    if former_endorsement != Some(endorsement_key) {
        read_endorsement_key(endorsement_key)?;
    }
    match storage_root_key {
        Some(key) if former_storage != Some(key) => read_storage_root_key(key).map(drop),
        Some(_) | None => Ok(()),
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

/// Checks the guard of a deletion against the etag of what is stored.
///
/// # Errors
/// `PreconditionFailed` for another etag. Otherwise the etag that the deletion is committed on; none for whatever is there.
pub(crate) fn check_deletion(if_match: &IfMatch, etag: &Etag) -> Result<Option<Etag>, Error> {
    check_match(if_match, &etag.0)?;
    Ok(match if_match {
        IfMatch::Absent | IfMatch::Any => None,
        IfMatch::Etag(_) => Some(etag.clone()),
    })
}

/// How a deletion ended: what somebody else deleted meanwhile was not found.
pub(crate) fn deleted(
    what: &str,
    id: impl fmt::Display,
    result: Result<(), StoreError>,
) -> Result<(), Error> {
    result.map_err(|error| match error {
        StoreError::Conflict(Conflict::NotFound) => Error::not_found(what, id),
        other => other.into(),
    })
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

#[cfg(test)]
mod tests {
    use hub_domain::provisioning::LinkedHub;

    use super::*;

    #[test]
    fn the_hubs_of_an_enrollment_are_linked_or_were() {
        let host = |name: &str| HostName::parse(name).expect("a valid name");
        let linked = [Candidate {
            linked: LinkedHub::own(host("a.test")),
            aliases: vec![host("former.test")],
            label: "a".to_owned(),
        }];
        let naming = |hub: Option<&str>, hubs: &[&str]| Terms {
            hub: hub.map(host),
            hubs: hubs.iter().map(|name| host(name)).collect(),
            ..Terms::default()
        };
        let check = |terms: &Terms, former: Option<&Terms>| {
            check_hubs(terms, former, &linked).map_err(|error| error.message().to_owned())
        };
        let refused = Err("the enrollment names the hub b.test, which is not linked".to_owned());
        assert_eq!(check(&naming(None, &[]), None), Ok(()));
        assert_eq!(
            check(&naming(Some("a.test"), &["former.test"]), None),
            Ok(())
        );
        assert_eq!(check(&naming(Some("b.test"), &[]), None), refused);
        assert_eq!(check(&naming(None, &["a.test", "b.test"]), None), refused);
        let former = naming(Some("b.test"), &[]);
        assert_eq!(check(&naming(None, &["b.test"]), Some(&former)), Ok(()));
    }
}
