//! Devices: telemetry, messages, methods, twins; many on one connection; who takes whose place.

use hub_amqp::{LinkId, MessageId, MessageWriter, Outcome, Properties, Value};
use hub_domain::IdentityId;
use hub_engine::sessions::{Credential, OpenRequest, Persistence};
use serde_json::json;

use crate::support::{Client, Hub, token};

const BATCH: u32 = 0x8001_3700;

fn message(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MessageWriter::new(&mut out)
        .properties(&Properties {
            message_id: Some(MessageId::String("m")),
            content_type: Some("application/json"),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("a", Value::String("b"));
        })
        .data(body);
    out
}

#[tokio::test]
async fn telemetry_is_accepted_when_it_is_stored() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let link = client
        .sender("amqps://hub.test:5671/devices/d1/messages/events/")
        .await
        .unwrap();
    assert_eq!(client.send(link, &message(b"one")).await, "accepted");
    client.send_settled(link, &message(b""));
    let mut batch = Vec::new();
    MessageWriter::new(&mut batch)
        .data(&message(b"three"))
        .data(&message(b"four"));
    assert_eq!(client.send_as(link, BATCH, &batch).await, "accepted");
    let bag = "%24.mid=m&%24.ct=application%2Fjson&a=b";
    assert_eq!(
        hub.telemetry().await,
        format!("d1 [{bag}] one\nd1 [{bag}] \nd1 [{bag}] three\nd1 [{bag}] four")
    );
}

#[tokio::test]
async fn telemetry_up_to_256_kib_is_taken_and_more_is_rejected() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let link = client.sender("/devices/d1/messages/events").await.unwrap();
    // Message id and content type have 17 bytes, the property two.
    let largest = 256 * 1_024 - 19;
    assert_eq!(
        client.send(link, &message(&vec![0; largest])).await,
        "accepted"
    );
    assert_eq!(
        client.send(link, &message(&vec![0; largest + 1])).await,
        "rejected amqp:link:message-size-exceeded"
    );
    assert_eq!(
        client.send(link, b"\xff\xff").await,
        "rejected amqp:decode-error"
    );
    let mut list = Vec::new();
    MessageWriter::new(&mut list).value(Value::Int(7));
    assert_eq!(
        client.send(link, &list).await,
        "rejected amqp:not-implemented"
    );
    assert_eq!(
        client.send_as(link, BATCH, b"").await,
        "rejected amqp:not-implemented"
    );
    assert_eq!(client.send(link, &message(b"x")).await, "accepted");
}

#[tokio::test]
async fn many_devices_and_modules_share_a_connection() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    hub.given("d1/m1").await;
    let mut client = hub.device("d1").await;
    for id in ["d2", "d1/m1"] {
        let audience = crate::support::resource(id);
        client.prove(&audience, &token(id, hub.in_a_day())).await;
    }
    for (address, body) in [
        ("/devices/d1/messages/events", "1"),
        ("/devices/d2/messages/events", "2"),
        ("/devices/d1/modules/m1/messages/events", "3"),
    ] {
        let link = client.sender(address).await.unwrap();
        assert_eq!(
            client.send(link, &message(body.as_bytes())).await,
            "accepted"
        );
    }
    let telemetry = hub.telemetry().await;
    assert_eq!(telemetry.lines().count(), 3, "{telemetry}");
}

#[tokio::test]
async fn messages_are_done_when_the_device_says_so() {
    let hub = Hub::with_device().await;
    hub.send("d1", "one").await;
    hub.send("d1", "two").await;
    let mut client = hub.device("d1").await;
    let link = client
        .receiver("/devices/d1/messages/deviceBound", 10)
        .await
        .unwrap();
    let one = client.receive(link).await;
    assert_eq!(one.body(), "one");
    assert_eq!(
        one.sections().properties.unwrap().message_id,
        Some(MessageId::String("m1"))
    );
    assert_eq!(one.property("a"), "Some(String(\"b\"))");
    let two = client.receive(link).await;
    hub.check_waiting("d1", 2).await;
    client.settle(&one, &Outcome::Accepted).await;
    hub.check_waiting("d1", 1).await;
    client.settle(&two, &Outcome::Rejected(None)).await;
    hub.check_waiting("d1", 0).await;
    hub.send("d1", "three").await;
    assert_eq!(client.receive(link).await.body(), "three");
}

