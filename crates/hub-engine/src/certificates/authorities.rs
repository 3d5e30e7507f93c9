//! A list of authorities and the changes that may be made to it. Pure: who keeps the list is the caller's matter.

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VerificationCode,
};
use hub_domain::limits::{CERTIFICATE_UPLOAD_BYTES_MAX, CERTIFICATES_PER_HUB_MAX};
use hub_domain::{ErrorCode, Etag, Timestamp};

use super::{CertificateUpload, CertificateView, UploadStanding};
use crate::x509::{Certificate, CertificateDer, read_upload, vouch};
use crate::{Error, ErrorKind, IfMatch};

/// The record with what the certificate says of itself.
pub fn view(certificate: &CertificateOfAuthority) -> CertificateView {
    let read = Certificate::read(&certificate.der)
        .expect("invariant: what is registered was read when it was uploaded");
    CertificateView {
        certificate: certificate.clone(),
        subject: read.subject(),
        thumbprint: read.sha1(),
        not_before: read.not_before(),
        not_after: read.not_after(),
    }
}

/// The one of that name.
///
/// # Errors
/// There is none.
pub fn find<'a>(
    list: &'a [CertificateOfAuthority],
    name: &CertificateName,
) -> Result<&'a CertificateOfAuthority, Error> {
    let mut all = list.iter();
    all.find(|one| one.name.is(name.as_str())).ok_or_else(|| {
        let text = format!("there is no certificate {name}");
        Error::new(ErrorKind::NotFound, text).with_code(ErrorCode::CertificateNotFound)
    })
}

/// The list with `new`, added or in the place of the one of its name.
///
/// # Errors
/// The name is taken and `if_match` absent; the etag is another; it is there under another name; there are too many.
pub fn with_new(
    list: &[CertificateOfAuthority],
    new: &CertificateOfAuthority,
    if_match: &IfMatch,
) -> Result<Vec<CertificateOfAuthority>, Error> {
    let exists = |text: String| Error::new(ErrorKind::AlreadyExists, text);
    let mut others = list.iter();
    if let Some(same) = others.find(|one| one.der == new.der && !one.name.is(new.name.as_str())) {
        return Err(exists(format!(
            "the certificate is registered as {}",
            same.name
        )));
    }
    match (find(list, &new.name), if_match) {
        (Ok(_), IfMatch::Absent) => Err(exists(format!(
            "there is a certificate {}, replace it with its etag",
            new.name
        ))),
        (Ok(present), IfMatch::Any | IfMatch::Etag(_)) => {
            if_match.check(&present.etag.0)?;
            let next = CertificateOfAuthority {
                created: present.created,
                ..new.clone()
            };
            Ok(replaced(list, &next))
        }
        (Err(missing), IfMatch::Any | IfMatch::Etag(_)) => Err(missing),
        (Err(_), IfMatch::Absent) => {
            if list.len() >= CERTIFICATES_PER_HUB_MAX {
                let text = format!("there are {CERTIFICATES_PER_HUB_MAX} certificates at most");
                return Err(Error::new(ErrorKind::QuotaExceeded, text));
            }
            let mut next = list.to_vec();
            next.push(new.clone());
            Ok(next)
        }
    }
}

fn replaced(
    list: &[CertificateOfAuthority],
    changed: &CertificateOfAuthority,
) -> Vec<CertificateOfAuthority> {
    let mut next = list.to_vec();
    for certificate in &mut next {
        if certificate.name.is(changed.name.as_str()) {
            *certificate = changed.clone();
        }
    }
    next
}

/// The list without the one of that name.
///
/// # Errors
/// There is none; the etag is another.
pub fn without(
    list: &[CertificateOfAuthority],
    name: &CertificateName,
    if_match: &IfMatch,
) -> Result<Vec<CertificateOfAuthority>, Error> {
    if_match.check(&find(list, name)?.etag.0)?;
    let mut next = list.to_vec();
    next.retain(|one| !one.name.is(name.as_str()));
    Ok(next)
}

