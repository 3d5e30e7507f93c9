//! What back ends do, and who may not.

use std::time::Duration;

use futures_util::FutureExt as _;
use hub_domain::HostName;
use hub_domain::provisioning::{
    AllocationPolicy, EnrollmentGroupId, ReprovisionPolicy, ServicePermission, Terms,
};
use hub_engine::IfMatch;
use hub_provisioning::{
    BulkMode, EnrollmentBulkItem, KeyRoll, NewAttestation, NewEnrollment, NewGroup, PreviewRequest,
};
use hub_storage::Store as _;
use hub_storage::store::RegistrationFilter;

use crate::support::{World, group_key, key, line, registration, said};

fn new(id: &str) -> NewEnrollment {
    NewEnrollment {
        id: registration(id),
        device: None,
        attestation: NewAttestation::SymmetricKey {
            primary: None,
            secondary: None,
        },
        terms: Terms::default(),
        information: None,
    }
}

#[tokio::test]
async fn each_operation_needs_its_permission() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.enroll_group("g", Terms::default()).await;
    let d = registration("d");
    let g = EnrollmentGroupId::parse("g").unwrap();
    let service = &world.service;
    let all_but = |permission: ServicePermission| {
        let implying = match permission {
            ServicePermission::EnrollmentRead => Some(ServicePermission::EnrollmentWrite),
            ServicePermission::RegistrationStatusRead => {
                Some(ServicePermission::RegistrationStatusWrite)
            }
            _ => None,
        };
        let rest: Vec<_> = ServicePermission::ALL
            .into_iter()
            .filter(|one| *one != permission && Some(*one) != implying)
            .collect();
        world.policy(&rest)
    };
    let read = all_but(ServicePermission::EnrollmentRead);
    let write = all_but(ServicePermission::EnrollmentWrite);
    let status = all_but(ServicePermission::RegistrationStatusRead);
    let delete = all_but(ServicePermission::RegistrationStatusWrite);
    let config = all_but(ServicePermission::ServiceConfig);
    let (e, r) = (&service.enrollments, &service.registrations);
    let preview = PreviewRequest {
        id: d.clone(),
        group: None,
        payload: None,
        address: None,
    };
    let group = NewGroup {
        id: g.clone(),
        attestation: NewAttestation::Unchanged,
        terms: Terms::default(),
    };
    let host = hub_domain::HostName::parse("a.test").unwrap();
    let refused = [
        e.fetch(&read, &d).await.map(drop),
        e.list(&read, None, 10).await.map(drop),
        e.attestation(&write, &d).await.map(drop),
        e.put(&write, new("x"), IfMatch::Absent).await.map(drop),
        e.delete(&write, &d, IfMatch::Absent).await,
        e.bulk(&write, BulkMode::Create, Vec::new()).await.map(drop),
        e.roll_keys(&write, &d, KeyRoll::Swap, IfMatch::Absent)
            .await
            .map(drop),
        service.groups.fetch(&read, &g).map(drop),
        service.groups.list(&read, None, 10).map(drop),
        service.groups.attestation(&write, &g).map(drop),
        service
            .groups
            .put(&write, group, IfMatch::Any)
            .await
            .map(drop),
        service.groups.delete(&write, &g, IfMatch::Absent).await,
        service
            .groups
            .roll_keys(&write, &g, KeyRoll::Swap, IfMatch::Absent)
            .await
            .map(drop),
        r.fetch(&status, &d).await.map(drop),
        r.list(&status, RegistrationFilter::All, None, 10)
            .await
            .map(drop),
        r.refusals(&status, None, 1).await.map(drop),
        r.refusal(&status, &registration("d")).await.map(drop),
        r.statistics(&status).await.map(drop),
        r.delete(&delete, &d, IfMatch::Absent).await,
        r.preview(&read, preview).await.map(drop),
        service.service.unlink_hub(&config, &host).await,
        service.authorities.list(&config).map(drop),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        let text = result.map_err(said).expect_err("it may not");
        assert!(
            text.starts_with("403001 this needs the permission"),
            "{number}: {text}"
        );
    }
}

#[tokio::test]
async fn enrollments_are_created_once_and_replaced_by_their_etag() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.admin();
    let enrollments = &world.service.enrollments;
    let first = enrollments
        .put(&ctx, new("D"), IfMatch::Absent)
        .await
        .unwrap();
    let again = enrollments.put(&ctx, new("d"), IfMatch::Absent).await;
    assert_eq!(
        again.map(drop).map_err(said),
        Err("409201 the enrollment d exists already, replace it with its etag".to_owned())
    );
    let stale = enrollments
        .put(&ctx, new("d"), IfMatch::Etag("other".to_owned()))
        .await;
    assert!(
        stale
            .map(drop)
            .map_err(said)
            .unwrap_err()
            .starts_with("412201")
    );
    let replaced = enrollments
        .put(&ctx, new("d"), IfMatch::Etag(first.etag.0.clone()))
        .await
        .unwrap();
    assert_ne!(replaced.etag, first.etag);
    assert_eq!(replaced.created, first.created);
    let missing = enrollments.put(&ctx, new("e"), IfMatch::Any).await;
    assert!(
        missing
            .map(drop)
            .map_err(said)
            .unwrap_err()
            .starts_with("404201")
    );
}