#[tokio::test]
async fn a_message_that_was_not_settled_comes_again_on_the_next_connection() {
    let hub = Hub::with_device().await;
    hub.send("d1", "one").await;
    for _ in 0..2 {
        let mut client = hub.device("d1").await;
        let link = client
            .receiver("/devices/d1/messages/devicebound", 1)
            .await
            .unwrap();
        assert_eq!(client.receive(link).await.body(), "one");
    }
    hub.check_waiting("d1", 1).await;
}

#[tokio::test]
async fn an_abandoned_message_comes_again_and_counts() {
    let hub = Hub::with_device().await;
    hub.send("d1", "one").await;
    let mut client = hub.device("d1").await;
    let link = client
        .receiver("/devices/d1/messages/devicebound", 10)
        .await
        .unwrap();
    let first = client.receive(link).await;
    assert_eq!(first.annotation("iothub-deliverycount"), "Ubyte(0)");
    client.settle(&first, &Outcome::Released).await;
    let second = client.receive(link).await;
    assert_eq!(
        (&*second.body(), &*second.annotation("iothub-deliverycount")),
        ("one", "Ubyte(1)")
    );
    client.settle(&second, &Outcome::Accepted).await;
    hub.check_waiting("d1", 0).await;
}

#[tokio::test]
async fn a_message_of_a_link_that_was_closed_comes_again_on_the_next_link() {
    let hub = Hub::with_device().await;
    hub.send("d1", "one").await;
    let mut client = hub.device("d1").await;
    client.sender("/devices/d1/messages/events").await.unwrap();
    for _ in 0..2 {
        let link = client
            .receiver("/devices/d1/messages/devicebound", 10)
            .await
            .unwrap();
        let got = client.receive(link).await;
        assert_eq!(
            (&*got.body(), &*got.annotation("iothub-deliverycount")),
            ("one", "Ubyte(0)")
        );
        client.detach(link).await;
    }
}

struct Twin {
    client: Client,
    requests: LinkId,
    answers: LinkId,
}

impl Twin {
    async fn of(hub: &Hub, id: &str) -> Self {
        let mut client = hub.device(id).await;
        let address = format!("/devices/{id}/twin");
        Self {
            requests: client.sender(&address).await.unwrap(),
            answers: client.receiver(&address, 100).await.unwrap(),
            client,
        }
    }

    fn send(&mut self, operation: &str, resource: Option<&str>, body: &str) {
        let mut out = Vec::new();
        MessageWriter::new(&mut out)
            .message_annotations(|map| {
                map.symbol("operation", Value::String(operation));
                if let Some(resource) = resource {
                    map.symbol("resource", Value::String(resource));
                }
            })
            .properties(&Properties {
                correlation_id: Some(MessageId::String("c")),
                ..Properties::default()
            })
            .data(body.as_bytes());
        self.client.send_settled(self.requests, &out);
    }

    async fn next(&mut self) -> String {
        let answer = self.client.receive(self.answers).await;
        let id = answer.sections().properties.and_then(|p| p.correlation_id);
        let id = if id == Some(MessageId::String("c")) {
            "c"
        } else {
            "-"
        };
        format!(
            "{id} {} {} {}",
            answer.annotation("status"),
            answer.annotation("version"),
            answer.body()
        )
    }

    async fn ask(&mut self, operation: &str, resource: Option<&str>, body: &str) -> String {
        self.send(operation, resource, body);
        self.next().await
    }
}

#[tokio::test]
async fn twins_are_read_patched_and_watched() {
    const DESIRED: Option<&str> = Some("/notifications/twin/properties/desired");
    const REPORTED: Option<&str> = Some("/properties/reported");
    let hub = Hub::with_device().await;
    let mut twin = Twin::of(&hub, "d1").await;
    assert_eq!(
        twin.ask("GET", None, " ").await,
        "c Int(200) none {\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}"
    );
    // A read behind patches sees them.
    twin.send("PATCH", REPORTED, "{\"x\":1}");
    twin.send("GET", None, " ");
    assert_eq!(twin.next().await, "c Int(204) Long(2) ");
    assert_eq!(
        twin.next().await,
        "c Int(200) none {\"desired\":{\"$version\":1},\"reported\":{\"x\":1,\"$version\":2}}"
    );
    let failed = twin.ask("PATCH", REPORTED, "nonsense").await;
    assert!(failed.starts_with("c Int(400) none {"), "{failed}");
    let failed = twin.ask("POST", None, "").await;
    assert!(failed.starts_with("c Int(400)"), "{failed}");
    assert_eq!(twin.ask("PUT", DESIRED, " ").await, "c Int(200) none ");
    hub.patch_desired("d1", json!({ "y": 2 })).await;
    assert_eq!(twin.next().await, "- none none {\"$version\":2,\"y\":2}");
    assert_eq!(twin.ask("DELETE", DESIRED, " ").await, "c Int(200) none ");
    hub.patch_desired("d1", json!({ "y": 3 })).await;
    let read = twin.ask("GET", None, " ").await;
    assert!(read.contains("\"y\":3"), "{read}");
}

