//! Devices that register with clients that are not run against the hub: C# and Java.
//!
//! `ProvisioningTransportHandlerAmqp.cs`, `ProvisioningAmqpOperations.java`.

use hub_amqp::{MessageId, MessageWriter, Properties, Value};

use super::{REGISTER, STATUS, document};
use crate::support::Hub;

/// A request of Java: nothing but the operation.
fn of_java(kind: &str, operation: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .application_properties(|map| {
            map.string("iotdps-operation-type", Value::String(kind));
            if let Some(operation) = operation {
                map.string("iotdps-operation-id", Value::String(operation));
            }
        })
        .data(b"");
    message
}

/// A request of C#: it tells what it wants in the body of a poll once more, and keeps its correlation id.
fn of_csharp(kind: &str, operation: Option<&str>) -> Vec<u8> {
    let mut message = Vec::new();
    let mut writer = MessageWriter::new(&mut message);
    writer.properties(&Properties {
        correlation_id: Some(MessageId::String("47c4a3c3-ee60-4f85-9590-3f74c9323cf7")),
        ..Properties::default()
    });
    writer.application_properties(|map| {
        map.string("iotdps-operation-type", Value::String(kind));
        match operation {
            None => map.string("iotdps-forceRegistration", Value::Bool(false)),
            Some(operation) => map.string("iotdps-operation-id", Value::String(operation)),
        };
    });
    match operation {
        None => writer.data(br#"{"registrationId":null,"tpm":null,"payload":{"a":1}}"#),
        Some(_) => writer.value(Value::String(kind)),
    };
    message
}

#[tokio::test]
async fn requests_of_other_clients_are_answered() {
    type Make = fn(&str, Option<&str>) -> Vec<u8>;
    let kinds: [(&str, &str, Make, &str); 2] = [
        ("Java", "/", of_java, "None"),
        ("C#", "", of_csharp, "Some(String("),
    ];
    for (name, before, make, correlation) in kinds {
        let hub = Hub::new().await;
        hub.enrolled("d1").await;
        let mut client = hub.logged_in("d1").await;
        let address = format!("{before}{}", hub.address_of("d1"));
        let replies = client.receiver(&address, 100).await.unwrap();
        let requests = client.sender(&address).await.unwrap();
        let message = make(REGISTER, None);
        assert_eq!(client.send(requests, &message).await, "accepted", "{name}");
        let reply = client.receive(replies).await;
        assert!(
            super::correlation(&reply).starts_with(correlation),
            "{name}"
        );
        let begun = document(&reply);
        assert_eq!(begun["status"], "assigning", "{name}");
        let operation = begun["operationId"].as_str().unwrap();
        let message = make(STATUS, Some(operation));
        assert_eq!(client.send(requests, &message).await, "accepted", "{name}");
        let done = document(&client.receive(replies).await);
        assert_eq!(done["status"], "assigned", "{name}");

        let state = &done["registrationState"];
        assert_eq!(state["assignedHub"], "hub.test", "{name}");
    }
}
