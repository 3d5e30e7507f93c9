//! What a crash leaves.

use hub_domain::provisioning::{
    AllocationPolicy, Link, LinkedHub, Place, Registration, ReprovisionPolicy, Terms,
};
use hub_domain::{FactKind, HostName, Status};
use hub_engine::IfMatch;
use hub_provisioning::RegisterRequest;
use hub_storage::Store as _;
use hub_storage::memory::Faults as _;
use hub_storage::store::{FactNo, Op, RegistrationFilter, Unit};

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

/// A device of `a.test` that is to move to `b.test`, where somebody made one of that name.
async fn before_a_move() -> World {
    let world = World::with(&["a.test", "b.test"]).await;
    let terms = Terms {
        allocation: Some(AllocationPolicy::Static),
        hub: HostName::parse("a.test").ok(),
        reprovision: Some(ReprovisionPolicy {
            update_hub_assignment: true,
            migrate_device_data: true,
        }),
        ..Terms::default()
    };
    world.enroll("d", terms).await;
    world.register("d", &key(1)).await.unwrap();
    world.live("a", "d", "brought").await;
    world.create("b", "d").await;
    world.live("b", "d", "made by hand").await;
    world
        .change_terms("d", |terms| terms.hub = HostName::parse("b.test").ok())
        .await;
    world
}

/// Where the device is assigned, the tag that it has in each hub, and how often it was told of in the second.
async fn stand(world: &World) -> String {
    let ctx = world.admin();
    let registrations = &world.service.registrations;
    let stored = registrations.fetch(&ctx, &registration("d")).await.unwrap();
    let mut stand = stored.assignment.unwrap().hub.to_string();
    for hub in ["a", "b"] {
        let tag = match world.identity(hub, "d").await {
            Some(_) => world.twin(hub, "d").await.twin.back_end.tags["by"].to_string(),
            None => "-".to_owned(),
        };
        stand = format!("{stand}, {hub}: {tag}");
    }
    let facts = world.store.changes(FactNo(0), 1_000).await.unwrap();
    let second = world.engine.hubs.by_name("b").unwrap().no;
    let told = facts
        .iter()
        .filter(|(_, fact)| fact.hub == second && matches!(fact.kind, FactKind::TwinChanged(_)));
    format!("{stand}, told {}", told.count())
}

const BEFORE: &str = r#"a.test, a: "brought", b: "made by hand", told 1"#;
const AFTER: &str = r#"b.test, a: -, b: "brought", told 2"#;

#[tokio::test]
async fn a_crash_at_any_commit_of_a_move_between_own_hubs_leaves_it_whole_or_not_begun() {
    for commits in 0.. {
        let mut world = before_a_move().await;
        assert_eq!(stand(&world).await, BEFORE);
        world.store.hold();
        let asked = key(1);
        let done = {
            let registers = world.register("d", &asked);
            tokio::pin!(registers);
            let mut left = commits;
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut registers => break outcome.is_ok(),
                    () = tokio::task::yield_now() => {}
                }
                if world.store.waiting() == 0 {
                    continue;
                }
                if left == 0 {
                    break false;
                }
                left -= world.store.release(1);
            }
        };
        world.store.fail_next(world.store.waiting());
        world.store.resume();
        world.crash().await;
        let stands = stand(&world).await;
        if done {
            assert_eq!(stands, AFTER);
            let device = world.identity("b", "d").await.unwrap().identity;
            assert!(device.authentication.keys().unwrap().0 == &key(1));
            assert_eq!(device.managed_by.as_deref(), Some("somebody"));
            return;
        }
        assert!(
            stands == BEFORE || stands == AFTER,
            "after {commits} commits: {stands}"
        );
        world.register("d", &key(1)).await.unwrap();
        assert_eq!(stand(&world).await, AFTER, "after {commits} commits");
    }
}

#[tokio::test]
async fn an_enrollment_that_is_disabled_meanwhile_keeps_the_twin_of_the_target_hub() {
    let world = before_a_move().await;
    world.store.hold();
    let disabled = world.change_terms("d", |terms| terms.status = Status::Disabled);
    let asked = key(1);
    let registers = async {
        while world.store.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        world.register("d", &asked).await
    };
    let commits = async {
        while world.store.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        world.store.resume();
    };
    let (outcome, (), ()) = tokio::join!(registers, disabled, commits);
    assert_eq!(outcome.unwrap()["status"], "disabled");
    assert_eq!(stand(&world).await, BEFORE);
}
