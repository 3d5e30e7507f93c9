//! Who may connect, until when, and what becomes of who may not.

use std::time::Duration;

use hub_amqp::{Login, MessageId, MessageWriter, Outgoing, Value};
use hub_domain::limits::CLOCK_SKEW;
use hub_domain::sas::sign_token;
use hub_gateway::AdmissionConfig;

use crate::support::{BEGINNING, Hub, token};

const UNAUTHORIZED: &str = "amqp:unauthorized-access";

fn plain<'a>(response: &'a [u8]) -> Login<'a> {
    Login::Sasl {
        mechanism: "PLAIN",
        initial_response: Some(response),
        hostname: Some("hub.test"),
    }
}

#[tokio::test]
async fn a_token_is_answered_with_the_id_of_its_request_and_its_type() {
    let hub = Hub::with_device().await;
    let mut client = hub.open().await;
    let good = token("d1", hub.in_a_day());
    for (id, shown) in [
        (MessageId::Ulong(7), "Some(Ulong(7))"),
        (MessageId::String("x"), "Some(String(\"x\"))"),
    ] {
        // Node passes the resource of its token as it is, percent-encoded.
        for audience in ["hub.test/devices/d1", "hub.test%2Fdevices%2Fd1"] {
            let (status, echoed) = client.put_token_as(id, audience, &good).await;
            assert_eq!((status, &*echoed), (200, shown));
        }
    }
    let (_, echoed) = client
        .put_token_as(MessageId::Uuid([1; 16]), "hub.test/devices/d1", &good)
        .await;
    assert!(echoed.starts_with("Some(Uuid("), "{echoed}");
}

#[tokio::test]
async fn tokens_that_prove_nothing_are_refused() {
    let hub = Hub::with_device().await;
    let mut client = hub.open().await;
    let good = token("d1", hub.in_a_day());
    let past = token("d1", BEGINNING.minus(CLOCK_SKEW).minus(CLOCK_SKEW));
    let forged = sign_token(
        "hub.test/devices/d1",
        &hub_domain::SymmetricKey::from_bytes(&[9; 32]).unwrap(),
        hub.in_a_day(),
        None,
    );
    let narrow = hub.policy_token("service", "hub.test/messages", hub.in_a_day());
    for (audience, token, status) in [
        ("hub.test/devices/d2", &*good, 401),
        ("hub.test/devices/d1/modules/m1", &good, 401),
        ("hub.test", &good, 401),
        ("hub.test/devices/d1", &past, 401),
        ("hub.test/devices/d1", &forged, 401),
        ("hub.test/devices/d1", "no token", 401),
        ("hub.test", &narrow, 401),
        ("", &good, 401),
    ] {
        assert_eq!(
            client.put_token(audience, token).await,
            status,
            "{audience}"
        );
    }
    assert_eq!(
        client.sender("/devices/d1/messages/events").await,
        Err(UNAUTHORIZED.into())
    );
}

#[tokio::test]
async fn nothing_is_reached_without_a_credential() {
    let hub = Hub::with_device().await;
    let mut client = hub.open().await;
    for address in [
        "/devices/d1/messages/events",
        "/devices/d1/twin",
        "/messages/devicebound",
        "hub/$management",
    ] {
        assert_eq!(
            client.sender(address).await,
            Err(UNAUTHORIZED.into()),
            "{address}"
        );
    }
    for address in [
        "/devices/d1/messages/devicebound",
        "hub/ConsumerGroups/$Default/Partitions/0",
        "/messages/events/ConsumerGroups/$Default/Partitions/0",
        "/messages/serviceBound/feedback",
    ] {
        assert_eq!(
            client.receiver(address, 1).await,
            Err(UNAUTHORIZED.into()),
            "{address}"
        );
    }
    assert_eq!(
        client.sender("/nowhere").await,
        Err("amqp:not-found".into())
    );
}

#[tokio::test]
async fn a_device_reaches_only_itself_and_no_back_end() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    hub.given("d1/m1").await;
    let mut client = hub.device("d1").await;
    for address in [
        "/devices/d2/messages/events",
        "/devices/d1/modules/m1/messages/events",
        "/messages/devicebound",
        "hub/$management",
    ] {
        assert_eq!(
            client.sender(address).await,
            Err(UNAUTHORIZED.into()),
            "{address}"
        );
    }
    assert!(client.sender("/devices/d1/messages/events").await.is_ok());
    assert_eq!(
        client.sender("/devices/d1/messages/devicebound").await,
        Err("amqp:not-allowed".into())
    );
}

#[tokio::test]
async fn a_policy_does_what_its_permissions_allow() {
    let hub = Hub::with_device().await;
    let mut device = hub.back_end("device").await;
    assert!(device.sender("/devices/d1/messages/events").await.is_ok());
    assert_eq!(
        device.sender("/messages/devicebound").await,
        Err(UNAUTHORIZED.into())
    );
    let mut service = hub.back_end("service").await;
    assert!(service.sender("/messages/devicebound").await.is_ok());
    assert_eq!(
        service.sender("/devices/d1/messages/events").await,
        Err(UNAUTHORIZED.into())
    );
    let mut registry = hub.back_end("registryRead").await;
    assert_eq!(
        registry.sender("/messages/devicebound").await,
        Err(UNAUTHORIZED.into())
    );
}

