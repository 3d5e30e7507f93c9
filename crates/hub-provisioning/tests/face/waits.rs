//! Many devices at hubs of other installations that are slow or away.

use hub_domain::provisioning::{AllocationPolicy, Progress, Registration, Terms};
use hub_provisioning::{HubLink, RegisterRequest};
use hub_storage::Store as _;
use tokio::time::{Duration, sleep, timeout};

use crate::moves::{FAR, Hubs, MIGRATE, OWN, ParseHost as _, RESET};
use crate::support::{key, line, registration};
use crate::webhooks::Webhook;

/// Devices that deal with one hub at once.
const SLOTS: usize = 32;

impl Hubs {
    /// Devices begin to register; gives their operations.
    async fn begin_all(&self, ids: &[String]) -> Vec<String> {
        let mut operations = Vec::new();
        for id in ids {
            let request = RegisterRequest::default();
            let begun = self.world.begin(id, &key(1), request).await.unwrap();
            operations.push(begun.operation().to_owned());
        }
        operations
    }

    async fn kept(&self, id: &str) -> Registration {
        let found = self.world.store.registration(&registration(id)).await;
        found.unwrap().unwrap()
    }
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("d{number}")).collect()
}

#[tokio::test]
async fn a_webhook_is_not_asked_again_for_devices_that_wait_for_the_hub_it_named() {
    let hubs = Hubs::new().await;
    let says = |host: &str| format!(r#"{{"iotHubHostName":"{host}","payload":{{"n":1}}}}"#);
    let webhook = Webhook::new(200, &says(FAR)).await;
    let ids = ids(SLOTS + 3);
    for id in &ids {
        hubs.world.enroll(id, webhook.terms()).await;
    }
    hubs.far.hold();
    let operations = hubs.begin_all(&ids).await;
    hubs.far.called(SLOTS).await;
    while webhook.times() < ids.len() {
        webhook.arrived.notified().await;
    }
    // Those that got no slot note where they go; nothing was written there yet.
    let waiting = async {
        loop {
            let mut noted = 0;
            for id in &ids {
                let kept = hubs.kept(id).await;
                if let Progress::Assigning(request) = &kept.progress
                    && request.target.is_some()
                {
                    assert!(kept.strays.is_empty());
                    noted += 1;
                }
            }
            if noted >= ids.len() - SLOTS {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
    };
    let noted = timeout(Duration::from_secs(9), waiting).await;
    noted.expect("what the webhook said is kept");
    webhook.change(200, &says(OWN));
    assert_eq!(hubs.far.calls().len(), SLOTS);
    hubs.far.open();
    for (id, operation) in ids.iter().zip(operations) {
        let outcome = hubs.world.outcome(id, &key(1), &operation).await.unwrap();
        let expected = format!("assigned {FAR} {id} initialAssignment");
        assert_eq!(line(&outcome), expected);
        assert_eq!(outcome["registrationState"]["payload"]["n"], 1);
    }
    assert_eq!(webhook.times(), ids.len(), "once for each device");
}

/// A former hub that gives no answer: those that need what it has are told so, the others go on without it.
#[tokio::test]
async fn a_former_hub_that_is_away_is_asked_by_few_devices() {
    for policy in [MIGRATE, RESET] {
        let hubs = Hubs::new().await;
        let ids = ids(SLOTS + 8);
        for id in &ids {
            let terms = Terms {
                allocation: Some(AllocationPolicy::Static),
                hubs: vec![FAR.parse_host()],
                reprovision: Some(policy),
                ..Terms::default()
            };
            hubs.world.enroll(id, terms).await;
            hubs.world.register(id, &key(1)).await.unwrap();
            let moves = |terms: &mut Terms| terms.hubs = vec![OWN.parse_host()];
            hubs.world.change_terms(id, moves).await;
        }
        hubs.far.hold();
        let operations = hubs.begin_all(&ids).await;
        hubs.far.called(SLOTS).await;
        hubs.far.cut();
        for (id, operation) in ids.iter().zip(operations) {
            let outcome = hubs.world.outcome(id, &key(1), &operation).await.unwrap();
            let text = line(&outcome);
            let expected = if policy.migrate_device_data {
                format!(
                    "failed 503201 the twin cannot be brought along: the hub {FAR} cannot be used"
                )
            } else {
                format!("assigned {OWN} {id} deviceDataReset")
            };
            assert!(text.starts_with(&expected), "{text}");
        }
        assert_eq!(hubs.far.calls().len(), SLOTS, "{policy:?}");
        // It is not forgotten that they were there, and soon found out that it is back.
        hubs.far.open();
        hubs.world.later(2);
        for id in &ids {
            hubs.world.register(id, &key(1)).await.unwrap();
            hubs.world.settled(id).await;
            assert!(hubs.far.device(id).is_none(), "{policy:?}");
            assert!(hubs.world.identity("a", id).await.is_some(), "{policy:?}");
        }
    }
}

/// It is not down: who belongs there waits for it, and goes nowhere else.
#[tokio::test]
async fn devices_wait_for_a_hub_that_has_too_much_to_do() {
    let hubs = Hubs::new().await;
    let ids = ids(3);
    for id in &ids {
        let terms = Terms {
            allocation: Some(AllocationPolicy::Static),
            hubs: vec![FAR.parse_host()],
            ..Terms::default()
        };
        hubs.world.enroll(id, terms).await;
    }
    hubs.far.throttle();
    let operations = hubs.begin_all(&ids).await;
    hubs.far.called(ids.len()).await;
    for id in &ids {
        let kept = hubs.kept(id).await;
        assert!(matches!(kept.progress, Progress::Assigning(_)));
    }
    hubs.far.open();
    for (id, operation) in ids.iter().zip(operations) {
        let outcome = hubs.world.outcome(id, &key(1), &operation).await.unwrap();
        let expected = format!("assigned {FAR} {id} initialAssignment");
        assert_eq!(line(&outcome), expected);
        assert!(hubs.kept(id).await.strays.is_empty());
    }
}

#[tokio::test]
async fn an_outage_counts_from_when_the_hub_failed() {
    let hubs = Hubs::new().await;
    // With this weight it is the first choice.
    let link = HubLink {
        weight: Some(1_000),
        ..HubLink::default()
    };
    let ctx = hubs.world.admin();
    let service = &hubs.world.service.service;
    let set = service.set_link(&ctx, &FAR.parse_host(), link, None).await;
    set.unwrap();
    let terms = || Terms {
        allocation: Some(AllocationPolicy::Hashed),
        hubs: vec![FAR.parse_host(), OWN.parse_host()],
        ..Terms::default()
    };
    let ids = ids(3);
    for id in &ids {
        hubs.world.enroll(id, terms()).await;
    }
    hubs.far.hold();
    let operations = hubs.begin_all(&ids[..1]).await;
    hubs.far.called(1).await;
    hubs.world.later(12);
    hubs.far.cut();
    let outcome = hubs.world.outcome("d0", &key(1), &operations[0]).await;
    let assigned = |host: &str, id: &str| format!("assigned {host} {id} initialAssignment");
    assert_eq!(line(&outcome.unwrap()), assigned(OWN, "d0"));
    hubs.far.open();
    hubs.world.later(12);
    let second = hubs.world.register("d1", &key(1)).await.unwrap();
    assert_eq!(line(&second), assigned(OWN, "d1"));
    hubs.world.later(12);
    let third = hubs.world.register("d2", &key(1)).await.unwrap();
    assert_eq!(line(&third), assigned(FAR, "d2"));
}
