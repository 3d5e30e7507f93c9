//! Registrations, and devices that were turned away.

use std::borrow::Cow;

use hub_domain::certificate::CertificateInfo;
use hub_domain::identity::Thumbprint;
use hub_domain::provisioning::{
    Assignment, DeviceProof, EnrollmentGroupId, InitialTwin, OperationId, Origin, Place, Progress,
    Refusal, RegisteredCertificates, Registration, RegistrationFailure, RegistrationId,
    RegistrationRequest, Substatus, Target,
};
use hub_domain::{DeviceId, Etag, HubNo, SymmetricKey, Timestamp};
use serde::{Deserialize, Serialize};

use super::super::{from_json, to_json, unreadable};
use super::attestation::KindRecord;
use super::{
    decode_all_bytes, decode_bytes, decode_document, decode_host, encode_all_bytes, encode_bytes,
    encode_document, encode_host,
};
use crate::StoreError;

const WHAT: &str = "registration";
const REFUSAL: &str = "refusal";

#[derive(Serialize, Deserialize)]
struct RegistrationRecord<'a> {
    id: Cow<'a, str>,
    origin: OriginRecord<'a>,
    attestation: KindRecord,
    operation: Cow<'a, str>,
    progress: ProgressRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assignment: Option<AssignmentRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    strays: Vec<PlaceRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    authentication_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device_certificate: Option<CertificateRecord<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_certificate: Option<CertificateRecord<'a>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    certificates: Vec<String>,
    etag: Cow<'a, str>,
    created: i64,
    updated: i64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OriginRecord<'a> {
    Individual,
    Group(Cow<'a, str>),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProgressRecord<'a> {
    Assigning(Box<RequestRecord<'a>>),
    Assigned,
    Failed { code: u32, message: Cow<'a, str> },
}

#[derive(Serialize, Deserialize)]
struct RequestRecord<'a> {
    proof: ProofRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    signing_request: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    stays: bool,
    enrollment: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<Box<TargetRecord<'a>>>,
}

#[derive(Serialize, Deserialize)]
struct TargetRecord<'a> {
    place: PlaceRecord<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    desired: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProofRecord<'a> {
    Keys {
        primary: String,
        secondary: String,
    },
    Thumbprints {
        primary: Cow<'a, str>,
        secondary: Option<Cow<'a, str>>,
    },
    Authority,
    Tpm {
        key: String,
        storage_root_key: String,
    },
}

/// What a certificate says, in the order of the fields: a row of values, because every registration by certificate has
/// one or two.
#[derive(Serialize, Deserialize)]
struct CertificateRecord<'a>(
    Cow<'a, str>,
    Cow<'a, str>,
    Cow<'a, str>,
    Cow<'a, str>,
    i64,
    i64,
    Cow<'a, str>,
    u32,
);

#[derive(Serialize, Deserialize)]
struct AssignmentRecord<'a> {
    hub: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<u32>,
    device: Cow<'a, str>,
    substatus: SubstatusRecord,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    taken_over: bool,
}

#[derive(Serialize, Deserialize)]
struct PlaceRecord<'a> {
    hub: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    own: Option<u32>,
    device: Cow<'a, str>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SubstatusRecord {
    Initial,
    Migrated,
    Reset,
    Stays,
}

/// The record of `registration`.
pub fn encode_registration(registration: &Registration) -> Vec<u8> {
    let shown = registration.certificates.as_deref();
    to_json(&RegistrationRecord {
        id: registration.id.as_str().into(),
        origin: OriginRecord::of(&registration.origin),
        attestation: registration.attestation.into(),
        operation: registration.operation.as_str().into(),
        progress: ProgressRecord::of(&registration.progress),
        assignment: registration.assignment.as_ref().map(AssignmentRecord::of),
        strays: registration.strays.iter().map(PlaceRecord::of).collect(),
        payload: registration.payload.as_ref().map(encode_document),
        authentication_key: registration.authentication_key.as_deref().map(encode_bytes),
        device_certificate: shown.map(|shown| CertificateRecord::of(&shown.device)),
        signing_certificate: shown
            .and_then(|shown| shown.signing.as_ref().map(CertificateRecord::of)),
        certificates: encode_all_bytes(&registration.issued_certificates),
        etag: registration.etag.0.as_str().into(),
        created: registration.created.micros(),
        updated: registration.updated.micros(),
    })
}

