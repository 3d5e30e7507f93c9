//! Telemetry: what is stored, when it is acknowledged, in which order.

use hub_gateway::CloseCause;
use hub_storage::memory::Faults as _;

use crate::support::{Hub, Login, publish, publish_flagged, subscribe};

const EVENTS: &str = "devices/d1/messages/events/";
const BYTES_MAX: usize = 262_144;

#[tokio::test]
async fn telemetry_is_stored_with_its_bag_and_flags() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    let topic = format!("{EVENTS}%24.ct=application%2Fjson&a=1");
    client.ask(publish(1, &topic, b"{}"), "puback 1").await;
    client
        .ask(
            publish(2, "devices/d1/messages/events", b"bare"),
            "puback 2",
        )
        .await;
    let both = publish_flagged(3, EVENTS, b"both", "dup retain");
    client.ask(both, "puback 3").await;
    client.send(&publish(0, EVENTS, b"quiet")).await;
    client
        .ask(publish_flagged(4, EVENTS, b"", "retain"), "puback 4")
        .await;
    assert_eq!(
        hub.telemetry().await,
        "d1 [%24.ct=application%2Fjson&a=1] {}
d1 [] bare
d1 [] both retain dup
d1 [] quiet
d1 []  retain"
    );
}

#[tokio::test]
async fn a_message_of_the_greatest_size_is_stored_and_one_byte_more_ends_the_connection() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client
        .ask(publish(1, EVENTS, &vec![b'x'; BYTES_MAX]), "puback 1")
        .await;
    // Counted after decoding: the name `k` and a value of 3 bytes; of a system property the value only.
    let topic = format!("{EVENTS}k=%20%C3%A4&%24.mid=ab");
    client
        .ask(publish(2, &topic, &vec![b'x'; BYTES_MAX - 6]), "puback 2")
        .await;
    client.ping().await;
    client
        .try_send(&publish(3, &topic, &vec![b'x'; BYTES_MAX - 5]))
        .await
        .unwrap();
    client.check_closed().await;
    hub.check_ended(&format!("{} 1", CloseCause::BadMessage.as_str()))
        .await;
    let mut again = hub.connect("d1").await;
    let too_large = publish(1, EVENTS, &vec![b'x'; BYTES_MAX + 1]);
    again.try_send(&too_large).await.unwrap();
    again.check_closed().await;
    hub.check_ended("bad_message 2").await;
    let sizes = ["(262144 bytes)", "(262138 bytes)"];
    let stored = hub.telemetry().await;
    assert!(
        stored.lines().count() == 2 && sizes.iter().all(|size| stored.contains(size)),
        "{stored}"
    );
}

#[tokio::test]
async fn a_puback_follows_the_commit() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    hub.log.hold();
    client.send(&publish(1, EVENTS, b"one")).await;
    client.check_quiet().await;
    assert_eq!(hub.log.waiting(), 1);
    hub.log.resume();
    client.check("puback 1").await;
    assert_eq!(hub.telemetry().await, "d1 [] one");
}

#[tokio::test]
async fn pubacks_leave_in_the_order_of_their_publishes() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    client
        .ask(subscribe(1, &["0:$iothub/twin/res/#"]), "suback 1 [0]")
        .await;
    hub.log.hold();
    let patch = "$iothub/twin/PATCH/properties/reported/?$rid=p";
    let mut bytes = publish(10, EVENTS, b"a");
    bytes.extend(publish(11, EVENTS, b"b"));
    bytes.extend(publish(12, patch, br#"{"x":1}"#));
    bytes.extend(publish(13, EVENTS, b"c"));
    bytes.extend(publish(14, "$iothub/twin/GET/?$rid=g", b""));
    bytes.extend(publish(15, "$iothub/methods/res/200/?$rid=1", b""));
    client.send(&bytes).await;
    // The patch and the read are done before the telemetry in front of them, and wait for it.
    client.check_quiet().await;
    hub.log.release(1);
    client
        .check(
            "puback 10
             puback 11
             puback 12
             $iothub/twin/res/204/?$rid=p&$version=2: ",
        )
        .await;
    client.check_quiet().await;
    hub.log.resume();
    client
        .check(
            r#"puback 13
             puback 14
             $iothub/twin/res/200/?$rid=g: {"desired":{"$version":1},"reported":{"x":1,"$version":2}}
             puback 15"#,
        )
        .await;
}

#[tokio::test]
async fn a_log_that_fails_ends_the_connection_without_a_puback() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    hub.log.fail_next(1);
    client.send(&publish(1, EVENTS, b"lost")).await;
    client.check_closed().await;
    hub.check_ended(&format!("{} 1", CloseCause::StorageFailed.as_str()))
        .await;
    let mut again = hub.connect("d1").await;
    again.ask(publish(1, EVENTS, b"kept"), "puback 1").await;
    assert_eq!(hub.telemetry().await, "d1 [] kept");
}

#[tokio::test]
async fn a_log_that_is_stuck_stops_reading_and_nothing_is_lost() {
    let hub = Hub::with_device().await;
    let mut client = hub.connect("d1").await;
    hub.log.hold();
    // 300 are more than a connection may have unanswered.
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for number in 1..=300 {
        bytes.extend(publish(number, EVENTS, &[b'x'; 4_000]));
        expected.push(format!("puback {number}"));
    }
    client.send(&bytes).await;
    client.check_quiet().await;
    hub.log.resume();
    client.check(&expected.join("\n")).await;
    assert_eq!(hub.telemetry().await.lines().count(), 300);
}

#[tokio::test]
async fn a_will_is_stored_when_its_device_vanishes_and_not_after_goodbye() {
    let hub = Hub::with_device().await;
    let login = |retain| Login {
        will: Some((format!("{EVENTS}why=gone"), "last".to_owned(), retain)),
        ..Login::of("d1")
    };
    let mut polite = hub.open(login(false)).await;
    polite.send(&crate::support::disconnect()).await;
    polite.check_closed().await;
    hub.check_ended("client_disconnect 1").await;
    assert_eq!(hub.telemetry().await, "");
    hub.open(login(false)).await.vanish();
    hub.check_telemetry("d1 [why=gone] last will").await;
    hub.check_ended("client_disconnect 1, socket_closed 1")
        .await;
    hub.open(login(true)).await.vanish();
    hub.check_telemetry("d1 [why=gone] last will\nd1 [why=gone] last retain will")
        .await;
    // A protocol violation is no goodbye.
    let mut rude = hub.open(login(false)).await;
    rude.send(b"\xf0\0").await;
    rude.check_closed().await;
    hub.check_ended("client_disconnect 1, socket_closed 2, protocol_violation 1")
        .await;
    assert_eq!(hub.telemetry().await.lines().count(), 3);
}
