//! Certificates of authorities as records.

use std::borrow::Cow;

use hub_domain::certificate::{
    CertificateName, CertificateOfAuthority, Standing, VerificationCode,
};
use hub_domain::{Etag, Timestamp};
use serde::{Deserialize, Serialize};

use super::unreadable;
use crate::StoreError;

const WHAT: &str = "certificate";

#[derive(Serialize, Deserialize)]
pub(super) struct CertificateRecord<'a> {
    name: Cow<'a, str>,
    /// DER as hexadecimal digits.
    der: String,
    verified: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    code: Option<Cow<'a, str>>,
    etag: Cow<'a, str>,
    created: i64,
    updated: i64,
}

impl<'a> CertificateRecord<'a> {
    pub(super) fn of(certificate: &'a CertificateOfAuthority) -> Self {
        Self {
            name: certificate.name.as_str().into(),
            der: certificate
                .der
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            verified: certificate.is_verified(),
            code: certificate
                .verification_code()
                .map(|code| code.as_str().into()),
            etag: certificate.etag.0.as_str().into(),
            created: certificate.created.micros(),
            updated: certificate.updated.micros(),
        }
    }

    pub(super) fn certificate(self) -> Result<CertificateOfAuthority, StoreError> {
        let standing = if self.verified {
            Standing::Verified
        } else {
            let code = self
                .code
                .map(|code| VerificationCode::parse(&code).ok_or_else(|| unreadable(WHAT)));
            Standing::Unverified {
                code: code.transpose()?,
            }
        };
        Ok(CertificateOfAuthority {
            name: CertificateName::parse(&self.name).map_err(|_| unreadable(WHAT))?,
            der: from_digits(&self.der)
                .ok_or_else(|| unreadable(WHAT))?
                .into(),
            standing,
            etag: Etag(self.etag.into_owned()),
            created: Timestamp::from_micros(self.created),
            updated: Timestamp::from_micros(self.updated),
        })
    }
}

fn from_digits(digits: &str) -> Option<Vec<u8>> {
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                u8::try_from(digit(high)? * 16 + digit(low)?).ok()
            }
            _ => None,
        })
        .collect()
}
