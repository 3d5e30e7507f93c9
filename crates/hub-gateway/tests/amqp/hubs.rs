//! Several hubs on one port: the connection's host name says which one is meant.

use hub_amqp::{Login, MessageWriter};
use hub_domain::sas::sign_token;
use hub_domain::{Hub as HubRecord, Status};

use crate::support::{Client, Hub, identity, key};

const UNAUTHORIZED: &str = "amqp:unauthorized-access";
const EVENTS: &str = "/devices/d1/messages/events";

async fn opened(hub: &Hub, host: &str) -> Client {
    let mut client = hub.client(Login::Bare).await;
    client.open(host).await;
    client
}

fn token_of(hub: &Hub, record: &HubRecord) -> String {
    let resource = format!("{}/devices/d1", record.host);
    sign_token(&resource, &key(), hub.in_a_day(), None)
}

/// Two hubs, each with a device `d1` of the same key.
async fn two_hubs() -> (Hub, std::sync::Arc<HubRecord>) {
    let hub = Hub::with_device().await;
    let other = hub.add_hub("other").await;
    hub.given_in(&other, identity("d1", Status::Enabled)).await;
    (hub, other)
}

#[tokio::test]
async fn each_device_reaches_the_hub_that_its_connection_names() {
    let (hub, other) = two_hubs().await;
    for (record, body) in [(&hub.record, "one"), (&other, "two")] {
        let host = record.host.to_string();
        let mut client = opened(&hub, &host).await;
        let token = token_of(&hub, record);
        client.prove(&format!("{host}/devices/d1"), &token).await;
        let link = client.sender(EVENTS).await.unwrap();
        let mut message = Vec::new();
        MessageWriter::new(&mut message).data(body.as_bytes());
        assert_eq!(client.send(link, &message).await, "accepted");
    }
    assert_eq!(hub.telemetry().await, "d1 [] one");
    assert_eq!(hub.telemetry_of(&other).await, "d1 [] two");
}

#[tokio::test]
async fn devices_of_one_name_do_not_take_each_others_place() {
    let (hub, other) = two_hubs().await;
    let mut first = opened(&hub, "hub.test").await;
    first
        .prove("hub.test/devices/d1", &token_of(&hub, &hub.record))
        .await;
    let link = first.sender(EVENTS).await.unwrap();
    let mut second = opened(&hub, "other.test").await;
    second
        .prove("other.test/devices/d1", &token_of(&hub, &other))
        .await;
    second.sender(EVENTS).await.unwrap();
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(first.send(link, &message).await, "accepted");
}

#[tokio::test]
async fn a_token_of_one_hub_opens_nothing_of_another() {
    let (hub, other) = two_hubs().await;
    let mut client = opened(&hub, "other.test").await;
    for audience in ["hub.test/devices/d1", "other.test/devices/d1"] {
        let status = client
            .put_token(audience, &token_of(&hub, &hub.record))
            .await;
        assert_eq!(status, 401, "{audience}");
    }
    assert_eq!(client.sender(EVENTS).await, Err(UNAUTHORIZED.into()));
    let policy = other.policy("service").unwrap();
    let of_other = sign_token(
        "other.test",
        &policy.primary,
        hub.in_a_day(),
        Some("service"),
    );
    let mut client = opened(&hub, "hub.test").await;
    assert_eq!(client.put_token("hub.test", &of_other).await, 401);
}

#[tokio::test]
async fn a_back_end_sends_to_its_own_hub() {
    let (hub, other) = two_hubs().await;
    for (record, host) in [(&hub.record, "hub.test"), (&other, "other.test")] {
        let mut client = opened(&hub, host).await;
        let policy = record.policy("service").unwrap();
        let token = sign_token(host, &policy.primary, hub.in_a_day(), Some("service"));
        client.prove(host, &token).await;
        let events = format!("{}/ConsumerGroups/$Default/Partitions/0", record.name);
        assert!(client.receiver(&events, 1).await.is_ok(), "{host}");
        let foreign = if host == "hub.test" { "other" } else { "hub" };
        let foreign = format!("{foreign}/ConsumerGroups/$Default/Partitions/0");
        assert!(client.receiver(&foreign, 1).await.is_err(), "{host}");
    }
}

#[tokio::test]
async fn a_name_that_no_hub_has_leaves_it_to_the_handshake() {
    let (hub, other) = two_hubs().await;
    // The clients of these tests ask for `hub.test` in the handshake.
    let mut client = opened(&hub, "third.test").await;
    let of_other = token_of(&hub, &other);
    assert_eq!(
        client.put_token("other.test/devices/d1", &of_other).await,
        401
    );
    let token = token_of(&hub, &hub.record);
    client.prove("hub.test/devices/d1", &token).await;
    let link = client.sender(EVENTS).await.unwrap();
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(b"x");
    assert_eq!(client.send(link, &message).await, "accepted");
    assert_eq!(hub.telemetry().await, "d1 [] x");
    assert_eq!(hub.telemetry_of(&other).await, "");
}
