//! Devices that register.

mod clients;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_amqp::{LinkId, Login, MapBuf, MessageId, MessageWriter, Outcome, Properties, Value};
use hub_domain::provisioning::{CertificateSlot, ProvisioningLimits, RegistrationId, Slots, Terms};
use hub_domain::quota::Rate;
use hub_domain::sas::sign_token;
use hub_domain::{Status, SymmetricKey, Timestamp};
use hub_engine::IfMatch;
use hub_provisioning::{Caller, Context, NewAttestation, NewEnrollment};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value as Json;

use crate::support::{BEGINNING, Client, Hub, Message, key, token};

const UNAUTHORIZED: &str = "amqp:unauthorized-access";
const NOT_ALLOWED: &str = "amqp:not-allowed";
const REGISTER: &str = "iotdps-register";
const STATUS: &str = "iotdps-get-operationstatus";
const LOOKUP: &str = "iotdps-get-registration";
// Public keys of a simulated TPM.
const ENDORSEMENT_KEY: &str = "AToAAQALAAMAsgAgg3GXZ0SEs/gakMyNRqXXJP1S124GUgtk8qHaGzMUaaoABgCAAEMAEAgAAAAAAAEAnXhYo+vGg30IVRAF++pA1Ap1EddOK3hDtwU/tsHViuFE7QirLIAegIT3TPzb66b4aOHqq4oFd4qaFqBxAdYL97Mz/HS5t299qdMpUKx91fBL4GSbFHtxCkC0LTZEJwKdsQUnRXIDMuopqV9Iz9/T9vL/0ce02G7nClNvPemf7rVH8CjmPm36lEgZgsa4BtIgd07B5Wu5mfx48yPICQKadHsj1Fc2Gkf8z/x8zFpkmuHUBquVC3Hl61YewN6yZBsHLVYoA18k2lhD/Muu4COZclhtcMTRph4T23DvreECIcGQpELduPVIogZyfKXCePeXoWyl33L/JZAAO1dTw3jZPQ==";
const STORAGE_ROOT_KEY: &str = "ARoAAQALAAMEcgAAAAYAgABDABAIAAAAAAABAJEli15Y+vkPr4rlsMJ2w7cx1VJc/lH0n7ioWa7L7qdtvSlz+BxKb9krxxYWZRzEDTkBHs8ahr9RrfTKMgjnfiBmRER5VLzf7DkU5nXIsdMhX61aX4N4YVsYqflxoy2IkPKByVOheaUYnasxcipr/5tpsSxpLylzNjXfs4YRNjxskBtmGH7i2DKi5aXjDWGVFdomLW44p3xrhGuq3FaBZMr7j4QEdB4TyCDAToBf1Eibdj+m/chpc+SPLchWhE1FAGlWT863+mHL2JuPVmr1JaiKZk6GIKbQ8TDWBL9V8s5v/uFvt9zBlNmId47j+fOW/N+wo1ak/mF/fuLMxPmeM7M=";

