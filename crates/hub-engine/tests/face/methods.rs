//! Direct methods: who is reached, how long is waited, what comes back.

use std::time::Duration;

use bytes::Bytes;
use hub_domain::IdentityId;
use hub_domain::limits::{
    METHOD_REQUEST_BYTES_MAX, METHOD_RESPONSE_BYTES_MAX, METHODS_IN_FLIGHT_MAX,
};
use hub_engine::methods::{METHOD_NAME_BYTES_MAX, MethodAnswer, MethodCallId, MethodRequest};
use hub_engine::sessions::{Delivery, Subscription};
use hub_engine::{Error, IfMatch};
use tokio::task::JoinHandle;

use super::support::{Device, World, answer, device, failure, id, method};

type Call = JoinHandle<(Result<MethodAnswer, Error>, Duration)>;

impl World {
    /// Begins a call and lets it come as far as it can. Ends with the answer and how long it took.
    async fn begin_call(&self, text: &str, request: MethodRequest) -> Call {
        let (engine, ctx, hub, id) = (self.engine.clone(), self.owner(), self.hub.no, id(text));
        let calling = tokio::spawn(async move {
            let began = tokio::time::Instant::now();
            let result = engine.methods.invoke(&ctx, hub, &id, request).await;
            (result, began.elapsed())
        });
        self.idle().await;
        calling
    }

    async fn say_call(&mut self, what: &str, call: Call) {
        let (result, took) = call.await.unwrap();
        let line = answer(result);
        self.say(format!("{what}: {line} after {}s", took.as_secs()));
    }

    async fn call(&mut self, text: &str, request: MethodRequest) {
        let call = self.begin_call(text, request).await;
        self.say_call(text, call).await;
    }

    /// A connected device that takes methods.
    async fn callable(&self, text: &str) -> Device {
        let mut device = self.open(text).await;
        device.take_methods().await;
        device
    }

    fn answers(&self, device: &Device, call: MethodCallId, status: i32, payload: &[u8]) -> String {
        match device
            .session
            .answer_method(self.now(), call, status, payload)
        {
            Ok(true) => "taken".to_owned(),
            Ok(false) => "ignored".to_owned(),
            Err(error) => failure(&error),
        }
    }
}

impl Device {
    async fn take_methods(&mut self) {
        self.session
            .subscribe(&[(Subscription::Methods, Delivery::AtMostOnce)])
            .await
            .unwrap();
    }

    fn only_call(&self) -> MethodCallId {
        let calls = self.calls();
        assert_eq!(calls.len(), 1);
        calls[0].id
    }
}

fn waiting(seconds: u64) -> MethodRequest {
    MethodRequest {
        connect: Duration::from_secs(seconds),
        ..method("m")
    }
}

#[tokio::test(start_paused = true)]
async fn a_method_reaches_the_device_and_its_answer_the_caller() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d1/m1")).await;
    let d1 = world.callable("d1").await;
    let m1 = world.callable("d1/m1").await;
    let first = world.begin_call("d1", method("reboot")).await;
    let second = world
        .begin_call(
            "d1/m1",
            MethodRequest {
                payload: None,
                ..method("m")
            },
        )
        .await;
    for (name, device) in [("d1", &d1), ("d1/m1", &m1)] {
        for call in device.calls() {
            world.say(format!("{name} is called {} {:?}", call.name, call.payload));
            let said = world.answers(device, call.id, -7, br#"{"done":true}"#);
            world.say(format!("{name} answers: {said}"));
        }
    }
    world.say_call("d1", first).await;
    world.say_call("d1/m1", second).await;
    world.check(
        r#"d1 is called reboot Some(b"1")
         d1 answers: taken
         d1/m1 is called m None
         d1/m1 answers: taken
         d1: -7 {"done":true} after 0s
         d1/m1: -7 {"done":true} after 0s"#,
    );
}