/// The list with another standing of the one of that name, as `decide` says.
///
/// # Errors
/// There is none; the etag is another; whatever `decide` gives.
pub fn with_standing(
    list: &[CertificateOfAuthority],
    name: &CertificateName,
    if_match: &IfMatch,
    change: Change,
    decide: impl Fn(&CertificateOfAuthority) -> Result<Standing, Error>,
) -> Result<Vec<CertificateOfAuthority>, Error> {
    let present = find(list, name)?;
    if_match.check(&present.etag.0)?;
    let changed = CertificateOfAuthority {
        standing: decide(present)?,
        etag: change.etag,
        updated: change.now,
        ..present.clone()
    };
    Ok(replaced(list, &changed))
}

/// What a change leaves on a record.
pub struct Change {
    /// The new etag.
    pub etag: Etag,
    /// When.
    pub now: Timestamp,
}

/// What one with a new code stands as.
///
/// # Errors
/// It is verified already.
pub fn standing_with_code(
    certificate: &CertificateOfAuthority,
    code: &VerificationCode,
) -> Result<Standing, Error> {
    if certificate.is_verified() {
        let text = "the certificate is verified already";
        return Err(Error::new(ErrorKind::Invalid, text).with_code(ErrorCode::InvalidOperation));
    }
    Ok(Standing::Unverified {
        code: Some(code.clone()),
    })
}

/// The record of an upload.
///
/// # Errors
/// It is no certificate of an authority, or has expired.
pub fn uploaded(
    name: CertificateName,
    upload: &CertificateUpload<'_>,
    change: Change,
) -> Result<CertificateOfAuthority, Error> {
    Ok(CertificateOfAuthority {
        name,
        der: check_upload(upload.bytes, change.now)?.into(),
        standing: match upload.standing {
            UploadStanding::Verified => Standing::Verified,
            UploadStanding::Unverified => Standing::Unverified { code: None },
        },
        etag: change.etag,
        created: change.now,
        updated: change.now,
    })
}

/// The one certificate of an upload, as DER.
///
/// # Errors
/// It is too large, or no single certificate.
pub fn read(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    if bytes.len() > CERTIFICATE_UPLOAD_BYTES_MAX {
        let text = format!("a certificate has {CERTIFICATE_UPLOAD_BYTES_MAX} bytes at most");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    read_upload(bytes).map_err(|error| invalid(format!("the certificate cannot be used: {error}")))
}

fn check_upload(bytes: &[u8], now: Timestamp) -> Result<Vec<u8>, Error> {
    let der = read(bytes)?;
    check(&der, now)?;
    Ok(der)
}

/// A certificate in DER can vouch for devices.
///
/// # Errors
/// It is none of an authority, it has expired, or no path could be validated up to it.
pub fn check(der: &[u8], now: Timestamp) -> Result<(), Error> {
    let certificate = Certificate::read(der).map_err(|error| invalid(error.to_string()))?;
    if !certificate.is_authority() {
        return Err(invalid(
            "the certificate is none of an authority: its basic constraints must say CA:TRUE, \
             and its key usage, if it has one, keyCertSign",
        ));
    }
    if now > certificate.not_after() {
        return Err(invalid("the certificate has expired"));
    }
    // What path validation cannot read would never vouch for anybody.
    if webpki::anchor_from_trusted_cert(&CertificateDer::from(der)).is_err() {
        return Err(invalid("the certificate is not one of RFC 5280"));
    }
    Ok(())
}

/// The proof is a certificate that the authority issued to the code.
///
/// # Errors
/// It is not.
pub fn check_proof(
    authority: &CertificateOfAuthority,
    proof: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<(), Error> {
    let code = authority
        .verification_code()
        .ok_or_else(|| invalid("no verification code was made for the certificate"))?;
    let leaf = Certificate::read(proof).map_err(|error| invalid(error.to_string()))?;
    let names_code = leaf
        .common_name()
        .is_some_and(|name| name.eq_ignore_ascii_case(code.as_str()));
    if !names_code {
        return Err(invalid(
            "the common name of the proof is not the verification code",
        ));
    }
    vouch(std::slice::from_ref(proof), &[&authority.der], now)
        .map(drop)
        .map_err(|error| invalid(format!("the authority did not issue the proof: {error}")))
}

fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Invalid, text)
}
