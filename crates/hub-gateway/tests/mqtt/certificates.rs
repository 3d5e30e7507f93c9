//! Devices that get their next certificate from their hub.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::certificate::CertificateName;
use hub_domain::provisioning::{CredentialPolicyName, RegistrationId, Terms};
use hub_domain::sas::sign_token;
use hub_engine::IfMatch;
use hub_provisioning::{
    Caller, Context, Credential, DeviceCall, NewAttestation, NewCredentialPolicy, NewEnrollment,
    RegisterRequest,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};

use crate::support::{
    BEGINNING, Client, Hub, Login, disconnect, key, publish, server_roots, subscribe, unsubscribe,
};

const REPLIES: &str = "$iothub/credentials/res/#";
const ISSUE: &str = "$iothub/credentials/POST/issueCertificate/?$rid=";

fn admin() -> Context {
    Context {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

fn request_of(name: &str, key: &KeyPair) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn new_key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap()
}

fn login(id: &str) -> Login {
    Login {
        password: None,
        ..Login::of(id)
    }
}

fn body(id: &str, key: &KeyPair) -> Vec<u8> {
    let body = json!({"id": id, "csr": STANDARD.encode(request_of(id, key)), "replace": "*"});
    body.to_string().into_bytes()
}

impl Hub {
    /// Lets `id` register, and get certificates.
    async fn issuing(&self, id: &str) {
        let (ctx, credentials) = (admin(), &self.provisioning.credentials);
        let issuer = CertificateName::parse("fleet").unwrap();
        let created = credentials.create_issuer(&ctx, issuer.clone(), None);
        created.await.map(drop).unwrap();
        let name = CredentialPolicyName::parse("month").unwrap();
        let policy = NewCredentialPolicy {
            name: name.clone(),
            issuer,
            validity_days: 30,
        };
        let put = credentials.put_policy(&ctx, policy, IfMatch::Absent);
        put.await.map(drop).unwrap();
        let new = NewEnrollment {
            id: RegistrationId::parse(id).unwrap(),
            device: None,
            attestation: NewAttestation::SymmetricKey {
                primary: Some(key()),
                secondary: Some(key()),
            },
            terms: Terms {
                credential_policy: Some(name),
                ..Terms::default()
            },
            information: None,
        };
        let enrollments = &self.provisioning.enrollments;
        let put = enrollments.put(&admin(), new, IfMatch::Absent).await;
        put.map(drop).unwrap();
    }

    /// Registers `id` with a request for a certificate; returns what was issued.
    async fn registered(&self, id: &str, own: &KeyPair) -> Vec<CertificateDer<'static>> {
        let scope = self.provisioning.service.id_scope().to_string();
        let expires = BEGINNING.plus(Duration::from_secs(3_600));
        let resource = format!("{scope}/registrations/{id}");
        let token = sign_token(&resource, &key(), expires, Some("registration"));
        let id = RegistrationId::parse(id).unwrap();
        let call = DeviceCall {
            id_scope: &scope,
            id: id.clone(),
            credential: Credential::Token(&token),
            address: None,
            now: BEGINNING,
        };
        let request = RegisterRequest {
            signing_request: Some(request_of(id.as_str(), own)),
            ..RegisterRequest::default()
        };
        let registrations = &self.provisioning.registrations;
        let registered = registrations.register(&call, request).await;
        registered.map(drop).unwrap();
        let kept = registrations.fetch(&admin(), &id).await.unwrap();
        let chain = kept.issued_certificates.iter();
        chain
            .map(|der| CertificateDer::from(der.to_vec()))
            .collect()
    }

    /// A client that shows a certificate and was accepted.
    async fn connected(
        &self,
        id: &str,
        chain: Vec<CertificateDer<'static>>,
        key: &KeyPair,
    ) -> Client {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(server_roots(self))
            .with_client_auth_cert(chain, key)
            .unwrap();
        let mut client = self.with_config(Arc::new(config)).await;
        client.send(&login(id).packet()).await;
        let answer = client.next().await;
        assert!(answer.starts_with("connack 0"), "{answer}");
        client
    }
}

impl Client {
    /// A reply: its topic behind the common part, and its document.
    async fn reply(&mut self) -> (String, Value) {
        let (topic, payload) = self.message().await;
        let topic = topic.strip_prefix("$iothub/credentials/res/").unwrap();
        (topic.to_owned(), serde_json::from_str(&payload).unwrap())
    }
}

