//! Keys of all enrollments, rolled page by page.

use hub_domain::limits::KEY_ROLL_PAGE;
use hub_domain::provisioning::{
    CertificateSlot, EnrollmentGroupId, ServicePermission, Slots, Terms,
};
use hub_engine::IfMatch;
use hub_provisioning::{KeyRoll, NewAttestation, NewEnrollment, RollCall, RollOf, RollPage};

use super::support::{World, key, keys_of, registration, said};

async fn begin(world: &World, of: RollOf, roll: KeyRoll) -> RollCall {
    let call = RollCall {
        of,
        roll,
        begun: None,
        after: None,
    };
    let page = page(world, &call).await;
    assert_eq!((page.rolled, page.skipped), (0, 0));
    RollCall {
        begun: Some(page.begun),
        after: page.next,
        ..call
    }
}

async fn page(world: &World, call: &RollCall) -> RollPage {
    let service = &world.service;
    service
        .roll_keys_of_all(&world.admin(), call)
        .await
        .unwrap()
}

async fn keys(world: &World, id: &str) -> [hub_domain::SymmetricKey; 2] {
    let ctx = world.admin();
    let enrollment = world
        .service
        .enrollments
        .fetch(&ctx, &registration(id))
        .await;
    keys_of(&enrollment.unwrap().attestation)
}

#[tokio::test]
async fn a_page_that_is_asked_for_twice_swaps_once() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d1", Terms::default()).await;
    world.enroll("d2", Terms::default()).await;
    let certificate = rcgen::generate_simple_self_signed(vec!["x".to_owned()]).unwrap();
    let certified = NewEnrollment {
        id: registration("x"),
        device: None,
        attestation: NewAttestation::ClientCertificates(Slots {
            primary: Some(CertificateSlot {
                der: certificate.cert.der().to_vec().into(),
            }),
            secondary: None,
        }),
        terms: Terms::default(),
        information: None,
    };
    let enrollments = &world.service.enrollments;
    enrollments
        .put(&world.admin(), certified, IfMatch::Absent)
        .await
        .unwrap();
    world.later(1);
    let call = begin(&world, RollOf::Enrollments, KeyRoll::Swap).await;
    world.later(1);
    world.enroll("younger", Terms::default()).await;
    // One was reached before the call broke off.
    world
        .service
        .roll_keys_of_all(&world.admin(), &call)
        .await
        .unwrap();
    // Whatever a back end writes meanwhile, it was there.
    world
        .change_terms("d1", |terms| terms.capabilities.iot_edge = true)
        .await;
    for _ in 0..2 {
        world.later(1);
        let again = page(&world, &call).await;
        assert_eq!((again.rolled, again.skipped, &again.next), (2, 2, &None));
    }
    for id in ["d1", "d2"] {
        assert!(keys(&world, id).await == [key(2), key(1)], "{id}");
    }
    assert!(keys(&world, "younger").await == [key(1), key(2)]);
    // Another roll is another one.
    let other = begin(&world, RollOf::Enrollments, KeyRoll::Swap).await;
    assert_eq!(page(&world, &other).await.rolled, 3);
    assert!(keys(&world, "d1").await == [key(1), key(2)]);
}

#[tokio::test]
async fn all_pages_together_reach_everybody() {
    let world = World::with(&["a.test"]).await;
    let count = KEY_ROLL_PAGE + 1;
    for number in 0..count {
        world.enroll(&format!("d{number}"), Terms::default()).await;
    }
    let mut call = begin(&world, RollOf::Enrollments, KeyRoll::Both).await;
    let mut sizes = Vec::new();
    loop {
        let page = page(&world, &call).await;
        sizes.push(page.rolled);
        let Some(next) = page.next else {
            break;
        };
        call.after = Some(next);
    }
    assert_eq!(sizes, [500, 1]);
    for number in 0..count {
        assert!(keys(&world, &format!("d{number}")).await[0] != key(1));
    }
}

#[tokio::test]
async fn groups_are_rolled_once_too() {
    let world = World::with(&["a.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    let call = begin(&world, RollOf::Groups, KeyRoll::Swap).await;
    for _ in 0..2 {
        assert_eq!(page(&world, &call).await.rolled, 1);
    }
    let id = EnrollmentGroupId::parse("g").unwrap();
    let group = world.service.groups.fetch(&world.admin(), &id).unwrap();
    assert!(keys_of(&group.attestation) == [key(4), key(3)]);
}

#[tokio::test]
async fn a_roll_needs_the_right_and_a_beginning_that_was() {
    let world = World::with(&["a.test"]).await;
    let call = begin(&world, RollOf::Enrollments, KeyRoll::Swap).await;
    let read = world.policy(&[
        ServicePermission::EnrollmentRead,
        ServicePermission::ServiceConfig,
    ]);
    let refused = world.service.roll_keys_of_all(&read, &call).await;
    assert_eq!(
        refused.map(drop).map_err(said),
        Err("403001 this needs the permission EnrollmentWrite".to_owned())
    );
    let ctx = world.admin();
    world.later(1);
    let ahead = RollCall {
        begun: Some(world.admin().now),
        ..call
    };
    let refused = world.service.roll_keys_of_all(&ctx, &ahead).await;
    assert!(
        refused
            .map(drop)
            .map_err(said)
            .unwrap_err()
            .starts_with("400004")
    );
}
