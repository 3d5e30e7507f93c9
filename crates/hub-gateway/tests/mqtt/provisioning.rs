//! Devices that register.

mod clients;

use std::sync::Arc;
use std::time::Duration;

use hub_domain::provisioning::{
    CertificateSlot, EnrollmentGroupId, ProvisioningLimits, RegistrationId, Slots, Terms,
    derived_key,
};
use hub_domain::quota::Rate;
use hub_domain::sas::sign_token;
use hub_domain::{DeviceId, Status, SymmetricKey, Timestamp};
use hub_engine::IfMatch;
use hub_mqtt::{PacketId, QoS, Refusal, SubscribeRequest, encode};
use hub_provisioning::{Caller, Context, NewAttestation, NewEnrollment, NewGroup};
use hub_storage::memory::Faults as _;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;

use crate::support::{
    BEGINNING, Client, Hub, Login, disconnect, key, puback, publish, server_roots, subscribe,
    unsubscribe,
};

const REPLIES: &str = "$dps/registrations/res/#";
const REGISTER: &str = "$dps/registrations/PUT/iotdps-register/?$rid=";
const DAY: Duration = Duration::from_secs(24 * 3_600);

fn poll(request: &str, operation: &str) -> String {
    format!(
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid={request}&operationId={operation}"
    )
}

fn admin() -> Context {
    Context {
        caller: Caller::Admin,
        request_id: "test".to_owned(),
        now: BEGINNING,
    }
}

fn connack(refusal: Refusal) -> String {
    format!("connack {}", refusal.code())
}

fn registration(id: &str) -> RegistrationId {
    RegistrationId::parse(id).unwrap()
}

fn keys() -> NewAttestation {
    NewAttestation::SymmetricKey {
        primary: Some(key()),
        secondary: Some(key()),
    }
}

impl Hub {
    fn scope(&self) -> String {
        self.provisioning.service.id_scope().to_string()
    }

