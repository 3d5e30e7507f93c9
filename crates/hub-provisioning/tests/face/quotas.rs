//! What a service with a quota profile refuses.

use std::time::Duration;

use hub_domain::provisioning::{
    EnrollmentGroupId, ProvisioningLimits, ProvisioningQuota, ServicePermission, Terms,
};
use hub_domain::quota::Rate;
use hub_engine::IfMatch;
use hub_provisioning::{
    Credential, Error, NewAttestation, NewEnrollment, NewGroup, RegisterRequest,
};

use crate::support::{World, group_key, key, line, registration, said};

const NONE: ProvisioningLimits = ProvisioningLimits::NONE;

#[tokio::test]
async fn polls_of_a_device_are_throttled_by_themselves() {
    let world = World::limited(ProvisioningQuota::S1.limits()).await;
    world.enroll_group("g", Terms::default()).await;
    let poll = async |id: &'static str| -> Result<(), Error> {
        let token = world.token(id, &group_key(id));
        let call = world.call(id, Credential::Token(&token));
        let registrations = &world.service.registrations;
        registrations.status(&call, "5.1").await.map(drop)
    };
    for id in ["d", "e"] {
        world
            .begin(id, &group_key(id), RegisterRequest::default())
            .await
            .unwrap();
    }
    for _ in 0..5 {
        poll("d").await.unwrap();
    }
    let refused = poll("D").await.unwrap_err();
    assert_eq!(refused.retry_after(), Some(Duration::from_secs(3)));
    assert_eq!(
        said(refused),
        "429001 too many polls of this device, try again in 3 s"
    );
    // What anybody else sends in its name takes nothing from it.
    let stranger = world.token("e", &key(9));
    for _ in 0..9 {
        let call = world.call("e", Credential::Token(&stranger));
        let refused = world.service.registrations.status(&call, "5.1").await;
        assert!(said(refused.err().unwrap()).starts_with("401002"));
    }
    poll("e").await.unwrap();
    world.later(3);
    poll("d").await.unwrap();
}

#[tokio::test]
async fn registrations_are_throttled_together_and_go_on_after_the_time_that_is_told() {
    let world = World::limited(ProvisioningLimits {
        registrations: Some(Rate::per_minute(3)),
        ..NONE
    })
    .await;
    world.enroll_group("g", Terms::default()).await;
    for id in ["a", "b", "c"] {
        let outcome = world.register(id, &group_key(id)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned a.test {id} initialAssignment")
        );
    }
    let refused = world.register("d", &group_key("d")).await;
    assert_eq!(
        refused.unwrap_err(),
        "429001 too many device registrations, try again in 21 s"
    );
    assert!(world.identity("a", "d").await.is_none());
    world.later(21);
    let outcome = world.register("d", &group_key("d")).await.unwrap();
    assert_eq!(line(&outcome), "assigned a.test d initialAssignment");
}

#[tokio::test]
async fn operations_of_back_ends_are_throttled_and_the_installations_own_are_not() {
    let world = World::limited(ProvisioningLimits {
        operations: Some(Rate::per_minute(2)),
        ..NONE
    })
    .await;
    let quotas = &world.service.quotas;
    let ctx = world.policy(&[ServicePermission::EnrollmentRead]);
    quotas.take_operation(&ctx).unwrap();
    quotas.take_operation(&ctx).unwrap();
    let refused = quotas.take_operation(&ctx).unwrap_err();
    assert_eq!(
        said(refused),
        "429001 too many operations, try again in 31 s"
    );
    quotas.take_operation(&world.admin()).unwrap();
}

#[tokio::test]
async fn a_new_device_finds_no_room_and_a_known_one_does() {
    let world = World::limited(ProvisioningLimits {
        registrations_max: Some(1),
        ..NONE
    })
    .await;
    world.enroll_group("g", Terms::default()).await;
    world.register("d", &group_key("d")).await.unwrap();
    let refused = world.register("e", &group_key("e")).await;
    assert_eq!(
        refused.unwrap_err(),
        "403002 the service has its 1 registrations, delete some before there can be more"
    );
    let registrations = &world.service.registrations;
    let noted = registrations
        .refusals(&world.admin(), None, 1_000)
        .await
        .unwrap();
    let noted: Vec<_> = noted
        .iter()
        .map(|one| (one.id.as_str(), one.code))
        .collect();
    assert_eq!(noted, [("e", 403_002)]);
    assert!(world.identity("a", "e").await.is_none());
    world.register("d", &group_key("d")).await.unwrap();
    let registrations = &world.service.registrations;
    let ctx = world.admin();
    registrations
        .delete(&ctx, &registration("d"), IfMatch::Absent)
        .await
        .unwrap();
    world.register("e", &group_key("e")).await.unwrap();
}

#[tokio::test]
async fn enrollments_are_counted() {
    let world = World::limited(ProvisioningLimits {
        enrollments_max: Some(2),
        ..NONE
    })
    .await;
    let enrollments = &world.service.enrollments;
    let put = async |id: &str, if_match: IfMatch| {
        let new = NewEnrollment {
            id: registration(id),
            device: None,
            attestation: keys(),
            terms: Terms::default(),
            information: None,
        };
        let put = enrollments.put(&world.admin(), new, if_match).await;
        put.map(drop).map_err(said)
    };
    let full =
        "403002 the service has its 2 individual enrollments, delete some before there can be more";
    assert_eq!(put("a", IfMatch::Absent).await, Ok(()));
    assert_eq!(put("b", IfMatch::Absent).await, Ok(()));
    assert_eq!(put("c", IfMatch::Absent).await, Err(full.to_owned()));
    assert_eq!(put("b", IfMatch::Any).await, Ok(()));
    let ctx = world.admin();
    let deleted = enrollments
        .delete(&ctx, &registration("a"), IfMatch::Any)
        .await;
    deleted.unwrap();
    assert_eq!(put("c", IfMatch::Absent).await, Ok(()));
    assert_eq!(put("d", IfMatch::Absent).await, Err(full.to_owned()));
}

#[tokio::test]
async fn groups_are_counted_by_their_proof() {
    let world = World::limited(ProvisioningLimits {
        groups_per_kind_max: Some(1),
        ..NONE
    })
    .await;
    let groups = &world.service.groups;
    let put = async |id: &str, attestation: NewAttestation, if_match: IfMatch| {
        let new = NewGroup {
            id: EnrollmentGroupId::parse(id).unwrap(),
            attestation,
            terms: Terms::default(),
        };
        let put = groups.put(&world.admin(), new, if_match).await;
        put.map(drop).map_err(said)
    };
    let certificates = || {
        let authority = crate::registered_certificates::Authority::new("line-7");
        NewAttestation::SigningCertificates(authority.slots())
    };
    let full = |kind: &str| {
        format!(
            "403002 the service has its 1 enrollment groups of the type {kind}, delete some before there can be more"
        )
    };
    assert_eq!(put("a", keys(), IfMatch::Absent).await, Ok(()));
    assert_eq!(
        put("b", keys(), IfMatch::Absent).await,
        Err(full("symmetricKey"))
    );
    assert_eq!(put("b", certificates(), IfMatch::Absent).await, Ok(()));
    assert_eq!(put("b", certificates(), IfMatch::Any).await, Ok(()));
    assert_eq!(
        put("b", keys(), IfMatch::Any).await,
        Err(full("symmetricKey")),
        "it cannot change over either"
    );
}

fn keys() -> NewAttestation {
    NewAttestation::SymmetricKey {
        primary: Some(key(1)),
        secondary: Some(key(2)),
    }
}
