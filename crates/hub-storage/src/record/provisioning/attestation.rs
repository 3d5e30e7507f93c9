//! Attestations within enrollments.

use std::borrow::Cow;

use hub_domain::SymmetricKey;
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{Attestation, AttestationKind, CertificateSlot, Slots};
use serde::{Deserialize, Serialize};

use super::super::unreadable;
use super::{decode_bytes, encode_bytes};
use crate::StoreError;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AttestationRecord<'a> {
    Tpm {
        endorsement_key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        storage_root_key: Option<String>,
    },
    ClientCertificates(SlotsRecord<String>),
    SigningCertificates(SlotsRecord<String>),
    Authorities(SlotsRecord<Cow<'a, str>>),
    Keys {
        primary: String,
        secondary: String,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct SlotsRecord<T> {
    primary: Option<T>,
    secondary: Option<T>,
}

impl<'a> AttestationRecord<'a> {
    pub(super) fn of(attestation: &'a Attestation) -> Self {
        match attestation {
            Attestation::Tpm {
                endorsement_key,
                storage_root_key,
            } => Self::Tpm {
                endorsement_key: encode_bytes(endorsement_key),
                storage_root_key: storage_root_key.as_deref().map(encode_bytes),
            },
            Attestation::ClientCertificates(slots) => {
                Self::ClientCertificates(SlotsRecord::of_certificates(slots))
            }
            Attestation::SigningCertificates(slots) => {
                Self::SigningCertificates(SlotsRecord::of_certificates(slots))
            }
            Attestation::AuthorityReferences(slots) => Self::Authorities(SlotsRecord {
                primary: slots.primary.as_ref().map(|name| name.as_str().into()),
                secondary: slots.secondary.as_ref().map(|name| name.as_str().into()),
            }),
            Attestation::SymmetricKey { primary, secondary } => Self::Keys {
                primary: primary.to_base64(),
                secondary: secondary.to_base64(),
            },
        }
    }

    pub(super) fn attestation(self, what: &'static str) -> Result<Attestation, StoreError> {
        let key = |text: &str| SymmetricKey::parse(text).map_err(|_| unreadable(what));
        let certificate = |text: &String| {
            let der = decode_bytes(what, text)?;
            Ok(CertificateSlot { der })
        };
        Ok(match self {
            Self::Tpm {
                endorsement_key,
                storage_root_key,
            } => Attestation::Tpm {
                endorsement_key: decode_bytes(what, &endorsement_key)?,
                storage_root_key: storage_root_key
                    .map(|text| decode_bytes(what, &text))
                    .transpose()?,
            },
            Self::ClientCertificates(slots) => {
                Attestation::ClientCertificates(slots.slots(what, certificate)?)
            }
            Self::SigningCertificates(slots) => {
                Attestation::SigningCertificates(slots.slots(what, certificate)?)
            }
            Self::Authorities(slots) => {
                let name = |text: &Cow<'_, str>| {
                    CertificateName::parse(text).map_err(|_| unreadable(what))
                };
                Attestation::AuthorityReferences(slots.slots(what, name)?)
            }
            Self::Keys { primary, secondary } => Attestation::SymmetricKey {
                primary: key(&primary)?,
                secondary: key(&secondary)?,
            },
        })
    }
}

impl SlotsRecord<String> {
    fn of_certificates(slots: &Slots<CertificateSlot>) -> Self {
        let text = |slot: &CertificateSlot| encode_bytes(&slot.der);
        Self {
            primary: slots.primary.as_ref().map(text),
            secondary: slots.secondary.as_ref().map(text),
        }
    }
}

impl<T> SlotsRecord<T> {
    fn slots<S>(
        &self,
        what: &'static str,
        slot: impl Fn(&T) -> Result<S, StoreError>,
    ) -> Result<Slots<S>, StoreError> {
        if self.primary.is_none() && self.secondary.is_none() {
            return Err(unreadable(what));
        }
        Ok(Slots {
            primary: self.primary.as_ref().map(&slot).transpose()?,
            secondary: self.secondary.as_ref().map(&slot).transpose()?,
        })
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindRecord {
    Tpm,
    X509,
    Keys,
}

impl From<AttestationKind> for KindRecord {
    fn from(kind: AttestationKind) -> Self {
        match kind {
            AttestationKind::Tpm => Self::Tpm,
            AttestationKind::X509 => Self::X509,
            AttestationKind::SymmetricKey => Self::Keys,
        }
    }
}

impl From<KindRecord> for AttestationKind {
    fn from(kind: KindRecord) -> Self {
        match kind {
            KindRecord::Tpm => Self::Tpm,
            KindRecord::X509 => Self::X509,
            KindRecord::Keys => Self::SymmetricKey,
        }
    }
}
