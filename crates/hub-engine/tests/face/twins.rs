//! Twins: back-end writes, reported patches and what is read, while commits are held or fail.

mod interleavings;

use hub_domain::twin::BackEndPatch;
use hub_engine::{Error, IfMatch, TwinView};
use hub_storage::memory::Faults as _;
use tokio::task::JoinHandle;

use super::support::{Device, World, device, failure, id, members};

/// A back-end patch written as `{"tags":…,"desired":…}`.
fn patch(text: &str) -> BackEndPatch {
    let mut parts = members(text);
    let mut part = |name: &str| {
        parts
            .remove(name)
            .map(|value| value.as_object().unwrap().clone())
    };
    BackEndPatch {
        tags: part("tags"),
        desired: part("desired"),
    }
}

fn etag(counter: u64) -> IfMatch {
    IfMatch::Etag(hub_domain::twin::TwinEtag(counter).to_string())
}

impl World {
    /// Begins a back-end patch and lets it come as far as it can.
    async fn begin_patch(
        &self,
        text: &str,
        if_match: IfMatch,
    ) -> JoinHandle<Result<TwinView, Error>> {
        let (engine, ctx, hub) = (self.engine.clone(), self.owner(), self.hub.no);
        let patch = patch(text);
        let patching = tokio::spawn(async move {
            engine
                .twins
                .patch(&ctx, hub, &id("d1"), patch, if_match)
                .await
        });
        self.idle().await;
        patching
    }

    /// Begins a reported patch and lets it come as far as it can.
    async fn begin_report(&self, device: &Device, text: &str) -> JoinHandle<Result<u64, Error>> {
        let reporting = tokio::spawn(device.session.patch_reported(
            self.now(),
            members(text),
            None,
        ));
        self.idle().await;
        reporting
    }

    async fn patch(&mut self, text: &str, if_match: IfMatch) {
        let result = self.begin_patch(text, if_match).await.await.unwrap();
        self.say_twin("patch", result);
    }

    async fn replace_twin(&mut self, text: &str, if_match: IfMatch) {
        let (ctx, hub) = (self.owner(), self.hub.no);
        let result = self
            .engine
            .twins
            .replace(&ctx, hub, &id("d1"), patch(text), if_match)
            .await;
        self.say_twin("replace", result);
    }

    async fn report(&mut self, device: &Device, text: &str, expected: Option<u64>) {
        let result = device
            .session
            .patch_reported(self.now(), members(text), expected)
            .await;
        self.say_result("report", result);
    }

