//! What a registration says of the certificates that it was made with.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{CertificateSlot, EnrollmentGroupId, Slots, Terms};
use hub_engine::x509::CertificateDer;
use hub_engine::{CertificateUpload, IfMatch, UploadStanding};
use hub_provisioning::{
    Credential, NewAttestation, NewEnrollment, NewGroup, OperationStatus, RegisterRequest,
    Registered, certificate_info,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, IsCa, Issuer,
    KeyPair, date_time_ymd,
};
use serde_json::{Value, json};

use crate::support::{World, document, line, registration};
use crate::webhooks::Webhook;

pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

fn parameters(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2040, 1, 1);
    parameters
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = parameters(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        Self {
            certificate,
            issuer: Issuer::new(parameters, key),
        }
    }

    fn leaf(&self, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let leaf = parameters(name).signed_by(&key, &self.issuer).unwrap();
        leaf.der().clone()
    }

    pub(crate) fn slots(&self) -> Slots<CertificateSlot> {
        slots(self.certificate.der())
    }
}

fn slots(der: &[u8]) -> Slots<CertificateSlot> {
    Slots {
        primary: Some(CertificateSlot { der: der.into() }),
        secondary: None,
    }
}

async fn enroll_group(world: &World, attestation: NewAttestation, terms: Terms) {
    let new = NewGroup {
        id: EnrollmentGroupId::parse("line-7").unwrap(),
        attestation,
        terms,
    };
    let ctx = world.admin();
    let groups = &world.service.groups;
    groups.put(&ctx, new, IfMatch::Absent).await.unwrap();
}

async fn enroll(world: &World, id: &str, attestation: NewAttestation) {
    let new = NewEnrollment {
        id: registration(id),
        device: None,
        attestation,
        terms: Terms::default(),
        information: None,
    };
    let ctx = world.admin();
    let enrollments = &world.service.enrollments;
    enrollments.put(&ctx, new, IfMatch::Absent).await.unwrap();
}

async fn begin(world: &World, id: &str, leaf: &CertificateDer<'_>) -> OperationStatus {
    let chain = [leaf.clone()];
    let call = world.call(id, Credential::Certificates(&chain));
    let registrations = &world.service.registrations;
    let request = RegisterRequest::default();
    match registrations.register(&call, request).await.unwrap() {
        Registered::Accepted(status) => *status,
        Registered::Challenge(_) => panic!("a certificate is no TPM"),
    }
}

async fn outcome(world: &World, id: &str, leaf: &CertificateDer<'_>, operation: &str) -> Value {
    let chain = [leaf.clone()];
    let wait = async {
        loop {
            let call = world.call(id, Credential::Certificates(&chain));
            let registrations = &world.service.registrations;
            let status = registrations.status(&call, operation).await.unwrap();
            if status.is_final() {
                return document(&status);
            }
            tokio::task::yield_now().await;
        }
    };
    let deadline = Duration::from_secs(60);
    tokio::time::timeout(deadline, wait).await.unwrap()
}

async fn register(world: &World, id: &str, leaf: &CertificateDer<'_>) -> Value {
    let begun = begin(world, id, leaf).await;
    outcome(world, id, leaf, begun.operation()).await
}

/// The document of a certificate (`X509CertificateInfo`).
fn described(der: &[u8]) -> Value {
    let info = certificate_info(der).unwrap();
    json!({
        "subjectName": info.subject,
        "sha1Thumbprint": info.sha1,
        "sha256Thumbprint": info.sha256,
        "issuerName": info.issuer,
        "notBeforeUtc": "2020-01-01T00:00:00.0000000Z",
        "notAfterUtc": "2040-01-01T00:00:00.0000000Z",
        "serialNumber": info.serial,
        "version": 3,
    })
}

#[tokio::test]
async fn a_device_of_a_group_is_told_its_certificate_and_the_one_above() {
    let world = World::with(&["a.test"]).await;
    let (line_7, other) = (Authority::new("line-7"), Authority::new("other"));
    let attestation = NewAttestation::SigningCertificates(Slots {
        secondary: line_7.slots().primary,
        ..other.slots()
    });
    enroll_group(&world, attestation, Terms::default()).await;
    let leaf = line_7.leaf("d");
    let outcome = register(&world, "d", &leaf).await;
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    let x509 = &outcome["registrationState"]["x509"];
    assert_eq!(x509["enrollmentGroupId"], "line-7");
    assert_eq!(x509["certificateInfo"], described(&leaf));
    assert_eq!(x509["certificateInfo"]["subjectName"], "CN=d");
    assert_eq!(x509["certificateInfo"]["issuerName"], "CN=line-7");
    let above = described(line_7.certificate.der());
    assert_eq!(x509["signingCertificateInfo"], above);
}