fn admin() -> Context {
    Context {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

fn keys() -> NewAttestation {
    NewAttestation::SymmetricKey {
        primary: Some(key()),
        secondary: Some(key()),
    }
}

/// A certificate for `common_name` and its key.
fn self_signed(common_name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let leaf = params.self_signed(&key).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (leaf, key)
}

impl Hub {
    fn address_of(&self, id: &str) -> String {
        format!(
            "{}/registrations/{id}",
            self.provisioning.service.id_scope()
        )
    }

    async fn enrolled_on(&self, id: &str, attestation: NewAttestation, terms: Terms) {
        let new = NewEnrollment {
            id: RegistrationId::parse(id).unwrap(),
            device: None,
            attestation,
            terms,
            information: None,
        };
        let enrollments = &self.provisioning.enrollments;
        enrollments
            .put(&admin(), new, IfMatch::Absent)
            .await
            .map(drop)
            .unwrap();
    }

    async fn enrolled(&self, id: &str) {
        self.enrolled_on(id, keys(), Terms::default()).await;
    }

    async fn enrolled_by_certificate(&self, id: &str, certificate: &CertificateDer<'_>) {
        let attestation = NewAttestation::ClientCertificates(Slots {
            primary: Some(CertificateSlot {
                der: certificate.to_vec().into(),
            }),
            secondary: None,
        });
        self.enrolled_on(id, attestation, Terms::default()).await;
    }

    fn plain(&self, id: &str, key: &SymmetricKey, expires: Timestamp) -> Vec<u8> {
        let name = self.address_of(id);
        let token = sign_token(&name, key, expires, Some("registration"));
        format!("\0{name}\0{token}").into_bytes()
    }

    /// A device that logged in with its token.
    async fn logged_in(&self, id: &str) -> Client {
        let response = self.plain(id, &key(), self.in_a_day());
        let mut client = self.client(sasl("PLAIN", &response)).await;
        client.open("hub.test").await;
        client
    }

    /// A device with both links.
    async fn registering(&self, id: &str) -> (Client, LinkId, LinkId) {
        let mut client = self.logged_in(id).await;
        let address = self.address_of(id);
        let replies = client.receiver(&address, 100).await.unwrap();
        let requests = client.sender(&address).await.unwrap();
        (client, requests, replies)
    }

    /// How a login by `mechanism` ends.
    async fn refused(&self, mechanism: &str, response: &[u8]) -> String {
        let mut client = self.client(sasl(mechanism, response)).await;
        client.open_in_vain().await
    }
}

fn sasl<'a>(mechanism: &'a str, response: &'a [u8]) -> Login<'a> {
    Login::Sasl {
        mechanism,
        initial_response: Some(response),
        hostname: Some("hub.test"),
    }
}

fn request(id: MessageId<'_>, kind: &str, operation: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .properties(&Properties {
            correlation_id: Some(id),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("iotdps-operation-type", Value::String(kind));
            if let Some(operation) = operation {
                map.string("iotdps-operation-id", Value::String(operation));
            }
        })
        .data(body);
    message
}

fn register(id: &str) -> Vec<u8> {
    request(MessageId::String(id), REGISTER, None, b"")
}

fn document(message: &Message) -> Json {
    let sections = message.sections();
    serde_json::from_slice(sections.body.single_data().unwrap()).unwrap()
}

fn correlation(message: &Message) -> String {
    format!(
        "{:?}",
        message.sections().properties.unwrap().correlation_id
    )
}

#[tokio::test]
async fn a_device_with_a_key_registers_polls_and_looks_up_its_registration() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let (mut client, requests, replies) = hub.registering("d1").await;
    let body = br#"{"registrationId":"d1"}"#;
    let message = request(MessageId::String("a"), REGISTER, None, body);
    assert_eq!(client.send(requests, &message).await, "accepted");
    let reply = client.receive(replies).await;
    assert_eq!(correlation(&reply), "Some(String(\"a\"))");
    let begun = document(&reply);
    assert_eq!(begun["status"], "assigning");
    // Node reads the one, C# the other.
    for name in ["retry-after", "Retry-After"] {
        assert!(
            reply.property(name).starts_with("Some(Int("),
            "{}",
            reply.property(name)
        );
    }
    let operation = begun["operationId"].as_str().unwrap();
    let message = request(MessageId::Uuid([7; 16]), STATUS, Some(operation), b"x");
    assert_eq!(client.send(requests, &message).await, "accepted");
    let reply = client.receive(replies).await;
    assert!(correlation(&reply).starts_with("Some(Uuid("));
    assert_eq!(reply.property("retry-after"), "None");
    let done = document(&reply);
    assert_eq!(done["status"], "assigned");
    assert_eq!(done["registrationState"]["assignedHub"], "hub.test");
    let message = request(MessageId::String("c"), LOOKUP, None, b"");
    assert_eq!(client.send(requests, &message).await, "accepted");
    let state = document(&client.receive(replies).await);
    assert_eq!(state, done["registrationState"]);
    // The enrollment's key is the device's.
    let mut device = hub.device("d1").await;
    assert!(device.sender("/devices/d1/messages/events").await.is_ok());
}

