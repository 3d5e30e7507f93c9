//! Where messages and events go: routes, the fallback route, enrichments, and the events of the hub itself.

mod events;
mod rules;

use hub_domain::Permission;
use hub_domain::message::decode_telemetry_properties;
use hub_domain::routing::{
    EndpointName, Enrichment, EnrichmentKey, FallbackRoute, Route, RouteName, Source,
};
use hub_domain::twin::BackEndPatch;
use hub_engine::sessions::TelemetryBatch;
use hub_engine::{Caller, IfMatch, LogRecord, OpContext, Position, ReadLimit, RecordFlags};
use hub_storage::Store;
use hub_storage::memory::Faults as _;

use crate::support::{Device, World, device, id, members};

const PLENTY: ReadLimit = ReadLimit {
    records: 1_000,
    bytes: 1 << 20,
};

pub(super) fn route(name: &str, source: Source, condition: &str) -> Route {
    Route {
        name: RouteName::parse(name).unwrap(),
        source,
        condition: condition.to_owned(),
        endpoints: vec![EndpointName::built_in()],
        enabled: true,
    }
}

fn enrichment(key: &str, value: &str) -> Enrichment {
    Enrichment {
        key: EnrichmentKey::parse(key).unwrap(),
        value: value.to_owned(),
        endpoints: vec![EndpointName::built_in()],
    }
}

impl World {
    pub(super) fn admin(&self) -> OpContext {
        self.called_by(Caller::Admin)
    }

    pub(super) async fn given_route(&self, name: &str, source: Source, condition: &str) {
        let route = route(name, source, condition);
        let created = self
            .engine
            .routes
            .create(&self.admin(), self.hub.no, route)
            .await;
        created.unwrap();
    }

    async fn given_enrichment(&self, key: &str, value: &str) {
        let put = self
            .engine
            .routes
            .put_enrichment(&self.admin(), self.hub.no, enrichment(key, value))
            .await;
        put.unwrap();
    }

    async fn without_fallback(&self) {
        let fallback = FallbackRoute {
            enabled: false,
            ..FallbackRoute::default()
        };
        let set = self
            .engine
            .routes
            .set_fallback(&self.admin(), self.hub.no, fallback)
            .await;
        set.unwrap();
    }

    /// Everything in the log, by partition and position.
    pub(super) async fn records(&self) -> Vec<LogRecord> {
        let mut all = Vec::new();
        for partition in 0..self.hub.partition_count {
            let read = self
                .engine
                .events
                .telemetry(
                    &self.owner(),
                    self.hub.no,
                    partition,
                    Position::Start,
                    PLENTY,
                )
                .await;
            all.extend(read.unwrap());
        }
        all
    }

    /// Says what is in the log: source, sender, some properties, body.
    pub(super) async fn say_log(&mut self) {
        let records = self.records().await;
        if records.is_empty() {
            self.say("the log is empty");
        }
        for record in records {
            let bag = decode_telemetry_properties(&record.bag).unwrap();
            let known = ["hubName", "deviceId", "moduleId", "operationTimestamp"];
            let shown: Vec<String> = bag
                .application
                .iter()
                .filter(|(name, _)| !known.contains(&name.as_str()))
                .map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or_default()))
                .collect();
            let source = &record.source;
            let module = match source.module.as_str() {
                "" => String::new(),
                module => format!("/{module}"),
            };
            let line = format!(
                "{} {}{module} {} {}",
                source.message_source,
                source.device,
                shown.join(" "),
                String::from_utf8_lossy(&record.body)
            );
            self.say(line);
        }
    }

    fn say_counts(&mut self) {
        let counts = self
            .engine
            .routes
            .counts(&self.owner(), self.hub.no)
            .unwrap();
        self.say(format!("{counts:?}"));
    }

    pub(super) async fn patch_tags(&self, device: &str, tags: &str) {
        let patch = BackEndPatch {
            tags: Some(members(tags)),
            desired: None,
        };
        let patched = self
            .engine
            .twins
            .patch(
                &self.owner(),
                self.hub.no,
                &id(device),
                patch,
                IfMatch::Absent,
            )
            .await;
        patched.unwrap();
    }
}

/// Messages: property bag and body.
async fn send(world: &World, device: &Device, messages: &[(&str, &str)]) {
    let mut batch = TelemetryBatch::new();
    for (bag, body) in messages {
        batch.push(RecordFlags::default(), bag.as_bytes(), body.as_bytes());
    }
    let sent = device.session.send_telemetry(world.now(), &mut batch);
    assert!(batch.is_empty());
    sent.await.unwrap();
}

