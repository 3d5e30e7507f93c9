//! From a leaf to an authority that the hub trusts.

use std::time::Duration;

use hub_domain::Timestamp;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, RawPublicKeyEntity};

use super::{Certificate, OutOfDate, Unreadable};

/// An authority vouches for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vouched {
    /// Which of the authorities that were asked, by its place among them.
    pub authority: usize,
    /// When the first certificate of the path expires.
    pub expires: Timestamp,
}

/// No authority vouches for the leaf.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    /// A certificate cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The leaf is out of date.
    #[error(transparent)]
    OutOfDate(#[from] OutOfDate),
    /// The authority is out of date.
    #[error("the certificate of the authority has expired or is not valid yet")]
    AuthorityOutOfDate,
    /// Something between leaf and authority is out of date.
    #[error(
        "a certificate between the device's and its authority's has expired or is not valid yet"
    )]
    IntermediateOutOfDate,
    /// None of the authorities issued it, directly or through others.
    #[error("no path leads from the certificate to this authority")]
    NoPath(#[source] Option<webpki::Error>),
}

/// Finds an authority among `authorities` that vouches for the first certificate of `chain`, through the others of it.
///
/// A leaf of version 1, as some tools still make them, has to be issued by the authority itself.
///
/// # Errors
/// Why none does; the reason given is the leaf's own when it has one.
pub fn vouch(
    chain: &[CertificateDer<'_>],
    authorities: &[&[u8]],
    now: Timestamp,
) -> Result<Vouched, PathError> {
    let (leaf_der, between) = chain.split_first().ok_or(Unreadable)?;
    let leaf = Certificate::read(leaf_der)?;
    leaf.check_dates(now)?;
    let (present, others): (Vec<_>, Vec<_>) = authorities
        .iter()
        .enumerate()
        .filter_map(|(place, der)| Some((place, Certificate::read(der).ok()?)))
        .partition(|(_, authority)| authority.check_dates(now).is_ok());
    let find = |candidates: &[(usize, Certificate<'_>)]| match EndEntityCert::try_from(leaf_der) {
        Ok(end_entity) => validate(&end_entity, between, candidates, now),
        Err(webpki::Error::UnsupportedCertVersion) => find_issuer(&leaf, candidates),
        Err(error) => Err(PathError::NoPath(Some(error))),
    };
    match find(&present) {
        Ok(found) => Ok(Vouched {
            expires: found.expires.min(leaf.not_after()),
            ..found
        }),
        Err(_) if !others.is_empty() && find(&others).is_ok() => Err(PathError::AuthorityOutOfDate),
        Err(error) => Err(error),
    }
}

/// Validates a path by RFC 5280, but for the dates of the authorities. One search serves all of them, so that the work that
/// a hostile chain can cause is bounded once. The expiry is the first one above the leaf.
fn validate(
    leaf: &EndEntityCert<'_>,
    between: &[CertificateDer<'_>],
    authorities: &[(usize, Certificate<'_>)],
    now: Timestamp,
) -> Result<Vouched, PathError> {
    let ders: Vec<_> = authorities
        .iter()
        .map(|(_, authority)| CertificateDer::from(authority.der))
        .collect();
    let (known, anchors): (Vec<_>, Vec<_>) = authorities
        .iter()
        .zip(&ders)
        .filter_map(|(known, der)| Some((known, webpki::anchor_from_trusted_cert(der).ok()?)))
        .unzip();
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let path = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        between,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        KeyUsage::client_auth(),
        None,
        None,
    );
    let path = path.map_err(|error| match error {
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            PathError::IntermediateOutOfDate
        }
        other => PathError::NoPath(Some(other)),
    })?;
    let found = anchors.iter().position(|anchor| anchor == path.anchor());
    let (place, authority) = found
        .and_then(|found| known.get(found))
        .ok_or(PathError::NoPath(None))?;
    let mut expires = authority.not_after();
    for certificate in path.intermediate_certificates() {
        let der = certificate.der();
        let certificate = Certificate::read(&der)?;
        // Webpki does not look at the key usage (RFC 5280, section 6.1.4 (n)).
        if !certificate.is_authority() {
            return Err(PathError::NoPath(None));
        }
        expires = expires.min(certificate.not_after());
    }
    Ok(Vouched {
        authority: *place,
        expires,
    })
}

/// The authority that itself issued `leaf`.
fn find_issuer(
    leaf: &Certificate<'_>,
    authorities: &[(usize, Certificate<'_>)],
) -> Result<Vouched, PathError> {
    let mut failure = PathError::NoPath(None);
    for (place, authority) in authorities {
        match check_signature(leaf, authority) {
            Ok(()) => {
                return Ok(Vouched {
                    authority: *place,
                    expires: authority.not_after(),
                });
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Checks that `issuer` itself issued `leaf`.
pub(super) fn check_signature(
    leaf: &Certificate<'_>,
    issuer: &Certificate<'_>,
) -> Result<(), PathError> {
    if leaf.fields.issuer().as_raw() != issuer.fields.subject().as_raw() {
        return Err(PathError::NoPath(None));
    }
    let key = SubjectPublicKeyInfoDer::from(issuer.fields.public_key().raw);
    let key = RawPublicKeyEntity::try_from(&key).map_err(|error| PathError::NoPath(Some(error)))?;
    let signed = leaf.fields.tbs_certificate.as_ref();
    let signature = &leaf.fields.signature_value.data;
    let is_valid = ALL_VERIFICATION_ALGS
        .iter()
        .any(|algorithm| key.verify_signature(*algorithm, signed, signature).is_ok());
    if is_valid {
        Ok(())
    } else {
        Err(PathError::NoPath(Some(
            webpki::Error::InvalidSignatureForPublicKey,
        )))
    }
}
