//! Cloud-to-device messages: delivery, acknowledgement, redelivery.

use crate::support::{Client, Hub, Login, disconnect, puback, subscribe, unsubscribe};

const FILTER: &str = "devices/d1/messages/devicebound/#";

/// A hub and its device `d1`, which takes messages with QoS 1.
async fn receiver() -> (Hub, Client) {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[FILTER]), "suback 1 [1]").await;
    (hub, client)
}

fn message(number: u16, body: &str) -> String {
    format!("devices/d1/messages/devicebound id {number}: {body}")
}

#[tokio::test]
async fn a_message_is_gone_when_its_device_acknowledges_it() {
    let (hub, mut client) = receiver().await;
    hub.send("d1", "hello").await;
    client.check(&message(1, "hello")).await;
    assert_eq!(hub.waiting("d1").await, 1);
    client.send(&puback(1)).await;
    client.ping().await;
    hub.check_waiting("d1", 0).await;
}

#[tokio::test]
async fn messages_that_wait_come_with_the_subscription() {
    let hub = Hub::with_device().await;
    hub.send("d1", "one").await;
    hub.send("d1", "two").await;
    let mut client = hub.connect("d1").await;
    client.check_quiet().await;
    client.send(&subscribe(1, &[FILTER])).await;
    let mut got = [
        client.next().await,
        client.next().await,
        client.next().await,
    ];
    got.sort();
    assert_eq!(
        got,
        [
            message(1, "one"),
            message(2, "two"),
            "suback 1 [1]".to_owned()
        ]
    );
}

#[tokio::test]
async fn an_unacknowledged_message_comes_again_marked_as_duplicate() {
    let (hub, mut client) = receiver().await;
    for body in ["one", "two", "three"] {
        hub.send("d1", body).await;
    }
    let expected = [message(1, "one"), message(2, "two"), message(3, "three")];
    client.check(&expected.join("\n")).await;
    client.send(&puback(2)).await;
    client.ping().await;
    hub.check_waiting("d1", 2).await;
    client.vanish();
    hub.check_ended("socket_closed 1").await;
    hub.send("d1", "four").await;
    let mut again = hub.tls().await;
    again.send(&Login::of("d1").packet()).await;
    again
        .check(
            "connack 0 resumed
             devices/d1/messages/devicebound id 1 dup: one
             devices/d1/messages/devicebound id 2 dup: three
             devices/d1/messages/devicebound id 3: four",
        )
        .await;
    for number in [3, 1, 2] {
        again.send(&puback(number)).await;
    }
    again.ping().await;
    hub.check_waiting("d1", 0).await;
}

#[tokio::test]
async fn sixteen_messages_may_be_unacknowledged() {
    let (hub, mut client) = receiver().await;
    for number in 1..=20 {
        hub.send("d1", format!("m{number}")).await;
    }
    for number in 1..=16 {
        client.check(&message(number, &format!("m{number}"))).await;
    }
    client.check_quiet().await;
    client.send(&puback(5)).await;
    client.check(&message(17, "m17")).await;
    client.check_quiet().await;
    for number in [1, 2, 3] {
        client.send(&puback(number)).await;
        client
            .check(&message(17 + number, &format!("m{}", 17 + number)))
            .await;
    }
    hub.check_waiting("d1", 16).await;
}

#[tokio::test]
async fn with_qos_0_a_message_is_gone_when_it_is_sent() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client
        .ask(subscribe(1, &[&format!("0:{FILTER}")]), "suback 1 [0]")
        .await;
    for number in 0..40 {
        hub.send("d1", format!("m{number}")).await;
    }
    for number in 0..40 {
        client
            .check(&format!("devices/d1/messages/devicebound: m{number}"))
            .await;
    }
    hub.check_waiting("d1", 0).await;
}

#[tokio::test]
async fn without_a_subscription_messages_wait() {
    let (hub, mut client) = receiver().await;
    client.ask(unsubscribe(2, FILTER), "unsuback 2").await;
    hub.send("d1", "later").await;
    client.check_quiet().await;
    client.send(&subscribe(3, &[FILTER])).await;
    let mut got = [client.next().await, client.next().await];
    got.sort();
    assert_eq!(got, [message(1, "later"), "suback 3 [1]".to_owned()]);
}

#[tokio::test]
async fn a_bag_too_long_for_a_topic_rejects_its_message_and_the_next_one_comes() {
    let (hub, mut client) = receiver().await;
    // Each space becomes three bytes in the topic.
    let properties = vec![("k".to_owned(), Some(" ".repeat(30_000)))];
    hub.send_with("d1", "too long", properties).await;
    hub.send("d1", "next").await;
    client.check(&message(1, "next")).await;
    hub.check_waiting("d1", 1).await;
    client.send(&puback(1)).await;
    client.ping().await;
    hub.check_waiting("d1", 0).await;
}

#[tokio::test]
async fn a_module_receives_under_its_own_topic() {
    let hub = Hub::with_device().await;
    hub.given("d1/m1").await;
    let mut client = hub.connect("d1/m1").await;
    client
        .ask(subscribe(1, &["devices/d1/modules/m1/#"]), "suback 1 [1]")
        .await;
    hub.send("d1/m1", "hello").await;
    client
        .check("devices/d1/modules/m1/messages/devicebound id 1: hello")
        .await;
}

#[tokio::test]
async fn a_clean_session_forgets_subscriptions_and_a_kept_one_keeps_them() {
    let (hub, mut client) = receiver().await;
    client.send(&disconnect()).await;
    client.check_closed().await;
    let connack = async |login: Login| {
        let mut client = hub.tls().await;
        client.send(&login.packet()).await;
        let answer = client.next().await;
        client.send(&disconnect()).await;
        client.check_closed().await;
        answer
    };
    assert_eq!(connack(Login::of("d1")).await, "connack 0 resumed");
    assert_eq!(connack(Login::clean("d1")).await, "connack 0");
    assert_eq!(connack(Login::of("d1")).await, "connack 0");
    hub.send("d1", "unheard").await;
    hub.connect("d1").await.check_quiet().await;
}

#[tokio::test]
async fn messages_outlive_a_clean_session() {
    let hub = Hub::with_device().await;
    let mut client = hub.open(Login::clean("d1")).await;
    client.ask(subscribe(1, &[FILTER]), "suback 1 [1]").await;
    hub.send("d1", "one").await;
    client.check(&message(1, "one")).await;
    client.vanish();
    let mut again = hub.open(Login::clean("d1")).await;
    again.check_quiet().await;
    again.send(&subscribe(1, &[FILTER])).await;
    let mut got = [again.next().await, again.next().await];
    got.sort();
    assert_eq!(got, [message(1, "one"), "suback 1 [1]".to_owned()]);
}
