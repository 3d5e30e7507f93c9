//! Certificates for devices that register.

use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{CredentialPolicyName, Terms};
use hub_domain::{Authentication, DeviceId};
use hub_engine::IfMatch;
use hub_engine::x509::{Certificate, CertificateDer, vouch};
use hub_provisioning::{NewAttestation, NewCredentialPolicy, NewEnrollment, RegisterRequest};

use crate::support::{World, group_key, key, line, registration};

/// A request for a certificate with a new P-384 key.
pub(crate) fn signing_request(name: &str) -> Vec<u8> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let mut parameters = rcgen::CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    parameters.serialize_request(&key).unwrap().der().to_vec()
}

/// A hub, an issuer, and the enrollment `d` whose devices get certificates for 30 days.
pub(crate) async fn world() -> World {
    let world = World::with(&["a.test"]).await;
    add_policy(&world).await;
    world.enroll("d", issuing()).await;
    world
}

/// An issuer, and a policy of 30 days.
pub(crate) async fn add_policy(world: &World) {
    let ctx = world.admin();
    let credentials = &world.service.credentials;
    let issuer = CertificateName::parse("Fleet-CA").unwrap();
    credentials
        .create_issuer(&ctx, issuer.clone(), None)
        .await
        .unwrap();
    let policy = NewCredentialPolicy {
        name: CredentialPolicyName::parse("month").unwrap(),
        issuer,
        validity_days: 30,
    };
    credentials
        .put_policy(&ctx, policy, IfMatch::Absent)
        .await
        .unwrap();
}

/// Terms with the policy of [`world`].
pub(crate) fn issuing() -> Terms {
    Terms {
        credential_policy: CredentialPolicyName::parse("month").ok(),
        ..Terms::default()
    }
}

pub(crate) fn with(request: Vec<u8>) -> RegisterRequest {
    RegisterRequest {
        signing_request: Some(request),
        ..RegisterRequest::default()
    }
}

#[tokio::test]
async fn a_signing_request_is_answered_with_a_chain_that_the_hub_trusts() {
    let world = world().await;
    let outcome = world
        .register_with("d", &key(1), with(signing_request("d")))
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert!(outcome["registrationState"]["issuedCertificateChain"].is_array());
    let kept = world
        .service
        .registrations
        .fetch(&world.admin(), &registration("d"))
        .await
        .unwrap();
    let chain: Vec<CertificateDer<'_>> = kept
        .issued_certificates
        .iter()
        .map(|der| CertificateDer::from(&**der))
        .collect();
    let leaf = Certificate::read(chain.first().unwrap()).unwrap();
    assert_eq!(leaf.common_name(), Some("d"));
    let device = world.identity("a", "d").await.unwrap().identity;
    assert!(matches!(
        device.authentication,
        Authentication::CertificateAuthority
    ));
    let hub = world.engine.hubs.by_name("a").unwrap();
    let trusted: Vec<&[u8]> = hub
        .settings
        .certificates
        .iter()
        .filter(|one| one.is_verified())
        .map(|one| &*one.der)
        .collect();
    let now = hub_engine::Environment::now(&*world.environment);
    assert!(vouch(&chain, &trusted, now).is_ok(), "the hub trusts it");
}

/// The hub compares names letter by letter, so the certificate has the name that the device has there.
#[tokio::test]
async fn a_certificate_is_for_the_name_that_the_device_has_in_its_hub() {
    let world = world().await;
    world.enroll_group("g", issuing()).await;
    let named = NewEnrollment {
        id: registration("serial-9"),
        device: DeviceId::parse("Pump-9").ok(),
        attestation: NewAttestation::SymmetricKey {
            primary: Some(key(1)),
            secondary: Some(key(2)),
        },
        terms: issuing(),
        information: None,
    };
    let enrollments = &world.service.enrollments;
    let ctx = world.admin();
    enrollments.put(&ctx, named, IfMatch::Absent).await.unwrap();
    for (id, key, expected) in [
        ("serial-9", key(1), "Pump-9"),
        ("Line-1", group_key("Line-1"), "Line-1"),
        ("line-1", group_key("line-1"), "Line-1"),
    ] {
        let request = with(signing_request(id));
        let outcome = world.register_with(id, &key, request).await.unwrap();
        assert_eq!(outcome["registrationState"]["deviceId"], expected);
        let id = registration(id);
        let kept = world.service.registrations.fetch(&ctx, &id).await.unwrap();
        let leaf = Certificate::read(&kept.issued_certificates[0]).unwrap();
        assert_eq!(leaf.common_name(), Some(expected));
    }
}

/// An issuer may go, and another of its name come: the hub then trusts both.
#[tokio::test]
async fn a_new_issuer_of_the_same_name_is_trusted_as_well() {
    let world = world().await;
    let (ctx, credentials) = (world.admin(), &world.service.credentials);
    let register = async || {
        let request = with(signing_request("d"));
        let outcome = world.register_with("d", &key(1), request).await.unwrap();
        assert_eq!(outcome["status"], "assigned");
        let id = registration("d");
        let kept = world.service.registrations.fetch(&ctx, &id).await.unwrap();
        kept.issued_certificates[1].clone()
    };
    let former = register().await;
    let (month, issuer) = (
        CredentialPolicyName::parse("month").unwrap(),
        CertificateName::parse("Fleet-CA").unwrap(),
    );
    let deleted = credentials.delete_policy(&ctx, &month, IfMatch::Any).await;
    deleted.unwrap();
    credentials.delete_issuer(&ctx, &issuer).await.unwrap();
    let created = credentials.create_issuer(&ctx, issuer.clone(), None).await;
    created.unwrap();
    let policy = NewCredentialPolicy {
        name: month,
        issuer,
        validity_days: 30,
    };
    let put = credentials.put_policy(&ctx, policy, IfMatch::Absent).await;
    put.unwrap();
    let next = register().await;
    register().await;
    assert_ne!(former, next);
    let hub = world.engine.hubs.by_name("a").unwrap();
    let trusted = hub.settings.certificates.iter();
    let trusted: Vec<_> = trusted.map(|one| one.der.clone()).collect();
    assert_eq!(trusted, [former, next]);
}

#[tokio::test]
async fn requests_that_cannot_be_signed_fail_the_registration() {
    let world = world().await;
    world.enroll("plain", Terms::default()).await;
    for (id, request, expected) in [
        ("d", signing_request("other"), "failed 400211 "),
        ("d", b"hello".to_vec(), "failed 400211 "),
        (
            "plain",
            signing_request("plain"),
            "failed 400211 the enrollment names no credential policy",
        ),
    ] {
        let outcome = world
            .register_with(id, &key(1), with(request))
            .await
            .unwrap();
        assert!(line(&outcome).starts_with(expected), "{}", line(&outcome));
        assert!(world.identity("a", id).await.is_none());
    }
}

#[tokio::test]
async fn without_a_request_a_device_keeps_its_other_proof() {
    let world = world().await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert!(outcome["registrationState"]["issuedCertificateChain"].is_null());
    let device = world.identity("a", "d").await.unwrap().identity;
    assert!(device.authentication.keys().is_some());
}
