//! What certificates say, and which of them vouch for whom.
//!
//! Pure: bytes, registered authorities and the moment come in, a verdict goes out. Fields are read by
//! x509-parser, which takes certificates of any version; paths are validated by rustls-webpki.

mod path;
mod pem;

#[cfg(test)]
mod tests;

use hub_domain::Timestamp;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

pub use rustls_pki_types::CertificateDer;

pub use path::{PathError, vouch};
pub use pem::read_upload;

/// The SHA-256 of a certificate.
pub type Fingerprint = [u8; 32];

/// The bytes are no X.509 certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be read")]
pub struct Unreadable;

/// The certificate may not be used at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfDate {
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
}

/// A certificate whose fields are read.
pub struct Certificate<'a> {
    der: &'a [u8],
    fields: X509Certificate<'a>,
}

impl<'a> Certificate<'a> {
    /// Reads DER.
    ///
    /// # Errors
    /// When it is no certificate, or something follows it.
    pub fn read(der: &'a [u8]) -> Result<Self, Unreadable> {
        match X509Certificate::from_der(der) {
            Ok(([], fields)) => Ok(Self { der, fields }),
            Ok(_) | Err(_) => Err(Unreadable),
        }
    }

    /// The subject's common name; `None` when it has none, several, or one that is no text.
    pub fn common_name(&self) -> Option<&str> {
        let mut names = self.fields.subject().iter_common_name();
        let first = names.next()?;
        match names.next() {
            None => first.as_str().ok(),
            Some(_) => None,
        }
    }

    /// The subject as people write it.
    pub fn subject(&self) -> String {
        self.fields.subject().to_string()
    }

    /// The issuer as people write it.
    pub fn issuer(&self) -> String {
        self.fields.issuer().to_string()
    }

    /// The name of whoever issued it, in DER.
    pub fn issuer_der(&self) -> &[u8] {
        self.fields.issuer().as_raw()
    }

    /// The serial number in hexadecimal digits, upper case.
    pub fn serial(&self) -> String {
        digits(self.fields.raw_serial())
    }

    /// The version as people count it, from 1.
    pub fn version(&self) -> u32 {
        self.fields.version().0 + 1
    }

    /// When it begins to be valid.
    pub fn not_before(&self) -> Timestamp {
        Timestamp::from_seconds(self.fields.validity().not_before.timestamp())
    }

    /// When it expires.
    pub fn not_after(&self) -> Timestamp {
        Timestamp::from_seconds(self.fields.validity().not_after.timestamp())
    }

    /// # Errors
    /// When `now` lies outside its validity.
    pub fn check_dates(&self, now: Timestamp) -> Result<(), OutOfDate> {
        if now < self.not_before() {
            Err(OutOfDate::NotYetValid)
        } else if now > self.not_after() {
            Err(OutOfDate::Expired)
        } else {
            Ok(())
        }
    }

    /// True when it may issue certificates: it says so, and limits its key to nothing else.
    pub fn is_authority(&self) -> bool {
        let says_so = matches!(self.fields.basic_constraints(), Ok(Some(basic)) if basic.value.ca);
        let may_sign = match self.fields.key_usage() {
            Ok(Some(usage)) => usage.value.key_cert_sign(),
            Ok(None) => true,
            Err(_) => false,
        };
        says_so && may_sign
    }

    /// The subject's name, in DER.
    pub fn subject_der(&self) -> &[u8] {
        self.fields.subject().as_raw()
    }

    /// The key, in DER (`SubjectPublicKeyInfo`).
    pub fn public_key_der(&self) -> &[u8] {
        self.fields.public_key().raw
    }

    /// What certificates below it name its key by.
    pub fn key_identifier(&self) -> Option<&[u8]> {
        self.fields
            .iter_extensions()
            .find_map(|extension| match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(identifier) => Some(identifier.0),
                _ => None,
            })
    }

    /// Checks that `issuer` itself issued it, whatever either may be used for.
    ///
    /// # Errors
    /// When the name or the signature is another's.
    pub fn check_issued_by(&self, issuer: &Certificate<'_>) -> Result<(), PathError> {
        path::check_signature(self, issuer)
    }

    /// The SHA-256 of the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(self.der)
    }

    /// The SHA-1 of the certificate as 40 digits in upper case.
    pub fn sha1(&self) -> String {
        digits(&Sha1::digest(self.der))
    }

    /// The SHA-256 of the certificate as 64 digits in upper case.
    pub fn sha256(&self) -> String {
        digits(&self.fingerprint())
    }
}

/// The fingerprint of a certificate in DER.
pub fn fingerprint(der: &[u8]) -> Fingerprint {
    Sha256::digest(der).into()
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