#[tokio::test]
async fn a_bulk_operation_tells_what_failed_and_does_the_rest() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.admin();
    world.enroll("b", Terms::default()).await;
    let item = |id: &str| EnrollmentBulkItem {
        enrollment: new(id),
        etag: None,
    };
    let enrollments = &world.service.enrollments;
    let items = vec![item("a"), item("b"), item("c")];
    let errors = enrollments
        .bulk(&ctx, BulkMode::Create, items.clone())
        .await
        .unwrap();
    let failed: Vec<_> = errors
        .iter()
        .map(|one| (one.id.as_str(), one.error.code()))
        .collect();
    assert_eq!(failed, [("b", 409_201)]);
    assert!(
        enrollments
            .bulk(&ctx, BulkMode::Update, items.clone())
            .await
            .unwrap()
            .is_empty()
    );
    let unguarded = enrollments
        .bulk(&ctx, BulkMode::UpdateIfMatch, items.clone())
        .await
        .unwrap();
    assert_eq!(unguarded.len(), 3);
    assert!(
        enrollments
            .bulk(&ctx, BulkMode::Delete, items.clone())
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        enrollments
            .bulk(&ctx, BulkMode::Delete, items)
            .await
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn an_enrollment_takes_its_registration_along_and_a_group_does_not() {
    let world = World::with(&["a.test"]).await;
    let ctx = world.admin();
    world.enroll("d", Terms::default()).await;
    world.enroll_group("g", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    world.register("x", &group_key("x")).await.unwrap();
    let service = &world.service;
    let g = EnrollmentGroupId::parse("g").unwrap();
    service
        .enrollments
        .delete(&ctx, &registration("d"), IfMatch::Absent)
        .await
        .unwrap();
    service
        .groups
        .delete(&ctx, &g, IfMatch::Absent)
        .await
        .unwrap();
    let left = service
        .registrations
        .list(&ctx, RegistrationFilter::All, None, 10)
        .await
        .unwrap();
    let left: Vec<_> = left.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(left, ["x"]);
    assert!(
        world.identity("a", "d").await.is_some(),
        "devices stay in their hubs"
    );
    assert!(world.register("x", &group_key("x")).await.is_err());
}

#[tokio::test]
async fn a_preview_says_where_and_why_and_writes_nothing() {
    let world = World::with(&["a.test", "b.test"]).await;
    let ctx = world.admin();
    world.enroll("d", Terms::default()).await;
    let request = PreviewRequest {
        id: registration("d"),
        group: None,
        payload: None,
        address: None,
    };
    let preview = world
        .service
        .registrations
        .preview(&ctx, request)
        .await
        .unwrap();
    let choice = preview.choice.unwrap();
    assert_eq!(choice.ranked.len(), 2);
    let first = choice.ranked.first().unwrap();
    assert!(first.reason.contains("weight 1 of 2"), "{}", first.reason);
    assert!(preview.policy_of_service);
    assert!(
        world
            .service
            .registrations
            .fetch(&ctx, &registration("d"))
            .await
            .is_err()
    );
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(
        outcome["registrationState"]["assignedHub"],
        first.host.as_str()
    );
}

#[tokio::test]
async fn back_ends_come_again_while_too_much_waits_for_the_disk() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.enroll_group("g", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    let ctx = world.admin();
    let service = &world.service;
    world.store.backlog().add(1 << 40);
    let id = registration("d");
    let group = EnrollmentGroupId::parse("g").unwrap();
    let roll = KeyRoll::Swap;
    let refused = [
        service
            .enrollments
            .put(&ctx, new("e"), IfMatch::Absent)
            .await
            .map(drop),
        service
            .enrollments
            .roll_keys(&ctx, &id, roll, IfMatch::Any)
            .await
            .map(drop),
        service.enrollments.delete(&ctx, &id, IfMatch::Any).await,
        service
            .groups
            .roll_keys(&ctx, &group, roll, IfMatch::Any)
            .await
            .map(drop),
        service.groups.delete(&ctx, &group, IfMatch::Any).await,
        service.registrations.delete(&ctx, &id, IfMatch::Any).await,
    ];
    for result in refused {
        let told = result.map_err(said);
        let expected = "503001 too many writes wait for the disk, try again";
        assert_eq!(told, Err(expected.to_owned()));
    }
    world.store.backlog().remove(1 << 40);
    service
        .enrollments
        .delete(&ctx, &id, IfMatch::Any)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_group_that_nobody_waited_for_is_known_all_the_same() {
    let world = World::with(&["a.test"]).await;
    let id = EnrollmentGroupId::parse("g").unwrap();
    let new = NewGroup {
        id: id.clone(),
        attestation: NewAttestation::SymmetricKey {
            primary: Some(key(3)),
            secondary: Some(key(4)),
        },
        terms: Terms::default(),
    };
    let ctx = world.admin();
    let groups = &world.service.groups;
    // The client hangs up as soon as its request is looked at.
    let _ = groups.put(&ctx, new, IfMatch::Absent).now_or_never();
    let known = async {
        while groups.fetch(&ctx, &id).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), known)
        .await
        .expect("what is committed is known");
}

#[tokio::test]
async fn a_preview_of_a_device_that_stays_names_no_other_hub() {
    let world = World::with(&["a.test", "b.test"]).await;
    let never = Terms {
        allocation: Some(AllocationPolicy::Static),
        hub: HostName::parse("a.test").ok(),
        reprovision: Some(ReprovisionPolicy {
            update_hub_assignment: false,
            migrate_device_data: false,
        }),
        ..Terms::default()
    };
    world.enroll("d", never).await;
    world.register("d", &key(1)).await.unwrap();
    let elsewhere = |terms: &mut Terms| terms.hub = HostName::parse("b.test").ok();
    world.change_terms("d", elsewhere).await;
    let request = PreviewRequest {
        id: registration("d"),
        group: None,
        payload: None,
        address: None,
    };
    let registrations = &world.service.registrations;
    let preview = registrations
        .preview(&world.admin(), request)
        .await
        .unwrap();
    assert!(preview.stays && preview.choice.is_none() && preview.failure.is_none());
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(
        line(&outcome),
        "assigned a.test d reprovisionedToInitialAssignment"
    );
}
