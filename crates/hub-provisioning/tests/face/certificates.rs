//! Devices of groups that show certificates.

use hub_domain::Status;
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{CertificateSlot, EnrollmentGroupId, Progress, Slots, Terms};
use hub_engine::x509::CertificateDer;
use hub_engine::{CertificateUpload, IfMatch, UploadStanding};
use hub_provisioning::{
    Credential, NewAttestation, NewEnrollment, NewGroup, RegisterRequest, Registered,
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
};

use crate::support::{World, document, registration, said};
use crate::webhooks::Webhook;

struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(name: &str, above: Option<&Self>) -> Self {
        Self::with_key(name, above, KeyPair::generate().unwrap())
    }

    fn with_key(name: &str, above: Option<&Self>, key: KeyPair) -> Self {
        let mut parameters = named(name);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = match above {
            Some(above) => parameters.signed_by(&key, &above.issuer).unwrap(),
            None => parameters.self_signed(&key).unwrap(),
        };
        Self {
            certificate,
            issuer: Issuer::new(parameters, key),
        }
    }

    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    fn device(&self, name: &str) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let certificate = named(name).signed_by(&key, &self.issuer).unwrap();
        certificate.der().clone()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2040, 1, 1);
    parameters
}

impl World {
    async fn enroll_below(&self, id: &str, authority: &Authority, status: Status) {
        let slot = CertificateSlot {
            der: authority.der().to_vec().into(),
        };
        let new = NewGroup {
            id: EnrollmentGroupId::parse(id).unwrap(),
            attestation: NewAttestation::SigningCertificates(Slots {
                primary: Some(slot),
                secondary: None,
            }),
            terms: Terms {
                status,
                ..Terms::default()
            },
        };
        let groups = &self.service.groups;
        let put = groups.put(&self.admin(), new, IfMatch::Absent).await;
        put.unwrap();
    }

    /// Registers by a chain; the group that let the device in, or why none did.
    async fn group_of(&self, id: &str, chain: &[CertificateDer<'_>]) -> Result<String, String> {
        let call = self.call(id, Credential::Certificates(chain));
        let registrations = &self.service.registrations;
        let registered = registrations
            .register(&call, RegisterRequest::default())
            .await
            .map_err(|error| error.reason().to_owned())?;
        let Registered::Accepted(begun) = registered else {
            panic!("only devices with a TPM are challenged");
        };
        if begun.is_final() {
            let state = document(&begun);
            return Ok(state["status"].as_str().unwrap().to_owned());
        }
        let status = registrations.status(&call, begun.operation()).await;
        let state = document(&status.unwrap());
        let group = &state["registrationState"]["x509"]["enrollmentGroupId"];
        Ok(group.as_str().unwrap().to_owned())
    }
}

impl World {
    /// Why nobody lets it in.
    async fn reason(&self, id: &str, chain: &[CertificateDer<'_>]) -> String {
        self.group_of(id, chain).await.unwrap_err()
    }
}

#[tokio::test]
async fn the_nearest_group_decides_in_whatever_order_the_chain_is_sent() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    let line = Authority::new("line", Some(&root));
    world.enroll_below("all", &root, Status::Enabled).await;
    world.enroll_below("line", &line, Status::Disabled).await;
    let device = line.device("d1");
    let upwards = [device.clone(), line.der(), root.der()];
    let other_order = [device.clone(), root.der(), line.der()];
    let without_root = [device, line.der()];
    for chain in [&upwards[..], &other_order, &without_root] {
        let outcome = world.group_of("d1", chain).await;
        assert_eq!(outcome, Ok("disabled".to_owned()));
    }
    let elsewhere = Authority::new("hall", Some(&root));
    let chain = [elsewhere.device("d2"), elsewhere.der()];
    assert_eq!(world.group_of("d2", &chain).await, Ok("all".to_owned()));
}

#[tokio::test]
async fn an_intermediate_that_was_issued_anew_is_still_the_nearest() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    let key = KeyPair::generate().unwrap();
    let same_key = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let former = Authority::with_key("line", Some(&root), key);
    let renewed = Authority::with_key("line", Some(&root), same_key);
    world.enroll_below("all", &root, Status::Enabled).await;
    world.enroll_below("line", &renewed, Status::Enabled).await;
    let chain = [former.device("d1"), former.der(), root.der()];
    assert_eq!(world.group_of("d1", &chain).await, Ok("line".to_owned()));
}

#[tokio::test]
async fn a_certificate_below_no_group_is_refused() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    let stranger = Authority::new("stranger", None);
    let same_name = Authority::new("root", None);
    world.enroll_below("all", &root, Status::Enabled).await;
    let chain = [stranger.device("d1")];
    assert_eq!(
        world.reason("d1", &chain).await,
        "no enrollment has this registration id, and no group knows an issuer of the certificate"
    );
    let chain = [same_name.device("d1"), same_name.der()];
    assert_eq!(
        world.reason("d1", &chain).await,
        "no path leads from the certificate to this authority"
    );
}

