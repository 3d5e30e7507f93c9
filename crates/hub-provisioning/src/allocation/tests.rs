use std::collections::BTreeMap;

use hub_domain::provisioning::{AddressRange, Capabilities};
use serde_json::json;

use super::*;

fn host(name: &str) -> HostName {
    HostName::parse(name).expect("a valid name")
}

fn region(name: &str) -> Region {
    Region::parse(name).expect("a valid name")
}

fn hub(name: &str, weight: u32) -> LinkedHub {
    LinkedHub {
        weight,
        ..LinkedHub::own(host(name))
    }
}

struct Case {
    terms: Terms,
    settings: ProvisioningSettings,
    hubs: Vec<LinkedHub>,
    address: Option<IpAddr>,
    payload: Option<Value>,
}

impl Case {
    fn new(policy: AllocationPolicy, hubs: &[LinkedHub]) -> Self {
        Self {
            terms: Terms {
                allocation: Some(policy),
                capabilities: Capabilities::default(),
                ..Terms::default()
            },
            settings: ProvisioningSettings::default(),
            hubs: hubs.to_vec(),
            address: None,
            payload: None,
        }
    }

    #[expect(
        clippy::unwrap_in_result,
        reason = "a test fails by panic, its helpers too"
    )]
    fn choose(&self, id: &str) -> Result<Choice, String> {
        let id = RegistrationId::parse(id).expect("a valid id");
        let candidate = |hub: &LinkedHub| Candidate {
            linked: hub.clone(),
            aliases: vec![host(&format!("former-{}", hub.host))],
            label: hub.host.to_string(),
        };
        let hubs: Vec<Candidate> = self.hubs.iter().map(candidate).collect();
        let situation = Situation {
            id: &id,
            terms: &self.terms,
            settings: &self.settings,
            hubs: &hubs,
            address: self.address,
            payload: self.payload.as_ref(),
        };
        situation.choose().map_err(|error| error.to_string())
    }

    fn first(&self, id: &str) -> String {
        let choice = self.choose(id).expect("a choice");
        choice.ranked.first().expect("a hub").host.to_string()
    }
}

#[test]
fn the_hash_is_written_down() {
    // Devices keep their hubs over releases only as long as these stay.
    let case = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 1), hub("c.test", 1)],
    );
    let chosen: Vec<String> = [
        "device-1", "device-2", "device-3", "device-4", "device-5", "device-6",
    ]
    .map(|id| case.first(id))
    .to_vec();
    assert_eq!(
        chosen,
        ["a.test", "a.test", "b.test", "b.test", "a.test", "b.test"]
    );
}

#[test]
fn the_hash_follows_the_weights() {
    let case = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 3)],
    );
    let mut counts = BTreeMap::new();
    for number in 0..4_000 {
        *counts
            .entry(case.first(&format!("device-{number}")))
            .or_insert(0_u32) += 1;
    }
    let a = counts.get("a.test").copied().unwrap_or_default();
    assert!((900..1_100).contains(&a), "{counts:?}");
}

#[test]
fn a_new_hub_takes_devices_only_for_itself() {
    let before = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 1)],
    );
    let after = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 1), hub("c.test", 1)],
    );
    for number in 0..500 {
        let id = format!("device-{number}");
        let now = after.first(&id);
        assert!(now == "c.test" || now == before.first(&id), "{id}");
    }
}

#[test]
fn ids_are_hashed_without_case() {
    let case = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 1), hub("c.test", 1)],
    );
    for number in 0..20 {
        assert_eq!(
            case.first(&format!("Device-{number}")),
            case.first(&format!("dEVICE-{number}"))
        );
    }
}

#[test]
fn an_enrollment_may_name_its_hubs() {
    let mut case = Case::new(
        AllocationPolicy::Hashed,
        &[hub("a.test", 1), hub("b.test", 1)],
    );
    for (named, chosen) in [("a.test", "a.test"), ("former-b.test", "b.test")] {
        case.terms.hubs = vec![host(named)];
        assert_eq!(case.first("x"), chosen);
    }
    case.terms.hubs = vec![host("nowhere.test")];
    assert!(case.choose("x").is_err());
}