#[tokio::test(start_paused = true)]
async fn who_is_not_connected_or_takes_no_methods_is_offline() {
    let mut world = World::running().await;
    for text in ["d1", "d2", "off"] {
        world.given(device(text)).await;
    }
    world.call("d1", method("m")).await;
    let mut d1 = world.open("d1").await;
    world.call("d1", method("m")).await;
    d1.take_methods().await;
    d1.session
        .unsubscribe(&[Subscription::Methods])
        .await
        .unwrap();
    world.call("d1", method("m")).await;
    world.call("gone", method("m")).await;
    world.call("d1/gone", method("m")).await;
    let _off = world.callable("off").await;
    let disabled = hub_engine::NewIdentity {
        status: hub_domain::Status::Disabled,
        ..device("off")
    };
    world
        .engine
        .registry
        .replace(&world.owner(), world.hub.no, disabled, IfMatch::Any)
        .await
        .unwrap();
    world.call("off", waiting(300)).await;
    world.call("d2", waiting(7)).await;
    world.check(
        "d1: DeviceOffline 404103 after 0s
         d1: DeviceOffline 404103 after 0s
         d1: DeviceOffline 404103 after 0s
         gone: NotFound 404001 after 0s
         d1/gone: NotFound 404010 after 0s
         off: DeviceOffline 404103 after 0s
         d2: DeviceOffline 404103 after 7s",
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_the_connection_and_the_subscription() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let first = world.begin_call("d1", waiting(20)).await;
    let second = world.begin_call("d1", waiting(20)).await;
    world.pass(Duration::from_secs(5)).await;
    let mut d1 = world.open("d1").await;
    world.pass(Duration::from_secs(5)).await;
    assert!(!first.is_finished(), "connected is not enough");
    d1.take_methods().await;
    world.idle().await;
    for call in d1.calls() {
        world.answers(&d1, call.id, 200, b"");
    }
    world.say_call("first", first).await;
    world.say_call("second", second).await;
    drop(d1);
    // A session that was kept takes methods from its first moment.
    let third = world.begin_call("d1", waiting(20)).await;
    let d1 = world.open("d1").await;
    world.idle().await;
    world.answers(&d1, d1.only_call(), 201, b"null");
    world.say_call("third", third).await;
    world.check(
        "first: 200  after 10s
         second: 200  after 10s
         third: 201 null after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_its_own_time_after_the_connection() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let request = MethodRequest {
        response: Duration::from_secs(5),
        ..waiting(20)
    };
    let call = world.begin_call("d1", request).await;
    world.pass(Duration::from_secs(10)).await;
    let d1 = world.callable("d1").await;
    world.say_call("d1", call).await;
    let late = d1.calls();
    world.say(format!("{} calls are left for the device", late.len()));
    world.check(
        "d1: TimedOut 504101 after 15s
         0 calls are left for the device",
    );
}

#[tokio::test(start_paused = true)]
async fn late_repeated_and_unknown_answers_are_ignored() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.callable("d1").await;
    let call = world.begin_call("d1", method("m")).await;
    let late = d1.only_call();
    world.say_call("d1", call).await;
    let said = world.answers(&d1, late, 200, b"1");
    world.say(format!("late: {said}"));
    let call = world.begin_call("d1", method("m")).await;
    let own = d1.only_call();
    let said = world.answers(&d1, MethodCallId(77), 200, b"1");
    world.say(format!("unknown: {said}"));
    let said = world.answers(&d1, late, 200, b"1");
    world.say(format!("of another call: {said}"));
    let said = world.answers(&d1, own, 200, b"2");
    world.say(format!("own: {said}"));
    let said = world.answers(&d1, own, 200, b"3");
    world.say(format!("again: {said}"));
    world.say_call("d1", call).await;
    world.check(
        "d1: TimedOut 504101 after 30s
         late: ignored
         unknown: ignored
         of another call: ignored
         own: taken
         again: ignored
         d1: 200 2 after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_goes_away_during_a_call_is_offline() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.callable("d1").await;
    let seen = world.begin_call("d1", method("seen")).await;
    assert_eq!(d1.calls().len(), 1);
    let unseen = world.begin_call("d1", method("unseen")).await;
    drop(d1);
    world.say_call("seen", seen).await;
    world.say_call("unseen", unseen).await;
    // A session that was taken over is called no more; the newer one is.
    let older = world.callable("d1").await;
    let pending = world.begin_call("d1", method("pending")).await;
    let newer = world.open("d1").await;
    let call = world.begin_call("d1", method("m")).await;
    world.answers(&newer, newer.only_call(), 200, b"1");
    world.say_call("newer", call).await;
    drop(older);
    world.say_call("older", pending).await;
    world.check(
        "seen: DeviceOffline 404103 after 0s
         unseen: DeviceOffline 404103 after 0s
         newer: 200 1 after 0s
         older: DeviceOffline 404103 after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_bounded_per_device() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    world.given(device("d2")).await;
    let d1 = world.callable("d1").await;
    let d2 = world.callable("d2").await;
    let mut calls = Vec::new();
    let mut ids = Vec::new();
    for _ in 0..METHODS_IN_FLIGHT_MAX {
        calls.push(world.begin_call("d1", method("m")).await);
        ids.push(d1.only_call());
    }
    world.call("d1", method("one too many")).await;
    let call = world.begin_call("d2", method("m")).await;
    world.answers(&d2, d2.only_call(), 200, b"1");
    world.say_call("d2", call).await;
    // An answer makes room, and so does a caller that gives up.
    world.answers(&d1, ids[0], 200, b"1");
    calls.push(world.begin_call("d1", method("m")).await);
    calls[1].abort();
    world.idle().await;
    calls.push(world.begin_call("d1", method("m")).await);
    assert_eq!(d1.calls().len(), 2);
    world.call("d1", method("one too many")).await;
    world.check(
        "d1: Throttled 403800 after 0s
         d2: 200 1 after 0s
         d1: Throttled 403800 after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn a_device_that_reads_nothing_is_called_no_more_when_its_queue_is_full() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.callable("d1").await;
    let mut calls = Vec::new();
    for _ in 0..hub_domain::limits::SESSION_QUEUE_FACTS_MAX {
        calls.push(world.begin_call("d1", method("m")).await);
    }
    world.call("d1", method("m")).await;
    assert_eq!(
        d1.calls().len(),
        hub_domain::limits::SESSION_QUEUE_FACTS_MAX
    );
    calls.push(world.begin_call("d1", method("m")).await);
    assert_eq!(d1.calls().len(), 1, "there is room again");
    world.check("d1: Throttled 403800 after 0s");
}

#[tokio::test(start_paused = true)]
async fn a_bad_answer_is_told_to_the_caller_at_once() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let d1 = world.callable("d1").await;
    let largest = format!("\"{}\"", "x".repeat(METHOD_RESPONSE_BYTES_MAX - 2));
    let too_large = format!("\"{}\"", "x".repeat(METHOD_RESPONSE_BYTES_MAX - 1));
    for (what, payload) in [
        ("no JSON", "{"),
        ("two values", "1 2"),
        ("empty", ""),
        ("spaces around", " 1 "),
        ("largest", largest.as_str()),
        ("too large", too_large.as_str()),
    ] {
        let call = world.begin_call("d1", method("m")).await;
        let said = world.answers(&d1, d1.only_call(), 200, payload.as_bytes());
        let (result, took) = call.await.unwrap();
        let told = result.map_or_else(
            |error| failure(&error),
            |answer| format!("{} bytes", answer.payload.len()),
        );
        world.say(format!(
            "{what}: device {said}, caller {told} after {}s",
            took.as_secs()
        ));
    }
    world.check(
        "no JSON: device BadDeviceAnswer 502000, caller BadDeviceAnswer 502000 after 0s
         two values: device BadDeviceAnswer 502000, caller BadDeviceAnswer 502000 after 0s
         empty: device taken, caller 0 bytes after 0s
         spaces around: device taken, caller 3 bytes after 0s
         largest: device taken, caller 131072 bytes after 0s
         too large: device TooLarge 413001, caller BadDeviceAnswer 502000 after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn names_sizes_and_times_are_checked_at_both_edges() {
    let mut world = World::new().await;
    world.given(device("d1")).await;
    let name = |count: usize| method(&"n".repeat(count));
    let payload = |count: usize| MethodRequest {
        payload: Some(Bytes::from(vec![b'1'; count])),
        ..method("m")
    };
    let response = |millis| MethodRequest {
        response: Duration::from_millis(millis),
        ..method("m")
    };
    let connect = |millis| MethodRequest {
        connect: Duration::from_millis(millis),
        ..method("m")
    };
    // Whoever passes the checks finds the device offline.
    for (what, request) in [
        ("no name", name(0)),
        ("longest name", name(METHOD_NAME_BYTES_MAX)),
        ("longer name", name(METHOD_NAME_BYTES_MAX + 1)),
        ("name with /", method("a/b")),
        ("name with #", method("a#")),
        ("name with +", method("+")),
        ("name with ?", method("a?b")),
        ("name with a line end", method("a\n")),
        ("name with other signs", method("$a.b c-ä")),
        ("largest payload", payload(METHOD_REQUEST_BYTES_MAX)),
        ("larger payload", payload(METHOD_REQUEST_BYTES_MAX + 1)),
        ("shortest response", response(5_000)),
        ("shorter response", response(4_999)),
        ("longest response", response(300_000)),
        ("longer response", response(300_001)),
        ("longest connect", connect(300_000)),
        ("longer connect", connect(300_001)),
    ] {
        let call = world.begin_call("d1", request).await;
        world.say_call(what, call).await;
    }
    world.check(
        "no name: Invalid 400004 after 0s
         longest name: DeviceOffline 404103 after 0s
         longer name: Invalid 400004 after 0s
         name with /: Invalid 400004 after 0s
         name with #: Invalid 400004 after 0s
         name with +: Invalid 400004 after 0s
         name with ?: Invalid 400004 after 0s
         name with a line end: Invalid 400004 after 0s
         name with other signs: DeviceOffline 404103 after 0s
         largest payload: DeviceOffline 404103 after 0s
         larger payload: TooLarge 413001 after 0s
         shortest response: DeviceOffline 404103 after 0s
         shorter response: Invalid 400004 after 0s
         longest response: DeviceOffline 404103 after 0s
         longer response: Invalid 400004 after 0s
         longest connect: DeviceOffline 404103 after 300s
         longer connect: Invalid 400004 after 0s",
    );
}

#[tokio::test(start_paused = true)]
async fn devices_of_the_same_name_in_two_hubs_are_called_apart() {
    let mut world = World::new().await;
    let other = world.second_hub().await;
    world.given(device("d1")).await;
    let ctx = world.policy_of(other.no, &hub_domain::Permission::ALL);
    world
        .engine
        .registry
        .create(&ctx, other.no, device("d1"))
        .await
        .unwrap();
    let d1 = world.callable("d1").await;
    let d1_id: IdentityId = id("d1");
    let result = world
        .engine
        .methods
        .invoke(&ctx, other.no, &d1_id, method("m"))
        .await;
    let line = answer(result);
    world.say(format!(
        "other hub: {line}, {} calls here",
        d1.calls().len()
    ));
    world.check("other hub: DeviceOffline 404103, 0 calls here");
}