    /// Lets `id` register with the key of [`key`], on these terms.
    async fn enrolled_on(&self, id: &str, attestation: NewAttestation, terms: Terms) {
        let new = NewEnrollment {
            id: registration(id),
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

    fn provisioning_token(&self, id: &str, key: &SymmetricKey, expires: Timestamp) -> String {
        let resource = format!("{}/registrations/{id}", self.scope());
        sign_token(&resource, key, expires, Some("registration"))
    }

    /// A good login of a registration.
    fn login(&self, id: &str) -> Login {
        Login {
            client_id: id.to_owned(),
            user_name: Some(format!(
                "{}/registrations/{id}/api-version=2019-03-31&ClientVersion=test%2F1",
                self.scope()
            )),
            password: Some(self.provisioning_token(id, &key(), BEGINNING.plus(DAY))),
            ..Login::of(id)
        }
    }

    /// A device that is connected and subscribed at QoS 0.
    async fn registering(&self, id: &str) -> Client {
        let mut client = self.open(self.login(id)).await;
        let filter = format!("0:{REPLIES}");
        client.ask(subscribe(1, &[&filter]), "suback 1 [0]").await;
        client
    }
}

/// The operation id and the `status` of a reply's document.
fn operation(document: &str) -> (String, String) {
    let document: Value = serde_json::from_str(document).unwrap();
    let text = |name: &str| document[name].as_str().unwrap().to_owned();
    (text("operationId"), text("status"))
}

fn error_code(document: &str) -> u64 {
    let document: Value = serde_json::from_str(document).unwrap();
    for name in ["trackingId", "message", "timestampUtc"] {
        assert!(document[name].is_string(), "{document}");
    }
    document["errorCode"].as_u64().unwrap()
}

#[tokio::test]
async fn a_device_registers_polls_and_connects_to_its_hub() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.open(hub.login("d1")).await;
    client.ask(subscribe(1, &[REPLIES]), "suback 1 [1]").await;
    let topic = format!("{REGISTER}11-22");
    let body = br#"{"registrationId":"d1","payload":null}"#;
    client.ask(publish(7, &topic, body), "puback 7").await;
    let (topic, document) = client.message().await;
    let begun = "$dps/registrations/res/202/?$rid=11-22&retry-after=";
    let seconds = topic.strip_prefix(begun).expect(&topic);
    assert!(seconds.parse::<u32>().is_ok(), "{topic}");
    let (id, status) = operation(&document);
    assert_eq!(status, "assigning");
    client.send(&puback(1)).await;
    client
        .ask(publish(8, &poll("2", &id), b" "), "puback 8")
        .await;
    let (topic, document) = client.message().await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=2");
    assert_eq!(operation(&document), (id, "assigned".to_owned()));
    let document: Value = serde_json::from_str(&document).unwrap();
    let state = &document["registrationState"];
    assert_eq!(state["assignedHub"], "hub.test");
    assert_eq!(state["deviceId"], "d1");
    client.ask(unsubscribe(9, REPLIES), "unsuback 9").await;
    client.send(&disconnect()).await;
    client.check_closed().await;
    hub.check_ended("client_disconnect 1").await;
    // The enrollment's key is the device's.
    hub.connect("d1").await.ping().await;
}

#[tokio::test]
async fn a_device_of_a_group_registers_with_its_derived_key() {
    let hub = Hub::new().await;
    let new = NewGroup {
        id: EnrollmentGroupId::parse("line").unwrap(),
        attestation: keys(),
        terms: Terms::default(),
    };
    let groups = &hub.provisioning.groups;
    groups
        .put(&admin(), new, IfMatch::Absent)
        .await
        .map(drop)
        .unwrap();
    let derived = derived_key(&key(), "Sensor-1");
    let login = Login {
        password: Some(hub.provisioning_token("Sensor-1", &derived, BEGINNING.plus(DAY))),
        ..hub.login("Sensor-1")
    };
    let mut client = hub.open(login).await;
    let filter = format!("0:{REPLIES}");
    client.ask(subscribe(1, &[&filter]), "suback 1 [0]").await;
    client.send(&publish(0, &format!("{REGISTER}1"), b"")).await;
    let (topic, _) = client.message().await;
    assert!(topic.starts_with("$dps/registrations/res/202/"), "{topic}");
}

#[tokio::test]
async fn a_device_with_a_certificate_registers_without_a_password() {
    let hub = Hub::new().await;
    let own = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "d1");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    let leaf: CertificateDer<'static> = params.self_signed(&own).unwrap().der().clone();
    let attestation = NewAttestation::ClientCertificates(Slots {
        primary: Some(CertificateSlot {
            der: leaf.to_vec().into(),
        }),
        secondary: None,
    });
    hub.enrolled_on("d1", attestation, Terms::default()).await;
    let own = PrivateKeyDer::try_from(own.serialize_der()).unwrap();
    let config = ClientConfig::builder()
        .with_root_certificates(server_roots(&hub))
        .with_client_auth_cert(vec![leaf], own)
        .unwrap();
    let config = Arc::new(config);
    for (id, answer) in [
        ("d1", "connack 0".to_owned()),
        ("d2", connack(Refusal::NotAuthorized)),
    ] {
        for password in [None, Some(String::new())] {
            let mut client = hub.with_config(Arc::clone(&config)).await;
            let login = Login {
                password,
                ..hub.login(id)
            };
            client.send(&login.packet()).await;
            assert_eq!(client.next().await, answer, "{id}");
        }
    }
}