/// Reads what [`encode_registration`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_registration(bytes: &[u8]) -> Result<Registration, StoreError> {
    let record: RegistrationRecord<'static> = from_json(WHAT, bytes)?;
    let assignment = record.assignment.map(AssignmentRecord::assignment);
    let strays = record.strays.into_iter().map(PlaceRecord::place);
    let payload = record.payload.map(|text| decode_document(WHAT, &text));
    let key = record
        .authentication_key
        .map(|text| decode_bytes(WHAT, &text));
    let signing = record.signing_certificate.map(CertificateRecord::info);
    let certificates = record
        .device_certificate
        .map(|device| RegisteredCertificates {
            device: device.info(),
            signing,
        });
    Ok(Registration {
        id: RegistrationId::parse(&record.id).map_err(|_| unreadable(WHAT))?,
        origin: record.origin.origin(WHAT)?,
        attestation: record.attestation.into(),
        operation: OperationId::parse(&record.operation).map_err(|_| unreadable(WHAT))?,
        progress: record.progress.progress()?,
        assignment: assignment.transpose()?,
        strays: strays.collect::<Result<_, _>>()?,
        payload: payload.transpose()?,
        authentication_key: key.transpose()?,
        certificates: certificates.map(Box::new),
        issued_certificates: decode_all_bytes(WHAT, &record.certificates)?,
        etag: Etag(record.etag.into_owned()),
        created: Timestamp::from_micros(record.created),
        updated: Timestamp::from_micros(record.updated),
    })
}

impl<'a> OriginRecord<'a> {
    fn of(origin: &'a Origin) -> Self {
        match origin {
            Origin::Individual => Self::Individual,
            Origin::Group(group) => Self::Group(group.as_str().into()),
        }
    }

    fn origin(self, what: &'static str) -> Result<Origin, StoreError> {
        Ok(match self {
            Self::Individual => Origin::Individual,
            Self::Group(group) => {
                Origin::Group(EnrollmentGroupId::parse(&group).map_err(|_| unreadable(what))?)
            }
        })
    }
}

impl<'a> ProgressRecord<'a> {
    fn of(progress: &'a Progress) -> Self {
        match progress {
            Progress::Assigning(request) => Self::Assigning(Box::new(RequestRecord::of(request))),
            Progress::Assigned => Self::Assigned,
            Progress::Failed(failure) => Self::Failed {
                code: failure.code,
                message: failure.message.as_str().into(),
            },
        }
    }

    fn progress(self) -> Result<Progress, StoreError> {
        Ok(match self {
            Self::Assigning(request) => Progress::Assigning(Box::new(request.request()?)),
            Self::Assigned => Progress::Assigned,
            Self::Failed { code, message } => Progress::Failed(RegistrationFailure {
                code,
                message: message.into_owned(),
            }),
        })
    }
}

impl<'a> RequestRecord<'a> {
    fn of(request: &'a RegistrationRequest) -> Self {
        Self {
            proof: ProofRecord::of(&request.proof),
            certificate: request.certificate.as_deref().map(encode_bytes),
            payload: request.payload.as_ref().map(encode_document),
            address: request.address.map(|address| address.to_string()),
            signing_request: request.signing_request.as_deref().map(encode_bytes),
            stays: request.stays_without_policy,
            enrollment: request.enrollment.0.as_str().into(),
            target: request
                .target
                .as_deref()
                .map(|target| Box::new(TargetRecord::of(target))),
        }
    }

