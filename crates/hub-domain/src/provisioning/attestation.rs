//! How a device proves that it is the one that was enrolled.

use std::sync::Arc;

use crate::SymmetricKey;
use crate::certificate::CertificateName;

/// What an enrollment accepts as proof. Which kinds an individual enrollment and a group may have:
/// [`Attestation::fits_individual`], [`Attestation::fits_group`].
#[derive(Clone)]
pub enum Attestation {
    /// A TPM that holds the endorsement key.
    Tpm {
        /// The public part of the endorsement key, a `TPM2B_PUBLIC`.
        endorsement_key: Arc<[u8]>,
        /// The public part of the storage root key, a `TPM2B_PUBLIC`, when it is known beforehand.
        storage_root_key: Option<Arc<[u8]>>,
    },
    /// One of two certificates of the device itself.
    ClientCertificates(Slots<CertificateSlot>),
    /// A certificate issued by one of two intermediates or roots.
    SigningCertificates(Slots<CertificateSlot>),
    /// A certificate issued by one of two authorities that the service has by name.
    AuthorityReferences(Slots<CertificateName>),
    /// Tokens signed with one of two keys; in a group with keys derived of them ([`derived_key`]).
    SymmetricKey {
        /// First key.
        primary: SymmetricKey,
        /// Second key, equally valid.
        secondary: SymmetricKey,
    },
}

impl Attestation {
    /// The kind.
    pub const fn kind(&self) -> AttestationKind {
        match self {
            Self::Tpm { .. } => AttestationKind::Tpm,
            Self::ClientCertificates(_)
            | Self::SigningCertificates(_)
            | Self::AuthorityReferences(_) => AttestationKind::X509,
            Self::SymmetricKey { .. } => AttestationKind::SymmetricKey,
        }
    }

    /// True for what an individual enrollment may have: all but signing certificates.
    pub const fn fits_individual(&self) -> bool {
        match self {
            Self::Tpm { .. }
            | Self::ClientCertificates(_)
            | Self::AuthorityReferences(_)
            | Self::SymmetricKey { .. } => true,
            Self::SigningCertificates(_) => false,
        }
    }

    /// True for what a group may have: symmetric keys, signing certificates, authorities.
    pub const fn fits_group(&self) -> bool {
        match self {
            Self::SigningCertificates(_)
            | Self::AuthorityReferences(_)
            | Self::SymmetricKey { .. } => true,
            Self::Tpm { .. } | Self::ClientCertificates(_) => false,
        }
    }
}

/// The kinds of proof, as documents name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttestationKind {
    /// A TPM.
    Tpm,
    /// A certificate.
    X509,
    /// A token.
    SymmetricKey,
}

impl AttestationKind {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Tpm, Self::X509, Self::SymmetricKey];

    /// The wire spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tpm => "tpm",
            Self::X509 => "x509",
            Self::SymmetricKey => "symmetricKey",
        }
    }

    /// Reads the wire spelling, without regard to case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(text))
    }
}

/// A certificate of an enrollment, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateSlot {
    /// The certificate. It was read when it was stored.
    pub der: Arc<[u8]>,
}

/// Two of a kind, so that one can be replaced while the other is in use. One of them is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots<T> {
    /// First.
    pub primary: Option<T>,
    /// Second, equally valid.
    pub secondary: Option<T>,
}

impl<T> Slots<T> {
    /// What is there, the primary first.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.primary.iter().chain(&self.secondary)
    }
}

/// The key of a device in a group: HMAC-SHA256 with the group's key over the registration id as the device writes it
/// ("Symmetric key attestation", group enrollments).
pub fn derived_key(group: &SymmetricKey, registration_id: &str) -> SymmetricKey {
    SymmetricKey::from_bytes(&group.sign(registration_id.as_bytes()))
        .expect("invariant: 32 bytes are a key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_are_those_of_the_documentation() {
        // Values of "How to provision devices using symmetric key enrollment groups".
        let group = SymmetricKey::parse(
            "8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==",
        )
        .expect("valid");
        let key = derived_key(&group, "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6");
        assert_eq!(
            key.to_base64(),
            "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc="
        );
    }

    #[test]
    fn kinds_fit_where_they_are_documented() {
        let key = SymmetricKey::from_bytes(&[7; 32]).expect("valid");
        let keys = Attestation::SymmetricKey {
            primary: key.clone(),
            secondary: key,
        };
        let slots = Slots {
            primary: Some(CertificateSlot { der: Arc::from([]) }),
            secondary: None,
        };
        assert!(keys.fits_individual() && keys.fits_group());
        let client = Attestation::ClientCertificates(slots.clone());
        assert!(client.fits_individual() && !client.fits_group());
        let signing = Attestation::SigningCertificates(slots);
        assert!(!signing.fits_individual() && signing.fits_group());
    }
}
