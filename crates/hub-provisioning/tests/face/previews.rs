//! What the preview says of devices that have a hub.

use hub_domain::provisioning::{AllocationPolicy, ReprovisionPolicy, Terms};
use hub_provisioning::PreviewRequest;

use crate::moves::{FAR, Hubs, MIGRATE, OWN, ParseHost as _, RESET};
use crate::support::{key, line, registration};

/// Terms by which a device goes to one hub.
fn only(hub: &str, policy: ReprovisionPolicy) -> Terms {
    Terms {
        allocation: Some(AllocationPolicy::Static),
        hubs: vec![hub.parse_host()],
        reprovision: Some(policy),
        ..Terms::default()
    }
}

#[tokio::test]
async fn a_device_that_brings_its_twin_would_wait_for_a_hub_elsewhere() {
    let hubs = Hubs::new().await;
    for (id, from, to, policy, waits) in [
        ("d1", FAR, OWN, MIGRATE, Some(FAR)),
        ("d2", FAR, OWN, RESET, None),
        ("d3", OWN, FAR, MIGRATE, None),
    ] {
        hubs.world.enroll(id, only(from, policy)).await;
        let outcome = hubs.world.register(id, &key(1)).await.unwrap();
        assert_eq!(
            line(&outcome),
            format!("assigned {from} {id} initialAssignment")
        );
        hubs.world
            .change_terms(id, |terms| *terms = only(to, policy))
            .await;
        let request = PreviewRequest {
            id: registration(id),
            group: None,
            payload: None,
            address: None,
        };
        let registrations = &hubs.world.service.registrations;
        let preview = registrations.preview(&hubs.world.admin(), request).await;
        let waits_for = preview.unwrap().waits_for;
        assert_eq!(
            waits_for.as_ref().map(|host| host.as_str()),
            waits,
            "{id} from {from} to {to}"
        );
    }
}
