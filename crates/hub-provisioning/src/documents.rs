//! What devices and back ends read of registrations, as JSON: one form for all protocols.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::compat::provisioning::CertificateDescription;
use hub_domain::Timestamp;
use hub_domain::certificate::CertificateInfo;
use hub_domain::provisioning::{
    AttestationKind, Origin, Progress, Registration, RegistrationFailure,
};
use hub_engine::x509::{Certificate, Unreadable};
use serde_json::{Map, Value, json};

use crate::Error;
use crate::error::codes;
use crate::registrations::OperationStatus;
use crate::registrations::Shown;

/// The status of an attempt (`RegistrationOperationStatus`).
pub fn operation_document(status: &OperationStatus) -> Value {
    let said = match &status.shown {
        Shown::State(registration) => status_of(registration),
        Shown::Begun(_) => "assigning",
        Shown::Disabled { .. } => "disabled",
    };
    json!({
        "operationId": status.operation(),
        "status": said,
        "registrationState": state_document(status),
    })
}

/// The registration of an attempt (`DeviceRegistrationState`).
pub(crate) fn state_document(status: &OperationStatus) -> Value {
    match &status.shown {
        Shown::State(registration) => registration_document(registration),
        Shown::Begun(registration) => json!({
            "registrationId": registration.id.as_str(),
            "status": "assigning",
        }),
        Shown::Disabled { id, at, .. } => json!({
            "registrationId": id.as_str(),
            "status": "disabled",
            "errorCode": codes::DISABLED,
            "errorMessage": "The enrollment is disabled.",
            "lastUpdatedDateTimeUtc": at.to_rfc3339(),
        }),
    }
}

/// A registration (`DeviceRegistrationState`).
pub fn registration_document(registration: &Registration) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let group = match &registration.origin {
        Origin::Individual => Value::Null,
        Origin::Group(group) => json!(group.as_str()),
    };
    match registration.attestation {
        AttestationKind::SymmetricKey => {
            put(
                "symmetricKey",
                without_nulls(json!({"enrollmentGroupId": group})),
            );
        }
        AttestationKind::X509 => {
            let shown = registration.certificates.as_ref();
            let signing = shown.and_then(|shown| shown.signing.clone());
            let device = shown.map(|shown| shown.device.clone());
            put(
                "x509",
                without_nulls(json!({
                    "enrollmentGroupId": group,
                    "certificateInfo": device.map(CertificateDescription::from),
                    "signingCertificateInfo": signing.map(CertificateDescription::from),
                })),
            );
        }
        AttestationKind::Tpm => {
            let key = registration.authentication_key.as_ref();
            let key = key.map(|key| STANDARD.encode(key));
            put("tpm", without_nulls(json!({"authenticationKey": key})));
        }
    }
    put("registrationId", json!(registration.id.as_str()));
    put(
        "createdDateTimeUtc",
        json!(registration.created.to_rfc3339()),
    );
    let is_failed = matches!(registration.progress, Progress::Failed(_));
    if let (Some(assignment), false) = (&registration.assignment, is_failed)
        && !matches!(registration.progress, Progress::Assigning(_))
    {
        put("assignedHub", json!(assignment.hub.as_str()));
        put("deviceId", json!(assignment.device.as_str()));
        put("substatus", json!(assignment.substatus.as_str()));
    }
    put("status", json!(status_of(registration)));
    if let Progress::Failed(RegistrationFailure { code, message }) = &registration.progress {
        put("errorCode", json!(code));
        put("errorMessage", json!(message));
    }
    put(
        "lastUpdatedDateTimeUtc",
        json!(registration.updated.to_rfc3339()),
    );
    put("etag", json!(format!("\"{}\"", registration.etag.0)));
    if let Some(payload) = &registration.payload {
        put("payload", payload.clone());
    }
    if !registration.issued_certificates.is_empty() {
        let chain = registration.issued_certificates.iter();
        let chain: Vec<String> = chain.map(|der| STANDARD.encode(der)).collect();
        put("issuedCertificateChain", json!(chain));
    }
    Value::Object(members)
}

fn status_of(registration: &Registration) -> &'static str {
    match registration.progress {
        Progress::Assigning(_) => "assigning",
        Progress::Assigned => "assigned",
        Progress::Failed(_) => "failed",
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.collect())
        }
        other => other,
    }
}

/// An error (`ProvisioningServiceErrorDetails`).
pub fn error_document(error: &Error, tracking_id: &str, now: Timestamp) -> String {
    json!({
        "errorCode": error.code(),
        "trackingId": tracking_id,
        "message": error.message(),
        "info": {},
        "timestampUtc": now.to_rfc3339(),
    })
    .to_string()
}

/// Reads what documents say of a certificate in DER.
///
/// # Errors
/// It is none.
pub fn certificate_info(der: &[u8]) -> Result<CertificateInfo, Unreadable> {
    Certificate::read(der).map(|certificate| info_of(&certificate))
}

/// What documents say of a certificate that is read.
pub(crate) fn info_of(certificate: &Certificate<'_>) -> CertificateInfo {
    CertificateInfo {
        subject: certificate.subject(),
        sha1: certificate.sha1(),
        sha256: certificate.sha256(),
        issuer: certificate.issuer(),
        not_before: certificate.not_before(),
        not_after: certificate.not_after(),
        serial: certificate.serial(),
        version: certificate.version(),
    }
}