#[tokio::test]
async fn whole_uris_name_a_registration_and_versions_are_told_back() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.logged_in("d1").await;
    let address = format!("amqps://hub.test/{}", hub.address_of("d1"));
    let properties = MapBuf::new()
        .symbol("com.microsoft:api-version", Value::String("2019-03-31"))
        .symbol("com.microsoft:client-version", Value::String("c/1"));
    let requests = client.sender_with(&address, &properties).await.unwrap();
    assert_eq!(
        client.attached,
        "Some(String(\"2019-03-31\")) Some(String(\"c/1\"))"
    );
    let replies = client.receiver(&address, 1).await.unwrap();
    // The C SDK sends no correlation id.
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .application_properties(|map| {
            map.string("iotdps-operation-type", Value::String(REGISTER));
        })
        .data(b"");
    assert_eq!(client.send(requests, &message).await, "accepted");
    assert_eq!(
        document(&client.receive(replies).await)["status"],
        "assigning"
    );
}

#[tokio::test]
async fn logins_that_prove_nothing_are_refused() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    hub.enrolled("d2").await;
    let other = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    let day = hub.in_a_day();
    let past = BEGINNING.minus(Duration::from_secs(3_600));
    let scope = hub.provisioning.service.id_scope();
    let of_scope = |scope: &str| {
        let name = format!("{scope}/registrations/d1");
        let token = sign_token(&name, &key(), day, Some("registration"));
        format!("\0{name}\0{token}").into_bytes()
    };
    let of_another = {
        let name = hub.address_of("d2");
        let token = sign_token(&name, &key(), day, Some("registration"));
        format!("\0{}\0{token}", hub.address_of("d1")).into_bytes()
    };
    for (what, response) in [
        ("another key", hub.plain("d1", &other, day)),
        ("expired", hub.plain("d1", &key(), past)),
        ("not enrolled", hub.plain("d3", &key(), day)),
        ("another scope", of_scope("0ne99999999")),
        ("another device's token", of_another),
        (
            "no token",
            format!("\0{scope}/registrations/d1\0x").into_bytes(),
        ),
        ("no id", format!("\0{scope}/registrations/\0x").into_bytes()),
    ] {
        assert_eq!(
            hub.refused("PLAIN", &response).await,
            "SaslFailed(Auth)",
            "{what}"
        );
    }
    hub.check_ended("refused 7").await;
}

#[tokio::test]
async fn a_login_speaks_for_one_registration_and_no_hub() {
    let hub = Hub::with_device().await;
    hub.enrolled("d1").await;
    hub.enrolled("d2").await;
    let mut client = hub.logged_in("d1").await;
    let scope = hub.provisioning.service.id_scope();
    for (address, refusal) in [
        (hub.address_of("d2"), UNAUTHORIZED),
        ("0ne99999999/registrations/d1".to_owned(), UNAUTHORIZED),
        ("/devices/d1/messages/events".to_owned(), NOT_ALLOWED),
        ("$cbs".to_owned(), NOT_ALLOWED),
        (format!("{scope}/registrations"), "amqp:not-found"),
    ] {
        assert_eq!(
            client.sender(&address).await,
            Err(refusal.into()),
            "{address}"
        );
    }
    // Links of one registration are few.
    let address = hub.address_of("D1");
    for _ in 0..4 {
        client.sender(&address).await.unwrap();
    }
    let refusal = "amqp:resource-limit-exceeded";
    assert_eq!(client.receiver(&address, 1).await, Err(refusal.into()));
    // And the other way round: who serves a hub registers nobody.
    let mut device = hub.device("d1").await;
    assert_eq!(device.sender(&address).await, Err(NOT_ALLOWED.into()));
    // A token of the hub is none of the registration.
    let mut stranger = hub.open().await;
    assert_eq!(stranger.sender(&address).await, Err(UNAUTHORIZED.into()));
    let name = hub.address_of("d1");
    let response = format!("\0{name}\0{}", token("d1", hub.in_a_day()));
    let ended = hub.refused("PLAIN", response.as_bytes()).await;
    assert_eq!(ended, "SaslFailed(Auth)");
}