#[test]
fn a_hub_that_takes_no_part_gets_the_devices_of_static_enrollments_alone() {
    let drained = LinkedHub {
        allocatable: false,
        ..hub("b.test", 9)
    };
    let mut case = Case::new(AllocationPolicy::Hashed, &[hub("a.test", 1), drained]);
    case.terms.hubs = vec![host("a.test"), host("b.test")];
    let choice = case.choose("x").expect("a choice");
    assert_eq!(choice.ranked.len(), 1);
    assert_eq!(case.first("x"), "a.test");
    case.terms.hubs = vec![host("b.test")];
    assert!(case.choose("x").is_err());
    case.terms.allocation = Some(AllocationPolicy::Static);
    assert_eq!(case.first("x"), "b.test");
}

#[test]
fn the_static_policy_takes_the_named_hub_or_none() {
    let mut case = Case::new(
        AllocationPolicy::Static,
        &[hub("a.test", 1), hub("b.test", 1)],
    );
    assert!(case.choose("x").is_err());
    case.terms.hub = Some(host("b.test"));
    assert_eq!(case.first("x"), "b.test");
    case.terms.hub = Some(host("former-a.test"));
    assert_eq!(case.first("x"), "a.test", "by the name it had");
    case.terms.hub = None;
    case.terms.hubs = vec![host("a.test")];
    assert_eq!(case.first("x"), "a.test");
    // Older documents name the hub and know no policy.
    case.terms.hub = Some(host("b.test"));
    case.terms.allocation = None;
    assert_eq!(case.first("x"), "b.test");
    case.terms.hub = Some(host("c.test"));
    assert_eq!(
        case.choose("x"),
        Err("the enrollment names the hub c.test, which is not linked".to_owned())
    );
}

fn geo() -> Case {
    let mut case = Case::new(
        AllocationPolicy::GeoLatency,
        &[
            LinkedHub {
                region: Some(region("west europe")),
                ..hub("eu.test", 1)
            },
            LinkedHub {
                region: Some(region("east us")),
                ..hub("us.test", 1)
            },
        ],
    );
    case.settings
        .latencies
        .set(region("asia"), host("eu.test"), Duration::from_millis(180));
    case.settings.latencies.set(
        region("asia"),
        host("former-us.test"),
        Duration::from_millis(90),
    );
    case
}

#[test]
fn the_nearest_hub_is_the_one_of_the_least_latency() {
    let mut case = geo();
    case.payload = Some(json!({"region": "Asia"}));
    let choice = case.choose("x").expect("a choice");
    let hosts: Vec<_> = choice.ranked.iter().map(|one| one.host.as_str()).collect();
    assert_eq!(hosts, ["us.test", "eu.test"]);
    case.payload = Some(json!({"region": "West Europe"}));
    assert_eq!(case.first("x"), "eu.test");
}

#[test]
fn addresses_tell_regions_and_the_longest_range_decides() {
    let mut case = geo();
    case.settings.address_ranges = vec![
        AddressRange::parse("10.0.0.0/8", region("east us")).expect("a range"),
        AddressRange::parse("10.2.0.0/16", region("west europe")).expect("a range"),
    ];
    case.payload = Some(json!({"region": "asia"}));
    case.address = "10.1.0.1".parse().ok();
    assert_eq!(case.first("x"), "us.test");
    case.address = "10.2.0.1".parse().ok();
    assert_eq!(case.first("x"), "eu.test");
}

#[test]
fn unknown_callers_and_ties_fall_back_to_the_hash_and_it_is_said() {
    let mut case = geo();
    let unknown = case.choose("x").expect("a choice");
    assert!(
        unknown
            .notes
            .iter()
            .any(|note| note.contains("region is not known"))
    );
    case.payload = Some(json!({"region": "antarctica"}));
    let unmeasured = case.choose("x").expect("a choice");
    assert!(
        unmeasured
            .notes
            .iter()
            .any(|note| note.contains("no latency from antarctica"))
    );
    case.settings.latencies.set(
        region("asia"),
        host("us.test"),
        Duration::from_micros(180_900),
    );
    case.payload = Some(json!({"region": "asia"}));
    // What was measured is never quite the same: less than a millisecond is no difference.
    let tie = case.choose("x").expect("a choice");
    assert!(
        tie.notes.iter().any(|note| note.contains("equally near")),
        "{tie:?}"
    );
    let by_hash = Case::new(AllocationPolicy::Hashed, &case.hubs).first("x");
    assert_eq!(case.first("x"), by_hash);
}