#[tokio::test]
async fn who_may_not_register_is_answered_5() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    hub.enrolled("d2").await;
    let good = hub.login("d1");
    let other_key = SymmetricKey::from_bytes(&[9; 32]).unwrap();
    let long_ago = BEGINNING.minus(DAY);
    let of_scope = |scope: &str| Login {
        user_name: Some(format!("{scope}/registrations/d1/api-version=2019-03-31")),
        password: Some(sign_token(
            &format!("{scope}/registrations/d1"),
            &key(),
            BEGINNING.plus(DAY),
            Some("registration"),
        )),
        ..good.clone()
    };
    let with = |password: Option<String>| Login {
        password,
        ..good.clone()
    };
    for (what, login) in [
        (
            "another key",
            with(Some(hub.provisioning_token(
                "d1",
                &other_key,
                BEGINNING.plus(DAY),
            ))),
        ),
        (
            "expired",
            with(Some(hub.provisioning_token("d1", &key(), long_ago))),
        ),
        ("another device", with(hub.login("d2").password)),
        ("nothing", with(None)),
        ("another scope", of_scope("0ne99999999")),
        ("not enrolled", hub.login("d3")),
        (
            "a will",
            Login {
                will: Some((
                    "devices/d1/messages/events/".to_owned(),
                    String::new(),
                    false,
                )),
                ..good.clone()
            },
        ),
    ] {
        assert_eq!(
            hub.refusal(login).await,
            connack(Refusal::NotAuthorized),
            "{what}"
        );
    }
    hub.check_ended("refused 7").await;
}

#[tokio::test]
async fn logins_that_cannot_be_read_are_answered_4_and_other_client_ids_2() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let good = hub.login("d1");
    for user_name in [
        format!("{}/registrations/d1/", hub.scope()),
        format!("{}/registrations/d 1/api-version=2019-03-31", hub.scope()),
        "/registrations/d1/api-version=2019-03-31".to_owned(),
    ] {
        let login = Login {
            user_name: Some(user_name.clone()),
            ..good.clone()
        };
        let expected = connack(Refusal::BadUserNameOrPassword);
        assert_eq!(hub.refusal(login).await, expected, "{user_name}");
    }
    let login = Login {
        password: Some("secret".to_owned()),
        ..good.clone()
    };
    assert_eq!(
        hub.refusal(login).await,
        connack(Refusal::BadUserNameOrPassword)
    );
    let login = Login {
        client_id: "d2".to_owned(),
        ..good
    };
    assert_eq!(hub.refusal(login).await, connack(Refusal::Identifier));
}

#[tokio::test]
async fn nothing_outlives_a_connection() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    for clean_session in [false, false, true] {
        let login = Login {
            clean_session,
            ..hub.login("D1")
        };
        let mut client = hub.tls().await;
        client.send(&login.packet()).await;
        client.check("connack 0").await;
        // Nobody who is not subscribed is answered, whatever an earlier connection did.
        client
            .ask(publish(1, &format!("{REGISTER}1"), b""), "puback 1")
            .await;
        client.ping().await;
        client.ask(subscribe(2, &[REPLIES]), "suback 2 [1]").await;
        client.vanish();
    }
    hub.check_ended("socket_closed 3").await;
}

#[tokio::test]
async fn one_filter_is_granted_and_not_above_qos_1() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.open(hub.login("d1")).await;
    let filters = [
        "#",
        "$dps/#",
        "$dps/registrations/res/+/?$rid=1",
        "$dps/registrations/PUT/#",
        "$iothub/twin/res/#",
        "devices/d1/messages/devicebound/#",
    ];
    client
        .ask(
            subscribe(1, &filters),
            "suback 1 [128, 128, 128, 128, 128, 128]",
        )
        .await;
    let requests = [SubscribeRequest {
        filter: REPLIES,
        qos: QoS::ExactlyOnce,
    }];
    let mut packet = Vec::new();
    encode::subscribe(PacketId::new(2).unwrap(), &requests, &mut packet).unwrap();
    client.ask(packet, "suback 2 [1]").await;
    client
        .send(&publish(0, &format!("{REGISTER}1"), b"{}"))
        .await;
    let reply = client.next().await;
    assert!(
        reply.contains("?$rid=1&retry-after=") && reply.contains(" id 1:"),
        "{reply}"
    );
}