#[tokio::test]
async fn a_device_with_a_certificate_registers_without_a_login() {
    let hub = Hub::new().await;
    let (certificate, key) = self_signed("d1");
    hub.enrolled_by_certificate("d1", &certificate).await;
    let shown = (certificate, key);
    let mut client = hub.client_with_certificate(shown).await;
    client.open("hub.test").await;
    let address = hub.address_of("d1");
    let replies = client.receiver(&address, 100).await.unwrap();
    let requests = client.sender(&address).await.unwrap();
    assert_eq!(
        client.sender(&hub.address_of("d2")).await,
        Err(UNAUTHORIZED.into())
    );
    assert_eq!(client.send(requests, &register("a")).await, "accepted");
    assert_eq!(
        document(&client.receive(replies).await)["status"],
        "assigning"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_enrolled_attaches_nothing() {
    let hub = Hub::new().await;
    let (enrolled, _) = self_signed("d1");
    hub.enrolled_by_certificate("d1", &enrolled).await;
    let mut client = hub.client_with_certificate(self_signed("d1")).await;
    client.open("hub.test").await;
    for id in ["d1", "d2"] {
        let address = hub.address_of(id);
        assert_eq!(
            client.sender(&address).await,
            Err(UNAUTHORIZED.into()),
            "{id}"
        );
        assert_eq!(
            client.receiver(&address, 1).await,
            Err(UNAUTHORIZED.into()),
            "{id}"
        );
    }
}

#[tokio::test]
async fn requests_that_cannot_be_done_are_rejected_with_an_error_document() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let (mut client, requests, replies) = hub.registering("d1").await;
    let id = MessageId::String("x");
    let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(97 * 1024));
    let argument = "com.microsoft:argument-error";
    for (message, condition, code) in [
        (request(id, "iotdps-other", None, b""), argument, 400_004),
        (request(id, STATUS, None, b""), argument, 400_004),
        (request(id, REGISTER, None, b"no json"), argument, 400_004),
        (
            request(id, REGISTER, None, br#"{"registrationId":"d2"}"#),
            argument,
            400_004,
        ),
        (
            request(id, REGISTER, None, large.as_bytes()),
            "amqp:link:message-size-exceeded",
            413_001,
        ),
        (
            request(id, STATUS, Some("5.0.0"), b""),
            "amqp:not-found",
            404_201,
        ),
        (request(id, LOOKUP, None, b""), "amqp:not-found", 404_201),
        (vec![0xff], argument, 400_004),
    ] {
        let outcome = client.send(requests, &message).await;
        assert_eq!(outcome, format!("rejected {condition}"));
        let (description, after) = client.rejection.take().unwrap();
        // C# reads the whole description as this document.
        let error: Json = serde_json::from_str(&description).unwrap();
        assert_eq!(error["errorCode"], code, "{description}");
        assert!(error["trackingId"].is_string(), "{description}");
        assert_eq!(after, "None");
    }
    assert_eq!(client.send(requests, &register("a")).await, "accepted");
    assert_eq!(
        document(&client.receive(replies).await)["status"],
        "assigning"
    );
}

#[tokio::test]
async fn who_registers_too_often_is_told_when_to_try_again() {
    let limits = ProvisioningLimits {
        registrations: Some(Rate {
            count: 1,
            per: Duration::from_secs(3_600),
        }),
        ..ProvisioningLimits::NONE
    };
    let hub = Hub::limited(limits).await;
    hub.enrolled("d1").await;
    let (mut client, requests, replies) = hub.registering("d1").await;
    assert_eq!(client.send(requests, &register("a")).await, "accepted");
    client.receive(replies).await;
    let outcome = client.send(requests, &register("b")).await;
    assert_eq!(outcome, "rejected com.microsoft:device-container-throttled");
    let (description, after) = client.rejection.take().unwrap();
    let error: Json = serde_json::from_str(&description).unwrap();
    assert_eq!(error["errorCode"], 429_001, "{description}");
    let seconds = after
        .strip_prefix("Some(Int(")
        .and_then(|rest| rest.strip_suffix("))"));
    let seconds: u64 = seconds.expect(&after).parse().unwrap();
    assert!((3_000..=3_601).contains(&seconds), "{after}");
}

#[tokio::test]
async fn a_disabled_enrollment_is_told_by_the_registration() {
    let hub = Hub::new().await;
    let terms = Terms {
        status: Status::Disabled,
        ..Terms::default()
    };
    hub.enrolled_on("d1", keys(), terms).await;
    let (mut client, requests, replies) = hub.registering("d1").await;
    assert_eq!(client.send(requests, &register("a")).await, "accepted");
    assert_eq!(
        document(&client.receive(replies).await)["status"],
        "disabled"
    );
}

#[tokio::test]
async fn an_enrollment_that_goes_takes_effect_on_open_connections() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let (mut client, requests, _) = hub.registering("d1").await;
    let id = RegistrationId::parse("d1").unwrap();
    let enrollments = &hub.provisioning.enrollments;
    enrollments
        .delete(&admin(), &id, IfMatch::Any)
        .await
        .map(drop)
        .unwrap();
    let outcome = client.send(requests, &register("a")).await;
    assert_eq!(outcome, format!("rejected {UNAUTHORIZED}"));
}

