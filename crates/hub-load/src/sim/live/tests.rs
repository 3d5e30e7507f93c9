use std::sync::Arc;

use hub_domain::SymmetricKey;
use tokio::sync::Semaphore;

use super::*;
use crate::backoff::Dice;
use crate::fake_server::{FakeServer, Script, Seen};
use crate::fleet::{Member, Origin};
use crate::pacing::Rate;
use crate::sim::Plan;
use crate::sim::counters::Counters;

fn plan(server: &FakeServer, rate: f64) -> Arc<Plan> {
    Arc::new(Plan {
        host: "hub.test".into(),
        endpoint: server.endpoint(),
        rate: Rate::new(rate),
        qos: QoS::AtLeastOnce,
        size: 128,
        twin_interval: None,
        drop_rate: 0.0,
        gate: Semaphore::new(64),
        counters: Counters::default(),
    })
}

fn device(plan: &Arc<Plan>) -> Device {
    let key = SymmetricKey::from_bytes(&[1; 32]).unwrap();
    let member = Member {
        id: "sim-000001".into(),
        key,
        origin: Origin::Created,
    };
    Device::new(Arc::clone(plan), member, Dice::new(1))
}

async fn reported(server: &mut FakeServer) -> Value {
    loop {
        let (topic, payload) = server.next_publish().await;
        if topic.starts_with("$iothub/twin/PATCH/properties/reported/") {
            return serde_json::from_str(&payload).unwrap();
        }
    }
}

#[tokio::test]
async fn a_device_logs_in_subscribes_reads_its_twin_and_reports_what_is_desired() {
    let twin = r#"{"desired":{"interval":5,"$version":1},"reported":{"$version":1}}"#;
    let mut server = FakeServer::start(Script {
        twin,
        ..Script::default()
    })
    .await;
    let plan = plan(&server, 0.0);
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(device(&plan).run(stopped));

    let Seen::Connect {
        client_id,
        user_name,
        clean_session,
    } = server.next().await
    else {
        panic!("CONNECT comes first")
    };
    assert_eq!((client_id.as_str(), clean_session), ("sim-000001", false));
    assert!(user_name.starts_with("hub.test/sim-000001/?api-version="));
    let Seen::Subscribe(filters) = server.next().await else {
        panic!("then SUBSCRIBE")
    };
    assert_eq!(filters.len(), 4);
    assert_eq!(server.next_publish().await.0, "$iothub/twin/GET/?$rid=1");
    let patch = reported(&mut server).await;
    assert_eq!(patch["interval"], 5);
    assert_eq!(patch.get("$version"), None);

    stop.send_replace(true);
    run.await.unwrap();
    assert_eq!(server.next().await, Seen::Disconnect);
}

#[tokio::test]
async fn a_device_answers_methods_desired_patches_and_messages() {
    let messages = vec![
        ("$iothub/methods/POST/echo/?$rid=a1", r#"{"x":1}"#),
        ("$iothub/methods/POST/unknown/?$rid=a2", ""),
        (
            "$iothub/twin/PATCH/properties/desired/?$version=4",
            r#"{"gone":null,"$version":4}"#,
        ),
        ("devices/sim-000001/messages/devicebound/%24.mid=1", "hello"),
    ];
    let mut server = FakeServer::start(Script {
        messages,
        twin: "{}",
        ..Script::default()
    })
    .await;
    let plan = plan(&server, 0.0);
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(device(&plan).run(stopped));

    let echo = server.next_publish_of("$iothub/methods/res/").await;
    assert_eq!(
        echo,
        (
            "$iothub/methods/res/200/?$rid=a1".into(),
            r#"{"x":1}"#.into()
        )
    );
    let unknown = server.next_publish_of("$iothub/methods/res/").await;
    assert_eq!(unknown.0, "$iothub/methods/res/404/?$rid=a2");
    server
        .until(&Seen::Delivered(
            "devices/sim-000001/messages/devicebound/%24.mid=1",
        ))
        .await;
    stop.send_replace(true);
    run.await.unwrap();
    let counters = &plan.counters;
    assert_eq!(
        (
            counters.methods.value(),
            counters.desired.value(),
            counters.messages.value()
        ),
        (2, 1, 1)
    );
}

#[tokio::test]
async fn telemetry_that_a_broken_connection_swallowed_is_sent_again() {
    let mut server = FakeServer::start(Script {
        drops: 1,
        twin: "{}",
        ..Script::default()
    })
    .await;
    let plan = plan(&server, 200.0);
    let (stop, stopped) = watch::channel(false);
    let run = tokio::spawn(device(&plan).run(stopped));
    server.until(&Seen::Closed).await;
    let first = loop {
        if let Seen::Publish {
            topic,
            duplicate,
            payload,
            ..
        } = server.next().await
            && topic.contains("/messages/events/")
        {
            let body: Value = serde_json::from_slice(&payload).unwrap();
            break (body["sequence"].clone(), duplicate);
        }
    };
    assert_eq!(first, (json!(0), true));
    stop.send_replace(true);
    run.await.unwrap();
    let counters = &plan.counters;
    assert_eq!((counters.lost.value(), counters.opened.value()), (1, 2));
    assert!(counters.repeated.value() >= 1);
    assert_eq!(counters.sent.value(), counters.acknowledged.value());
}

#[tokio::test]
async fn a_device_told_to_reboot_answers_leaves_and_comes_back() {
    let messages = vec![("$iothub/methods/POST/reboot/?$rid=7", "")];
    let mut server = FakeServer::start(Script {
        messages,
        twin: "{}",
        ..Script::default()
    })
    .await;
    let plan = plan(&server, 0.0);
    let (_stop, stopped) = watch::channel(false);
    let run = tokio::spawn(device(&plan).run(stopped));
    let (topic, body) = server.next_publish_of("$iothub/methods/res/").await;
    assert_eq!(
        (topic.as_str(), body.as_str()),
        ("$iothub/methods/res/200/?$rid=7", r#"{"rebooting":true}"#)
    );
    server.until(&Seen::Disconnect).await;
    server.until(&Seen::Closed).await;
    assert!(matches!(server.next().await, Seen::Connect { .. }));
    run.abort();
}

#[test]
fn what_the_hub_keeps_for_itself_is_not_reported_back() {
    let desired = json!({ "a": { "b": null }, "$version": 3, "$metadata": {} });
    let patch = echo_of(desired.as_object());
    assert_eq!(patch.len(), 2);
    assert_eq!(patch["a"], json!({ "b": null }));
    assert_eq!(echo_of(None).len(), 1);
}