#[tokio::test]
async fn methods_are_called_and_answered() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let address = "/devices/d1/methods/devicebound";
    let answers = client.sender(address).await.unwrap();
    let calls = client.receiver(address, 10).await.unwrap();
    let invoked = tokio::spawn(hub.invoke("d1", "reboot", b"{\"a\":1}"));
    let call = client.receive(calls).await;
    assert_eq!(
        call.property("IoThub-methodname"),
        "Some(String(\"reboot\"))"
    );
    assert_eq!(call.body(), "{\"a\":1}");
    let sections = call.sections();
    let id = sections.properties.unwrap().correlation_id.unwrap();
    assert!(matches!(id, MessageId::Uuid(_)), "{id:?}");
    let mut answer = Vec::new();
    MessageWriter::new(&mut answer)
        .properties(&Properties {
            correlation_id: Some(id),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("IoThub-status", Value::Int(201));
        })
        .data(b"{\"ok\":true}");
    assert_eq!(client.send(answers, &answer).await, "accepted");
    let answered = invoked.await.unwrap().unwrap();
    assert_eq!(
        (answered.status, &answered.payload[..]),
        (201, &b"{\"ok\":true}"[..])
    );
    assert_eq!(
        client.send(answers, &message(b"{}")).await,
        "rejected amqp:decode-error"
    );
}

#[tokio::test]
async fn a_newer_connection_of_another_protocol_takes_the_place() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    client.sender("/devices/d1/messages/events").await.unwrap();
    let request = OpenRequest {
        hub: std::sync::Arc::clone(&hub.record),
        id: IdentityId::parse("d1").unwrap(),
        credential: Credential::Token(&token("d1", hub.in_a_day())),
        model_id: None,
        persistence: Persistence::Kept,
    };
    let now = hub.engine.environment().now();
    let other = hub.engine.sessions.open(now, request).await.unwrap();
    assert_eq!(client.ended().await, "com.microsoft:link-creation-conflict");
    hub.check_ended("superseded 1").await;
    // And back again.
    let mut client = hub.device("d1").await;
    client.sender("/devices/d1/messages/events").await.unwrap();
    let closed = std::future::poll_fn(|context| other.session.poll_close(context));
    closed.await;
}

#[tokio::test]
async fn a_disabled_device_is_cut_and_others_on_its_connection_are_not() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    let mut client = hub.device("d1").await;
    client
        .prove("hub.test/devices/d2", &token("d2", hub.in_a_day()))
        .await;
    let first = client.sender("/devices/d1/messages/events").await.unwrap();
    let second = client.sender("/devices/d2/messages/events").await.unwrap();
    hub.disable("d1").await;
    assert_eq!(client.detached(first).await, "amqp:unauthorized-access");
    assert_eq!(client.send(second, &message(b"x")).await, "accepted");
    hub.disable("d2").await;
    assert_eq!(client.ended().await, "amqp:unauthorized-access");
    hub.check_ended("identity_changed 1").await;
}

#[tokio::test]
async fn the_last_link_ends_the_session() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let link = client.sender("/devices/d1/messages/events").await.unwrap();
    let connected = || async {
        let registry = &hub.engine.registry;
        let ctx = hub_engine::OpContext {
            caller: hub_engine::Caller::Admin,
            request_id: String::new(),
            now: hub.engine.environment().now(),
        };
        let id = IdentityId::parse("d1").unwrap();
        let view = registry.fetch(&ctx, hub.record.no, &id).await.unwrap();
        view.activity.connected
    };
    assert!(connected().await);
    client.detach(link).await;
    while connected().await {
        tokio::task::yield_now().await;
    }
    assert!(client.sender("/devices/d1/messages/events").await.is_ok());
}
