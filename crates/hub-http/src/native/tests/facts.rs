//! The event streams of facts.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Stream, ask, connect, with_device};
use crate::testing::{BEGINNING, Installation};

async fn all(installation: &Installation, query: &str) -> Vec<Value> {
    Stream::of_admin(installation, &format!("{query}&follow=false"))
        .await
        .rest()
        .await
}

#[tokio::test(start_paused = true)]
async fn twin_writes_are_shown_as_they_were_asked_for() {
    let installation = with_device().await;
    let twin = "/hubs/hub/devices/d1/twin";
    let patch =
        json!({ "tags": { "floor": 1 }, "properties": { "desired": { "a": 1, "gone": null } } });
    ask(&installation, "PATCH", twin, patch).await.ok();
    ask(
        &installation,
        "PUT",
        twin,
        json!({ "tags": { "floor": 2 } }),
    )
    .await
    .ok();
    let session = connect(&installation, "d1/m1").await;
    let reported = json!({ "on": { "since": 1 } }).as_object().unwrap().clone();
    session
        .patch_reported(BEGINNING, reported, None)
        .await
        .unwrap();

    let events = all(&installation, "source=twinChangeEvents&from=start").await;
    let time = BEGINNING.to_rfc3339();
    let shown: Vec<Value> = events
        .iter()
        .map(|event| {
            json!([
                event["deviceId"],
                event["moduleId"],
                event["properties"]["opType"],
                event["body"]
            ])
        })
        .collect();
    let stamp = |version: u64| json!({ "$lastUpdated": time, "$lastUpdatedVersion": version });
    let mut desired_metadata = stamp(2);
    desired_metadata["a"] = stamp(2);
    let leaf = json!({ "$lastUpdated": time });
    let expected = [
        json!(["d1", null, "updateTwin", {
            "version": 3, "tags": { "floor": 1 },
            "properties": { "desired": { "a": 1, "gone": null, "$metadata": desired_metadata, "$version": 2 } },
        }]),
        json!(["d1", null, "replaceTwin", {
            "version": 4, "tags": { "floor": 2 },
            "properties": { "desired": { "$metadata": stamp(3), "$version": 3 } },
        }]),
        json!(["d1", "m1", "updateTwin", {
            "version": 3,
            "properties": { "reported": {
                "on": { "since": 1 }, "$version": 2,
                "$metadata": { "$lastUpdated": time, "on": { "$lastUpdated": time, "since": leaf } },
            } },
        }]),
    ];
    assert_eq!(shown, expected);
}

#[tokio::test(start_paused = true)]
async fn identities_that_come_and_go_are_shown() {
    let installation = with_device().await;
    ask(&installation, "DELETE", "/hubs/hub/devices/d1", Value::Null).await;
    let events = all(&installation, "source=deviceLifecycleEvents&from=start").await;
    let shown: Vec<String> = events
        .iter()
        .map(|event| {
            let schema = event["properties"]["iothub-message-schema"]
                .as_str()
                .unwrap();
            format!(
                "{} {} {schema}",
                event["properties"]["opType"], event["body"]["moduleId"]
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            "\"createDeviceIdentity\" null deviceLifecycleNotification",
            "\"createModuleIdentity\" \"m1\" moduleLifecycleNotification",
            "\"deleteModuleIdentity\" \"m1\" moduleLifecycleNotification",
            "\"deleteDeviceIdentity\" null deviceLifecycleNotification",
        ]
    );
    let created = &events[0];
    assert_eq!(
        (&created["body"]["etag"], &created["body"]["version"]),
        (&json!("AAAAAAAAAAE="), &json!(2))
    );
    assert_eq!(created["properties"]["hubName"], "hub");
    assert_eq!(
        created["annotations"]["iothub-message-source"],
        "deviceLifecycleEvents"
    );
    assert_eq!(
        created["systemProperties"]["content-type"],
        "application/json"
    );
    assert_eq!(created["offset"], created["sequenceNumber"].to_string());
}

#[tokio::test(start_paused = true)]
async fn a_follower_gets_each_fact_once_and_from_where_it_ended() {
    let installation = with_device().await;
    let twin = "/hubs/hub/devices/d1/twin";
    let mut stream = Stream::of_admin(&installation, "source=twinChangeEvents").await;
    let mut offsets = Vec::new();
    for number in 0..3 {
        ask(
            &installation,
            "PATCH",
            twin,
            json!({ "tags": { "n": number } }),
        )
        .await
        .ok();
        let event = stream.json().await;
        assert_eq!(event["body"]["tags"]["n"], number);
        offsets.push(event["sequenceNumber"].as_u64().unwrap());
    }
    let again = all(
        &installation,
        &format!("source=twinChangeEvents&from=offset:{}", offsets[0] + 1),
    )
    .await;
    let numbers: Vec<_> = again
        .iter()
        .map(|event| event["sequenceNumber"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, offsets[1..]);
}

#[tokio::test(start_paused = true)]
async fn facts_of_other_hubs_and_devices_and_earlier_times_are_left_out() {
    let installation = with_device().await;
    installation.add_hub("other").await;
    ask(
        &installation,
        "POST",
        "/hubs/other/devices",
        json!({ "deviceId": "d1" }),
    )
    .await;
    tokio::time::advance(Duration::from_secs(60)).await;
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": "d2" }),
    )
    .await;
    let ids = |events: Vec<Value>| {
        events
            .iter()
            .map(|event| event["deviceId"].clone())
            .collect::<Vec<_>>()
    };
    let source = "source=deviceLifecycleEvents";
    assert_eq!(
        ids(all(&installation, &format!("{source}&from=start")).await),
        ["d1", "d1", "d2"]
    );
    assert_eq!(
        ids(all(&installation, &format!("{source}&from=start&device=d2")).await),
        ["d2"]
    );
    let time: String = percent_encoding::utf8_percent_encode(
        &BEGINNING.plus(Duration::from_secs(30)).to_rfc3339(),
        percent_encoding::NON_ALPHANUMERIC,
    )
    .collect();
    assert_eq!(
        ids(all(&installation, &format!("{source}&from=time:{time}")).await),
        ["d2"]
    );
    assert_eq!(
        ids(all(&installation, &format!("{source}&from=start&max=1")).await),
        ["d1"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_behind_the_retention_is_told_what_it_missed() {
    let installation = with_device().await;
    tokio::time::advance(Duration::from_secs(3 * 24 * 3600)).await;
    ask(
        &installation,
        "POST",
        "/hubs/hub/devices",
        json!({ "deviceId": "d2" }),
    )
    .await;
    let chores = tokio::time::sleep(Duration::from_secs(90));
    installation.engine.run(chores).await.unwrap();
    let source = "source=deviceLifecycleEvents";
    let lines = all(&installation, &format!("{source}&from=offset:1")).await;
    let expected =
        json!({ "notice": "behindRetention", "expectedOffset": "1", "resumedOffset": "3" });
    assert_eq!(
        (lines.len(), &lines[0], &lines[1]["deviceId"]),
        (2, &expected, &json!("d2"))
    );
    let whole = all(&installation, &format!("{source}&from=start")).await;
    assert_eq!(whole.len(), 1, "from the start there is nothing to miss");
}
