//! Certificates against identities.

use hub_domain::identity::Thumbprint;
use hub_domain::{Hub, Identity, Timestamp};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Proof, refused};
use crate::Error;
use crate::x509::{Certificate, CertificateDer, PathError, fingerprint, vouch};

/// A certificate that is known by its thumbprint; nobody has to vouch for it. Either slot is good, with SHA-1 or SHA-256.
pub(super) fn by_thumbprint(
    identity: &Identity,
    leaf: &CertificateDer<'_>,
    slots: [&Option<Thumbprint>; 2],
    now: Timestamp,
) -> Result<Proof, Error> {
    let certificate = Certificate::read(leaf).map_err(|error| refused(&error.to_string()))?;
    let (sha1, sha256) = (certificate.sha1(), certificate.sha256());
    // Every slot is compared whatever the others say, so that the time does not tell which one it was.
    let matches = slots
        .into_iter()
        .flatten()
        .fold(Choice::from(0), |matches, slot| {
            matches | is(slot, &sha1) | is(slot, &sha256)
        });
    if !bool::from(matches) {
        let configured =
            |slot: &Option<Thumbprint>| slot.as_ref().map_or("none", Thumbprint::as_str).to_owned();
        let [primary, secondary] = slots;
        tracing::info!(
            id = %identity.id,
            sha1,
            sha256,
            primary = configured(primary),
            secondary = configured(secondary),
            "401003 a certificate has neither thumbprint of its identity"
        );
        return Err(refused(
            "the certificate's thumbprint is neither the primary nor the secondary one of the identity",
        ));
    }
    certificate
        .check_dates(now)
        .map_err(|error| refused(&error.to_string()))?;
    Ok(proof(identity, certificate.not_after(), None))
}

/// A certificate for the identity's name that an authority of the hub vouches for.
pub(super) fn by_authority(
    hub: &Hub,
    identity: &Identity,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
) -> Result<Proof, Error> {
    let trusted: Vec<&[u8]> = authorities(hub, IsVerified::Yes);
    let vouched = match vouch(chain, &trusted, now) {
        Ok(vouched) => vouched,
        Err(error) => return Err(not_vouched(hub, identity, chain, now, error)),
    };
    let leaf = chain
        .first()
        .and_then(|leaf| Certificate::read(leaf).ok())
        .ok_or_else(|| refused("the certificate cannot be read"))?;
    if leaf.common_name() != Some(identity.id.to_string().as_str()) {
        tracing::info!(
            id = %identity.id,
            subject = leaf.subject(),
            "401003 a certificate was issued to another name"
        );
        return Err(refused(
            "the certificate's common name is not the identity's id",
        ));
    }
    let authority = trusted.get(vouched.authority).map(|der| fingerprint(der));
    Ok(proof(identity, vouched.expires, authority))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum IsVerified {
    Yes,
    No,
}

fn authorities(hub: &Hub, wanted: IsVerified) -> Vec<&[u8]> {
    let certificates = hub.settings.certificates.iter();
    certificates
        .filter(|one| one.is_verified() == (wanted == IsVerified::Yes))
        .map(|one| &*one.der)
        .collect()
}

/// Why nobody vouches: an authority that forgot its proof of possession is worth a hint.
fn not_vouched(
    hub: &Hub,
    identity: &Identity,
    chain: &[CertificateDer<'_>],
    now: Timestamp,
    error: PathError,
) -> Error {
    tracing::info!(
        id = %identity.id,
        error = &error as &dyn std::error::Error,
        certificates = chain.len(),
        "401003 no authority vouches for a certificate"
    );
    if vouch(chain, &authorities(hub, IsVerified::No), now).is_ok() {
        return refused("the certificate's authority is registered but not verified");
    }
    let text = match &error {
        PathError::Unreadable(_)
        | PathError::OutOfDate(_)
        | PathError::AuthorityOutOfDate
        | PathError::IntermediateOutOfDate => error.to_string(),
        PathError::NoPath(_) => {
            "no registered authority of the hub vouches for the certificate".to_owned()
        }
    };
    refused(&text)
}

fn is(slot: &Thumbprint, hash: &str) -> Choice {
    slot.as_str().as_bytes().ct_eq(hash.as_bytes())
}

/// The method is the one that telemetry shows in the vendor's service for both kinds of certificates.
fn proof(
    identity: &Identity,
    expires: Timestamp,
    authority: Option<crate::x509::Fingerprint>,
) -> Proof {
    let scope = if identity.id.module.is_some() {
        "module"
    } else {
        "device"
    };
    Proof {
        expires,
        auth_method: format!(
            r#"{{"scope":"{scope}","type":"x509Certificate","issuer":"external","acceptingIpFilterRule":null}}"#
        ),
        authority,
    }
}