    fn request(self) -> Result<RegistrationRequest, StoreError> {
        let payload = self.payload.map(|text| decode_document(WHAT, &text));
        let address = self
            .address
            .map(|text| text.parse().map_err(|_| unreadable(WHAT)));
        let signing_request = self.signing_request.map(|text| decode_bytes(WHAT, &text));
        let certificate = self.certificate.map(|text| decode_bytes(WHAT, &text));
        Ok(RegistrationRequest {
            proof: self.proof.proof()?,
            certificate: certificate.transpose()?,
            payload: payload.transpose()?,
            address: address.transpose()?,
            signing_request: signing_request.transpose()?,
            stays_without_policy: self.stays,
            enrollment: Etag(self.enrollment.into_owned()),
            target: self
                .target
                .map(|target| target.target().map(Box::new))
                .transpose()?,
        })
    }
}

impl<'a> TargetRecord<'a> {
    fn of(target: &'a Target) -> Self {
        let twin = target.twin.as_ref();
        Self {
            place: PlaceRecord::of(&target.place),
            tags: twin.map(|twin| encode_document(&twin.tags)),
            desired: twin.map(|twin| encode_document(&twin.desired)),
            payload: target.payload.as_ref().map(encode_document),
        }
    }

    fn target(self) -> Result<Target, StoreError> {
        let twin = match (self.tags, self.desired) {
            (Some(tags), Some(desired)) => Some(InitialTwin {
                tags: decode_document(WHAT, &tags)?,
                desired: decode_document(WHAT, &desired)?,
            }),
            (_, _) => None,
        };
        let payload = self.payload.map(|text| decode_document(WHAT, &text));
        Ok(Target {
            place: self.place.place()?,
            twin,
            payload: payload.transpose()?,
        })
    }
}

impl<'a> ProofRecord<'a> {
    fn of(proof: &'a DeviceProof) -> Self {
        match proof {
            DeviceProof::Keys { primary, secondary } => Self::Keys {
                primary: primary.to_base64(),
                secondary: secondary.to_base64(),
            },
            DeviceProof::Thumbprints { primary, secondary } => Self::Thumbprints {
                primary: primary.as_str().into(),
                secondary: secondary.as_ref().map(|print| print.as_str().into()),
            },
            DeviceProof::Authority => Self::Authority,
            DeviceProof::Tpm {
                key,
                storage_root_key,
            } => Self::Tpm {
                key: key.to_base64(),
                storage_root_key: encode_bytes(storage_root_key),
            },
        }
    }

    fn proof(self) -> Result<DeviceProof, StoreError> {
        let key = |text: &str| SymmetricKey::parse(text).map_err(|_| unreadable(WHAT));
        let thumbprint = |text: &str| Thumbprint::parse(text).ok_or_else(|| unreadable(WHAT));
        Ok(match self {
            Self::Keys { primary, secondary } => DeviceProof::Keys {
                primary: key(&primary)?,
                secondary: key(&secondary)?,
            },
            Self::Thumbprints { primary, secondary } => DeviceProof::Thumbprints {
                primary: thumbprint(&primary)?,
                secondary: secondary.map(|text| thumbprint(&text)).transpose()?,
            },
            Self::Authority => DeviceProof::Authority,
            Self::Tpm {
                key: text,
                storage_root_key,
            } => DeviceProof::Tpm {
                key: key(&text)?,
                storage_root_key: decode_bytes(WHAT, &storage_root_key)?,
            },
        })
    }
}

impl<'a> CertificateRecord<'a> {
    fn of(info: &'a CertificateInfo) -> Self {
        Self(
            info.subject.as_str().into(),
            info.sha1.as_str().into(),
            info.sha256.as_str().into(),
            info.issuer.as_str().into(),
            info.not_before.micros(),
            info.not_after.micros(),
            info.serial.as_str().into(),
            info.version,
        )
    }

