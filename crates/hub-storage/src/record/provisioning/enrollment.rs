//! Enrollments and enrollment groups.

use std::borrow::Cow;

use hub_domain::provisioning::{
    AllocationPolicy, AllocationWebhook, Capabilities, CredentialPolicyName, Enrollment,
    EnrollmentGroup, EnrollmentGroupId, InitialTwin, RegistrationId, ReprovisionPolicy, Terms,
    WebhookUrl,
};
use hub_domain::{DeviceId, Etag, Status, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::{from_json, to_json, unreadable};
use super::attestation::AttestationRecord;
use super::{decode_document, decode_host, encode_document, encode_host};
use crate::StoreError;

const ENROLLMENT: &str = "enrollment";
const GROUP: &str = "enrollment group";
const EMPTY: &str = "{}";

#[derive(Serialize, Deserialize)]
struct EnrollmentRecord<'a> {
    id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<Cow<'a, str>>,
    attestation: AttestationRecord<'a>,
    terms: TermsRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    information: Option<String>,
    etag: Cow<'a, str>,
    created: i64,
    updated: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolled_in: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct GroupRecord<'a> {
    id: Cow<'a, str>,
    attestation: AttestationRecord<'a>,
    terms: TermsRecord<'a>,
    etag: Cow<'a, str>,
    created: i64,
    updated: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rolled_in: Option<i64>,
}

/// The record of `enrollment`.
pub fn encode_enrollment(enrollment: &Enrollment) -> Vec<u8> {
    to_json(&EnrollmentRecord {
        id: enrollment.id.as_str().into(),
        device: enrollment.device.as_ref().map(|id| id.as_str().into()),
        attestation: AttestationRecord::of(&enrollment.attestation),
        terms: TermsRecord::of(&enrollment.terms),
        information: enrollment.information.as_ref().map(encode_document),
        etag: enrollment.etag.0.as_str().into(),
        created: enrollment.created.micros(),
        updated: enrollment.updated.micros(),
        rolled_in: enrollment.rolled_in.map(Timestamp::micros),
    })
}

/// Reads what [`encode_enrollment`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_enrollment(bytes: &[u8]) -> Result<Enrollment, StoreError> {
    let record: EnrollmentRecord<'static> = from_json(ENROLLMENT, bytes)?;
    let device = record
        .device
        .map(|device| DeviceId::parse(&device).map_err(|_| unreadable(ENROLLMENT)));
    let information = record
        .information
        .map(|text| decode_document(ENROLLMENT, &text));
    Ok(Enrollment {
        id: RegistrationId::parse(&record.id).map_err(|_| unreadable(ENROLLMENT))?,
        device: device.transpose()?,
        attestation: record.attestation.attestation(ENROLLMENT)?,
        terms: record.terms.terms(ENROLLMENT)?,
        information: information.transpose()?,
        etag: Etag(record.etag.into_owned()),
        created: Timestamp::from_micros(record.created),
        updated: Timestamp::from_micros(record.updated),
        rolled_in: record.rolled_in.map(Timestamp::from_micros),
    })
}

/// The record of `group`.
pub fn encode_enrollment_group(group: &EnrollmentGroup) -> Vec<u8> {
    to_json(&GroupRecord {
        id: group.id.as_str().into(),
        attestation: AttestationRecord::of(&group.attestation),
        terms: TermsRecord::of(&group.terms),
        etag: group.etag.0.as_str().into(),
        created: group.created.micros(),
        updated: group.updated.micros(),
        rolled_in: group.rolled_in.map(Timestamp::micros),
    })
}

/// Reads what [`encode_enrollment_group`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_enrollment_group(bytes: &[u8]) -> Result<EnrollmentGroup, StoreError> {
    let record: GroupRecord<'static> = from_json(GROUP, bytes)?;
    Ok(EnrollmentGroup {
        id: EnrollmentGroupId::parse(&record.id).map_err(|_| unreadable(GROUP))?,
        attestation: record.attestation.attestation(GROUP)?,
        terms: record.terms.terms(GROUP)?,
        etag: Etag(record.etag.into_owned()),
        created: Timestamp::from_micros(record.created),
        updated: Timestamp::from_micros(record.updated),
        rolled_in: record.rolled_in.map(Timestamp::from_micros),
    })
}