const JSON: &str = "%24.ct=application%2Fjson&%24.ce=utf-8";

#[tokio::test(start_paused = true)]
async fn a_new_hub_takes_telemetry_and_nothing_else() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    send(&world, &d1, &[("a=1", "x")]).await;
    world.patch_tags("d1", r#"{"a":1}"#).await;
    drop(d1);
    world.idle().await;
    world.say_log().await;
    assert_eq!(world.store.checkpoint(world.hub.no).await.unwrap(), None);
    world.check("DeviceMessages d1 a=1 x");
}

#[tokio::test(start_paused = true)]
async fn telemetry_goes_where_conditions_say() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.without_fallback().await;
    world
        .given_route("hot", Source::DeviceMessages, "Level = 'hot'")
        .await;
    world
        .given_route("body", Source::DeviceMessages, "$body.level > 3")
        .await;
    world
        .given_route(
            "id",
            Source::DeviceMessages,
            "$messageId = 'm1' AND $connectionDeviceId = 'd1'",
        )
        .await;
    let d1 = world.open("d1").await;
    send(
        &world,
        &d1,
        &[
            ("level=hot", "1 by property"),
            ("level=cold", "orphaned"),
            (JSON, r#"{"level":4,"n":"2 by body"}"#),
            (JSON, r#"{"level":3}"#),
            ("%24.ct=application%2Fjson", r#"{"level":9}"#),
            (&format!("level=hot&{JSON}"), r#"{"level":5,"n":"3 once"}"#),
            ("%24.mid=m1", "4 by id"),
        ],
    )
    .await;
    world.say_log().await;
    world.say_counts();
    world.check(
        r#"DeviceMessages d1 level=hot 1 by property
           DeviceMessages d1  {"level":4,"n":"2 by body"}
           DeviceMessages d1 level=hot {"level":5,"n":"3 once"}
           DeviceMessages d1  4 by id
           RoutingCounts { orphaned: 3, too_large: 0, lost: 0 }"#,
    );
}

#[tokio::test(start_paused = true)]
async fn the_fallback_takes_telemetry_that_no_route_takes() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route("hot", Source::DeviceMessages, "level = 'hot'")
        .await;
    let d1 = world.open("d1").await;
    send(
        &world,
        &d1,
        &[("level=cold", "left"), ("level=hot", "taken")],
    )
    .await;
    world.without_fallback().await;
    send(
        &world,
        &d1,
        &[("level=cold", "dropped"), ("level=hot", "taken")],
    )
    .await;
    world.say_log().await;
    world.say_counts();
    world.check(
        "DeviceMessages d1 level=cold left
         DeviceMessages d1 level=hot taken
         DeviceMessages d1 level=hot taken
         RoutingCounts { orphaned: 1, too_large: 0, lost: 0 }",
    );
}

#[tokio::test(start_paused = true)]
async fn conditions_on_the_twin_see_every_acknowledged_write() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.without_fallback().await;
    world
        .given_route("site", Source::DeviceMessages, "$twin.tags.site = 'north'")
        .await;
    world
        .given_route(
            "low",
            Source::DeviceMessages,
            "$twin.properties.reported.battery < 10",
        )
        .await;
    let d1 = world.open("d1").await;
    send(&world, &d1, &[("", "before")]).await;
    world.patch_tags("d1", r#"{"site":"north"}"#).await;
    send(&world, &d1, &[("", "north")]).await;
    world.patch_tags("d1", r#"{"site":"south"}"#).await;
    send(&world, &d1, &[("", "south")]).await;
    d1.session
        .patch_reported(world.now(), members(r#"{"battery":5}"#), None)
        .await
        .unwrap();
    send(&world, &d1, &[("", "low")]).await;
    world.say_log().await;
    world.check(
        "DeviceMessages d1  north
         DeviceMessages d1  low",
    );
}

#[tokio::test(start_paused = true)]
async fn telemetry_of_a_sender_that_hung_up_goes_where_its_twin_says() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.without_fallback().await;
    world
        .given_route("site", Source::DeviceMessages, "$twin.tags.site = 'north'")
        .await;
    world.patch_tags("d1", r#"{"site":"north"}"#).await;
    let d1 = world.open("d1").await;
    for body in ["1", "2", "3"] {
        let mut batch = TelemetryBatch::new();
        batch.push(RecordFlags::default(), b"", body.as_bytes());
        drop(d1.session.send_telemetry(world.now(), &mut batch));
    }
    drop(d1);
    world.idle().await;
    world.say_log().await;
    world.check(
        "DeviceMessages d1  1
         DeviceMessages d1  2
         DeviceMessages d1  3",
    );
}

#[tokio::test(start_paused = true)]
async fn the_order_of_a_sender_stays_while_twins_are_read_and_routes_change() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route("site", Source::DeviceMessages, "$twin.tags.site = 'north'")
        .await;
    let d1 = world.open("d1").await;
    let mut sent = Vec::new();
    for n in 0..6 {
        if n == 3 {
            let name = RouteName::parse("site").unwrap();
            let deleted = world
                .engine
                .routes
                .delete(&world.admin(), world.hub.no, &name)
                .await;
            deleted.unwrap();
        }
        let mut batch = TelemetryBatch::new();
        batch.push(RecordFlags::default(), b"", n.to_string().as_bytes());
        sent.push(d1.session.send_telemetry(world.now(), &mut batch));
    }
    // Whichever of them is asked first.
    let (last, first) = sent.split_at_mut(3);
    futures_util::future::join_all(first.iter_mut().rev().chain(last.iter_mut().rev())).await;
    let bodies: Vec<String> = world
        .records()
        .await
        .iter()
        .map(|record| String::from_utf8_lossy(&record.body).into_owned())
        .collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5"]);
    world.say("done");
    world.check("done");
}

#[tokio::test(start_paused = true)]
async fn enrichments_are_stamped_on_what_goes_to_their_endpoint() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.patch_tags("d1", r#"{"site":"north","n":1}"#).await;
    for (key, value) in [
        ("fixed", "a & b"),
        ("hub", "$iothubname"),
        ("missing", "$twin.tags.none"),
        ("number", "$twin.tags.n"),
        ("site", "$twin.tags.site"),
    ] {
        world.given_enrichment(key, value).await;
    }
    let d1 = world.open("d1").await;
    send(&world, &d1, &[("own=1", "x")]).await;
    world.given_enrichment("fixed", "changed").await;
    world
        .given_route("twins", Source::TwinChangeEvents, "true")
        .await;
    world.idle().await;
    world.patch_tags("d1", r#"{"site":"south"}"#).await;
    world.idle().await;
    world.say_log().await;
    world.check(
        r#"DeviceMessages d1 fixed=a & b hub=hub missing=$twin.tags.none number=1 own=1 site=north x
           TwinChangeEvents d1 fixed=changed hub=hub iothub-message-schema=twinChangeNotification missing=$twin.tags.none number=1 opType=updateTwin site=south {"tags":{"site":"south"},"version":4}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_that_enrichments_make_too_large_is_dropped() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.given_enrichment("key", &"v".repeat(1_000)).await;
    let fits = "x".repeat(256 * 1024 - 1_003);
    let too_large = "x".repeat(256 * 1024 - 1_002);
    send(&world, &d1, &[("", &fits), ("", &too_large)]).await;
    assert_eq!(world.records().await.len(), 1);
    world.say_counts();
    world.check("RoutingCounts { orphaned: 0, too_large: 1, lost: 0 }");
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_to_who_sends_whatever_routes_there_are() {
    let world = World::running().await;
    world.given(device("d1")).await;
    world
        .given_route("site", Source::DeviceMessages, "$twin.tags.site = 'north'")
        .await;
    let d1 = world.open("d1").await;
    let log = world.logs.open_memory(&world.hub).unwrap();
    log.fail_next(1);
    let mut batch = TelemetryBatch::new();
    batch.push(RecordFlags::default(), b"", b"lost");
    let sent = d1.session.send_telemetry(world.now(), &mut batch).await;
    assert_eq!(sent.unwrap_err().kind(), hub_engine::ErrorKind::Unavailable);
    send(&world, &d1, &[("", "again")]).await;
    assert_eq!(world.records().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn reading_routes_needs_service_connect() {
    let world = World::new().await;
    let reader = world.with(&[Permission::ServiceConnect]);
    assert!(world.engine.routes.fetch(&reader, world.hub.no).is_ok());
    let nobody = world.with(&[Permission::RegistryWrite]);
    assert!(world.engine.routes.fetch(&nobody, world.hub.no).is_err());
    assert!(world.engine.routes.counts(&nobody, world.hub.no).is_err());
}
