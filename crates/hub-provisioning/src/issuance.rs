//! Certificates for devices: a registration may carry a request for one ("Certificate management"), which an authority of
//! the service answers.
//!
//! A device proves by its request's signature that it holds the key, and gets a certificate that says no more than its
//! name: whatever else the request asks for is not read. The chain goes to the device and leads to the root, leaf first.
//!
//! Pure but for what the cryptographic library draws itself: new keys, and the numbers of ECDSA signatures.

mod certificate;
mod keys;
mod request;

#[cfg(test)]
mod tests;

use std::time::Duration;

use hub_domain::Timestamp;
use hub_domain::limits::{CLOCK_SKEW, ISSUED_CERTIFICATE_DAYS_MAX, ISSUED_CERTIFICATE_DAYS_MIN};
use hub_engine::x509::{Certificate, OutOfDate};

use certificate::{Purpose, Template, key_identifier};
use keys::{Refused, SigningKey};

pub use request::{CertificateRequest, RequestError};

/// Most certificates between a device and its root, the authority's own counted: longer chains do not fit the buffers of
/// small devices.
pub(crate) const AUTHORITY_CHAIN_MAX: usize = 8;
/// Longest common name ("RFC 5280", appendix A.1, `ub-common-name`).
const COMMON_NAME_CHARS_MAX: usize = 64;
const SERIAL_BYTES: usize = 16;
const DAY: Duration = Duration::from_secs(24 * 3600);
const YEAR_DAYS: u32 = 365;

/// An authority that issues certificates to devices: its key, and the certificates from its own to the root.
pub(crate) struct IssuingAuthority {
    key: SigningKey,
    chain: Vec<Vec<u8>>,
    subject: Vec<u8>,
    key_identifier: Vec<u8>,
    not_before: Timestamp,
    /// When the first certificate of the chain expires.
    not_after: Timestamp,
}

/// An authority cannot serve, or cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    /// No certificate, or too many of them.
    #[error("an authority has 1 to {AUTHORITY_CHAIN_MAX} certificates, its own first")]
    Chain,
    /// One of the certificates cannot be read.
    #[error("certificate {number} of the authority cannot be read")]
    Unreadable {
        /// Which one, from 1.
        number: usize,
    },
    /// One of the certificates may not issue others.
    #[error("certificate {number} is no authority's")]
    NotAnAuthority {
        /// Which one, from 1.
        number: usize,
    },
    /// The next certificate did not issue this one.
    #[error("certificate {number} is not issued by the next one")]
    NotIssuedByNext {
        /// Which one, from 1.
        number: usize,
    },
    /// One of the certificates is out of date.
    #[error("certificate {number} cannot be used")]
    OutOfDate {
        /// Which one, from 1.
        number: usize,
        /// How.
        source: OutOfDate,
    },
    /// The private key cannot be read, or is of another kind than P-256, P-384 or RSA of at least 2048 bits.
    #[error("the private key is no PKCS#8 key for P-256, P-384 or RSA of at least 2048 bits")]
    Key,
    /// The private key is not that of the first certificate.
    #[error("the private key does not belong to the first certificate")]
    OtherKey,
    /// The name does not fit into a certificate.
    #[error("the name has to have 1 to {COMMON_NAME_CHARS_MAX} characters")]
    Name,
    /// The library refused.
    #[error("a certificate cannot be made")]
    Refused,
}

/// A certificate cannot be issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IssueError {
    /// A certificate of the authority is out of date.
    #[error("the issuing authority has expired or is not valid yet")]
    AuthorityOutOfDate,
    /// The device's name does not fit into a certificate.
    #[error("the device's name has to have 1 to {COMMON_NAME_CHARS_MAX} characters")]
    Name,
    /// The library refused.
    #[error("the certificate cannot be signed")]
    Refused,
}

impl From<Refused> for AuthorityError {
    fn from(Refused: Refused) -> Self {
        Self::Refused
    }
}

impl From<Refused> for IssueError {
    fn from(Refused: Refused) -> Self {
        Self::Refused
    }
}