#[tokio::test]
async fn what_a_registration_says_follows_the_newest_attempt_and_outlives_the_group() {
    let mut world = World::with(&["a.test"]).await;
    let authority = Authority::new("line-7");
    let attestation = NewAttestation::SigningCertificates(authority.slots());
    enroll_group(&world, attestation, Terms::default()).await;
    register(&world, "d", &authority.leaf("d")).await;
    let renewed = authority.leaf("d");
    register(&world, "d", &renewed).await;
    let group = EnrollmentGroupId::parse("line-7").unwrap();
    let ctx = world.admin();
    let groups = &world.service.groups;
    groups.delete(&ctx, &group, IfMatch::Absent).await.unwrap();
    world.crash().await;
    let registrations = &world.service.registrations;
    let kept = registrations.fetch(&ctx, &registration("d")).await.unwrap();
    let x509 = hub_provisioning::registration_document(&kept)["x509"].clone();
    assert_eq!(x509["certificateInfo"], described(&renewed));
    let above = described(authority.certificate.der());
    assert_eq!(x509["signingCertificateInfo"], above);
}

#[tokio::test]
async fn an_enrolled_certificate_has_none_above() {
    let world = World::with(&["a.test"]).await;
    let leaf = Authority::new("d").certificate.der().clone();
    enroll(
        &world,
        "d",
        NewAttestation::ClientCertificates(slots(&leaf)),
    )
    .await;
    let outcome = register(&world, "d", &leaf).await;
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert_eq!(
        outcome["registrationState"]["x509"],
        json!({"certificateInfo": described(&leaf)})
    );
}

#[tokio::test]
async fn a_device_below_an_authority_of_the_service_is_told_that_one() {
    let world = World::with(&["a.test"]).await;
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let ctx = world.admin();
    let mut names = Vec::new();
    for (name, authority) in [("first", &first), ("second", &second)] {
        let name = CertificateName::parse(name).unwrap();
        let upload = CertificateUpload {
            bytes: authority.certificate.der(),
            standing: UploadStanding::Verified,
        };
        let authorities = &world.service.authorities;
        authorities
            .create(&ctx, name.clone(), upload, IfMatch::Absent)
            .await
            .unwrap();
        names.push(name);
    }
    let references = NewAttestation::AuthorityReferences(Slots {
        primary: names.first().cloned(),
        secondary: names.get(1).cloned(),
    });
    enroll(&world, "d", references).await;
    let leaf = second.leaf("d");
    let outcome = register(&world, "d", &leaf).await;
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert_eq!(
        outcome["registrationState"]["x509"],
        json!({
            "certificateInfo": described(&leaf),
            "signingCertificateInfo": described(second.certificate.der()),
        })
    );
}

#[tokio::test]
async fn the_webhook_sees_the_certificate_also_after_a_crash() {
    let mut world = World::with(&["a.test"]).await;
    let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"a.test"}"#, 0).await;
    let authority = Authority::new("line-7");
    let attestation = NewAttestation::SigningCertificates(authority.slots());
    enroll_group(&world, attestation, webhook.terms()).await;
    let leaf = authority.leaf("d");
    let begun = begin(&world, "d", &leaf).await;
    webhook.arrived.notified().await;
    world.crash().await;
    webhook.gate.add_permits(10);
    let outcome = outcome(&world, "d", &leaf, begun.operation()).await;
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    let x509 = &outcome["registrationState"]["x509"];
    assert_eq!(x509["certificateInfo"], described(&leaf));
    assert!(x509["signingCertificateInfo"].is_object());
    let asked = webhook.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2, "it is asked again after the crash");
    for question in asked {
        let shown = &question["deviceRuntimeContext"]["x509"]["clientCertificate"];
        assert_eq!(*shown, STANDARD.encode(&leaf), "DER in base64");
    }
}