    fn info(self) -> CertificateInfo {
        let Self(subject, sha1, sha256, issuer, not_before, not_after, serial, version) = self;
        CertificateInfo {
            subject: subject.into_owned(),
            sha1: sha1.into_owned(),
            sha256: sha256.into_owned(),
            issuer: issuer.into_owned(),
            not_before: Timestamp::from_micros(not_before),
            not_after: Timestamp::from_micros(not_after),
            serial: serial.into_owned(),
            version,
        }
    }
}

impl<'a> AssignmentRecord<'a> {
    fn of(assignment: &'a Assignment) -> Self {
        Self {
            hub: encode_host(&assignment.hub),
            own: assignment.own.map(|no| no.0),
            device: assignment.device.as_str().into(),
            substatus: match assignment.substatus {
                Substatus::InitialAssignment => SubstatusRecord::Initial,
                Substatus::DeviceDataMigrated => SubstatusRecord::Migrated,
                Substatus::DeviceDataReset => SubstatusRecord::Reset,
                Substatus::ReprovisionedToInitialAssignment => SubstatusRecord::Stays,
            },
            taken_over: assignment.taken_over,
        }
    }

    fn assignment(self) -> Result<Assignment, StoreError> {
        Ok(Assignment {
            hub: decode_host(WHAT, &self.hub)?,
            own: self.own.map(HubNo),
            device: DeviceId::parse(&self.device).map_err(|_| unreadable(WHAT))?,
            substatus: match self.substatus {
                SubstatusRecord::Initial => Substatus::InitialAssignment,
                SubstatusRecord::Migrated => Substatus::DeviceDataMigrated,
                SubstatusRecord::Reset => Substatus::DeviceDataReset,
                SubstatusRecord::Stays => Substatus::ReprovisionedToInitialAssignment,
            },
            taken_over: self.taken_over,
        })
    }
}

impl<'a> PlaceRecord<'a> {
    fn of(place: &'a Place) -> Self {
        Self {
            hub: encode_host(&place.hub),
            own: place.own.map(|no| no.0),
            device: place.device.as_str().into(),
        }
    }

    fn place(self) -> Result<Place, StoreError> {
        Ok(Place {
            hub: decode_host(WHAT, &self.hub)?,
            own: self.own.map(HubNo),
            device: DeviceId::parse(&self.device).map_err(|_| unreadable(WHAT))?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct RefusalRecord<'a> {
    id: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<OriginRecord<'a>>,
    code: u32,
    message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    count: u64,
    first: i64,
    last: i64,
}

/// The record of `refusal`.
pub fn encode_refusal(refusal: &Refusal) -> Vec<u8> {
    to_json(&RefusalRecord {
        id: refusal.id.as_str().into(),
        origin: refusal.origin.as_ref().map(OriginRecord::of),
        code: refusal.code,
        message: refusal.message.as_str().into(),
        address: refusal.address.map(|address| address.to_string()),
        count: refusal.count,
        first: refusal.first.micros(),
        last: refusal.last.micros(),
    })
}

/// Reads what [`encode_refusal`] wrote.
///
/// # Errors
/// When the bytes are not such a record.
pub fn decode_refusal(bytes: &[u8]) -> Result<Refusal, StoreError> {
    let record: RefusalRecord<'static> = from_json(REFUSAL, bytes)?;
    let origin = record.origin.map(|origin| origin.origin(REFUSAL));
    let address = record
        .address
        .map(|text| text.parse().map_err(|_| unreadable(REFUSAL)));
    Ok(Refusal {
        id: RegistrationId::parse(&record.id).map_err(|_| unreadable(REFUSAL))?,
        origin: origin.transpose()?,
        code: record.code,
        message: record.message.into_owned(),
        address: address.transpose()?,
        count: record.count,
        first: Timestamp::from_micros(record.first),
        last: Timestamp::from_micros(record.last),
    })
}