impl IssuingAuthority {
    /// Makes a root with a new P-384 key, valid for `years` of 365 days. `random` fills a buffer with random bytes.
    ///
    /// # Errors
    /// When the name does not fit.
    pub(crate) fn create(
        name: &str,
        now: Timestamp,
        years: u32,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Self, AuthorityError> {
        let subject = subject(name).ok_or(AuthorityError::Name)?;
        let key = SigningKey::generate()?;
        let template = Template {
            serial: serial(random),
            issuer: &subject,
            issuer_key: None,
            not_before: now.minus(CLOCK_SKEW),
            not_after: now.plus(DAY * YEAR_DAYS * years),
            subject: &subject,
            public_key: key.public(),
            purpose: Purpose::Authority,
        };
        let der = template.sign(&key)?;
        Self::with_key(vec![der], key, now)
    }

    /// Reads an authority: its certificates in DER, its own first and each issued by the next, and its key, PKCS#8 in DER.
    /// The root may be left out; devices then do not get it.
    ///
    /// # Errors
    /// When a certificate or the key cannot serve, as [`AuthorityError`] tells.
    pub(crate) fn read(
        chain: &[impl AsRef<[u8]>],
        key: &[u8],
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let chain = chain.iter().map(|der| der.as_ref().to_vec()).collect();
        let key = SigningKey::read(key).ok_or(AuthorityError::Key)?;
        Self::with_key(chain, key, now)
    }

    fn with_key(
        chain: Vec<Vec<u8>>,
        key: SigningKey,
        now: Timestamp,
    ) -> Result<Self, AuthorityError> {
        let certificates = read_chain(&chain, now)?;
        let own = certificates.first().ok_or(AuthorityError::Chain)?;
        if own.public_key_der() != key.public() {
            return Err(AuthorityError::OtherKey);
        }
        let not_before = certificates.iter().map(Certificate::not_before).max();
        let not_after = certificates.iter().map(Certificate::not_after).min();
        Ok(Self {
            subject: own.subject_der().to_vec(),
            key_identifier: match own.key_identifier() {
                Some(identifier) => identifier.to_vec(),
                None => key_identifier(key.public()),
            },
            not_before: not_before.ok_or(AuthorityError::Chain)?,
            not_after: not_after.ok_or(AuthorityError::Chain)?,
            key,
            chain,
        })
    }

    /// Its own certificate and what leads to the root, in DER.
    pub(crate) fn chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// Its private key, PKCS#8 in DER. A secret.
    pub(crate) fn key(&self) -> &[u8] {
        self.key.pkcs8()
    }

    /// Issues a certificate for the key of `request` to the device called `name`, for `days` (the nearest of 7 to 90), but
    /// no longer than the authority lives. The name in the request is the caller's to check. Gives the certificate and what
    /// leads to the root, in DER.
    ///
    /// # Errors
    /// When the authority is out of date or the name does not fit.
    pub(crate) fn issue(
        &self,
        request: &CertificateRequest,
        name: &str,
        days: u32,
        now: Timestamp,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Vec<Vec<u8>>, IssueError> {
        if now < self.not_before || now >= self.not_after {
            return Err(IssueError::AuthorityOutOfDate);
        }
        let subject = subject(name).ok_or(IssueError::Name)?;
        let days = days.clamp(ISSUED_CERTIFICATE_DAYS_MIN, ISSUED_CERTIFICATE_DAYS_MAX);
        let template = Template {
            serial: serial(random),
            issuer: &self.subject,
            issuer_key: Some(&self.key_identifier),
            not_before: self.begin(now),
            not_after: self.end(now.plus(DAY * days)),
            subject: &subject,
            public_key: request.public_key(),
            purpose: Purpose::Device,
        };
        let mut chain = vec![template.sign(&self.key)?];
        chain.extend_from_slice(&self.chain);
        Ok(chain)
    }

    /// A little before now, for clocks that are behind; but not before the authority itself.
    fn begin(&self, now: Timestamp) -> Timestamp {
        now.minus(CLOCK_SKEW).max(self.not_before)
    }

    /// `wanted`, or the authority's own end. In whole seconds, as certificates have them.
    fn end(&self, wanted: Timestamp) -> Timestamp {
        Timestamp::from_seconds(wanted.min(self.not_after).seconds())
    }
}

/// Reads certificates that each are an authority's, in date, and issued by the next.
fn read_chain(chain: &[Vec<u8>], now: Timestamp) -> Result<Vec<Certificate<'_>>, AuthorityError> {
    if chain.is_empty() || chain.len() > AUTHORITY_CHAIN_MAX {
        return Err(AuthorityError::Chain);
    }
    let mut certificates: Vec<Certificate<'_>> = Vec::with_capacity(chain.len());
    for (place, der) in chain.iter().enumerate() {
        let number = place + 1;
        let certificate =
            Certificate::read(der).map_err(|_| AuthorityError::Unreadable { number })?;
        if !certificate.is_authority() {
            return Err(AuthorityError::NotAnAuthority { number });
        }
        if let Err(source) = certificate.check_dates(now) {
            return Err(AuthorityError::OutOfDate { number, source });
        }
        if let Some(below) = certificates.last()
            && below.check_issued_by(&certificate).is_err()
        {
            return Err(AuthorityError::NotIssuedByNext { number: place });
        }
        certificates.push(certificate);
    }
    Ok(certificates)
}

/// A name of nothing but a common name, in DER.
fn subject(common_name: &str) -> Option<Vec<u8>> {
    let fits = (1..=COMMON_NAME_CHARS_MAX).contains(&common_name.chars().count());
    fits.then(|| certificate::common_name(common_name))
}

/// A serial number that nobody can foresee: positive, and always as long.
fn serial(random: &mut dyn FnMut(&mut [u8])) -> [u8; SERIAL_BYTES] {
    let mut serial = [0; SERIAL_BYTES];
    random(&mut serial);
    serial[0] = serial[0] & 0x3F | 0x40;
    serial
}
