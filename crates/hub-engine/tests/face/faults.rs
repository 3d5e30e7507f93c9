//! Injected faults: what a device's own message does to its connection, its sends and its next connects.

use std::time::Duration;

use hub_domain::Hub;
use hub_domain::fault::FaultInjection;
use hub_engine::sessions::TelemetryBatch;
use hub_engine::{Caller, Error, RecordFlags};

use super::support::{Device, World, device, failure};

impl World {
    async fn allow_faults(&mut self) {
        let decide = |hub: &Hub| {
            let mut next = hub.clone();
            next.settings.fault_injection = FaultInjection::On;
            Ok(next)
        };
        let admin = self.called_by(Caller::Admin);
        let updated = self.engine.hubs.update(&admin, self.hub.no, decide).await;
        self.hub = updated.unwrap();
    }

    async fn send_one(&self, device: &Device) -> Result<(), Error> {
        let mut batch = TelemetryBatch::new();
        batch.push(RecordFlags::default(), b"", b"1");
        let sent = device.session.send_telemetry(self.now(), &mut batch).await;
        sent.map(|_| ())
    }

    async fn say_one(&mut self, what: &str, device: &Device) {
        let line = match self.send_one(device).await {
            Ok(()) => "sent".to_owned(),
            Err(error) => failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }

    async fn say_connect(&mut self, what: &str) {
        let connect = self.connect("d1").await;
        let line = match self.try_open(connect).await {
            Ok(_) => "connected".to_owned(),
            Err(error) => failure(&error),
        };
        self.say(format!("{what}: {line}"));
    }
}

/// A request for a fault after two seconds, for ten.
fn fault(kind: &str) -> Vec<u8> {
    format!(
        "AzIoTHub_FaultOperationType={kind}&AzIoTHub_FaultOperationCloseReason=boom\
         &AzIoTHub_FaultOperationDelayInSecs=2&AzIoTHub_FaultOperationDurationInSecs=10"
    )
    .into_bytes()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_killed_connection_is_told_after_the_delay_and_refused_for_the_duration() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.allow_faults().await;
    let d1 = world.open("d1").await;
    d1.session.note_fault(&fault("KillTcp"));
    world.say_one("before", &d1).await;
    world.pass(SECOND).await;
    world.say(format!("after 1 s: {:?}", d1.notices()));
    world.pass(SECOND * 2).await;
    world.say(format!("after 3 s: {:?}", d1.notices()));
    drop(d1);
    world.say_connect("meanwhile").await;
    world.pass(SECOND * 10).await;
    world.say_connect("afterwards").await;
    world.check(
        "before: sent
         after 1 s: []
         after 3 s: [Close(FaultInjected(KillTcp))]
         meanwhile: Unavailable 400030
         afterwards: connected",
    );
}

#[tokio::test(start_paused = true)]
async fn sends_are_refused_as_the_fault_says_and_then_again_not() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.allow_faults().await;
    for kind in [
        "InvokeThrottling",
        "InvokeMaxMessageQuota",
        "InvokeAuthError",
    ] {
        let d1 = world.open("d1").await;
        d1.session.note_fault(&fault(kind));
        world.say_one("before", &d1).await;
        world.pass(SECOND * 3).await;
        world.say_one(kind, &d1).await;
        world.pass(SECOND * 10).await;
        world.say_one("afterwards", &d1).await;
    }
    world.check(
        "before: sent
         InvokeThrottling: Throttled 429001
         afterwards: sent
         before: sent
         InvokeMaxMessageQuota: QuotaExceeded 403002
         afterwards: sent
         before: sent
         InvokeAuthError: NotAuthenticated 401003
         afterwards: sent",
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_of_an_amqp_connection_is_taken_without_closing_the_session() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    world.allow_faults().await;
    let d1 = world.open("d1").await;
    d1.session.note_fault(&fault("KillAmqpD2CLink"));
    world.pass(SECOND * 3).await;
    world.say(format!("{:?}", d1.notices()));
    world.say_one("still", &d1).await;
    world.check(
        "[Fault(KillLink(Telemetry))]
         still: sent",
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_happens_where_faults_are_not_allowed() {
    let mut world = World::running().await;
    world.given(device("d1")).await;
    let d1 = world.open("d1").await;
    d1.session.note_fault(&fault("KillTcp"));
    world.pass(SECOND * 3).await;
    world.say(format!("{:?}", d1.notices()));
    world.check("[]");
}
