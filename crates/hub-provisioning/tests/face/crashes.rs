//! What a crash leaves.

use hub_domain::HostName;
use hub_domain::provisioning::{Link, LinkedHub, Place, Registration, Terms};
use hub_engine::IfMatch;
use hub_provisioning::RegisterRequest;
use hub_storage::Store as _;
use hub_storage::store::{Op, RegistrationFilter, Unit};

use crate::support::{World, key, line, registration, said};
use crate::webhooks::Webhook;

#[tokio::test]
async fn a_registration_under_way_is_gone_on_with_after_a_crash() {
    let mut world = World::with(&["a.test", "b.test"]).await;
    let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"b.test"}"#, 0).await;
    world.enroll("d", webhook.terms()).await;
    let begun = world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    webhook.arrived.notified().await;
    world.crash().await;
    let waiting = world
        .service
        .registrations
        .list(&world.admin(), RegistrationFilter::Unfinished, None, 10)
        .await
        .unwrap();
    assert_eq!(waiting.len(), 1, "it is kept as pending");
    webhook.gate.add_permits(10);
    let outcome = world
        .outcome("d", &key(1), begun.operation())
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned b.test d initialAssignment");
}

#[tokio::test]
async fn an_answered_registration_is_there_after_a_crash() {
    let mut world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let scope = world.service.service.id_scope();
    let begun = world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    world.crash().await;
    assert_eq!(world.service.service.id_scope(), scope, "the scope stays");
    let outcome = world
        .outcome("d", &key(1), begun.operation())
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert!(world.identity("a", "d").await.is_some());
}

#[tokio::test]
async fn whoever_asks_while_a_registration_is_under_way_joins_it() {
    let world = World::with(&["a.test"]).await;
    let webhook = Webhook::with_gate(200, r#"{"iotHubHostName":"a.test"}"#, 0).await;
    world.enroll("d", webhook.terms()).await;
    let first = world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    webhook.arrived.notified().await;
    let second = world
        .begin("d", &key(2), RegisterRequest::default())
        .await
        .unwrap();
    assert_eq!(first.operation(), second.operation());
    webhook.gate.add_permits(10);
    let outcome = world
        .outcome("d", &key(2), second.operation())
        .await
        .unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert_eq!(webhook.asked.lock().unwrap().len(), 1, "it is asked once");
}

#[tokio::test]
async fn a_device_that_registers_again_is_still_removed_from_its_former_hub() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    // It came from a hub that does not answer.
    let silent = HostName::parse("localhost").unwrap();
    let link = LinkedHub {
        link: Link::Remote {
            policy: "iothubowner".to_owned(),
            key: key(9),
            port: Some(1),
        },
        allocatable: false,
        ..LinkedHub::own(silent.clone())
    };
    let ctx = world.admin();
    world.service.service.link_hub(&ctx, link).await.unwrap();
    let id = registration("d");
    let registrations = &world.service.registrations;
    let moved = registrations.fetch(&ctx, &id).await.unwrap();
    let leaving = Registration {
        strays: vec![Place {
            hub: silent.clone(),
            own: None,
            device: moved.assignment.clone().unwrap().device,
        }],
        ..moved.clone()
    };
    let op = Op::PutRegistration {
        next: Box::new(leaving),
        expected: Some(moved.etag),
    };
    world.store.submit(Unit::new(op, Vec::new())).await.unwrap();

    // It is not kept from what it registers for.
    world
        .change_terms("d", |terms| terms.capabilities.iot_edge = true)
        .await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
    assert!(world.identity("a", "d").await.unwrap().identity.iot_edge);
    let kept = registrations.fetch(&ctx, &id).await.unwrap();
    assert_eq!(kept.left().count(), 1, "it is not forgotten");
    let refused = registrations.delete(&ctx, &id, IfMatch::Any).await;
    assert!(said(refused.unwrap_err()).starts_with("409202 "));
    // A hub that is gone for good is unlinked.
    world
        .service
        .service
        .unlink_hub(&ctx, &silent)
        .await
        .unwrap();
    world.register("d", &key(1)).await.unwrap();
    let done = world.settled("d").await;
    assert!(done.strays.is_empty());
    registrations.delete(&ctx, &id, IfMatch::Any).await.unwrap();
}
