//! Back ends: messages to devices.

use hub_amqp::{MessageId, MessageWriter, Outcome, Properties, Value};

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

#[tokio::test]
async fn feedback_is_taken_once_it_is_settled() {
    let hub = Hub::with_device().await;
    let mut service = hub.back_end("service").await;
    let send = service.sender("/messages/devicebound").await.unwrap();
    let to = "/devices/d1/messages/devicebound";
    assert_eq!(
        service.send(send, &message(Some(to), "full", b"one")).await,
        "accepted"
    );
    let mut device = hub.device("d1").await;
    let link = device.receiver(to, 5).await.unwrap();
    let got = device.receive(link).await;
    device.settle(&got, &Outcome::Accepted).await;

    let queue = "/messages/serviceBound/feedback";
    let link = service.receiver(queue, 5).await.unwrap();
    let first = service.receive(link).await;
    assert!(
        first
            .body()
            .contains("12121212-1212-1212-1212-121212121212")
    );
    let properties = first.sections().properties.unwrap();
    assert_eq!(
        properties.content_type,
        Some("application/vnd.microsoft.iothub.feedback.json")
    );
    // A receiver that goes away gives it back; one that releases it gets it again.
    service.detach(link).await;
    let link = service.receiver(queue, 5).await.unwrap();
    let again = service.receive(link).await;
    service.settle(&again, &Outcome::Released).await;
    let third = service.receive(link).await;
    assert_eq!(third.body(), first.body());
    service.settle(&third, &Outcome::Accepted).await;
    // What is settled is gone: the next thing that comes is the next feedback.
    assert_eq!(
        service.send(send, &message(Some(to), "full", b"two")).await,
        "accepted"
    );
    let got = device.receive(got.link).await;
    device.settle(&got, &Outcome::Rejected(None)).await;
    let next = service.receive(link).await;
    assert_ne!(next.body(), first.body());
}

#[tokio::test]
async fn queues_of_back_ends_are_not_for_devices_and_not_to_send_to() {
    let hub = Hub::with_device().await;
    let mut service = hub.back_end("service").await;
    let mut device = hub.device("d1").await;
    for queue in [
        "/messages/serviceBound/feedback",
        "/messages/serviceBound/filenotifications",
    ] {
        assert!(service.receiver(queue, 1).await.is_ok());
        assert_eq!(service.sender(queue).await, Err("amqp:not-allowed".into()));
        assert_eq!(
            device.receiver(queue, 1).await,
            Err("amqp:unauthorized-access".into())
        );
    }
}
