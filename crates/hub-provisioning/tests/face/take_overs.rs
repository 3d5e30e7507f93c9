//! Several enrollments that name one device, at hubs of this installation and of others.

use hub_domain::provisioning::{AllocationPolicy, Terms};
use hub_provisioning::RegisterRequest;

use crate::moves::{FAR, FURTHER, Hubs, MIGRATE, OWN, ParseHost as _};
use crate::support::{key, line};

/// Another enrollment has the device by now that this one leaves: it is just being taken over, and not committed yet.
#[tokio::test]
async fn a_device_that_is_being_taken_over_is_not_removed() {
    let hubs = Hubs::new().await;
    let terms = || Terms {
        allocation: Some(AllocationPolicy::Static),
        hubs: vec![FAR.parse_host()],
        ..Terms::default()
    };
    hubs.world.enroll_as("a", Some("pump"), terms()).await;
    hubs.world.register("a", &key(1)).await.unwrap();
    hubs.world.enroll_as("b", Some("pump"), terms()).await;
    hubs.world.rename_device("a", "spare").await;
    hubs.far.hold_at("PUT /devices/pump");
    let request = RegisterRequest::default();
    let taking = hubs.world.begin("b", &key(1), request).await.unwrap();
    hubs.far.called_at("PUT /devices/pump").await;
    // The second time it has tried to leave by the time that this is done.
    for _ in 0..2 {
        let outcome = hubs.world.register("a", &key(1)).await.unwrap();
        assert!(line(&outcome).starts_with(&format!("assigned {FAR} spare")));
    }
    hubs.far.open();
    let taken = hubs.world.outcome("b", &key(1), taking.operation()).await;
    assert!(line(&taken.unwrap()).starts_with(&format!("assigned {FAR} pump")));
    hubs.world.register("a", &key(1)).await.unwrap();
    assert!(hubs.world.settled("a").await.strays.is_empty());
    assert!(hubs.far.device("pump").is_some());
}

/// The registration of who had the device before is left there, as one of a disabled enrollment is.
#[tokio::test]
async fn who_took_a_device_over_leaves_nothing_behind() {
    let hubs = Hubs::new().await;
    let terms = |host: &str| Terms {
        allocation: Some(AllocationPolicy::Static),
        hubs: vec![host.parse_host()],
        reprovision: Some(MIGRATE),
        ..Terms::default()
    };
    for (from, to) in [(OWN, FAR), (FAR, FURTHER), (FURTHER, OWN)] {
        let ids = [from, to].map(|host| format!("{host}-{from}"));
        for id in &ids {
            hubs.world.enroll_as(id, Some("pump"), terms(from)).await;
            hubs.world.register(id, &key(1)).await.unwrap();
        }
        match hubs.remote(from) {
            Some(hub) => hub.live("pump", "second"),
            None => hubs.world.live("a", "pump", "second").await,
        }
        let [_, second] = &ids;
        let there = |terms: &mut Terms| terms.hubs = vec![to.parse_host()];
        hubs.world.change_terms(second, there).await;
        let outcome = hubs.world.register(second, &key(1)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {to} pump deviceDataMigrated")
        );
        assert!(hubs.world.settled(second).await.strays.is_empty());
        let tag = match hubs.remote(to) {
            Some(hub) => hub.device("pump").unwrap().twin["tags"]["by"].clone(),
            None => hubs.world.twin("a", "pump").await.twin.back_end.tags["by"].clone(),
        };
        assert_eq!(tag, "second");
        match hubs.remote(from) {
            Some(hub) => assert!(hub.device("pump").is_none()),
            None => assert!(hubs.world.identity("a", "pump").await.is_none()),
        }
    }
}