#[tokio::test]
async fn plain_takes_policies_and_devices_with_tokens_and_policies_with_their_keys() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    let owner = hub.policy_token("iothubowner", "hub.test", hub.in_a_day());
    let key_text = hub
        .record
        .policy("iothubowner")
        .unwrap()
        .primary
        .to_base64();
    for (name, password, address) in [
        ("iothubowner@sas.root.hub", &owner, "/messages/devicebound"),
        ("iothubowner", &key_text, "/messages/devicebound"),
        (
            "d1@sas.hub",
            &token("d1", hub.in_a_day()),
            "/devices/d1/messages/events",
        ),
        (
            "d1/m1@sas.hub",
            &token("d1/m1", hub.in_a_day()),
            "/devices/d1/modules/m1/messages/events",
        ),
    ] {
        let response = format!("\0{name}\0{password}");
        let mut client = hub.client(plain(response.as_bytes())).await;
        client.open("hub.test").await;
        assert!(client.sender(address).await.is_ok(), "{name}");
    }
    for (name, password) in [
        ("service", &*key_text),
        ("nobody", &key_text),
        ("iothubowner@sas.root.other", "x"),
        ("d1@sas.hub", &owner[..20]),
        ("d1@sas.hub", "x"),
        ("d1@sas.hub", &token("d1/m1", hub.in_a_day())),
        ("d1/none@sas.hub", &token("d1/none", hub.in_a_day())),
        ("d1/@sas.hub", "x"),
    ] {
        let response = format!("\0{name}\0{password}");
        let mut client = hub.client(plain(response.as_bytes())).await;
        let ended = client.open_in_vain().await;
        assert!(ended.contains("SaslFailed"), "{name}: {ended}");
    }
    for broken in [&b""[..], b"\0a", b"\0a\0b\0c", b"\xff\0a\0b"] {
        let ended = hub.client(plain(broken)).await.open_in_vain().await;
        assert!(ended.contains("SaslFailed"), "{broken:?}: {ended}");
    }
}

#[tokio::test]
async fn mechanisms_without_credentials_prove_nothing_by_themselves() {
    let hub = Hub::with_device().await;
    for mechanism in ["MSSBCBS", "ANONYMOUS", "EXTERNAL"] {
        let login = Login::Sasl {
            mechanism,
            initial_response: None,
            hostname: None,
        };
        let mut client = hub.client(login).await;
        client.open("hub.test").await;
        assert_eq!(
            client.sender("/devices/d1/twin").await,
            Err(UNAUTHORIZED.into()),
            "{mechanism}"
        );
    }
}

#[tokio::test]
async fn who_shows_nothing_in_time_is_closed() {
    let hub = Hub::with(AdmissionConfig {
        time_max: Duration::from_millis(300),
        ..AdmissionConfig::default()
    })
    .await;
    let mut client = hub.open().await;
    assert_eq!(client.ended().await, UNAUTHORIZED);
    hub.check_ended("handshake_timeout 1").await;
}

#[tokio::test]
async fn the_end_of_the_only_token_closes_the_connection() {
    let hub = Hub::with_device().await;
    let mut client = hub.open().await;
    let soon = BEGINNING.minus(CLOCK_SKEW).plus(Duration::from_secs(2));
    client
        .prove("hub.test/devices/d1", &token("d1", soon))
        .await;
    let link = client.sender("/devices/d1/messages/events").await.unwrap();
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(client.send(link, &message).await, "accepted");
    assert_eq!(client.ended().await, UNAUTHORIZED);
    hub.check_ended("token_expired 1").await;
}

#[tokio::test]
async fn the_end_of_one_of_several_tokens_ends_its_links_only() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    let mut client = hub.device("d2").await;
    let soon = BEGINNING.minus(CLOCK_SKEW).plus(Duration::from_secs(2));
    client
        .prove("hub.test/devices/d1", &token("d1", soon))
        .await;
    let first = client.sender("/devices/d1/messages/events").await.unwrap();
    let second = client.sender("/devices/d2/messages/events").await.unwrap();
    assert_eq!(client.detached(first).await, UNAUTHORIZED);
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(client.send(second, &message).await, "accepted");
}

#[tokio::test]
async fn a_newer_token_keeps_the_links() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    let mut client = hub.open().await;
    let soon = BEGINNING.minus(CLOCK_SKEW).plus(Duration::from_secs(2));
    client
        .prove("hub.test/devices/d1", &token("d1", soon))
        .await;
    client
        .prove("hub.test/devices/d2", &token("d2", soon))
        .await;
    let renewed = client.sender("/devices/d1/messages/events").await.unwrap();
    let other = client.sender("/devices/d2/messages/events").await.unwrap();
    client
        .prove("hub.test/devices/d1", &token("d1", hub.in_a_day()))
        .await;
    assert_eq!(client.detached(other).await, UNAUTHORIZED);
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(client.send(renewed, &message).await, "accepted");
}

#[tokio::test]
async fn bytes_of_another_protocol_end_the_connection() {
    let hub = Hub::new().await;
    let mut client = hub.client(Login::Bare).await;
    client.amqp.output(std::time::Instant::now()).clear();
    client.send_raw(b"GET / HTTP/1.1\r\n\r\n").await;
    client.ended().await;
    hub.check_ended("protocol_violation 1").await;
}

#[tokio::test]
async fn a_request_on_cbs_that_is_none_is_answered_as_a_bad_one() {
    let hub = Hub::new().await;
    let mut client = hub.open().await;
    let requests = client.sender("$cbs").await.unwrap();
    let replies = client.receiver("$cbs", 10).await.unwrap();
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .application_properties(|map| {
            map.string("operation", Value::String("put-token"))
                .string("type", Value::String("jwt"));
        })
        .value(Value::Null);
    for bytes in [&message[..], b"\xff\xff", b""] {
        client
            .amqp
            .send(requests, &Outgoing::SETTLED, bytes)
            .unwrap();
        let reply = client.receive(replies).await;
        assert_eq!(reply.property("status-code"), "Some(Int(400))");
    }
}
