//! Links to hubs of other installations: whether they can be used, and one hub that is linked under two names.

use hub_domain::provisioning::{AllocationPolicy, Place, Registration, ServicePermission, Terms};
use hub_engine::ErrorKind;
use hub_storage::Store as _;
use hub_storage::store::{Op, Unit};

use crate::moves::{FAR, FURTHER, Hubs, MIGRATE, OWN, ParseHost as _, RESET, tagged};
use crate::remote::{Failure, Fault, RemoteHub};
use crate::support::{World, key, line};

#[tokio::test]
async fn a_link_is_tried_without_a_trace() {
    let hubs = Hubs::new().await;
    let registrations = &hubs.world.service.registrations;
    let ctx = hubs.world.admin();
    let tried = async |host: &str| registrations.check_link(&ctx, &host.parse_host()).await;
    assert_eq!(tried(OWN).await.unwrap().failure, None);
    hubs.far.fail(usize::MAX, Fault::Before(Failure::Drop));
    assert_eq!(tried(FAR).await.unwrap().failure, None);
    assert!(hubs.far.device("thingstead-link-probe").is_none());
    let probe = ["GET /devices", "GET /twins", "PUT /devices"];
    let probe = probe.map(|call| format!("{call}/thingstead-link-probe"));
    assert_eq!(hubs.far.calls(), probe);
    for call in 0..probe.len() {
        hubs.far.fail(call, Fault::Before(Failure::Unavailable));
        let failure = tried(FAR).await.unwrap().failure;
        let expected = "the hub localhost answered with 503";
        assert_eq!(failure.as_deref(), Some(expected), "{call}");
    }
    let unknown = tried("gone.test").await.unwrap_err();
    assert_eq!(unknown.message(), "no hub gone.test is linked");
    let ctx = hubs.world.policy(&[ServicePermission::EnrollmentWrite]);
    let refused = registrations.check_link(&ctx, &OWN.parse_host()).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotAllowed);
}

/// The other installation got another name, and is linked under both for a while.
async fn linked_twice() -> (World, RemoteHub) {
    let hub = RemoteHub::with_names(FAR, &[FURTHER]).await;
    let world = World::trusting(&[OWN], Some(hub.certificate.clone())).await;
    let ctx = world.admin();
    for link in [hub.link(), hub.link_as(FURTHER.parse_host())] {
        world.service.service.link_hub(&ctx, link).await.unwrap();
    }
    (world, hub)
}

#[tokio::test]
async fn one_hub_under_two_names_keeps_its_devices() {
    for policy in [MIGRATE, RESET] {
        let (world, hub) = linked_twice().await;
        let terms = Terms {
            allocation: Some(AllocationPolicy::Static),
            hubs: vec![FAR.parse_host()],
            reprovision: Some(policy),
            initial_twin: tagged("initial"),
            ..Terms::default()
        };
        world.enroll("d", terms).await;
        world.register("d", &key(1)).await.unwrap();
        hub.live("d", "lived in");
        let renamed = |terms: &mut Terms| terms.hubs = vec![FURTHER.parse_host()];
        world.change_terms("d", renamed).await;
        for _ in 0..2 {
            let outcome = world.register("d", &key(1)).await.unwrap();
            let expected = format!("assigned {FURTHER} d initialAssignment");
            assert_eq!(line(&outcome), expected, "{policy:?}");
            let settled = world.settled("d").await;
            assert!(settled.strays.is_empty(), "{policy:?}");
            let device = hub.device("d").expect("it is not removed");
            assert_eq!(device.twin["tags"]["by"], "lived in", "{policy:?}");
        }
    }
}

/// A stray of former days may be the assigned hub by another name.
#[tokio::test]
async fn a_device_is_not_removed_from_its_hub_by_another_name_of_that() {
    let (world, hub) = linked_twice().await;
    let terms = Terms {
        hubs: vec![FAR.parse_host()],
        ..Terms::default()
    };
    world.enroll("d", terms).await;
    world.register("d", &key(1)).await.unwrap();
    let kept = world.settled("d").await;
    let stray = Place {
        hub: FURTHER.parse_host(),
        own: None,
        device: kept.assignment.clone().unwrap().device,
    };
    let op = Op::PutRegistration {
        next: Box::new(Registration {
            strays: vec![stray],
            ..kept.clone()
        }),
        expected: Some(kept.etag),
    };
    world.store.submit(Unit::new(op, Vec::new())).await.unwrap();
    world.register("d", &key(1)).await.unwrap();
    assert!(world.settled("d").await.strays.is_empty());
    assert!(hub.device("d").is_some());
}
