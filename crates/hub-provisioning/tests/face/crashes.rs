//! What a crash leaves.

use hub_domain::provisioning::Terms;
use hub_provisioning::RegisterRequest;
use hub_storage::store::RegistrationFilter;

use crate::support::{World, key, line};
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
