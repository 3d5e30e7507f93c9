//! Back ends: messages to devices.

use hub_amqp::{MessageId, MessageWriter, Properties, Value};

use crate::support::Hub;

fn message(to: Option<&str>, ack: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    MessageWriter::new(&mut out)
        .properties(&Properties {
            message_id: Some(MessageId::Uuid([0x12; 16])),
            to,
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("iothub-ack", Value::String(ack))
                .string("p", Value::String("q"));
        })
        .data(body);
    out
}

#[tokio::test]
async fn messages_go_to_devices_and_modules() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    let mut service = hub.back_end("service").await;
    let send = service.sender("/messages/deviceBound").await.unwrap();
    let to = "/devices/d1/messages/devicebound";
    assert_eq!(
        service.send(send, &message(Some(to), "full", b"one")).await,
        "accepted"
    );
    let to = "/devices/d1/modules/m1/messages/deviceBound";
    assert_eq!(
        service.send(send, &message(Some(to), "none", b"two")).await,
        "accepted"
    );
    let mut device = hub.device("d1").await;
    let link = device
        .receiver("/devices/d1/messages/devicebound", 5)
        .await
        .unwrap();
    let got = device.receive(link).await;
    assert_eq!(got.body(), "one");
    assert_eq!(got.property("p"), "Some(String(\"q\"))");
    assert_eq!(got.property("iothub-ack"), "Some(String(\"full\"))");
    assert_eq!(
        got.sections().properties.unwrap().message_id,
        Some(MessageId::String("12121212-1212-1212-1212-121212121212"))
    );
    hub.check_waiting("d1/m1", 1).await;
}

#[tokio::test]
async fn messages_that_go_nowhere_are_rejected() {
    let hub = Hub::with_device().await;
    let mut service = hub.back_end("service").await;
    let send = service.sender("/messages/devicebound").await.unwrap();
    let to = |id: &str| format!("/devices/{id}/messages/devicebound");
    for (message, outcome) in [
        (
            message(Some(&to("nobody")), "none", b""),
            "rejected amqp:not-found",
        ),
        (
            message(Some("/elsewhere"), "none", b""),
            "rejected amqp:not-found",
        ),
        (
            message(None, "none", b""),
            "rejected com.microsoft:argument-error",
        ),
        (
            message(Some(&to("d1")), "loud", b""),
            "rejected com.microsoft:argument-error",
        ),
        (
            message(Some(&to("d1")), "none", &[0; 65_537]),
            "rejected amqp:link:message-size-exceeded",
        ),
        (b"\xff".to_vec(), "rejected com.microsoft:argument-error"),
    ] {
        assert_eq!(service.send(send, &message).await, outcome);
    }
    hub.check_waiting("d1", 0).await;
}
