//! The Event Hubs endpoint: questions, readers, and who may not read.

use hub_amqp::{LinkId, MessageId, MessageWriter, Outgoing, Properties, Value};

use crate::support::{Client, Hub, Reader};

const PARTITION: &str = "amqps://hub.test/hub/ConsumerGroups/$Default/Partitions/1";

fn reader(selector: &str) -> Reader<'_> {
    Reader {
        address: PARTITION,
        selector,
        epoch: None,
        credit: 10,
        metric: false,
    }
}

fn body(text: &str) -> Vec<u8> {
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(text.as_bytes());
    message
}

/// Sends telemetry of `d1`, which belongs to partition 1 of 4.
async fn send(hub: &Hub, bodies: &[&str]) {
    let mut device = hub.device("d1").await;
    let link = device.sender("/devices/d1/messages/events").await.unwrap();
    for text in bodies {
        assert_eq!(device.send(link, &body(text)).await, "accepted");
    }
    device.detach(link).await;
}

async fn next(client: &mut Client, link: LinkId) -> String {
    let event = client.receive(link).await;
    assert!(event.is_settled);
    format!("{} {}", event.annotation("x-opt-offset"), event.body())
}

async fn ask(client: &mut Client, kind: &str, partition: Option<&str>) -> (String, String) {
    let requests = client.sender("$management").await.unwrap();
    let replies = client.receiver("$management", 10).await.unwrap();
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .properties(&Properties {
            message_id: Some(MessageId::Uuid([7; 16])),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("operation", Value::String("READ"))
                .string("name", Value::String("hub"))
                .string("type", Value::String(kind));
            if let Some(partition) = partition {
                map.string("partition", Value::String(partition));
            }
        })
        .value(Value::Null);
    client
        .amqp
        .send(requests, &Outgoing::SETTLED, &message)
        .unwrap();
    let reply = client.receive(replies).await;
    let sections = reply.sections();
    assert_eq!(
        sections.properties.unwrap().correlation_id,
        Some(MessageId::Uuid([7; 16]))
    );
    let body = match sections.body {
        hub_amqp::Body::Value(Value::Map(map)) => map
            .iter()
            .map(|(key, value)| match value {
                Value::Array(array) => {
                    let items: Vec<_> = array.iter().map(|item| item.as_str().unwrap()).collect();
                    format!("{}={}", key.as_str().unwrap(), items.join(","))
                }
                Value::Timestamp(_) => format!("{} time", key.as_str().unwrap()),
                value => format!("{}={value:?}", key.as_str().unwrap()),
            })
            .collect::<Vec<_>>()
            .join(" "),
        other => format!("{other:?}"),
    };
    (reply.property("status-code"), body)
}

#[tokio::test]
async fn questions_about_the_log_are_answered() {
    let hub = Hub::with_device().await;
    send(&hub, &["a", "b"]).await;
    let mut client = hub.back_end("service").await;
    let (status, body) = ask(&mut client, "com.microsoft:eventhub", None).await;
    assert_eq!(status, "Some(Int(200))");
    assert_eq!(
        body,
        "name=String(\"hub\") type=String(\"com.microsoft:eventhub\") created_at time partition_count=Int(4) \
         partition_ids=0,1,2,3"
    );
    let (_, body) = ask(&mut client, "com.microsoft:partition", Some("1")).await;
    assert_eq!(
        body,
        "name=String(\"hub\") type=String(\"com.microsoft:partition\") partition=String(\"1\") \
         begin_sequence_number=Long(0) last_enqueued_sequence_number=Long(1) last_enqueued_offset=String(\"1\") \
         last_enqueued_time_utc time is_partition_empty=Bool(false)"
    );
    let (_, body) = ask(&mut client, "com.microsoft:partition", Some("0")).await;
    assert!(
        body.contains("last_enqueued_offset=String(\"-1\")"),
        "{body}"
    );
    assert!(body.contains("is_partition_empty=Bool(true)"), "{body}");
    for (kind, partition, status) in [
        ("com.microsoft:partition", Some("4"), "Some(Int(404))"),
        ("com.microsoft:partition", None, "Some(Int(400))"),
        ("other", None, "Some(Int(400))"),
    ] {
        assert_eq!(ask(&mut client, kind, partition).await.0, status);
    }
}

#[tokio::test]
async fn readers_begin_where_they_ask_to_and_go_on_live() {
    let hub = Hub::with_device().await;
    send(&hub, &["a", "b", "c"]).await;
    let mut client = hub.back_end("service").await;
    let all = client
        .reader(reader("amqp.annotation.x-opt-offset > '-1'"))
        .await
        .unwrap();
    let after = client
        .reader(reader("amqp.annotation.x-opt-sequence-number > '1'"))
        .await
        .unwrap();
    let latest = client
        .reader(reader("amqp.annotation.x-opt-offset > '@latest'"))
        .await
        .unwrap();
    for expected in ["0 a", "1 b", "2 c"] {
        assert_eq!(next(&mut client, all).await, expected);
    }
    assert_eq!(next(&mut client, after).await, "2 c");
    send(&hub, &["d"]).await;
    for link in [all, after, latest] {
        assert_eq!(next(&mut client, link).await, "3 d");
    }
}

