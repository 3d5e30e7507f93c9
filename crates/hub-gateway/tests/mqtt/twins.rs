//! Twin requests and desired patches.

use hub_gateway::CloseCause;
use hub_storage::memory::Faults as _;
use serde_json::json;

use crate::support::{Hub, Login, publish, subscribe, unsubscribe};

const ANSWERS: &str = "$iothub/twin/res/#";
const DESIRED: &str = "$iothub/twin/PATCH/properties/desired/#";
const GET: &str = "$iothub/twin/GET/?$rid=g";
const PATCH: &str = "$iothub/twin/PATCH/properties/reported/?$rid=p";

#[tokio::test]
async fn a_device_reads_and_patches_its_twin() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    client
        .ask(
            publish(0, GET, b"ignored"),
            r#"$iothub/twin/res/200/?$rid=g: {"desired":{"$version":1},"reported":{"$version":1}}"#,
        )
        .await;
    client
        .ask(
            publish(2, PATCH, br#"{"a":{"b":1}}"#),
            "puback 2\n$iothub/twin/res/204/?$rid=p&$version=2:",
        )
        .await;
    assert_eq!(hub.reported("d1").await, r#"{"a":{"b":1}}"#);
}

#[tokio::test]
async fn bad_patches_are_answered_and_change_nothing() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(5_000));
    let too_long_text = vec![b' '; 200_000];
    for (number, bad) in (2..).zip([
        b"".as_slice(),
        b"[]",
        b"{",
        b"{\"a\":",
        deep.as_bytes(),
        long.as_bytes(),
        b"{\"$version\":1}",
        b"\xff",
        &too_long_text,
    ]) {
        client.send(&publish(number, PATCH, bad)).await;
        assert_eq!(client.next().await, format!("puback {number}"));
        let answer = client.next().await;
        assert!(
            answer.starts_with("$iothub/twin/res/4") && answer.contains(r#""errorCode":"#),
            "{answer}"
        );
    }
    let stale = format!("{PATCH}&$version=9");
    client.send(&publish(0, &stale, b"{}")).await;
    let answer = client.next().await;
    assert!(
        answer.starts_with("$iothub/twin/res/412/?$rid=p:"),
        "{answer}"
    );
    assert_eq!(hub.reported("d1").await, "{}");
}

#[tokio::test]
async fn who_does_not_subscribe_to_answers_gets_none() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(publish(1, GET, b""), "puback 1").await;
    client
        .ask(publish(2, PATCH, br#"{"a":1}"#), "puback 2")
        .await;
    client.ask(publish(3, PATCH, b"no json"), "puback 3").await;
    client.ping().await;
    assert_eq!(hub.reported("d1").await, r#"{"a":1}"#);
}

#[tokio::test]
async fn a_patch_is_acknowledged_after_its_commit() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    hub.store.hold();
    client.send(&publish(2, PATCH, br#"{"a":1}"#)).await;
    client.check_quiet().await;
    hub.store.resume();
    client
        .check("puback 2\n$iothub/twin/res/204/?$rid=p&$version=2:")
        .await;
}

#[tokio::test]
async fn a_store_that_fails_ends_the_connection_without_an_answer() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    hub.store.fail_next(1);
    client.send(&publish(2, PATCH, br#"{"a":1}"#)).await;
    client.check_closed().await;
    hub.check_ended(&format!("{} 1", CloseCause::StorageFailed.as_str()))
        .await;
    assert_eq!(hub.reported("d1").await, "{}");
}

#[tokio::test]
async fn desired_patches_reach_subscribers_in_order() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    hub.patch_desired("d1", json!({"early": 1})).await;
    client.ask(subscribe(1, &[DESIRED]), "suback 1 [1]").await;
    hub.patch_desired("d1", json!({"a": 1})).await;
    hub.patch_desired("d1", json!({"a": null, "b": {"c": 2}}))
        .await;
    client
        .check(
            r#"$iothub/twin/PATCH/properties/desired/?$version=3: {"$version":3,"a":1}
             $iothub/twin/PATCH/properties/desired/?$version=4: {"$version":4,"a":null,"b":{"c":2}}"#,
        )
        .await;
    client.ask(unsubscribe(2, DESIRED), "unsuback 2").await;
    hub.patch_desired("d1", json!({"a": 5})).await;
    client.check_quiet().await;
}

#[tokio::test]
async fn subscriptions_are_answered_one_by_one() {
    let hub = Hub::with_device().await;
    let mut client = hub.open(Login::clean("d1")).await;
    let filters = [
        ANSWERS,
        "0:$iothub/methods/POST/#",
        "#",
        "devices/d2/messages/devicebound/#",
        "devices/d1/messages/devicebound/#",
        "devices/d1/#",
    ];
    client
        .ask(subscribe(7, &filters), "suback 7 [1, 0, 128, 128, 1, 128]")
        .await;
    client.ask(unsubscribe(8, "#"), "unsuback 8").await;
}

#[tokio::test]
async fn a_subscription_is_acknowledged_after_its_commit() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    hub.store.hold();
    client.send(&subscribe(1, &[DESIRED])).await;
    client.check_quiet().await;
    hub.store.resume();
    client.check("suback 1 [1]").await;
    hub.store.fail_next(1);
    client.send(&unsubscribe(2, DESIRED)).await;
    client.check_closed().await;
    hub.check_ended("storage_failed 1").await;
}

#[tokio::test]
async fn many_reads_in_one_write_are_all_answered() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for number in 0..2_000 {
        bytes.extend(publish(0, &format!("$iothub/twin/GET/?$rid={number}"), b""));
        expected.push(format!(
            r#"$iothub/twin/res/200/?$rid={number}: {{"desired":{{"$version":1}},"reported":{{"$version":1}}}}"#
        ));
    }
    client.send(&bytes).await;
    client.check(&expected.join("\n")).await;
}

#[tokio::test]
async fn a_read_shows_the_patches_that_came_before_it() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client.ask(subscribe(1, &[ANSWERS]), "suback 1 [1]").await;
    hub.store.hold();
    let mut bytes = publish(0, PATCH, br#"{"a":1}"#);
    bytes.extend(publish(0, GET, b""));
    client.send(&bytes).await;
    client.check_quiet().await;
    hub.store.resume();
    client
        .check(
            r#"$iothub/twin/res/204/?$rid=p&$version=2:
             $iothub/twin/res/200/?$rid=g: {"desired":{"$version":1},"reported":{"a":1,"$version":2}}"#,
        )
        .await;
}
