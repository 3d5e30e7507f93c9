//! What changes while a device registers or moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hub_domain::provisioning::{AllocationPolicy, Terms};
use hub_domain::{Authentication, HostName, Status};
use hub_engine::IfMatch;
use hub_provisioning::{NewAttestation, NewEnrollment, RegisterRequest};
use serde_json::json;

use crate::support::{World, group_key, key, line, registration};
use crate::webhooks::Webhook;

#[tokio::test]
async fn a_hub_that_gets_another_name_keeps_its_devices() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    world.live("a", "d", "lived in").await;
    for host in ["b.test", "c.test"] {
        world.rename(host).await;
        let kept = world
            .service
            .registrations
            .fetch(&world.admin(), &registration("d"))
            .await
            .unwrap();
        assert_eq!(kept.assignment.unwrap().hub.as_str(), host);
        let outcome = world.register("d", &key(1)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {host} d initialAssignment")
        );
        assert!(world.settled("d").await.strays.is_empty());
        let twin = world.twin("a", "d").await.twin;
        assert_eq!(twin.back_end.tags.get("by"), Some(&json!("lived in")));
    }
}

async fn with_webhook() -> (World, Webhook) {
    let world = World::with(&["a.test"]).await;
    let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"a.test"}"#, 0).await;
    (world, webhook)
}

#[tokio::test]
async fn keys_that_are_rolled_meanwhile_are_those_that_count() {
    let (world, webhook) = with_webhook().await;
    world.enroll("d", webhook.terms()).await;
    let begun = world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    webhook.arrived.notified().await;
    let new = NewEnrollment {
        id: registration("d"),
        device: None,
        attestation: NewAttestation::SymmetricKey {
            primary: Some(key(7)),
            secondary: Some(key(8)),
        },
        terms: webhook.terms(),
        information: None,
    };
    let enrollments = &world.service.enrollments;
    enrollments
        .put(&world.admin(), new, IfMatch::Any)
        .await
        .unwrap();
    webhook.gate.add_permits(10);
    let outcome = world
        .outcome("d", &key(7), begun.operation())
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    let identity = world.identity("a", "d").await.unwrap().identity;
    let Authentication::Sas { primary, secondary } = identity.authentication else {
        panic!("it has keys");
    };
    assert!(primary == key(7) && secondary == key(8));
}

#[tokio::test]
async fn a_device_of_a_group_that_is_blocked_meanwhile_gets_no_hub() {
    let (world, webhook) = with_webhook().await;
    world.enroll_group("g", webhook.terms()).await;
    let key = group_key("d");
    world
        .begin("d", &key, RegisterRequest::default())
        .await
        .unwrap();
    webhook.arrived.notified().await;
    let terms = Terms {
        status: Status::Disabled,
        ..Terms::default()
    };
    world.enroll("d", terms).await;
    webhook.gate.add_permits(10);
    let ended = world.settled("d").await;
    assert!(ended.assignment.is_none());
    assert!(world.identity("a", "d").await.is_none());
}

#[tokio::test]
async fn the_newest_request_of_a_device_is_answered() {
    let (world, webhook) = with_webhook().await;
    world.enroll("d", webhook.terms()).await;
    let asks = |n: u32| RegisterRequest {
        payload: Some(json!({ "n": n })),
        ..RegisterRequest::default()
    };
    let first = world.begin("d", &key(1), asks(1)).await.unwrap();
    webhook.arrived.notified().await;
    let again = world.begin("d", &key(1), asks(1)).await.unwrap();
    assert_eq!(first.operation(), again.operation(), "it is the same");
    let second = world.begin("d", &key(1), asks(2)).await.unwrap();
    assert_ne!(first.operation(), second.operation());
    webhook.gate.add_permits(10);
    let outcome = world
        .outcome("d", &key(1), second.operation())
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    let asked = webhook.asked.lock().unwrap();
    let last = asked.last().unwrap();
    assert_eq!(last["deviceRuntimeContext"]["payload"], json!({"n": 2}));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_by_a_move() {
    for _ in 0..20 {
        let world = Arc::new(World::with(&["a.test", "b.test"]).await);
        let at = |host: &str| Terms {
            allocation: Some(AllocationPolicy::Static),
            hubs: vec![HostName::parse(host).unwrap()],
            ..Terms::default()
        };
        world.enroll("d", at("a.test")).await;
        world.register("d", &key(1)).await.unwrap();
        world.change_terms("d", |terms| *terms = at("b.test")).await;

        let acknowledged = Arc::new(AtomicU64::new(0));
        let (device, last) = (Arc::clone(&world), Arc::clone(&acknowledged));
        let writes = tokio::spawn(async move {
            for n in 1.. {
                if device.write("a", "d", "n", json!(n)).await.is_err() {
                    return;
                }
                last.store(n, Ordering::SeqCst);
            }
        });
        while acknowledged.load(Ordering::SeqCst) < 5 {
            tokio::task::yield_now().await;
        }
        // A device that is told that it is changed too often comes again.
        let outcome = loop {
            match world.register("d", &key(1)).await {
                Err(told) if told.starts_with("503") => {}
                outcome => break outcome.unwrap(),
            }
        };
        assert_eq!(line(&outcome), "assigned b.test d deviceDataMigrated");
        writes.await.unwrap();
        let tags = world.twin("b", "d").await.twin.back_end.tags;
        let last = acknowledged.load(Ordering::SeqCst);
        assert_eq!(tags.get("n"), Some(&json!(last)));
        assert!(world.identity("a", "d").await.is_none());
    }
}