#[tokio::test]
async fn a_device_renews_its_certificate_and_connects_with_the_new_one() {
    let hub = Hub::new().await;
    hub.issuing("d1").await;
    let own = new_key();
    let chain = hub.registered("d1", &own).await;
    let mut client = hub.connected("d1", chain, &own).await;
    for (number, filter) in [(1, "0:$iothub/credential/#"), (2, REPLIES)] {
        let expected = format!("suback {number} [{}]", number - 1);
        client.ask(subscribe(number, &[filter]), &expected).await;
    }
    let next = new_key();
    let topic = format!("{ISSUE}66641568");
    client
        .ask(publish(3, &topic, &body("d1", &next)), "puback 3")
        .await;
    let (topic, accepted) = client.reply().await;
    assert_eq!(topic, "202/?$rid=66641568");
    let (topic, issued) = client.reply().await;
    assert_eq!(topic, "200/?$rid=66641568");
    assert_eq!(issued["correlationId"], accepted["correlationId"]);
    let chain: Vec<_> = issued["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| CertificateDer::from(STANDARD.decode(one.as_str().unwrap()).unwrap()))
        .collect();
    client.ping().await;

    // The kept subscription is answered on the next connection too.
    let mut client = hub.connected("d1", chain, &next).await;
    let topic = format!("{ISSUE}2");
    client
        .send(&publish(0, &topic, &body("d1", &new_key())))
        .await;
    assert_eq!(client.reply().await.0, "202/?$rid=2");
    assert_eq!(client.reply().await.0, "200/?$rid=2");
}

#[tokio::test]
async fn whoever_is_not_subscribed_is_not_answered() {
    let hub = Hub::new().await;
    hub.issuing("d1").await;
    let own = new_key();
    let chain = hub.registered("d1", &own).await;
    let mut client = hub.connected("d1", chain, &own).await;
    let ask = |number| publish(number, &format!("{ISSUE}1"), &body("d1", &own));
    client.ask(ask(1), "puback 1").await;
    client.ping().await;
    client.ask(subscribe(2, &[REPLIES]), "suback 2 [1]").await;
    client.ask(unsubscribe(3, REPLIES), "unsuback 3").await;
    client.ask(ask(4), "puback 4").await;
    client.ping().await;
    client.send(&disconnect()).await;
    client.check_closed().await;
}

#[tokio::test]
async fn what_is_wrong_is_said_on_the_same_topic() {
    let hub = Hub::new().await;
    hub.issuing("d1").await;
    let own = new_key();
    let chain = hub.registered("d1", &own).await;
    let mut client = hub.connected("d1", chain, &own).await;
    client.ask(subscribe(1, &[REPLIES]), "suback 1 [1]").await;
    for (payload, expected) in [
        (&b""[..], 400_004),
        (b"{", 400_006),
        (&body("d2", &own), 400_004),
    ] {
        client
            .ask(publish(2, &format!("{ISSUE}r"), payload), "puback 2")
            .await;
        let (topic, document) = client.reply().await;
        assert_eq!(topic, "400/?$rid=r");
        assert_eq!(document["errorCode"], expected);
    }
    let malformed = json!({"id": "d1", "csr": "AQI="}).to_string();
    client
        .ask(
            publish(3, &format!("{ISSUE}r"), malformed.as_bytes()),
            "puback 3",
        )
        .await;
    assert_eq!(client.reply().await.0, "202/?$rid=r");
    let (topic, document) = client.reply().await;
    assert_eq!(topic, "400/?$rid=r");
    assert_eq!(document["errorCode"], 400_037);

    let without_id = publish(4, "$iothub/credentials/POST/issueCertificate/", b"{}");
    client.send(&without_id).await;
    client.check_closed().await;
    hub.check_ended("bad_message 1").await;
}

/// A token says nothing of a certificate, and lives shorter than one.
#[tokio::test]
async fn a_device_with_a_token_gets_no_certificate() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[REPLIES]), "suback 1 [1]").await;
    client
        .send(&publish(0, &format!("{ISSUE}1"), &body("d1", &new_key())))
        .await;
    let (topic, document) = client.reply().await;
    assert_eq!(topic, "400/?$rid=1");
    assert_eq!(document["errorCode"], 400_040);
}

#[tokio::test]
async fn modules_have_no_topics_of_certificates() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    let mut client = hub.connect("d1/m1").await;
    client.ask(subscribe(1, &[REPLIES]), "suback 1 [128]").await;
    client
        .send(&publish(0, &format!("{ISSUE}1"), &body("d1", &new_key())))
        .await;
    client.check_closed().await;
}