#[tokio::test]
async fn other_topics_end_the_connection() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let topics = [
        "$dps/registrations/PUT/iotdps-register/",
        "$dps/registrations/PUT/iotdps-register/?$rid=",
        "$dps/registrations/PUT/iotdps-register/?$rid=1$x",
        "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
        "$dps/registrations/res/200/?$rid=1",
        "devices/d1/messages/events/",
    ];
    for topic in topics {
        let mut client = hub.registering("d1").await;
        client.send(&publish(1, topic, b"{}")).await;
        client.check_closed().await;
    }
    hub.check_ended("bad_message 6").await;
}

#[tokio::test]
async fn requests_that_cannot_be_done_are_answered_with_an_error_document() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.registering("d1").await;
    let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(97 * 1024));
    for (body, status, code) in [
        ("no json", 400, 400_004),
        (r#"{"registrationId":"d2"}"#, 400, 400_004),
        (r#"{"tpm":1}"#, 400, 400_004),
        (&large, 413, 413_001),
    ] {
        let topic = format!("{REGISTER}a");
        client.send(&publish(0, &topic, body.as_bytes())).await;
        let (topic, document) = client.message().await;
        assert_eq!(topic, format!("$dps/registrations/res/{status}/?$rid=a"));
        assert_eq!(error_code(&document), code, "{document}");
    }
    client.send(&publish(0, &poll("b", "5.0.0"), b" ")).await;
    let (topic, document) = client.message().await;
    assert_eq!(topic, "$dps/registrations/res/404/?$rid=b");
    assert_eq!(error_code(&document), 404_201);
    // The connection is as good as before.
    client.send(&publish(0, &format!("{REGISTER}c"), b"")).await;
    let (topic, _) = client.message().await;
    assert!(
        topic.starts_with("$dps/registrations/res/202/?$rid=c&"),
        "{topic}"
    );
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_ask_again() {
    let limits = ProvisioningLimits {
        polls: Some(Rate::per_minute(2)),
        ..ProvisioningLimits::NONE
    };
    let hub = Hub::limited(limits).await;
    hub.enrolled("d1").await;
    let mut client = hub.registering("d1").await;
    for _ in 0..2 {
        client.send(&publish(0, &poll("a", "5.0.0"), b" ")).await;
        let (topic, _) = client.message().await;
        assert_eq!(topic, "$dps/registrations/res/404/?$rid=a");
    }
    client.send(&publish(0, &poll("b", "5.0.0"), b" ")).await;
    let (topic, document) = client.message().await;
    assert_eq!(topic, "$dps/registrations/res/429/?$rid=b&retry-after=31");
    assert_eq!(error_code(&document), 429_001);
}

#[tokio::test]
async fn a_disabled_enrollment_is_told_by_the_registration() {
    let hub = Hub::new().await;
    let terms = Terms {
        status: Status::Disabled,
        ..Terms::default()
    };
    hub.enrolled_on("d1", keys(), terms).await;
    let mut client = hub.registering("d1").await;
    client.send(&publish(0, &format!("{REGISTER}1"), b"")).await;
    let (topic, document) = client.message().await;
    assert_eq!(topic, "$dps/registrations/res/200/?$rid=1");
    assert_eq!(operation(&document).1, "disabled");
    let id = hub_domain::IdentityId::device(DeviceId::parse("d1").unwrap());
    assert!(!hub.exists(&id).await);
}

#[tokio::test]
async fn an_enrollment_that_goes_takes_effect_on_open_connections() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.registering("d1").await;
    let enrollments = &hub.provisioning.enrollments;
    enrollments
        .delete(&admin(), &registration("d1"), IfMatch::Any)
        .await
        .map(drop)
        .unwrap();
    client.send(&publish(0, &format!("{REGISTER}1"), b"")).await;
    let (topic, document) = client.message().await;
    assert_eq!(topic, "$dps/registrations/res/401/?$rid=1");
    assert_eq!(error_code(&document), 401_002);
}

#[tokio::test]
async fn a_flood_of_requests_is_answered_in_its_order() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.registering("d1").await;
    let mut flood = Vec::new();
    for number in 0..500 {
        flood.extend(publish(0, &format!("{REGISTER}{number}"), b""));
    }
    client.send(&flood).await;
    for number in 0..500 {
        let (topic, _) = client.message().await;
        let expected = format!("/?$rid={number}");
        assert!(
            topic.split('&').next().unwrap().ends_with(&expected),
            "{topic}"
        );
    }
    client.ping().await;
}