#[tokio::test]
async fn no_more_is_sent_than_there_is_credit_for() {
    let hub = Hub::with_device().await;
    send(&hub, &["a", "b", "c"]).await;
    let mut client = hub.back_end("service").await;
    let link = client
        .reader(Reader {
            credit: 0,
            ..reader("")
        })
        .await
        .unwrap();
    client.amqp.grant(link, 2);
    client.flush().await;
    assert_eq!(next(&mut client, link).await, "0 a");
    assert_eq!(next(&mut client, link).await, "1 b");
    // Another answer overtakes what would have come by now.
    ask(&mut client, "com.microsoft:eventhub", None).await;
    client.amqp.grant(link, 1);
    client.flush().await;
    assert_eq!(next(&mut client, link).await, "2 c");
}

#[tokio::test]
async fn an_event_tells_who_sent_it_and_how_far_the_partition_is() {
    let hub = Hub::with_device().await;
    send(&hub, &["a"]).await;
    let mut client = hub.back_end("service").await;
    let link = client
        .reader(Reader {
            metric: true,
            ..reader("")
        })
        .await
        .unwrap();
    let event = client.receive(link).await;
    assert_eq!(event.annotation("iothub-connection-device-id"), "d1");
    assert_eq!(event.annotation("iothub-message-source"), "Telemetry");
    assert_eq!(event.annotation("x-opt-sequence-number"), "Long(0)");
    let delivery = event.sections().delivery_annotations;
    assert_eq!(
        delivery.get("last_enqueued_sequence_number"),
        Some(Value::Long(0))
    );
}

#[tokio::test]
async fn the_owner_level_decides_who_reads() {
    let hub = Hub::with_device().await;
    let mut client = hub.back_end("service").await;
    let plain = client.reader(reader("")).await.unwrap();
    let first = Reader {
        epoch: Some(1),
        ..reader("")
    };
    let owner = client.reader(first).await.unwrap();
    assert_eq!(client.detached(plain).await, "amqp:link:stolen");
    assert_eq!(
        client.reader(reader("")).await,
        Err("amqp:link:stolen".into())
    );
    let lower = Reader {
        epoch: Some(0),
        ..first
    };
    assert_eq!(client.reader(lower).await, Err("amqp:link:stolen".into()));
    // Names of consumer groups compare without case.
    let same = Reader {
        address: "hub/consumergroups/$default/partitions/1",
        ..first
    };
    let mut other = hub.back_end("service").await;
    other.reader(same).await.unwrap();
    assert_eq!(client.detached(owner).await, "amqp:link:stolen");
    let elsewhere = Reader {
        address: "hub/ConsumerGroups/another/Partitions/1",
        ..reader("")
    };
    assert!(client.reader(elsewhere).await.is_ok());
}

#[tokio::test]
async fn five_readers_without_an_owner_level_share_a_partition() {
    let hub = Hub::with_device().await;
    let mut client = hub.back_end("service").await;
    let first = client.reader(reader("")).await.unwrap();
    for _ in 0..4 {
        client.reader(reader("")).await.unwrap();
    }
    let refused = Err("amqp:resource-limit-exceeded".to_owned());
    assert_eq!(client.reader(reader("")).await, refused);
    client.detach(first).await;
    assert!(client.reader(reader("")).await.is_ok());
}

#[tokio::test]
async fn readers_of_nothing_are_refused() {
    let hub = Hub::with_device().await;
    let mut client = hub.back_end("service").await;
    for (address, selector, condition) in [
        (
            "hub/ConsumerGroups/$Default/Partitions/4",
            "",
            "amqp:not-found",
        ),
        (
            "hub/ConsumerGroups/$Default/Partitions/x",
            "",
            "amqp:not-found",
        ),
        (
            "other/ConsumerGroups/$Default/Partitions/0",
            "",
            "amqp:not-found",
        ),
        ("hub/ConsumerGroups/a b/Partitions/0", "", "amqp:not-found"),
        (PARTITION, "nonsense", "com.microsoft:argument-error"),
    ] {
        let wanted = Reader {
            address,
            ..reader(selector)
        };
        assert_eq!(
            client.reader(wanted).await,
            Err(condition.to_owned()),
            "{address}"
        );
    }
    assert_eq!(
        client.sender(PARTITION).await,
        Err("amqp:not-allowed".into())
    );
}

#[tokio::test]
async fn tokens_for_the_event_hub_are_taken_in_every_spelling() {
    let hub = Hub::with_device().await;
    for audience in [
        "sb://hub.test/hub",
        "sb://hub.test/hub/consumergroups/$default",
        "sb://HUB.test/Hub/ConsumerGroups/$Default/Partitions/1",
    ] {
        let mut client = hub.open().await;
        let token = hub.policy_token("service", audience, hub.in_a_day());
        client.prove(audience, &token).await;
        assert!(client.reader(reader("")).await.is_ok(), "{audience}");
    }
    let mut client = hub.open().await;
    let audience = "sb://hub.test/hub/ConsumerGroups/$Default/Partitions/0";
    let token = hub.policy_token("service", audience, hub.in_a_day());
    client.prove(audience, &token).await;
    let refused = Err("amqp:unauthorized-access".to_owned());
    assert_eq!(
        client.reader(reader("")).await,
        refused,
        "another partition"
    );
    let mut client = hub.back_end("device").await;
    assert_eq!(
        client.reader(reader("")).await,
        refused,
        "another permission"
    );
}

#[tokio::test]
async fn the_hubs_own_address_sends_readers_to_its_event_hub() {
    let hub = Hub::with_device().await;
    let mut client = hub.back_end("service").await;
    for address in [
        "/messages/events/ConsumerGroups/$Default/Partitions/0",
        "amqps://hub.test/messages/events/$management",
    ] {
        assert_eq!(
            client.receiver(address, 1).await,
            Err("amqp:link:redirect".into())
        );
    }
}
