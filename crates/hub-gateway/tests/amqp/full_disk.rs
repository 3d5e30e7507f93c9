//! Telemetry that cannot be made durable: nothing is accepted, and nothing that was accepted is lost.

use hub_amqp::{LinkId, MessageWriter};
use hub_storage::memory::Faults as _;

use crate::support::{Client, Hub};

async fn sender(client: &mut Client) -> LinkId {
    client.sender("/devices/d1/messages/events").await.unwrap()
}

fn message(body: &str) -> Vec<u8> {
    let mut message = Vec::new();
    MessageWriter::new(&mut message).data(body.as_bytes());
    message
}

#[tokio::test]
async fn a_full_disk_ends_the_connection_without_an_outcome() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let link = sender(&mut client).await;
    assert_eq!(client.send(link, &message("before")).await, "accepted");
    hub.log.fail_next(1);
    client.send_unanswered(link, &message("refused")).await;
    assert_eq!(client.ended().await, "closed");
    hub.check_ended("storage_failed 1").await;

    let mut again = hub.device("d1").await;
    let link = sender(&mut again).await;
    assert_eq!(again.send(link, &message("again")).await, "accepted");
    assert_eq!(hub.telemetry().await, "d1 [] before\nd1 [] again");
}

#[tokio::test]
async fn an_outcome_follows_the_commit() {
    let hub = Hub::with_device().await;
    let mut client = hub.device("d1").await;
    let link = sender(&mut client).await;
    hub.log.hold();
    for number in 0..50 {
        client
            .send_unanswered(link, &message(&number.to_string()))
            .await;
    }
    while hub.log.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(hub.telemetry().await, "");
    hub.log.resume();
    for _ in 0..50 {
        assert_eq!(client.outcome().await, "accepted");
    }
    assert_eq!(hub.telemetry().await.lines().count(), 50);
}

#[tokio::test]
async fn reads_and_methods_go_on_while_the_log_fails() {
    let hub = Hub::with_device().await;
    hub.given("d2").await;
    let mut writer = hub.device("d1").await;
    let link = sender(&mut writer).await;
    let mut reader = hub.device("d2").await;
    let calls = reader
        .receiver("/devices/d2/methods/devicebound", 1)
        .await
        .unwrap();
    hub.log.fail_next(1);
    writer.send_unanswered(link, &message("refused")).await;
    assert_eq!(writer.ended().await, "closed");
    let answer = hub.invoke("d2", "act", b"1");
    let called = tokio::spawn(answer);
    let call = reader.receive(calls).await;
    assert_eq!(call.body(), "1");
    called.abort();
}
