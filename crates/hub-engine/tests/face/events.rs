//! Events on their way out: telemetry by partition and position, facts by number.

use std::time::Duration;

use hub_domain::partition::partition_of;
use hub_engine::sessions::TelemetryBatch;
use hub_engine::{FactNo, IfMatch, Position, ReadLimit, RecordFlags, TelemetrySource};
use hub_storage::memory::Faults as _;

use super::support::{BEGINNING, Connect, Device, World, device, failure, id, message};

const PLENTY: ReadLimit = ReadLimit {
    records: 100,
    bytes: 1 << 20,
};

fn batch(bodies: &[&str]) -> TelemetryBatch {
    let mut batch = TelemetryBatch::new();
    for body in bodies {
        batch.push(RecordFlags::default(), b"p=1", body.as_bytes());
    }
    batch
}

impl World {
    async fn telemetry(&self, device: &Device, bodies: &[&str]) {
        device
            .session
            .send_telemetry(self.now(), &mut batch(bodies))
            .await
            .unwrap();
    }

    async fn read(&mut self, what: &str, partition: u16, from: Position, limit: ReadLimit) {
        let result = self
            .engine
            .events
            .telemetry(&self.owner(), self.hub.no, partition, from, limit)
            .await;
        let line = match result {
            Ok(records) if records.is_empty() => "nothing".to_owned(),
            Ok(records) => {
                let told = records.iter().map(|record| {
                    let body = String::from_utf8_lossy(&record.body).into_owned();
                    let seconds = record.enqueued.since(BEGINNING).as_secs();
                    format!("{}@{seconds}s {body}", record.sequence)
                });
                told.collect::<Vec<_>>().join(", ")
            }
            Err(error) => failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    async fn facts(&mut self, after: u64, max: usize) {
        let page = self
            .engine
            .events
            .facts(&self.owner(), self.hub.no, FactNo(after), max)
            .await
            .unwrap();
        let told: Vec<String> = page
            .facts
            .iter()
            .map(|(no, fact)| format!("{} {}", no.0, fact.id))
            .collect();
        let gap = if page.gap { ", some are gone" } else { "" };
        self.say(format!(
            "after {after}: {told:?}, next {}{gap}",
            page.next.0
        ));
    }
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_read_by_position() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    let partition = partition_of("d1", 4);
    world.telemetry(&d1, &["a", "b"]).await;
    world.pass(Duration::from_secs(10)).await;
    world.telemetry(&d1, &["c"]).await;
    let at = |seconds| Position::Time(BEGINNING.plus(Duration::from_secs(seconds)));
    world
        .read("start", partition, Position::Start, PLENTY)
        .await;
    world.read("end", partition, Position::End, PLENTY).await;
    world
        .read("sequence 1", partition, Position::Sequence(1), PLENTY)
        .await;
    world
        .read("sequence 9", partition, Position::Sequence(9), PLENTY)
        .await;
    world.read("after 1 s", partition, at(1), PLENTY).await;
    world.read("after 10 s", partition, at(10), PLENTY).await;
    world.read("after 11 s", partition, at(11), PLENTY).await;
    world
        .read(
            "one record",
            partition,
            Position::Start,
            ReadLimit {
                records: 1,
                bytes: 1 << 20,
            },
        )
        .await;
    world
        .read(
            "few bytes",
            partition,
            Position::Start,
            ReadLimit {
                records: 100,
                bytes: 1,
            },
        )
        .await;
    world
        .read(
            "another partition",
            (partition + 1) % 4,
            Position::Start,
            PLENTY,
        )
        .await;
    world.check(
        "start: 0@0s a, 1@0s b, 2@10s c
         end: nothing
         sequence 1: 1@0s b, 2@10s c
         sequence 9: nothing
         after 1 s: 2@10s c
         after 10 s: 2@10s c
         after 11 s: nothing
         one record: 0@0s a
         few bytes: 0@0s a
         another partition: nothing",
    );
}

#[tokio::test(start_paused = true)]
async fn only_the_partitions_of_the_hub_are_read() {
    let mut world = World::new().await;
    for partition in [0, 3, 4, u16::MAX] {
        world
            .read(
                &format!("read {partition}"),
                partition,
                Position::Start,
                PLENTY,
            )
            .await;
        let state = world
            .engine
            .events
            .partition(&world.owner(), world.hub.no, partition)
            .await;
        world.say_result(
            &format!("state {partition}"),
            state.map(|state| (state.first, state.next)),
        );
    }
    world.check(
        "read 0: nothing
         state 0: (0, 0)
         read 3: nothing
         state 3: (0, 0)
         read 4: NotFound 503003
         state 4: NotFound 503003
         read 65535: NotFound 503003
         state 65535: NotFound 503003",
    );
}

#[tokio::test(start_paused = true)]
async fn a_record_says_who_sent_it_and_how() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let view = world.given(device("d1/m1")).await;
    let connect = Connect {
        model_id: Some("dtmi:com:example:Thing;1"),
        ..world.connect("d1/m1").await
    };
    let m1 = world.try_open(connect).await.unwrap();
    let mut batch = TelemetryBatch::new();
    batch.push(RecordFlags::RETAIN, b"a=b", b"body");
    m1.session
        .send_telemetry(world.now(), &mut batch)
        .await
        .unwrap();
    assert!(batch.is_empty(), "the batch was taken");
    let partition = partition_of("d1", 4);
    let records = world
        .engine
        .events
        .telemetry(
            &world.owner(),
            world.hub.no,
            partition,
            Position::Start,
            PLENTY,
        )
        .await;
    let record = records.unwrap().remove(0);
    let source: TelemetrySource = (*record.source).clone();
    assert_eq!(source.generation, view.identity.generation.as_str());
    world.say(format!(
        "{} {} {}",
        source.device, source.module, source.model_id
    ));
    world.say(source.auth_method.clone());
    world.say(format!(
        "{:?} {:?} {:?}",
        record.flags, record.bag, record.body
    ));
    world.check(
        r#"d1 m1 dtmi:com:example:Thing;1
         {"scope":"module","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}
         RecordFlags(1) b"a=b" b"body""#,
    );
}

#[tokio::test(start_paused = true)]
async fn telemetry_is_acknowledged_when_it_is_durable() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    let log = world.logs.open_memory(&world.hub).unwrap();
    let mut head = world.engine.events.telemetry_head(world.hub.no).unwrap();
    log.hold();
    let first = tokio::spawn(d1.session.send_telemetry(world.now(), &mut batch(&["a"])));
    let second = tokio::spawn(d1.session.send_telemetry(world.now(), &mut batch(&["b"])));
    world.idle().await;
    assert!(!first.is_finished());
    assert!(!head.has_changed().unwrap());
    log.fail_next(1);
    log.resume();
    world.say_result("first", first.await.unwrap().map(|_| ()));
    world.say_result("second", second.await.unwrap().map(|_| ()));
    assert!(head.has_changed().unwrap());
    head.mark_unchanged();
    world
        .read("kept", partition_of("d1", 4), Position::Start, PLENTY)
        .await;
    world.check(
        "first: Unavailable 503001
         second: ()
         kept: 0@0s b",
    );
}

#[tokio::test(start_paused = true)]
async fn old_telemetry_is_removed_by_whole_buckets() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    let partition = partition_of("d1", 4);
    world.telemetry(&d1, &["old"]).await;
    world.pass(Duration::from_secs(24 * 3_600)).await;
    world.telemetry(&d1, &["new"]).await;
    world
        .read("a day later", partition, Position::Start, PLENTY)
        .await;
    world.pass(Duration::from_secs(2 * 3_600)).await;
    world
        .read("two hours more", partition, Position::Start, PLENTY)
        .await;
    world.check(
        "a day later: 0@0s old, 1@86400s new
         two hours more: 1@86400s new",
    );
}