#[tokio::test]
async fn a_flood_of_requests_is_answered() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let (mut client, requests, replies) = hub.registering("d1").await;
    for round in 0..100 {
        let id = round.to_string();
        assert_eq!(client.send(requests, &register(&id)).await, "accepted");
        let reply = client.receive(replies).await;
        assert_eq!(correlation(&reply), format!("Some(String(\"{id}\"))"));
        client.settle(&reply, &Outcome::Accepted).await;
        // Credit for the replies comes from the client.
        client.amqp.grant(replies, 100);
    }
}

#[tokio::test]
async fn a_device_with_a_tpm_logs_in_by_a_key_that_it_was_sent() {
    let hub = Hub::new().await;
    let [endorsement_key, storage_root_key] =
        [ENDORSEMENT_KEY, STORAGE_ROOT_KEY].map(|text| STANDARD.decode(text).unwrap());
    let attestation = NewAttestation::Tpm {
        endorsement_key: endorsement_key.clone(),
        storage_root_key: None,
    };
    hub.enrolled_on("d1", attestation, Terms::default()).await;
    let scope = hub.provisioning.service.id_scope().to_string();
    let first = [b"\0", scope.as_bytes(), b"\0d1\0", &endorsement_key].concat();
    let mut client = hub.client(sasl("TPM", &first)).await;
    assert_eq!(client.challenged().await, [0]);
    let key = hub.next_key();
    client.respond(&[b"\0", &*storage_root_key].concat()).await;
    let (mut controls, mut blob) = (Vec::new(), Vec::new());
    loop {
        let segment = client.challenged().await;
        assert!(segment.len() <= 471, "{}", segment.len());
        controls.push(segment[0]);
        blob.extend_from_slice(&segment[1..]);
        if segment[0] & 0x40 != 0 {
            break;
        }
        client.respond(&[0]).await;
    }
    assert_eq!(controls, [0x80, 0xc1]);
    // It begins with the size of the part that the endorsement key opens.
    assert!(usize::from(blob[1]) < blob.len() && blob[0] == 0);
    // A test has no TPM to open it, but knows what is inside.
    let name = hub.address_of("d1");
    let token = sign_token(&name, &key, hub.in_a_day(), Some("registration"));
    client.respond(format!("\0{token}").as_bytes()).await;
    client.open("hub.test").await;
    let replies = client.receiver(&name, 100).await.unwrap();
    let requests = client.sender(&name).await.unwrap();
    let body = format!(
        r#"{{"registrationId":"d1","tpm":{{"endorsementKey":"{ENDORSEMENT_KEY}","storageRootKey":"{STORAGE_ROOT_KEY}"}}}}"#
    );
    let message = request(MessageId::String("a"), REGISTER, None, body.as_bytes());
    assert_eq!(client.send(requests, &message).await, "accepted");
    let begun = document(&client.receive(replies).await);
    let operation = begun["operationId"].as_str().unwrap();
    let message = request(MessageId::String("b"), STATUS, Some(operation), b"");
    assert_eq!(client.send(requests, &message).await, "accepted");
    let done = document(&client.receive(replies).await);
    assert_eq!(done["status"], "assigned");
    assert!(done["registrationState"]["tpm"]["authenticationKey"].is_string());
}

