//! From a leaf to an authority that the hub trusts.

use std::time::Duration;

use hub_domain::Timestamp;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, RawPublicKeyEntity};

use super::{Certificate, OutOfDate, Unreadable};

/// An authority vouches for a leaf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// Which of the authorities that were asked, by its place among them.
    pub(crate) authority: usize,
    /// When the first certificate of the path expires.
    pub(crate) expires: Timestamp,
}

/// No authority vouches for the leaf.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error(transparent)]
    OutOfDate(#[from] OutOfDate),
    #[error("the certificate of the authority has expired or is not valid yet")]
    AuthorityOutOfDate,
    #[error(
        "a certificate between the device's and its authority's has expired or is not valid yet"
    )]
    IntermediateOutOfDate,
    #[error("no path leads from the certificate to this authority")]
    NoPath(#[source] Option<webpki::Error>),
}

/// Finds an authority among `authorities` that vouches for the first certificate of `chain`, through the others of it.
///
/// A leaf of version 1, as some tools still make them, has to be issued by the authority itself.
///
/// # Errors
/// Why none does; the reason given is the leaf's own when it has one.
pub(crate) fn vouch(
    chain: &[CertificateDer<'_>],
    authorities: &[&[u8]],
    now: Timestamp,
) -> Result<Vouched, PathError> {
    let (leaf_der, between) = chain.split_first().ok_or(Unreadable)?;
    let leaf = Certificate::read(leaf_der)?;
    leaf.check_dates(now)?;
    let mut failure = PathError::NoPath(None);
    for (place, der) in authorities.iter().enumerate() {
        let Ok(authority) = Certificate::read(der) else {
            continue;
        };
        let path = match EndEntityCert::try_from(leaf_der) {
            Ok(end_entity) => validate(&end_entity, between, der, now),
            Err(webpki::Error::UnsupportedCertVersion) => {
                check_signature(&leaf, &authority).map(|()| None)
            }
            Err(error) => Err(PathError::NoPath(Some(error))),
        };
        match path {
            Ok(between_expires) => {
                if authority.check_dates(now).is_err() {
                    // Another certificate of the same authority may be registered.
                    failure = PathError::AuthorityOutOfDate;
                    continue;
                }
                let expires = leaf.not_after().min(authority.not_after());
                return Ok(Vouched {
                    authority: place,
                    expires: between_expires.map_or(expires, |between| between.min(expires)),
                });
            }
            // An authority that the chain leads to, but for its dates, is the one that was meant.
            Err(error @ PathError::IntermediateOutOfDate) => failure = error,
            Err(error) => {
                if let PathError::NoPath(None) = failure {
                    failure = error;
                }
            }
        }
    }
    Err(failure)
}

/// Validates a path by RFC 5280; gives the first expiry between its ends. The dates of the authority are not looked at.
fn validate(
    leaf: &EndEntityCert<'_>,
    between: &[CertificateDer<'_>],
    authority: &[u8],
    now: Timestamp,
) -> Result<Option<Timestamp>, PathError> {
    let no_path = |error| PathError::NoPath(Some(error));
    let authority = CertificateDer::from(authority);
    let anchor = webpki::anchor_from_trusted_cert(&authority).map_err(no_path)?;
    let seconds = u64::try_from(now.seconds()).unwrap_or_default();
    let anchors = [anchor];
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
        other => no_path(other),
    })?;
    let mut expires: Option<Timestamp> = None;
    for certificate in path.intermediate_certificates() {
        let end = Certificate::read(&certificate.der())?.not_after();
        expires = Some(expires.map_or(end, |earlier| earlier.min(end)));
    }
    Ok(expires)
}

/// Checks that `issuer` itself issued `leaf`.
fn check_signature(leaf: &Certificate<'_>, issuer: &Certificate<'_>) -> Result<(), PathError> {
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