#[tokio::test(start_paused = true)]
async fn facts_are_read_in_pages_of_the_own_hub() {
    let mut world = World::new().await;
    let other = world.second_hub().await;
    let ctx = world.policy_of(other.no, &hub_domain::Permission::ALL);
    world.given(device("d1")).await;
    world
        .engine
        .registry
        .create(&ctx, other.no, device("x1"))
        .await
        .unwrap();
    world
        .engine
        .registry
        .create(&ctx, other.no, device("x2"))
        .await
        .unwrap();
    world.given(device("d2")).await;
    world.facts(0, 2).await;
    world.facts(2, 1).await;
    world.facts(3, 10).await;
    world.facts(4, 10).await;
    world.check(
        r#"after 0: ["1 d1"], next 2
         after 2: [], next 3
         after 3: ["4 d2"], next 4
         after 4: [], next 4"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_learns_that_facts_are_gone() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.pass(Duration::from_secs(20 * 3_600)).await;
    world.given(device("d2")).await;
    world.facts(0, 10).await;
    world.pass(Duration::from_secs(5 * 3_600)).await;
    world.facts(0, 10).await;
    world.facts(1, 10).await;
    world.pass(Duration::from_secs(24 * 3_600)).await;
    world.facts(1, 10).await;
    world.given(device("d3")).await;
    world.facts(1, 10).await;
    world.facts(2, 10).await;
    world.check(
        r#"after 0: ["1 d1", "2 d2"], next 2
         after 0: ["2 d2"], next 2, some are gone
         after 1: ["2 d2"], next 2
         after 1: [], next 2, some are gone
         after 1: ["3 d3"], next 3, some are gone
         after 2: ["3 d3"], next 3"#,
    );
}

#[tokio::test(start_paused = true)]
async fn facts_survive_a_restart_once_each() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world
        .engine
        .messages
        .send(&world.owner(), world.hub.no, &id("d1"), message("m"))
        .await
        .unwrap();
    world.restart().await;
    world
        .engine
        .registry
        .delete(&world.owner(), world.hub.no, &id("d1"), IfMatch::Any)
        .await
        .unwrap();
    world.facts(0, 10).await;
    world.check(r#"after 0: ["1 d1", "2 d1", "3 d1"], next 3"#);
}
