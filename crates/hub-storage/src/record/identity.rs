//! Identities as records. The id is not in them: it is the key beside which they are kept.

use std::borrow::Cow;
use std::sync::Arc;

use hub_domain::identity::Thumbprint;
use hub_domain::{
    Authentication, Etag, GenerationId, Identity, IdentityId, Status, SymmetricKey, Timestamp,
};
use serde::{Deserialize, Serialize};

use super::{from_json, to_json, unreadable};
use crate::StoreError;

const WHAT: &str = "identity";

#[derive(Serialize, Deserialize)]
struct IdentityRecord<'a> {
    generation: Cow<'a, str>,
    etag: Cow<'a, str>,
    status: StatusRecord,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_updated: Option<i64>,
    authentication: AuthenticationRecord<'a>,
    #[serde(default, skip_serializing_if = "is_false")]
    edge: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    managed_by: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusRecord {
    Enabled,
    Disabled,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AuthenticationRecord<'a> {
    Sas {
        primary: String,
        secondary: String,
    },
    SelfSigned {
        primary: Option<Cow<'a, str>>,
        secondary: Option<Cow<'a, str>>,
    },
    Authority,
    None,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// The record of `identity`.
pub fn encode_identity(identity: &Identity) -> Vec<u8> {
    let status_updated = identity.status_updated;
    to_json(&IdentityRecord {
        generation: identity.generation.as_str().into(),
        etag: identity.etag.0.as_str().into(),
        status: match identity.status {
            Status::Enabled => StatusRecord::Enabled,
            Status::Disabled => StatusRecord::Disabled,
        },
        status_reason: identity.status_reason.as_deref().map(Cow::from),
        status_updated: (status_updated != Timestamp::NEVER).then(|| status_updated.micros()),
        authentication: AuthenticationRecord::of(&identity.authentication),
        edge: identity.iot_edge,
        scope: identity.device_scope.as_deref().map(Cow::from),
        parents: identity
            .parent_scopes
            .iter()
            .map(|scope| scope.as_str().into())
            .collect(),
        managed_by: identity.managed_by.as_deref().map(Cow::from),
    })
}

/// Reads what [`encode_identity`] wrote for the identity called `id`.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_identity(id: IdentityId, bytes: &[u8]) -> Result<Identity, StoreError> {
    let record: IdentityRecord<'static> = from_json(WHAT, bytes)?;
    Ok(Identity {
        id,
        generation: GenerationId(Arc::from(record.generation)),
        etag: Etag(record.etag.into_owned()),
        status: match record.status {
            StatusRecord::Enabled => Status::Enabled,
            StatusRecord::Disabled => Status::Disabled,
        },
        status_reason: record.status_reason.map(Cow::into_owned),
        status_updated: record
            .status_updated
            .map_or(Timestamp::NEVER, Timestamp::from_micros),
        authentication: record.authentication.authentication()?,
        iot_edge: record.edge,
        device_scope: record.scope.map(Cow::into_owned),
        parent_scopes: record.parents.into_iter().map(Cow::into_owned).collect(),
        managed_by: record.managed_by.map(Cow::into_owned),
    })
}

impl<'a> AuthenticationRecord<'a> {
    fn of(authentication: &'a Authentication) -> Self {
        match authentication {
            Authentication::Sas { primary, secondary } => Self::Sas {
                primary: primary.to_base64(),
                secondary: secondary.to_base64(),
            },
            Authentication::SelfSigned { primary, secondary } => Self::SelfSigned {
                primary: primary
                    .as_ref()
                    .map(|thumbprint| thumbprint.as_str().into()),
                secondary: secondary
                    .as_ref()
                    .map(|thumbprint| thumbprint.as_str().into()),
            },
            Authentication::CertificateAuthority => Self::Authority,
            Authentication::None => Self::None,
        }
    }

    fn authentication(self) -> Result<Authentication, StoreError> {
        let key = |text: &str| SymmetricKey::parse(text).map_err(|_| unreadable(WHAT));
        let thumbprint = |text: Option<Cow<'a, str>>| {
            text.map(|text| Thumbprint::parse(&text).ok_or_else(|| unreadable(WHAT)))
                .transpose()
        };
        Ok(match self {
            Self::Sas { primary, secondary } => Authentication::Sas {
                primary: key(&primary)?,
                secondary: key(&secondary)?,
            },
            Self::SelfSigned { primary, secondary } => Authentication::SelfSigned {
                primary: thumbprint(primary)?,
                secondary: thumbprint(secondary)?,
            },
            Self::Authority => Authentication::CertificateAuthority,
            Self::None => Authentication::None,
        })
    }
}
