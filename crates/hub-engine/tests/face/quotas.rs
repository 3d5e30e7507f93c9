//! Quota profiles: what a hub with the limits of a vendor's tier refuses, and until when.

use std::time::Duration;

use hub_domain::routing::Source;
use hub_domain::{Hub, QuotaProfile};
use hub_engine::{Caller, Error};

use super::support::{World, device, failure, id, message, method};

impl World {
    /// Gives the hub the limits of `profile`.
    async fn limit(&self, profile: QuotaProfile) {
        let decide = |hub: &Hub| {
            let mut next = hub.clone();
            next.settings.quota = profile;
            Ok(next)
        };
        let admin = self.called_by(Caller::Admin);
        let updated = self.engine.hubs.update(&admin, self.hub.no, decide).await;
        assert_eq!(updated.unwrap().settings.quota, profile);
    }

    async fn fetches_until_refused(&self) -> (u32, Error) {
        for count in 0..10_000 {
            let fetched = self
                .engine
                .registry
                .fetch(&self.owner(), self.hub.no, &id("d1"))
                .await;
            if let Err(error) = fetched {
                return (count, error);
            }
        }
        panic!("nothing was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_tier_refuses_what_is_more_than_a_minutes_worth() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::S1).await;
    let (count, error) = world.fetches_until_refused().await;
    world.say(format!("{count}, then {}", failure(&error)));
    world.pass(Duration::from_secs(6)).await;
    let (count, _) = world.fetches_until_refused().await;
    world.say(format!("after 6 s {count} more"));
    world.limit(QuotaProfile::Unlimited).await;
    let fetched = world
        .engine
        .registry
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await;
    world.say_result("without limits", fetched.map(|_| ()));
    world.check(
        "100, then Throttled 429001
         after 6 s 10 more
         without limits: ()",
    );
}

#[tokio::test(start_paused = true)]
async fn the_installations_own_commands_are_not_metered() {
    let world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::F1).await;
    let admin = world.called_by(Caller::Admin);
    for _ in 0..200 {
        let fetched = world
            .engine
            .registry
            .fetch(&admin, world.hub.no, &id("d1"))
            .await;
        assert!(fetched.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_messages_wait_for_a_device_of_a_tier() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::S3).await;
    let mut sent = 0;
    let error = loop {
        let queued = world
            .engine
            .messages
            .send(&world.owner(), world.hub.no, &id("d1"), message("m"))
            .await;
        match queued {
            Ok(_) => sent += 1,
            Err(error) => break error,
        }
    };
    world.say(format!("{sent}, then {}", failure(&error)));
    world.check("50, then QuotaExceeded 403004");
}

#[tokio::test(start_paused = true)]
async fn a_method_call_counts_in_steps_of_four_kibibytes() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::S1).await;
    let mut calls = 0;
    let error = loop {
        let called = world
            .engine
            .methods
            .invoke(&world.owner(), world.hub.no, &id("d1"), method("m"))
            .await;
        match called {
            Err(error) if error.kind() == hub_engine::ErrorKind::DeviceOffline => calls += 1,
            Err(error) => break error,
            Ok(_) => panic!("nobody is connected"),
        }
    };
    // 160 KiB a second for a minute, 4 KiB at least each.
    world.say(format!("{calls}, then {}", failure(&error)));
    world.check("2400, then Throttled 429001");
}

#[tokio::test(start_paused = true)]
async fn a_free_hub_has_five_hundred_devices() {
    let mut world = World::new().await;
    for number in 0..500 {
        world.given(device(&format!("d{number}"))).await;
    }
    world.limit(QuotaProfile::F1).await;
    let created = world
        .engine
        .registry
        .create(&world.owner(), world.hub.no, device("one-more"))
        .await;
    world.say_result("one more", created.map(|_| ()));
    world.check("one more: QuotaExceeded 413002");
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_slowed_down_and_ends_with_the_day() {
    use hub_engine::RecordFlags;
    use hub_engine::sessions::TelemetryBatch;

    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::F1).await;
    let d1 = world.open("d1").await;
    let mut batch = TelemetryBatch::new();
    for turn in 0..9 {
        for _ in 0..1_000 {
            batch.push(RecordFlags::default(), b"", b"1");
        }
        let sent = d1.session.send_telemetry(world.now(), &mut batch).await;
        if d1.session.is_log_full() || sent.is_err() {
            let before = world.now();
            world.engine.telemetry.room(world.hub.no).await;
            let waited = world.now().since(before).as_secs();
            let result = sent.map(|_| "sent").map_err(|error| failure(&error));
            world.say(format!("{turn}: {result:?}, then {waited} s"));
        }
    }
    world.check(
        r#"6: Ok("sent"), then 10 s
         7: Ok("sent"), then 10 s
         8: Err("QuotaExceeded 403002"), then 0 s"#,
    );
}

#[tokio::test(start_paused = true)]
async fn what_a_route_reads_of_twins_is_not_the_devices_to_pay() {
    use hub_engine::RecordFlags;
    use hub_engine::sessions::TelemetryBatch;

    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.limit(QuotaProfile::S1).await;
    world
        .given_route("site", Source::DeviceMessages, "$twin.tags.site = 'north'")
        .await;
    let d1 = world.open("d1").await;
    let mut reads = 0;
    let error = loop {
        match d1.session.twin(world.now()).await {
            Ok(_) => reads += 1,
            Err(error) => break error,
        }
    };
    world.say(format!("{reads}, then {}", failure(&error)));
    let mut batch = TelemetryBatch::new();
    batch.push(RecordFlags::default(), b"", b"1");
    let sent = d1.session.send_telemetry(world.now(), &mut batch).await;
    world.say_result("telemetry", sent.map(|_| ()));
    world.check(
        "6000, then Throttled 429001
         telemetry: ()",
    );
}
