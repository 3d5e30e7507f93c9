//! Devices that show a certificate in the TLS handshake instead of a token.

use hub_amqp::{Login, MessageWriter};
use hub_domain::identity::Thumbprint;
use hub_engine::NewAuthentication;
use rcgen::{CertificateParams, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha1::{Digest as _, Sha1};

use crate::support::{Client, Hub};

const UNAUTHORIZED: &str = "amqp:unauthorized-access";
const EVENTS: &str = "/devices/d1/messages/events";
/// What azure-iot-device (Node) asks for with a certificate: SASL without a name and a password.
const ANONYMOUS: Login<'static> = Login::Sasl {
    mechanism: "ANONYMOUS",
    initial_response: None,
    hostname: Some("hub.test"),
};

struct Shown {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

fn self_signed() -> Shown {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    Shown { certificate, key }
}

impl Shown {
    fn authentication(&self) -> NewAuthentication {
        let digest = Sha1::digest(&self.certificate);
        let digits: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        NewAuthentication::SelfSigned {
            primary: Thumbprint::parse(&digits),
            secondary: None,
        }
    }

    async fn client(&self, hub: &Hub, login: Login<'_>) -> Client {
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(hub.roots())
            .with_client_auth_cert(vec![self.certificate.clone()], key)
            .unwrap();
        let mut client = hub.client_with(config, login).await;
        client.open("hub.test").await;
        client
    }
}

#[tokio::test]
async fn a_certificate_opens_the_links_of_its_device_alone() {
    let hub = Hub::with_device().await;
    let shown = self_signed();
    hub.given_with("x1", shown.authentication()).await;
    hub.given_with("x1/m1", self_signed().authentication())
        .await;
    for login in [Login::Bare, ANONYMOUS] {
        let mut client = shown.client(&hub, login).await;
        let link = client.sender("/devices/x1/messages/events").await.unwrap();
        let mut message = Vec::new();
        MessageWriter::new(&mut message).data(b"x");
        assert_eq!(client.send(link, &message).await, "accepted");
        assert!(
            client
                .receiver("/devices/x1/messages/devicebound", 1)
                .await
                .is_ok()
        );
        for address in [
            EVENTS,
            "/devices/x1/modules/m1/messages/events",
            "/devices/none/messages/events",
            "/messages/devicebound",
        ] {
            let refused = client.sender(address).await;
            assert_eq!(refused, Err(UNAUTHORIZED.into()), "{address}");
        }
    }
    assert_eq!(hub.telemetry().await, "x1 [] x\nx1 [] x");
}

#[tokio::test]
async fn a_module_has_a_certificate_of_its_own() {
    let hub = Hub::new().await;
    let (device, module) = (self_signed(), self_signed());
    hub.given_with("x1", device.authentication()).await;
    hub.given_with("x1/m1", module.authentication()).await;
    let mut client = module.client(&hub, ANONYMOUS).await;
    assert!(
        client
            .sender("/devices/x1/modules/m1/messages/events")
            .await
            .is_ok()
    );
    assert_eq!(
        client.sender("/devices/x1/messages/events").await,
        Err(UNAUTHORIZED.into())
    );
}

#[tokio::test]
async fn another_certificate_opens_nothing_and_does_not_admit() {
    let hub = Hub::new().await;
    hub.given_with("x1", self_signed().authentication()).await;
    let mut client = self_signed().client(&hub, ANONYMOUS).await;
    assert_eq!(
        client.sender("/devices/x1/messages/events").await,
        Err(UNAUTHORIZED.into())
    );
}

#[tokio::test]
async fn a_device_with_keys_is_not_opened_by_a_certificate() {
    let hub = Hub::with_device().await;
    let mut client = self_signed().client(&hub, ANONYMOUS).await;
    assert_eq!(client.sender(EVENTS).await, Err(UNAUTHORIZED.into()));
}

#[tokio::test]
async fn a_changed_thumbprint_cuts_its_device() {
    let hub = Hub::new().await;
    let shown = self_signed();
    hub.given_with("x1", shown.authentication()).await;
    let mut client = shown.client(&hub, ANONYMOUS).await;
    client.sender("/devices/x1/messages/events").await.unwrap();
    hub.replace_with("x1", self_signed().authentication()).await;
    assert_eq!(client.ended().await, UNAUTHORIZED);
    hub.check_ended("identity_changed 1").await;
}
