//! Events of the hub itself, routed to the built-in endpoint.

use std::time::Duration;

use hub_domain::message::{SystemProperty, decode_telemetry_properties};
use hub_domain::routing::{RouteName, Source};
use hub_domain::twin::BackEndPatch;
use hub_engine::IfMatch;
use hub_storage::Store;
use hub_storage::memory::Faults as _;
use serde_json::Value;

use crate::support::{World, device, id, members};

async fn given_all_routes(world: &World) {
    for (name, source) in [
        ("twins", Source::TwinChangeEvents),
        ("lives", Source::DeviceLifecycleEvents),
        ("connections", Source::DeviceConnectionStateEvents),
    ] {
        world.given_route(name, source, "true").await;
    }
    world.idle().await;
}

#[tokio::test(start_paused = true)]
async fn twin_changes_are_told_as_they_were_written() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route("twins", Source::TwinChangeEvents, "true")
        .await;
    world.idle().await;
    let d1 = world.open("d1").await;
    d1.session
        .patch_reported(world.now(), members(r#"{"level":1}"#), None)
        .await
        .unwrap();
    world.patch_tags("d1", r#"{"site":"x"}"#).await;
    let whole = BackEndPatch {
        tags: Some(members(r#"{"a":1}"#)),
        desired: Some(members(r#"{"b":2}"#)),
    };
    let replaced = world
        .engine
        .twins
        .replace(
            &world.owner(),
            world.hub.no,
            &id("d1"),
            whole,
            IfMatch::Absent,
        )
        .await;
    replaced.unwrap();
    world.idle().await;
    world.say_log().await;
    world.check(
        r#"TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"properties":{"reported":{"$metadata":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z","level":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z"}},"$version":2,"level":1}},"version":3}
           TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"site":"x"},"version":4}
           TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=replaceTwin {"deviceId":"d1","etag":"AAAAAAAAAAM=","properties":{"desired":{"$metadata":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z","$lastUpdatedVersion":2,"b":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z","$lastUpdatedVersion":2}},"$version":2,"b":2},"reported":{"$metadata":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z","level":{"$lastUpdated":"2023-11-14T22:13:20.0020000Z"}},"$version":2,"level":1}},"tags":{"a":1},"version":5}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_has_the_documented_properties() {
    let world = World::running().await;
    given_all_routes(&world).await;
    world.given(device("d1")).await;
    world.idle().await;
    let record = world.records().await.remove(0);
    let bag = decode_telemetry_properties(&record.bag).unwrap();
    let system = |property| bag.system(property).unwrap_or_default().to_owned();
    assert_eq!(system(SystemProperty::ContentType), "application/json");
    assert_eq!(system(SystemProperty::ContentEncoding), "utf-8");
    assert_eq!(system(SystemProperty::UserId), "hub");
    assert!(!system(SystemProperty::CorrelationId).is_empty());
    let application: Vec<String> = bag
        .application
        .iter()
        .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        application,
        [
            "deviceId=d1",
            "hubName=hub",
            "iothub-message-schema=deviceLifecycleNotification",
            "opType=createDeviceIdentity",
            "operationTimestamp=2023-11-14T22:13:20.0020000Z",
        ]
    );
    assert_eq!(record.source.auth_method, "");
}

#[tokio::test(start_paused = true)]
async fn lives_of_devices_and_modules_are_told_with_their_twins() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route(
            "lives",
            Source::DeviceLifecycleEvents,
            "opType = 'deleteDeviceIdentity'",
        )
        .await;
    world.idle().await;
    world.given(device("d1/m1")).await;
    world.patch_tags("d1/m1", r#"{"of":"module"}"#).await;
    let delete = world
        .engine
        .registry
        .delete(&world.owner(), world.hub.no, &id("d1"), IfMatch::Absent)
        .await;
    delete.unwrap();
    world.idle().await;
    world.say_log().await;
    let empty = r#"{"$metadata":{"$lastUpdated":"0001-01-01T00:00:00Z"},"$version":1}"#;
    let properties = format!(r#""properties":{{"desired":{empty},"reported":{empty}}}"#);
    world.check(&format!(
        r#"DeviceLifecycleEvents d1/m1 iothub-message-schema=deviceLifecycleNotification opType=deleteDeviceIdentity {{"deviceId":"d1","etag":"AAAAAAAAAAI=","moduleId":"m1",{properties},"tags":{{"of":"module"}},"version":3}}
           DeviceLifecycleEvents d1 iothub-message-schema=deviceLifecycleNotification opType=deleteDeviceIdentity {{"deviceId":"d1","etag":"AAAAAAAAAAE=",{properties},"version":2}}"#
    ));
}

#[tokio::test(start_paused = true)]
async fn connections_are_told_at_once_and_in_order() {
    let world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route("connections", Source::DeviceConnectionStateEvents, "true")
        .await;
    let first = world.open("d1").await;
    // Taken over: the device stays connected.
    let second = world.open("d1").await;
    drop(first);
    world.idle().await;
    drop(second);
    let third = world.open_transient("d1").await;
    world.idle().await;
    drop(third);
    world.idle().await;
    let mut told = Vec::new();
    let mut numbers = Vec::new();
    for record in world.records().await {
        let bag = decode_telemetry_properties(&record.bag).unwrap();
        told.push(bag.application["opType"].clone().unwrap());
        let body: Value = serde_json::from_slice(&record.body).unwrap();
        numbers.push(body["sequenceNumber"].as_str().unwrap().to_owned());
    }
    assert_eq!(
        told,
        [
            "deviceConnected",
            "deviceDisconnected",
            "deviceConnected",
            "deviceDisconnected"
        ]
    );
    assert!(numbers.iter().all(|number| number.len() == 64));
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[tokio::test(start_paused = true)]
async fn conditions_choose_among_events() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.given(device("d2")).await;
    world.patch_tags("d2", r#"{"watched":true}"#).await;
    world
        .given_route(
            "slow",
            Source::TwinChangeEvents,
            "is_defined($body.tags.interval) AND $body.tags.interval > 10",
        )
        .await;
    world
        .given_route(
            "watched",
            Source::TwinChangeEvents,
            "$twin.tags.watched AND $connectionDeviceId = 'd2'",
        )
        .await;
    world.idle().await;
    world.patch_tags("d1", r#"{"interval":5}"#).await;
    world.patch_tags("d1", r#"{"interval":50}"#).await;
    world.patch_tags("d2", r#"{"any":0}"#).await;
    world.idle().await;
    let bodies: Vec<String> = world
        .records()
        .await
        .iter()
        .map(|record| String::from_utf8_lossy(&record.body).into_owned())
        .collect();
    for body in bodies.iter().rev().take(5) {
        world.say(body.clone());
    }
    world.check(
        r#"{"tags":{"interval":50},"version":4}
           {"tags":{"any":0},"version":4}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn what_happened_while_the_router_was_away_is_told_after() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    given_all_routes(&world).await;
    world.patch_tags("d1", r#"{"n":1}"#).await;
    world.pass(Duration::from_secs(2)).await;
    world.stop();
    world.patch_tags("d1", r#"{"n":2}"#).await;
    world.restart().await;
    world.patch_tags("d1", r#"{"n":3}"#).await;
    world.run();
    world.idle().await;
    world.say_log().await;
    world.check(
        r#"TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"n":1},"version":3}
           TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"n":2},"version":4}
           TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"n":3},"version":5}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_repeats_what_came_after_the_checkpoint_and_loses_nothing() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    given_all_routes(&world).await;
    world.patch_tags("d1", r#"{"n":1}"#).await;
    world.pass(Duration::from_secs(2)).await;
    world.patch_tags("d1", r#"{"n":2}"#).await;
    world.idle().await;
    world.patch_tags("d1", r#"{"n":3}"#).await;
    world.idle().await;
    // Killed within a second after the last checkpoint.
    world.restart().await;
    world.idle().await;
    let versions: Vec<u64> = world
        .records()
        .await
        .iter()
        .map(|record| {
            let body: Value = serde_json::from_slice(&record.body).unwrap();
            body["version"].as_u64().unwrap()
        })
        .collect();
    let (first, again) = versions.split_at(3);
    assert_eq!(first, [3, 4, 5]);
    assert!(
        again == [5] || again == [4, 5] || again.is_empty(),
        "{again:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_route_tells_what_happens_after_it_was_made() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.patch_tags("d1", r#"{"n":1}"#).await;
    world
        .given_route("twins", Source::TwinChangeEvents, "true")
        .await;
    world.idle().await;
    world.patch_tags("d1", r#"{"n":2}"#).await;
    world.idle().await;
    let name = RouteName::parse("twins").unwrap();
    let deleted = world
        .engine
        .routes
        .delete(&world.admin(), world.hub.no, &name)
        .await;
    deleted.unwrap();
    world.idle().await;
    world.patch_tags("d1", r#"{"n":3}"#).await;
    world
        .given_route("twins", Source::TwinChangeEvents, "true")
        .await;
    world.patch_tags("d1", r#"{"n":4}"#).await;
    world.idle().await;
    world.say_log().await;
    world.check(
        r#"TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"n":2},"version":4}
           TwinChangeEvents d1 iothub-message-schema=twinChangeNotification opType=updateTwin {"tags":{"n":4},"version":6}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_delays_events_and_loses_none() {
    let world = World::running().await;
    world.given(device("d1")).await;
    given_all_routes(&world).await;
    let log = world.logs.open_memory(&world.hub).unwrap();
    log.fail_next(2);
    world.patch_tags("d1", r#"{"n":1}"#).await;
    let d1 = world.open("d1").await;
    world.idle().await;
    assert!(world.records().await.is_empty());
    world.pass(Duration::from_secs(3)).await;
    let mut sources: Vec<String> = world
        .records()
        .await
        .iter()
        .map(|record| record.source.message_source.to_string())
        .collect();
    sources.sort();
    assert_eq!(sources, ["DeviceConnectionStateEvents", "TwinChangeEvents"]);
    drop(d1);
}

#[tokio::test(start_paused = true)]
async fn hubs_are_routed_apart() {
    let world = World::running().await;
    let other = world.second_hub().await;
    given_all_routes(&world).await;
    let ctx = world.policy_of(other.no, &hub_domain::Permission::ALL);
    world
        .engine
        .registry
        .create(&ctx, other.no, device("elsewhere"))
        .await
        .unwrap();
    world.given(device("here")).await;
    world.pass(Duration::from_secs(2)).await;
    let devices: Vec<String> = world
        .records()
        .await
        .iter()
        .map(|record| record.source.device.clone())
        .collect();
    assert_eq!(devices, ["here"]);
    assert_eq!(world.store.checkpoint(other.no).await.unwrap(), None);
}