#[tokio::test]
async fn a_token_of_another_key_does_not_answer_a_challenge() {
    let hub = Hub::new().await;
    let endorsement_key = STANDARD.decode(ENDORSEMENT_KEY).unwrap();
    let attestation = NewAttestation::Tpm {
        endorsement_key: endorsement_key.clone(),
        storage_root_key: None,
    };
    hub.enrolled_on("d1", attestation, Terms::default()).await;
    let scope = hub.provisioning.service.id_scope().to_string();
    let first = [b"\0", scope.as_bytes(), b"\0d1\0", &endorsement_key].concat();
    let mut client = hub.client(sasl("TPM", &first)).await;
    assert_eq!(client.challenged().await, [0]);
    let storage_root_key = STANDARD.decode(STORAGE_ROOT_KEY).unwrap();
    client.respond(&[b"\0", &*storage_root_key].concat()).await;
    while client.challenged().await[0] & 0x40 == 0 {
        client.respond(&[0]).await;
    }
    let name = hub.address_of("d1");
    let token = sign_token(&name, &key(), hub.in_a_day(), Some("registration"));
    client.respond(format!("\0{token}").as_bytes()).await;
    assert_eq!(client.open_in_vain().await, "SaslFailed(Auth)");
}

#[tokio::test]
async fn a_tpm_that_is_not_enrolled_is_refused_and_so_is_a_broken_exchange() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let scope = hub.provisioning.service.id_scope();
    let first = |id: &str| format!("\0{scope}\0{id}\0endorsement").into_bytes();
    for id in ["d1", "d2"] {
        let first = first(id);
        let mut client = hub.client(sasl("TPM", &first)).await;
        assert_eq!(client.challenged().await, [0]);
        client.respond(b"\0storage").await;
        assert_eq!(client.open_in_vain().await, "SaslFailed(Auth)", "{id}");
    }
    for response in [&b""[..], b"x", b"\0a\0b", b"\0a\0b c\0d"] {
        assert_eq!(hub.refused("TPM", response).await, "SaslFailed(Auth)");
    }
    let first = first("d1");
    let mut client = hub.client(sasl("TPM", &first)).await;
    assert_eq!(client.challenged().await, [0]);
    client.respond(b"").await;
    assert_eq!(client.open_in_vain().await, "SaslFailed(Auth)");
}

#[tokio::test]
async fn one_device_has_sixteen_connections() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(hub.logged_in("d1").await);
    }
    let response = hub.plain("d1", &key(), hub.in_a_day());
    assert_eq!(hub.refused("PLAIN", &response).await, "SaslFailed(SysTemp)");
    drop(clients);
    hub.check_ended("socket_closed 16, refused 1").await;
    hub.logged_in("d1").await;
}
