//! What registrations lead to.

use hub_domain::event::event_of;
use hub_domain::provisioning::{
    AllocationPolicy, Capabilities, InitialTwin, Link, LinkedHub, ReprovisionPolicy, Terms,
};
use hub_domain::{Authentication, HostName, Hub, QuotaProfile, Status};
use hub_engine::IfMatch;
use hub_provisioning::{HubLink, KeyRoll, NewAttestation, NewEnrollment, RegisterRequest};
use hub_storage::Store as _;
use hub_storage::store::FactNo;
use serde_json::{Map, Value, json};

use crate::support::{World, group_key, key, keys_of, line, registration, system};

fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn fixed(host: &str, policy: ReprovisionPolicy) -> Terms {
    Terms {
        allocation: Some(AllocationPolicy::Static),
        hub: HostName::parse(host).ok(),
        reprovision: Some(policy),
        initial_twin: InitialTwin {
            tags: members(json!({"made": "first"})),
            desired: members(json!({"rate": 1})),
        },
        ..Terms::default()
    }
}

const MIGRATE: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: true,
    migrate_device_data: true,
};
const RESET: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: true,
    migrate_device_data: false,
};
const NEVER: ReprovisionPolicy = ReprovisionPolicy {
    update_hub_assignment: false,
    migrate_device_data: false,
};

/// Registers a device at `a`, changes its twin there, and then wants it at `b`.
async fn moved(policy: ReprovisionPolicy) -> (World, Value) {
    let world = World::with(&["a.test", "b.test"]).await;
    world.enroll("d", fixed("a.test", policy)).await;
    let first = world.register("d", &key(1)).await.unwrap();
    assert_eq!(line(&first), "assigned a.test d initialAssignment");
    let hub = world.engine.hubs.by_name("a").unwrap();
    let patch = hub_domain::twin::BackEndPatch {
        tags: Some(members(json!({"made": "changed"}))),
        desired: Some(members(json!({"rate": 9}))),
    };
    let id = hub_domain::IdentityId::parse("d").unwrap();
    let ctx = system(&*world.environment);
    world
        .engine
        .twins
        .patch(&ctx, hub.no, &id, patch, IfMatch::Absent)
        .await
        .unwrap();
    world
        .change_terms("d", |terms| terms.hub = HostName::parse("b.test").ok())
        .await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    (world, outcome)
}

#[tokio::test]
async fn a_new_device_gets_its_keys_capability_and_twin() {
    let world = World::with(&["a.test"]).await;
    let terms = Terms {
        capabilities: Capabilities { iot_edge: true },
        initial_twin: InitialTwin {
            tags: members(json!({"site": "x"})),
            desired: members(json!({"rate": 5})),
        },
        ..Terms::default()
    };
    world.enroll("d", terms).await;
    world.register("d", &key(1)).await.unwrap();
    let device = world.identity("a", "d").await.unwrap().identity;
    assert!(device.iot_edge);
    let (primary, secondary) = device.authentication.keys().unwrap();
    assert!(*primary == key(1) && *secondary == key(2));
    assert!(world.identity("a", "d/$edgeAgent").await.is_some());
    let twin = world.twin("a", "d").await.twin;
    assert_eq!(Value::Object(twin.back_end.tags), json!({"site": "x"}));
    assert_eq!(twin.back_end.desired.properties["rate"], json!(5));
}

#[tokio::test]
async fn the_twin_migrates_with_the_device() {
    let (world, outcome) = moved(MIGRATE).await;
    assert_eq!(line(&outcome), "assigned b.test d deviceDataMigrated");
    let twin = world.twin("b", "d").await.twin;
    assert_eq!(
        Value::Object(twin.back_end.tags),
        json!({"made": "changed"})
    );
    assert_eq!(twin.back_end.desired.properties["rate"], json!(9));
    assert!(
        world.identity("a", "d").await.is_none(),
        "it left its former hub"
    );
}