#[derive(Serialize, Deserialize)]
struct TermsRecord<'a> {
    status: StatusRecord,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    edge: bool,
    #[serde(default = "empty", skip_serializing_if = "is_empty")]
    tags: Cow<'a, str>,
    #[serde(default = "empty", skip_serializing_if = "is_empty")]
    desired: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reprovision: Option<ReprovisionRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation: Option<AllocationRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hub: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hubs: Vec<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<WebhookRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    credential_policy: Option<Cow<'a, str>>,
}

const fn empty() -> Cow<'static, str> {
    Cow::Borrowed(EMPTY)
}

fn is_empty(document: &str) -> bool {
    document == EMPTY
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StatusRecord {
    Enabled,
    Disabled,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct ReprovisionRecord {
    update_hub: bool,
    migrate: bool,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AllocationRecord {
    Hashed,
    GeoLatency,
    Static,
    Custom,
}

#[derive(Serialize, Deserialize)]
struct WebhookRecord<'a> {
    url: Cow<'a, str>,
    api_version: Cow<'a, str>,
}

impl<'a> TermsRecord<'a> {
    fn of(terms: &'a Terms) -> Self {
        Self {
            status: match terms.status {
                Status::Enabled => StatusRecord::Enabled,
                Status::Disabled => StatusRecord::Disabled,
            },
            edge: terms.capabilities.iot_edge,
            tags: encode_document(&terms.initial_twin.tags).into(),
            desired: encode_document(&terms.initial_twin.desired).into(),
            reprovision: terms.reprovision.map(|policy| ReprovisionRecord {
                update_hub: policy.update_hub_assignment,
                migrate: policy.migrate_device_data,
            }),
            allocation: terms.allocation.map(AllocationRecord::from),
            hub: terms.hub.as_ref().map(encode_host),
            hubs: terms.hubs.iter().map(encode_host).collect(),
            webhook: terms.webhook.as_ref().map(|webhook| WebhookRecord {
                url: webhook.url.as_str().into(),
                api_version: webhook.api_version.as_str().into(),
            }),
            credential_policy: terms
                .credential_policy
                .as_ref()
                .map(|name| name.as_str().into()),
        }
    }

    fn terms(self, what: &'static str) -> Result<Terms, StoreError> {
        let webhook = self.webhook.map(|record| record.webhook(what));
        let credential_policy = self
            .credential_policy
            .map(|name| CredentialPolicyName::parse(&name).map_err(|_| unreadable(what)));
        let hubs = self.hubs.iter().map(|hub| decode_host(what, hub));
        Ok(Terms {
            status: match self.status {
                StatusRecord::Enabled => Status::Enabled,
                StatusRecord::Disabled => Status::Disabled,
            },
            capabilities: Capabilities {
                iot_edge: self.edge,
            },
            initial_twin: InitialTwin {
                tags: decode_document(what, &self.tags)?,
                desired: decode_document(what, &self.desired)?,
            },
            reprovision: self.reprovision.map(|record| ReprovisionPolicy {
                update_hub_assignment: record.update_hub,
                migrate_device_data: record.migrate,
            }),
            allocation: self.allocation.map(AllocationPolicy::from),
            hub: self.hub.map(|hub| decode_host(what, &hub)).transpose()?,
            hubs: hubs.collect::<Result<_, _>>()?,
            webhook: webhook.transpose()?,
            credential_policy: credential_policy.transpose()?,
        })
    }
}

impl WebhookRecord<'_> {
    fn webhook(self, what: &'static str) -> Result<AllocationWebhook, StoreError> {
        Ok(AllocationWebhook {
            url: WebhookUrl::parse(&self.url).map_err(|_| unreadable(what))?,
            api_version: self.api_version.into_owned(),
        })
    }
}

impl From<AllocationPolicy> for AllocationRecord {
    fn from(policy: AllocationPolicy) -> Self {
        match policy {
            AllocationPolicy::Hashed => Self::Hashed,
            AllocationPolicy::GeoLatency => Self::GeoLatency,
            AllocationPolicy::Static => Self::Static,
            AllocationPolicy::Custom => Self::Custom,
        }
    }
}

impl From<AllocationRecord> for AllocationPolicy {
    fn from(policy: AllocationRecord) -> Self {
        match policy {
            AllocationRecord::Hashed => Self::Hashed,
            AllocationRecord::GeoLatency => Self::GeoLatency,
            AllocationRecord::Static => Self::Static,
            AllocationRecord::Custom => Self::Custom,
        }
    }
}
