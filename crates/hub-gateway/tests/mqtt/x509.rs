//! Devices that show a certificate in the TLS handshake.

use std::sync::Arc;

use hub_domain::certificate::CertificateName;
use hub_domain::identity::Thumbprint;
use hub_engine::{
    Caller, CertificateUpload, IfMatch, NewAuthentication, OpContext, UploadStanding,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};
use sha1::{Digest as _, Sha1};

use crate::support::{BEGINNING, Client, Hub, Login, identity_with, server_roots};

type Authority = CertifiedIssuer<'static, KeyPair>;

const YEARS: (i32, i32) = (2020, 2030);

/// A chain and the key of its first certificate.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: KeyPair,
}

fn params(common_name: &str, years: (i32, i32)) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
    params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
    params
}

fn authority_params(common_name: &str) -> CertificateParams {
    let mut params = params(common_name, YEARS);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

fn authority(common_name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    CertifiedIssuer::self_signed(authority_params(common_name), key).unwrap()
}

fn self_signed(common_name: &str, years: (i32, i32)) -> Shown {
    let key = KeyPair::generate().unwrap();
    let leaf = params(common_name, years).self_signed(&key).unwrap();
    Shown {
        chain: vec![leaf.der().clone()],
        key,
    }
}

fn issued(authority: &Authority, common_name: &str, years: (i32, i32)) -> Shown {
    let key = KeyPair::generate().unwrap();
    let leaf = params(common_name, years)
        .signed_by(&key, authority)
        .unwrap();
    Shown {
        chain: vec![leaf.der().clone()],
        key,
    }
}

impl Shown {
    fn thumbprint(&self) -> Option<Thumbprint> {
        let digest = Sha1::digest(&self.chain[0]);
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Thumbprint::parse(&digits)
    }

    fn config(&self, hub: &Hub) -> Arc<ClientConfig> {
        self.config_of(hub, &[&TLS12, &TLS13])
    }

    fn config_of(
        &self,
        hub: &Hub,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(server_roots(hub))
            .with_client_auth_cert(self.chain.clone(), key)
            .unwrap();
        Arc::new(config)
    }
}

fn without_password(id: &str) -> Login {
    Login {
        password: None,
        ..Login::of(id)
    }
}

fn admin() -> OpContext {
    OpContext {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

impl Hub {
    async fn given_thumbprint(&self, id: &str, thumbprint: Option<Thumbprint>) {
        let authentication = NewAuthentication::SelfSigned {
            primary: thumbprint,
            secondary: None,
        };
        self.given_with(identity_with(id, authentication)).await;
    }

    async fn given_authority(&self, id: &str) {
        let new = identity_with(id, NewAuthentication::CertificateAuthority);
        self.given_with(new).await;
    }

    async fn trust(&self, name: &str, authority: &Authority) {
        let upload = CertificateUpload {
            bytes: authority.der(),
            standing: UploadStanding::Verified,
        };
        let name = CertificateName::parse(name).unwrap();
        let certificates = &self.engine.certificates;
        certificates
            .create(&admin(), self.record.no, name, upload, IfMatch::Absent)
            .await
            .unwrap();
    }

    /// What a device is answered that shows this.
    async fn answer(&self, shown: &Shown, login: Login) -> String {
        let mut client = self.with_config(shown.config(self)).await;
        client.send(&login.packet()).await;
        client.next().await
    }
}

#[tokio::test]
async fn a_self_signed_device_connects_with_every_version_of_tls() {
    let hub = Hub::new().await;
    let (shown, other) = (self_signed("x", YEARS), self_signed("x", YEARS));
    hub.given_thumbprint("d1", shown.thumbprint()).await;
    for version in [&TLS12, &TLS13] {
        let mut client = hub.with_config(shown.config_of(&hub, &[version])).await;
        client.send(&without_password("d1").packet()).await;
        let answer = client.next().await;
        assert!(answer.starts_with("connack 0"), "{answer}");
        client.ping().await;
    }
    assert_eq!(
        hub.answer(&other, without_password("d1")).await,
        "connack 5"
    );
    assert_eq!(hub.refusal(without_password("d1")).await, "connack 5");
}

#[tokio::test]
async fn an_empty_password_stands_for_none() {
    let hub = Hub::new().await;
    let shown = self_signed("x", YEARS);
    hub.given_thumbprint("d1", shown.thumbprint()).await;
    let login = Login {
        password: Some(String::new()),
        ..Login::of("d1")
    };
    assert_eq!(hub.answer(&shown, login).await, "connack 0");
}

#[tokio::test]
async fn certificates_of_an_authority_are_judged_by_chain_dates_and_name() {
    let hub = Hub::new().await;
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    hub.trust("ours", &ours).await;
    hub.given_authority("d1").await;
    hub.given_authority("d1/m1").await;
    let between = CertifiedIssuer::signed_by(
        authority_params("between"),
        KeyPair::generate().unwrap(),
        &ours,
    )
    .unwrap();
    let mut far = issued(&between, "d1", YEARS);
    let alone = hub.answer(&far, without_password("d1")).await;
    assert_eq!(alone, "connack 5", "without the certificate between");
    far.chain.push(between.der().clone());
    for (what, id, shown, expected) in [
        ("direct", "d1", issued(&ours, "d1", YEARS), "connack 0"),
        ("through another", "d1", far, "connack 0 session"),
        (
            "module",
            "d1/m1",
            issued(&ours, "d1/m1", YEARS),
            "connack 0",
        ),
        (
            "expired",
            "d1",
            issued(&ours, "d1", (2010, 2020)),
            "connack 5",
        ),
        (
            "not yet",
            "d1",
            issued(&ours, "d1", (2029, 2030)),
            "connack 5",
        ),
        ("other name", "d1", issued(&ours, "d2", YEARS), "connack 5"),
        ("stranger", "d1", issued(&theirs, "d1", YEARS), "connack 5"),
        ("self-signed", "d1", self_signed("d1", YEARS), "connack 5"),
    ] {
        let answer = hub.answer(&shown, without_password(id)).await;
        let expected = expected.trim_end_matches(" session");
        assert!(answer.starts_with(expected), "{what}: {answer}");
    }
}

#[tokio::test]
async fn a_resumed_connection_has_the_certificate_of_the_first() {
    let hub = Hub::new().await;
    let ours = authority("ours");
    hub.trust("ours", &ours).await;
    hub.given_authority("d1").await;
    let mut shown = issued(&ours, "d1", YEARS);
    // The longest chain that is taken has to fit into a ticket.
    for _ in 0..6 {
        shown.chain.push(ours.der().clone());
    }
    for version in [&TLS12, &TLS13] {
        let config = shown.config_of(&hub, &[version]);
        for is_resumed in [false, true] {
            let mut client = hub.with_config(Arc::clone(&config)).await;
            client.send(&without_password("d1").packet()).await;
            let answer = client.next().await;
            assert!(answer.starts_with("connack 0"), "{version:?} {answer}");
            assert_eq!(client.is_resumed(), is_resumed, "{version:?}");
        }
    }
}

#[tokio::test]
async fn revoking_an_authority_cuts_its_devices_off() {
    let hub = Hub::new().await;
    let ours = authority("ours");
    hub.trust("ours", &ours).await;
    hub.given_authority("d1").await;
    let shown = issued(&ours, "d1", YEARS);
    let mut client: Client = hub.with_config(shown.config(&hub)).await;
    client.send(&without_password("d1").packet()).await;
    assert!(client.next().await.starts_with("connack 0"));
    let name = CertificateName::parse("ours").unwrap();
    let certificates = &hub.engine.certificates;
    certificates
        .delete(&admin(), hub.record.no, &name, IfMatch::Any)
        .await
        .unwrap();
    client.check_closed().await;
    hub.check_ended("identity_changed 1").await;
    let answer = hub.answer(&shown, without_password("d1")).await;
    assert_eq!(answer, "connack 5");
}

#[tokio::test]
async fn a_token_decides_where_there_is_one() {
    let hub = Hub::with_device().await;
    let shown = self_signed("x", YEARS);
    let answer = hub.answer(&shown, Login::of("d1")).await;
    assert!(answer.starts_with("connack 0"), "{answer}");
    let answer = hub.answer(&shown, without_password("d1")).await;
    assert_eq!(
        answer, "connack 5",
        "a device with keys shows a certificate"
    );
    hub.given_thumbprint("d2", shown.thumbprint()).await;
    let answer = hub.answer(&shown, Login::of("d2")).await;
    assert_eq!(
        answer, "connack 5",
        "a device with a certificate shows a token"
    );
}

#[tokio::test]
async fn a_chain_that_is_too_long_fails_the_handshake() {
    let hub = Hub::new().await;
    let ours = authority("ours");
    let mut shown = issued(&ours, "d1", YEARS);
    for _ in 0..8 {
        shown.chain.push(ours.der().clone());
    }
    let config = shown.config_of(&hub, &[&TLS12]);
    assert!(hub.try_with_config(config).await.is_err());
    hub.check_ended("tls_failed 1").await;
}

#[tokio::test]
async fn a_websocket_has_the_certificate_of_its_tls() {
    let hub = Hub::new().await;
    let shown = self_signed("x", YEARS);
    hub.given_thumbprint("d1", shown.thumbprint()).await;
    let mut client = hub.web_with_config(shown.config(&hub)).await;
    client
        .ask(&without_password("d1").packet(), "connack 0")
        .await;
}