#[tokio::test]
async fn an_authority_vouches_when_it_is_verified_and_its_name_is_known() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.admin();
    let root = Authority::new("root", None);
    let naming = |name: &str| NewGroup {
        id: EnrollmentGroupId::parse("all").unwrap(),
        attestation: NewAttestation::AuthorityReferences(Slots {
            primary: CertificateName::parse(name).ok(),
            secondary: None,
        }),
        terms: Terms::default(),
    };
    let groups = &world.service.groups;
    let put = groups.put(&ctx, naming("Root"), IfMatch::Absent).await;
    assert_eq!(
        put.map(drop).map_err(said),
        Err(
            "400004 the enrollment names the CA certificate Root, which the service does not have"
                .to_owned()
        )
    );
    let der = root.der();
    let name = CertificateName::parse("root").unwrap();
    let upload = |standing, if_match| {
        let upload = CertificateUpload {
            bytes: &der,
            standing,
        };
        let authorities = &world.service.authorities;
        authorities.create(&ctx, name.clone(), upload, if_match)
    };
    upload(UploadStanding::Unverified, IfMatch::Absent)
        .await
        .unwrap();
    groups
        .put(&ctx, naming("Root"), IfMatch::Absent)
        .await
        .unwrap();
    let chain = [root.device("d1")];
    assert_eq!(
        world.reason("d1", &chain).await,
        "no enrollment has this registration id, and the CA certificate root that a group names is \
         not verified yet"
    );
    upload(UploadStanding::Verified, IfMatch::Any)
        .await
        .unwrap();
    assert_eq!(world.group_of("d1", &chain).await, Ok("all".to_owned()));
}

#[tokio::test]
async fn an_enrollment_that_names_an_unverified_authority_says_so() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.admin();
    let root = Authority::new("root", None);
    let der = root.der();
    let name = CertificateName::parse("root").unwrap();
    let authorities = &world.service.authorities;
    let upload = CertificateUpload {
        bytes: &der,
        standing: UploadStanding::Unverified,
    };
    let made = authorities.create(&ctx, name.clone(), upload, IfMatch::Absent);
    made.await.unwrap();
    let new = NewEnrollment {
        id: registration("d1"),
        device: None,
        attestation: NewAttestation::AuthorityReferences(Slots {
            primary: Some(name),
            secondary: None,
        }),
        terms: Terms::default(),
        information: None,
    };
    let enrollments = &world.service.enrollments;
    enrollments.put(&ctx, new, IfMatch::Absent).await.unwrap();
    assert_eq!(
        world.reason("d1", &[root.device("d1")]).await,
        "no path leads from the certificate to this authority; the CA certificate root that the \
         enrollment names is not verified yet"
    );
}

#[tokio::test]
async fn of_groups_with_one_certificate_the_first_takes_the_devices() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    for id in ["b", "a", "c"] {
        world.enroll_below(id, &root, Status::Enabled).await;
    }
    let chain = [root.device("d1")];
    assert_eq!(world.group_of("d1", &chain).await, Ok("a".to_owned()));
}

#[tokio::test]
async fn a_certificate_that_can_vouch_for_nobody_is_no_signing_certificate() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    let key = KeyPair::generate().unwrap();
    let mut expired = named("old");
    expired.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    expired.not_after = date_time_ymd(2021, 1, 1);
    let expired = expired.self_signed(&key).unwrap().der().to_vec();
    for (der, expected) in [
        (expired, "the certificate has expired"),
        (
            root.device("d").to_vec(),
            "the certificate is none of an authority",
        ),
    ] {
        let slot = CertificateSlot { der: der.into() };
        let new = NewGroup {
            id: EnrollmentGroupId::parse("g").unwrap(),
            attestation: NewAttestation::SigningCertificates(Slots {
                primary: Some(slot),
                secondary: None,
            }),
            terms: Terms::default(),
        };
        let groups = &world.service.groups;
        let put = groups.put(&world.admin(), new, IfMatch::Absent).await;
        let told = put.map(drop).map_err(said).unwrap_err();
        assert!(told.contains(expected), "{told}");
    }
}

#[tokio::test]
async fn a_deleted_group_lets_nobody_in_any_more() {
    let world = World::with(&["a.test"]).await;
    let root = Authority::new("root", None);
    world.enroll_below("all", &root, Status::Enabled).await;
    let chain = [root.device("d1")];
    assert_eq!(world.group_of("d1", &chain).await, Ok("all".to_owned()));
    let id = EnrollmentGroupId::parse("all").unwrap();
    let groups = &world.service.groups;
    let deleted = groups.delete(&world.admin(), &id, IfMatch::Any).await;
    deleted.unwrap();
    assert!(world.group_of("d1", &chain).await.is_err());
}

/// It was stolen, say: who is not assigned yet is not let in by it any more.
#[tokio::test]
async fn an_authority_that_is_deleted_lets_nobody_in_who_is_under_way() {
    for crashes in [false, true] {
        let mut world = World::with(&["a.test"]).await;
        let ctx = world.admin();
        let root = Authority::new("root", None);
        let name = CertificateName::parse("root").unwrap();
        let der = root.der();
        let upload = CertificateUpload {
            bytes: &der,
            standing: UploadStanding::Verified,
        };
        let authorities = &world.service.authorities;
        let created = authorities.create(&ctx, name.clone(), upload, IfMatch::Absent);
        created.await.unwrap();
        let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"a.test"}"#, 0).await;
        let group = NewGroup {
            id: EnrollmentGroupId::parse("all").unwrap(),
            attestation: NewAttestation::AuthorityReferences(Slots {
                primary: Some(name.clone()),
                secondary: None,
            }),
            terms: webhook.terms(),
        };
        let groups = &world.service.groups;
        groups.put(&ctx, group, IfMatch::Absent).await.unwrap();
        let chain = [root.device("d")];
        let call = world.call("d", Credential::Certificates(&chain));
        let registrations = &world.service.registrations;
        let begun = registrations.register(&call, RegisterRequest::default());
        begun.await.unwrap();
        webhook.arrived.notified().await;
        let deleted = authorities.delete(&ctx, &name, IfMatch::Any).await;
        deleted.unwrap();
        if crashes {
            world.crash().await;
        }
        webhook.gate.add_permits(10);
        let settled = world.settled("d").await;
        assert!(matches!(settled.progress, Progress::Failed(_)));
        assert!(world.identity("a", "d").await.is_none());
    }
}
