//! Certificates of authorities that a hub trusts to vouch for its devices, and what documents say of certificates.

use std::fmt;
use std::sync::Arc;

use crate::ids::IdError;
use crate::{Etag, Timestamp};

/// Longest name of a registered certificate in characters (resource documentation, "certificates").
pub const CERTIFICATE_NAME_CHARS_MAX: usize = 64;
/// Digits of a verification code.
pub const VERIFICATION_CODE_DIGITS: usize = 48;

/// The certificate of an authority, as a hub has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateOfAuthority {
    /// Its name, unique in the hub without regard to case.
    pub name: CertificateName,
    /// The certificate itself, in DER.
    pub der: Arc<[u8]>,
    /// Whether it vouches for devices.
    pub standing: Standing,
    /// Changes with every write.
    pub etag: Etag,
    /// When it was uploaded first.
    pub created: Timestamp,
    /// When it was last changed.
    pub updated: Timestamp,
}

impl CertificateOfAuthority {
    /// True when it vouches for devices.
    pub const fn is_verified(&self) -> bool {
        matches!(self.standing, Standing::Verified)
    }

    /// The code that waits to be certified, when one was made.
    pub const fn verification_code(&self) -> Option<&VerificationCode> {
        match &self.standing {
            Standing::Verified => None,
            Standing::Unverified { code } => code.as_ref(),
        }
    }
}

/// What documents say of a certificate (`X509CertificateInfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// The subject.
    pub subject: String,
    /// SHA-1, upper case.
    pub sha1: String,
    /// SHA-256, upper case.
    pub sha256: String,
    /// The issuer.
    pub issuer: String,
    /// When it begins to be valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
    /// The serial number, hexadecimal.
    pub serial: String,
    /// The version, from 1.
    pub version: u32,
}

/// Whether the owner of a certificate proved to hold its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It did, or the administrator says so.
    Verified,
    /// It did not yet: the certificate vouches for nobody.
    Unverified {
        /// What the owner has to certify, when it asked.
        code: Option<VerificationCode>,
    },
}

/// The common name that the owner of an authority has to certify to prove that it holds the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerificationCode(String);

impl VerificationCode {
    /// A new code.
    pub fn from_random(bytes: [u8; VERIFICATION_CODE_DIGITS / 2]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02X}")).collect())
    }

    /// Reads a code; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_code =
            text.len() == VERIFICATION_CODE_DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit());
        is_code.then(|| Self(text.to_ascii_uppercase()))
    }

    /// The digits, in upper case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a registered certificate: 1 to 64 letters, digits, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateName(Arc<str>);

impl CertificateName {
    /// Checks length and characters.
    ///
    /// # Errors
    /// When empty, too long, or with a character outside the documented set.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        const WHAT: &str = "certificate name";
        if text.is_empty() || text.chars().count() > CERTIFICATE_NAME_CHARS_MAX {
            return Err(IdError::Length {
                what: WHAT,
                max: CERTIFICATE_NAME_CHARS_MAX,
            });
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !is_allowed(*c)) {
            Some(character) => Err(IdError::Character {
                what: WHAT,
                character,
            }),
            None => Ok(Self(Arc::from(text))),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Names differ in more than case.
    pub fn is(&self, text: &str) -> bool {
        self.0.eq_ignore_ascii_case(text)
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_documented_characters() {
        for good in ["a", "Root-CA_2026.v1", &"x".repeat(64)] {
            assert!(CertificateName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert!(CertificateName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn codes_are_hexadecimal_digits() {
        let code = VerificationCode::from_random([0xab; 24]);
        assert_eq!(code.as_str(), "AB".repeat(24));
        assert_eq!(VerificationCode::parse(&"ab".repeat(24)), Some(code));
        assert_eq!(VerificationCode::parse("AB"), None);
        assert_eq!(VerificationCode::parse(&"x".repeat(48)), None);
    }
}