#[tokio::test]
async fn who_acknowledges_no_reply_is_closed() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.open(hub.login("d1")).await;
    client.ask(subscribe(1, &[REPLIES]), "suback 1 [1]").await;
    for number in 0..64 {
        let topic = format!("{REGISTER}{number}");
        client.send(&publish(0, &topic, b"")).await;
        client.message().await;
    }
    client.send(&publish(0, &format!("{REGISTER}x"), b"")).await;
    client.check_closed().await;
    hub.check_ended("protocol_violation 1").await;
}

#[tokio::test]
async fn a_packet_larger_than_any_request_ends_the_connection() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.registering("d1").await;
    let packet = publish(0, &format!("{REGISTER}1"), &vec![b' '; 129 * 1024]);
    drop(client.try_send(&packet).await);
    hub.check_ended("protocol_violation 1").await;
}

#[tokio::test]
async fn one_device_has_sixteen_connections() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    hub.enrolled("d2").await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(hub.open(hub.login("d1")).await);
    }
    assert_eq!(
        hub.refusal(hub.login("d1")).await,
        connack(Refusal::ServerUnavailable)
    );
    hub.open(hub.login("d2")).await.ping().await;
    clients.remove(0).vanish();
    hub.check_ended("socket_closed 2, refused 1").await;
    hub.open(hub.login("d1")).await.ping().await;
}

#[tokio::test]
async fn silence_ends_the_connection() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let login = Login {
        keep_alive: 1,
        ..hub.login("d1")
    };
    hub.open(login).await.check_closed().await;
    hub.check_ended("keep_alive 1").await;
}

#[tokio::test]
async fn a_device_is_not_silent_while_nothing_is_read_of_it() {
    let hub = Hub::new().await;
    let mut logins = Vec::new();
    for id in ["d1", "d2"] {
        hub.enrolled(id).await;
        logins.push(Login {
            keep_alive: 1,
            ..hub.login(id)
        });
    }
    let mut client = hub.open(logins.remove(0)).await;
    let filter = format!("0:{REPLIES}");
    client.ask(subscribe(1, &[&filter]), "suback 1 [0]").await;
    hub.store.hold();
    let mut requests = Vec::new();
    for number in 0..4 {
        requests.extend(publish(0, &format!("{REGISTER}{number}"), b""));
    }
    client.send(&requests).await;
    while hub.store.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    // So long it takes until one that is read is called silent.
    hub.open(logins.remove(0)).await.check_closed().await;
    hub.store.resume();
    for number in 0..4 {
        let (topic, _) = client.message().await;
        assert!(topic.contains(&format!("?$rid={number}&")), "{topic}");
    }
    client.ping().await;
    client.ping().await;
}

#[tokio::test]
async fn a_device_registers_over_a_websocket() {
    let hub = Hub::new().await;
    hub.enrolled("d1").await;
    let mut client = hub.web().await;
    client.ask(&hub.login("d1").packet(), "connack 0").await;
    client.ask(&subscribe(1, &[REPLIES]), "suback 1 [1]").await;
    client
        .send_bytes(&publish(0, &format!("{REGISTER}1"), b"{}"))
        .await;
    let reply = client.next().await;
    assert!(
        reply.starts_with("$dps/registrations/res/202/?$rid=1&retry-after="),
        "{reply}"
    );
}

#[tokio::test]
async fn identities_called_after_the_pattern_stay_with_their_hub() {
    let hub = Hub::new().await;
    hub.given("registrations").await;
    hub.given("registrations/d1").await;
    hub.connect("registrations/d1").await.ping().await;
}