#[tokio::test]
async fn the_twin_begins_anew_with_the_reset_policy() {
    let (world, outcome) = moved(RESET).await;
    assert_eq!(line(&outcome), "assigned b.test d deviceDataReset");
    let twin = world.twin("b", "d").await.twin;
    assert_eq!(Value::Object(twin.back_end.tags), json!({"made": "first"}));
    assert_eq!(twin.back_end.desired.properties["rate"], json!(1));
    assert!(world.identity("a", "d").await.is_none());
}

#[tokio::test]
async fn the_device_stays_with_the_never_policy() {
    let (world, outcome) = moved(NEVER).await;
    assert_eq!(
        line(&outcome),
        "assigned a.test d reprovisionedToInitialAssignment"
    );
    let twin = world.twin("a", "d").await.twin;
    assert_eq!(
        Value::Object(twin.back_end.tags),
        json!({"made": "changed"})
    );
    assert!(world.identity("b", "d").await.is_none());
}

#[tokio::test]
async fn a_device_that_registers_again_keeps_its_twin_and_a_new_operation() {
    let world = World::with(&["a.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    let first = world.register("d", &group_key("d")).await.unwrap();
    let second = world.register("d", &group_key("d")).await.unwrap();
    assert_ne!(first["operationId"], second["operationId"]);
    assert_eq!(line(&first), line(&second));
    // Whoever asks for the older attempt gets the newest state.
    let operation = first["operationId"].as_str().unwrap();
    let asked = world
        .outcome("d", &group_key("d"), operation)
        .await
        .unwrap();
    assert_eq!(asked, second);
}

#[tokio::test]
async fn an_identity_that_was_deleted_is_made_again() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", fixed("a.test", MIGRATE)).await;
    world.register("d", &key(1)).await.unwrap();
    let hub = world.engine.hubs.by_name("a").unwrap();
    let id = hub_domain::IdentityId::parse("d").unwrap();
    let ctx = system(&*world.environment);
    world
        .engine
        .registry
        .delete(&ctx, hub.no, &id, IfMatch::Absent)
        .await
        .unwrap();
    let again = world.register("d", &key(1)).await.unwrap();
    assert_eq!(line(&again), "assigned a.test d initialAssignment");
    assert_eq!(
        Value::Object(world.twin("a", "d").await.twin.back_end.tags),
        json!({"made": "first"})
    );
}

#[tokio::test]
async fn rolled_keys_reach_the_hub_with_the_next_registration() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    world.register("d", &key(1)).await.unwrap();
    let rolled = world
        .service
        .enrollments
        .roll_keys(
            &world.admin(),
            &registration("d"),
            KeyRoll::Primary,
            IfMatch::Absent,
        )
        .await
        .unwrap();
    let [primary, secondary] = keys_of(&rolled.attestation);
    assert!(secondary == key(2), "the other key stays");
    // The device goes on with its secondary key, and its identity gets the new primary one.
    world.register("d", &key(2)).await.unwrap();
    let device = world.identity("a", "d").await.unwrap().identity;
    let Authentication::Sas {
        primary: in_hub, ..
    } = device.authentication
    else {
        panic!("it has keys");
    };
    assert!(in_hub == primary);
}

#[tokio::test]
async fn a_failure_is_told_and_kept_and_the_assignment_stays() {
    let world = World::with(&["a.test", "b.test"]).await;
    world.enroll("d", fixed("a.test", MIGRATE)).await;
    world.register("d", &key(1)).await.unwrap();
    let gone = HostName::parse("gone.test").unwrap();
    let link = Link::Remote {
        policy: "iothubowner".to_owned(),
        key: key(9),
        port: None,
    };
    let linked = LinkedHub {
        link,
        ..LinkedHub::own(gone.clone())
    };
    let (ctx, service) = (world.admin(), &world.service.service);
    service.link_hub(&ctx, linked).await.unwrap();
    world
        .change_terms("d", |terms| terms.hub = Some(gone.clone()))
        .await;
    service.unlink_hub(&ctx, &gone).await.unwrap();
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(
        line(&outcome),
        "failed 400208 the enrollment names the hub gone.test, which is not linked"
    );
    let kept = world
        .service
        .registrations
        .fetch(&world.admin(), &registration("d"))
        .await
        .unwrap();
    assert_eq!(kept.assignment.unwrap().hub.as_str(), "a.test");
    assert!(world.identity("a", "d").await.is_some());
}