    async fn fetch_twin(&mut self, text: &str) {
        let result = self
            .engine
            .twins
            .fetch(&self.owner(), self.hub.no, &id(text))
            .await;
        self.say_twin(&format!("fetch {text}"), result);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_twin_is_empty() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.fetch_twin("d1").await;
    world.say_device_view("d1", &d1).await;
    world.fetch_twin("gone").await;
    world.fetch_twin("d1/gone").await;
    world.check(
        r#"fetch d1: v2 e1 tags {} desired 1 {} reported 1 {}
         d1 reads {"desired":{"$version":1},"reported":{"$version":1}}
         fetch gone: NotFound 404001
         fetch d1/gone: NotFound 404010"#,
    );
}

#[tokio::test(start_paused = true)]
async fn patches_merge_and_replacements_replace() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.say_facts().await;
    world
        .patch(
            r#"{"tags":{"a":1},"desired":{"x":1,"y":{"z":2}}}"#,
            IfMatch::Absent,
        )
        .await;
    world
        .patch(
            r#"{"desired":{"x":null,"y":{"w":[null,{}]}}}"#,
            IfMatch::Any,
        )
        .await;
    world.report(&d1, r#"{"r":1}"#, None).await;
    world.report(&d1, r#"{"r":null,"s":2}"#, Some(2)).await;
    world
        .replace_twin(r#"{"desired":{"n":1}}"#, IfMatch::Absent)
        .await;
    world.say_device_view("d1", &d1).await;
    world.say_facts().await;
    world.check(
        r#"fact created d1 gen1
         patch: v3 e2 tags {"a":1} desired 2 {"x":1,"y":{"z":2}} reported 1 {}
         patch: v4 e3 tags {"a":1} desired 3 {"y":{"w":[null,{}],"z":2}} reported 1 {}
         report: 2
         report: 3
         replace: v7 e4 tags {} desired 4 {"n":1} reported 3 {"s":2}
         d1 reads {"desired":{"n":1,"$version":4},"reported":{"s":2,"$version":3}}
         fact patched d1 v3 tags {"a":1} desired 2 {"x":1,"y":{"z":2}}
         fact patched d1 v4 desired 3 {"x":null,"y":{"w":[null,{}]}}
         fact patched d1 v5 reported 2 {"r":1}
         fact patched d1 v6 reported 3 {"r":null,"s":2}
         fact replaced d1 v7 tags {} desired 4 {"n":1}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_on_another_version_is_refused_without_a_trace() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.patch(r#"{"tags":{"a":1}}"#, etag(1)).await;
    world.say_facts().await;
    world.patch(r#"{"tags":{"a":2}}"#, etag(1)).await;
    world.replace_twin(r#"{"tags":{"a":3}}"#, etag(3)).await;
    world.report(&d1, r#"{"r":1}"#, Some(2)).await;
    world.say_facts().await;
    world.fetch_twin("d1").await;
    world.patch(r#"{"tags":{"a":4}}"#, etag(2)).await;
    world.report(&d1, r#"{"r":1}"#, Some(1)).await;
    world.check(
        r#"patch: v3 e2 tags {"a":1} desired 1 {} reported 1 {}
         fact created d1 gen1
         fact patched d1 v3 tags {"a":1}
         patch: PreconditionFailed 412001
         replace: PreconditionFailed 412001
         report: PreconditionFailed 412001
         fetch d1: v3 e2 tags {"a":1} desired 1 {} reported 1 {}
         patch: v4 e3 tags {"a":4} desired 1 {} reported 1 {}
         report: 2"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_breaks_a_rule_leaves_no_trace() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.say_facts().await;
    world
        .patch(r#"{"tags":{"a":1},"desired":{"a.b":1}}"#, IfMatch::Absent)
        .await;
    world.report(&d1, r#"{"$x":1}"#, None).await;
    let long = format!(r#"{{"r":"{}"}}"#, "x".repeat(4_097));
    world.report(&d1, &long, None).await;
    world.say_facts().await;
    world.fetch_twin("d1").await;
    world.check(
        "fact created d1 gen1
         patch: Invalid 400004
         report: Invalid 400004
         report: Invalid 400004
         fetch d1: v2 e1 tags {} desired 1 {} reported 1 {}",
    );
}

#[tokio::test(start_paused = true)]
async fn decisions_chain_while_commits_are_held_and_become_durable_in_order() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let first = world
        .begin_patch(r#"{"desired":{"x":1}}"#, IfMatch::Absent)
        .await;
    let second = world.begin_report(&d1, r#"{"r":1}"#).await;
    let third = world.begin_patch(r#"{"desired":{"y":1}}"#, etag(2)).await;
    let fourth = world.begin_report(&d1, r#"{"r":2}"#).await;
    let fifth = world.begin_report(&d1, r#"{"s":3}"#).await;
    assert_eq!(world.store.waiting(), 5);
    world.say_device_view("d1", &d1).await;
    world.fetch_twin("d1").await;
    assert!(
        !first.is_finished(),
        "nothing is acknowledged before it is durable"
    );

    world.store.release(2);
    world.idle().await;
    world.say(format!(
        "after two: {} {} {}",
        first.is_finished(),
        second.is_finished(),
        third.is_finished()
    ));
    world.say_device_view("d1", &d1).await;
    world.store.resume();
    world.say_twin("first", first.await.unwrap());
    world.say_result("second", second.await.unwrap());
    world.say_twin("third", third.await.unwrap());
    world.say_result("fourth", fourth.await.unwrap());
    world.say_result("fifth", fifth.await.unwrap());
    world.say_device_view("d1", &d1).await;
    world.fetch_twin("d1").await;
    world.say_facts().await;
    world.check(
        r#"d1 reads {"desired":{"$version":1},"reported":{"$version":1}}
         fetch d1: v2 e1 tags {} desired 1 {} reported 1 {}
         after two: true true false
         d1 reads {"desired":{"x":1,"$version":2},"reported":{"r":1,"$version":2}}
         first: v3 e2 tags {} desired 2 {"x":1} reported 1 {}
         second: 2
         third: v5 e3 tags {} desired 3 {"x":1,"y":1} reported 2 {"r":1}
         fourth: 3
         fifth: 4
         d1 reads {"desired":{"x":1,"y":1,"$version":3},"reported":{"r":2,"s":3,"$version":4}}
         fetch d1: v7 e3 tags {} desired 3 {"x":1,"y":1} reported 4 {"r":2,"s":3}
         fact created d1 gen1
         fact patched d1 v3 desired 2 {"x":1}
         fact patched d1 v4 reported 2 {"r":1}
         fact patched d1 v5 desired 3 {"y":1}
         fact patched d1 v6 reported 3 {"r":2}
         fact patched d1 v7 reported 4 {"s":3}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn when_the_first_of_a_chain_fails_the_others_are_decided_anew() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let first = world
        .begin_patch(r#"{"desired":{"lost":1}}"#, IfMatch::Absent)
        .await;
    let second = world.begin_report(&d1, r#"{"r":1}"#).await;
    let third = world
        .begin_patch(r#"{"desired":{"kept":1}}"#, IfMatch::Absent)
        .await;
    let fourth = world.begin_report(&d1, r#"{"s":1}"#).await;
    world.store.fail_next(1);
    world.store.resume();
    world.say_twin("first", first.await.unwrap());
    world.say_result("second", second.await.unwrap());
    let third = third.await.unwrap();
    assert!(third.is_ok_and(|view| !view.twin.back_end.desired.properties.contains_key("lost")));
    world.say_result("fourth", fourth.await.unwrap());
    world.fetch_twin("d1").await;
    world.say_device_view("d1", &d1).await;
    world.check(
        r#"first: Unavailable 503001
         second: 2
         fourth: 3
         fetch d1: v5 e2 tags {} desired 2 {"kept":1} reported 3 {"r":1,"s":1}
         d1 reads {"desired":{"kept":1,"$version":2},"reported":{"r":1,"s":1,"$version":3}}"#,
    );
    world.check_versions_grow().await;
}

#[tokio::test(start_paused = true)]
async fn a_guarded_write_on_a_state_that_was_never_real_is_refused() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.hold();
    let first = world
        .begin_patch(r#"{"tags":{"lost":1}}"#, IfMatch::Absent)
        .await;
    let second = world.begin_patch(r#"{"tags":{"built":1}}"#, etag(2)).await;
    world.store.fail_next(1);
    world.store.resume();
    world.say_twin("first", first.await.unwrap());
    world.say_twin("second", second.await.unwrap());
    world.patch(r#"{"tags":{"real":1}}"#, etag(1)).await;
    world.check(
        r#"first: Unavailable 503001
         second: PreconditionFailed 412001
         patch: v3 e2 tags {"real":1} desired 1 {} reported 1 {}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_new_writes_do_not_mix_with_those_that_were_built_on_it() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.store.hold();
    let first = world
        .begin_patch(r#"{"tags":{"first":1}}"#, IfMatch::Absent)
        .await;
    let second = world
        .begin_patch(r#"{"tags":{"second":1}}"#, IfMatch::Absent)
        .await;
    world.store.fail_next(1);
    world.store.release(1);
    world.idle().await;
    assert!(first.is_finished());
    // Decided on what is durable, while the second still waits with its version.
    let third = world
        .begin_patch(r#"{"tags":{"third":1}}"#, IfMatch::Absent)
        .await;
    world.store.release(1);
    world.idle().await;
    let fourth = world
        .begin_patch(r#"{"tags":{"fourth":1}}"#, IfMatch::Absent)
        .await;
    let fifth = world
        .begin_patch(r#"{"tags":{"fifth":1}}"#, IfMatch::Absent)
        .await;
    world.store.resume();
    for written in [second, third, fourth, fifth] {
        assert!(written.await.unwrap().is_ok());
    }
    world.fetch_twin("d1").await;
    world.check(
        r#"fetch d1: v6 e5 tags {"fifth":1,"fourth":1,"second":1,"third":1} desired 1 {} reported 1 {}"#,
    );
    world.check_versions_grow().await;
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_goes_away_changes_nothing_for_the_others() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let durable = world
        .begin_patch(r#"{"tags":{"durable":1}}"#, IfMatch::Absent)
        .await;
    durable.abort();
    let failing = world
        .begin_patch(r#"{"tags":{"failing":1}}"#, IfMatch::Absent)
        .await;
    failing.abort();
    world.idle().await;
    world.store.release(1);
    world.store.fail_next(1);
    world.store.resume();
    world.say_device_view("d1", &d1).await;
    world.patch(r#"{"tags":{"next":1}}"#, etag(2)).await;
    world.report(&d1, r#"{"r":1}"#, None).await;
    world.say_device_view("d1", &d1).await;
    world.check(
        r#"d1 reads {"desired":{"$version":1},"reported":{"$version":1}}
         patch: v4 e3 tags {"durable":1,"next":1} desired 1 {} reported 1 {}
         report: 2
         d1 reads {"desired":{"$version":1},"reported":{"r":1,"$version":2}}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_told_to_every_writer() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.fail_next(2);
    world.patch(r#"{"tags":{"a":1}}"#, IfMatch::Absent).await;
    world.report(&d1, r#"{"r":1}"#, None).await;
    world.say_device_view("d1", &d1).await;
    world.report(&d1, r#"{"r":1}"#, None).await;
    world.check(
        r#"patch: Unavailable 503001
         report: Unavailable 503001
         d1 reads {"desired":{"$version":1},"reported":{"$version":1}}
         report: 2"#,
    );
}

#[tokio::test(start_paused = true)]
async fn an_identity_created_again_has_a_new_twin() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let old = world.open("d1").await;
    world.patch(r#"{"desired":{"x":1}}"#, IfMatch::Absent).await;
    world.report(&old, r#"{"r":1}"#, None).await;
    world
        .engine
        .registry
        .delete(&world.owner(), world.hub.no, &id("d1"), IfMatch::Absent)
        .await
        .unwrap();
    world.report(&old, r#"{"r":2}"#, None).await;
    world.patch(r#"{"desired":{"x":2}}"#, IfMatch::Absent).await;
    world.given(device("d1")).await;
    world.report(&old, r#"{"r":3}"#, None).await;
    world.fetch_twin("d1").await;
    let new = world.open("d1").await;
    world.report(&new, r#"{"s":1}"#, None).await;
    world.patch(r#"{"desired":{"y":1}}"#, etag(1)).await;
    world.say_device_view("the new one", &new).await;
    world.check(
        r#"patch: v3 e2 tags {} desired 2 {"x":1} reported 1 {}
         report: 2
         report: NotFound 404001
         patch: NotFound 404001
         report: NotFound 404001
         fetch d1: v2 e1 tags {} desired 1 {} reported 1 {}
         report: 2
         patch: v4 e2 tags {} desired 2 {"y":1} reported 2 {"s":1}
         the new one reads {"desired":{"y":1,"$version":2},"reported":{"s":1,"$version":2}}"#,
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_amid_a_chain_fails_what_comes_after_it() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    world.store.hold();
    let before = world.begin_report(&d1, r#"{"r":1}"#).await;
    let (engine, ctx, hub) = (world.engine.clone(), world.owner(), world.hub.no);
    let deleting = tokio::spawn(async move {
        engine
            .registry
            .delete(&ctx, hub, &id("d1"), IfMatch::Any)
            .await
    });
    world.idle().await;
    let after = world.begin_report(&d1, r#"{"r":2}"#).await;
    world.store.resume();
    world.say_result("before", before.await.unwrap());
    deleting.await.unwrap().unwrap();
    world.say_result("after", after.await.unwrap());
    world.given(device("d1")).await;
    world.fetch_twin("d1").await;
    world.check(
        "before: 2
         after: NotFound 404001
         fetch d1: v2 e1 tags {} desired 1 {} reported 1 {}",
    );
}

#[tokio::test(start_paused = true)]
async fn the_model_of_a_connected_device_is_part_of_its_twin() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    // The twin is held in memory before the model is known.
    world.patch(r#"{"tags":{"a":1}}"#, IfMatch::Absent).await;
    let connect = crate::support::Connect {
        model_id: Some("dtmi:com:example:Thing;1"),
        ..world.connect("d1").await
    };
    let _d1 = world.try_open(connect).await.unwrap();
    let view = world
        .begin_patch(r#"{"tags":{"a":2}}"#, IfMatch::Absent)
        .await
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        view.twin.model_id.as_deref(),
        Some("dtmi:com:example:Thing;1")
    );
    let view = world
        .engine
        .twins
        .fetch(&world.owner(), world.hub.no, &id("d1"))
        .await
        .unwrap();
    assert_eq!(
        view.twin.model_id.as_deref(),
        Some("dtmi:com:example:Thing;1")
    );
}

impl World {
    /// Checks that the versions in the facts of `d1` go up by one each, from the twin's first version.
    async fn check_versions_grow(&self) {
        let page = self
            .engine
            .events
            .facts(&self.owner(), self.hub.no, hub_engine::FactNo(0), 100_000)
            .await
            .unwrap();
        let versions: Vec<u64> = page
            .facts
            .iter()
            .filter(|(_, fact)| fact.id == id("d1"))
            .filter_map(|(_, fact)| match &fact.kind {
                hub_domain::FactKind::TwinChanged(change) => Some(change.version),
                _ => None,
            })
            .collect();
        let expected: Vec<u64> = (3..).take(versions.len()).collect();
        assert_eq!(versions, expected);
    }
}

/// What a writer was told, without the twin.
fn told<T>(result: &Result<T, Error>) -> String {
    result.as_ref().map_or_else(failure, |_| "ok".to_owned())
}