#[tokio::test]
async fn a_device_keeps_its_name_however_it_spells_its_registration_id() {
    let world = World::with(&["a.test"]).await;
    world.enroll("Sensor-A", Terms::default()).await;
    for spelled in ["SENSOR-A", "Sensor-A"] {
        let outcome = world.register(spelled, &key(1)).await.unwrap();
        assert_eq!(line(&outcome), "assigned a.test Sensor-A initialAssignment");
    }
    world.enroll_group("g", Terms::default()).await;
    for spelled in ["Sensor-B", "sensor-b"] {
        let outcome = world.register(spelled, &group_key(spelled)).await.unwrap();
        assert_eq!(line(&outcome), "assigned a.test Sensor-B initialAssignment");
    }
}

#[tokio::test]
async fn two_devices_of_one_id_at_once_have_one_outcome() {
    let world = World::with(&["a.test", "b.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    let key = group_key("d");
    let registrations = (0..16).map(|_| world.register("d", &key));
    let outcomes = futures_util::future::join_all(registrations).await;
    let mut lines: Vec<String> = outcomes
        .into_iter()
        .map(|outcome| line(&outcome.unwrap()))
        .collect();
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let here = world.identity("a", "d").await.is_some();
    let there = world.identity("b", "d").await.is_some();
    assert!(here != there, "it is in one hub");
}

#[tokio::test]
async fn an_answer_says_assigning_first() {
    let world = World::with(&["a.test"]).await;
    world.enroll("d", Terms::default()).await;
    let begun = world
        .begin("d", &key(1), RegisterRequest::default())
        .await
        .unwrap();
    assert!(!begun.is_final());
    assert_eq!(begun.retry_after().map(|wait| wait.as_secs()), Some(1));
    let document: Value = serde_json::from_str(&begun.document()).unwrap();
    assert_eq!(document["status"], "assigning");
    assert_eq!(document["registrationState"]["registrationId"], "d");
    // The vendor's form: everything is in the hub by then all the same.
    assert!(world.identity("a", "d").await.is_some());
}

#[tokio::test]
async fn hubs_share_a_group_by_their_weights() {
    let world = World::with(&["a.test", "b.test"]).await;
    world.enroll_group("g", Terms::default()).await;
    let mut at_a = 0;
    for number in 0..60 {
        let id = format!("d{number}");
        let outcome = world.register(&id, &group_key(&id)).await.unwrap();
        if outcome["registrationState"]["assignedHub"] == "a.test" {
            at_a += 1;
        }
    }
    assert!((15..=45).contains(&at_a), "{at_a} of 60");
}

#[tokio::test]
async fn a_device_keeps_its_name_however_its_enrollment_is_spelled() {
    let world = World::with(&["a.test"]).await;
    world.enroll("Sensor-A", Terms::default()).await;
    world.register("Sensor-A", &key(1)).await.unwrap();
    let ctx = world.admin();
    let enrollments = &world.service.enrollments;
    let rewritten = NewEnrollment {
        id: registration("sensor-a"),
        device: None,
        attestation: NewAttestation::Unchanged,
        terms: Terms::default(),
        information: None,
    };
    enrollments
        .put(&ctx, rewritten.clone(), IfMatch::Any)
        .await
        .unwrap();
    let outcome = world.register("sensor-a", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned a.test Sensor-A initialAssignment");
    enrollments
        .delete(&ctx, &registration("Sensor-A"), IfMatch::Any)
        .await
        .unwrap();
    world.enroll_group("g", Terms::default()).await;
    world
        .register("Sensor-A", &group_key("Sensor-A"))
        .await
        .unwrap();
    let own = NewEnrollment {
        attestation: NewAttestation::SymmetricKey {
            primary: Some(key(1)),
            secondary: Some(key(2)),
        },
        ..rewritten
    };
    enrollments.put(&ctx, own, IfMatch::Absent).await.unwrap();
    let outcome = world.register("sensor-a", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned a.test Sensor-A initialAssignment");
    assert!(world.identity("a", "Sensor-A").await.is_some());
    assert!(world.identity("a", "sensor-a").await.is_none());
}

#[tokio::test]
async fn the_events_tell_the_twin_that_a_device_begins_with() {
    let world = World::with(&["a.test"]).await;
    let terms = Terms {
        initial_twin: InitialTwin {
            tags: members(json!({"line": 7})),
            desired: members(json!({"rate": 1})),
        },
        ..Terms::default()
    };
    world.enroll("d", terms).await;
    world.register("d", &key(1)).await.unwrap();
    let facts = world.store.changes(FactNo(0), 100).await.unwrap();
    let events: Vec<_> = facts
        .iter()
        .filter_map(|(_, fact)| event_of(fact))
        .collect();
    let operations: Vec<_> = events.iter().map(|event| event.operation).collect();
    assert_eq!(operations, ["createDeviceIdentity", "replaceTwin"]);
    let told: Value = serde_json::from_str(&events.last().unwrap().body).unwrap();
    assert_eq!(told["tags"], json!({"line": 7}));
    assert_eq!(told["properties"]["desired"]["rate"], 1);
    let stored = world.twin("a", "d").await.twin;
    assert_eq!(told["version"], stored.version());
}

#[tokio::test]
async fn a_device_that_was_taken_over_is_not_removed_by_its_former_enrollment() {
    let world = World::with(&["a.test", "b.test"]).await;
    let terms = || fixed("a.test", MIGRATE);
    // The second device is put in the place of the first one.
    for id in ["sn-1", "sn-2"] {
        world.enroll_as(id, Some("pump"), terms()).await;
        world.register(id, &key(1)).await.unwrap();
    }
    world.live("a", "pump", "second").await;
    world.rename_device("sn-1", "spare").await;
    let outcome = world.register("sn-1", &key(1)).await.unwrap();
    assert!(line(&outcome).starts_with("assigned a.test spare"));
    assert!(world.settled("sn-1").await.strays.is_empty());
    assert!(world.identity("a", "pump").await.is_some());
    let twin = world.twin("a", "spare").await.twin.back_end;
    assert_eq!(twin.tags.get("by"), None, "it is the second one's twin");
    // To another hub: the same.
    world.rename_device("sn-1", "pump").await;
    world.register("sn-1", &key(1)).await.unwrap();
    world.register("sn-2", &key(1)).await.unwrap();
    let there = HostName::parse("b.test").ok();
    world.change_terms("sn-1", |terms| terms.hub = there).await;
    let outcome = world.register("sn-1", &key(1)).await.unwrap();
    assert!(line(&outcome).starts_with("assigned b.test pump"));
    assert!(world.settled("sn-1").await.strays.is_empty());
    assert!(world.identity("a", "pump").await.is_some());
}

#[tokio::test]
async fn a_hub_that_is_full_is_left_for_the_next_one() {
    let world = World::with(&["a.test", "b.test"]).await;
    let hub = world.engine.hubs.by_name("a").unwrap();
    let limited = |hub: &Hub| {
        let mut next = hub.clone();
        next.settings.quota = QuotaProfile::F1;
        Ok(next)
    };
    let ctx = system(&*world.environment);
    world
        .engine
        .hubs
        .update(&ctx, hub.no, limited)
        .await
        .unwrap();
    for number in 0..500 {
        world.create("a", &format!("other-{number}")).await;
    }
    world.enroll("d", fixed("a.test", MIGRATE)).await;
    let outcome = world.register("d", &key(1)).await.unwrap();
    let text = line(&outcome);
    assert!(text.starts_with("failed 400210"), "{text}");
    let both = |terms: &mut Terms| {
        terms.allocation = Some(AllocationPolicy::Hashed);
        terms.hub = None;
        terms.hubs = ["a.test", "b.test"]
            .into_iter()
            .map(|host| HostName::parse(host).unwrap())
            .collect();
    };
    world.change_terms("d", both).await;
    let link = HubLink {
        weight: Some(1_000),
        ..HubLink::default()
    };
    let service = &world.service.service;
    let first = HostName::parse("a.test").unwrap();
    let set = service.set_link(&world.admin(), &first, link, None).await;
    set.unwrap();
    let outcome = world.register("d", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned b.test d initialAssignment");
}

/// The first enrollment is disabled and left there, as operators do: its registration does not count any more.
#[tokio::test]
async fn who_took_a_device_over_takes_everything_along_when_it_moves() {
    let world = World::with(&["a.test", "b.test"]).await;
    for id in ["sn-1", "sn-2"] {
        let terms = fixed("a.test", MIGRATE);
        world.enroll_as(id, Some("pump"), terms).await;
        world.register(id, &key(1)).await.unwrap();
    }
    let disabled = |terms: &mut Terms| terms.status = Status::Disabled;
    world.change_terms("sn-1", disabled).await;
    world.live("a", "pump", "second").await;
    world.disable("a", "pump", "quarantine").await;
    let there = HostName::parse("b.test").ok();
    world.change_terms("sn-2", |terms| terms.hub = there).await;
    let outcome = world.register("sn-2", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned b.test pump deviceDataMigrated");
    assert!(world.settled("sn-2").await.strays.is_empty());
    assert!(world.identity("a", "pump").await.is_none());
    assert_eq!(
        world.twin("b", "pump").await.twin.back_end.tags["by"],
        "second"
    );
    let identity = world.identity("b", "pump").await.unwrap().identity;
    assert_eq!(identity.status, Status::Disabled);
    // The first one comes back, and takes over what is there.
    let enabled = |terms: &mut Terms| {
        terms.status = Status::Enabled;
        terms.hub = HostName::parse("b.test").ok();
    };
    world.change_terms("sn-1", enabled).await;
    let outcome = world.register("sn-1", &key(1)).await.unwrap();
    assert_eq!(line(&outcome), "assigned b.test pump deviceDataReset");
    let there = HostName::parse("a.test").ok();
    world.change_terms("sn-2", |terms| terms.hub = there).await;
    world.register("sn-2", &key(1)).await.unwrap();
    assert!(world.settled("sn-2").await.strays.is_empty());
    assert!(world.identity("b", "pump").await.is_some());
}

#[tokio::test]
async fn two_enrollments_exchange_their_devices() {
    let world = World::with(&["a.test"]).await;
    for (id, device) in [("a", "pump-1"), ("b", "pump-2")] {
        let terms = fixed("a.test", MIGRATE);
        world.enroll_as(id, Some(device), terms).await;
        world.register(id, &key(1)).await.unwrap();
    }
    world.rename_device("a", "pump-2").await;
    world.rename_device("b", "pump-1").await;
    for (id, device) in [("a", "pump-2"), ("b", "pump-1")] {
        let outcome = world.register(id, &key(1)).await.unwrap();
        assert!(line(&outcome).starts_with(&format!("assigned a.test {device}")));
        assert!(world.settled(id).await.strays.is_empty());
    }
    for device in ["pump-1", "pump-2"] {
        assert!(world.identity("a", device).await.is_some(), "{device}");
    }
}
