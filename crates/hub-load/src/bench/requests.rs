//! Requests and answers: direct methods one after the other, reported patches many at once.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hub_api::native::MethodCall;
use hub_mqtt::{ClientInbound, QoS};
use serde_json::json;
use tokio::task::JoinSet;

use super::server::{Server, device_id};
use super::sessions::{self, Session};
use crate::connection::ConnectionError;
use crate::histogram::Histogram;
use crate::hub::Hub;
use crate::tls;
use crate::topics::{self, Inbound};

/// Calls before the measurement.
const WARM_UP_CALLS: usize = 200;
/// Devices that report at the same time.
const REPORTERS: usize = 64;
/// Patches of a device that wait for their answer.
const PATCHES: u64 = 8;

/// Round trips of a method in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct MethodTimes {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Calls a method of a connected device, one call after the other over one connection.
pub(super) async fn methods(server: &Server, hub: &Hub, calls: usize) -> Result<MethodTimes> {
    let mut opened = sessions::open::<()>(server, tls::Version::Tls13, 0..1, 8).await?;
    let session = opened.pop().context("one session was opened")?;
    let answering = tokio::spawn(answer_methods(session));
    let call = MethodCall {
        method_name: "echo".to_owned(),
        payload: Some(json!({ "ping": 1 })),
        response_timeout_in_seconds: None,
        connect_timeout_in_seconds: Some(10),
    };
    let device = device_id(0);
    let mut times = Histogram::default();
    for number in 0..WARM_UP_CALLS + calls {
        let begun = Instant::now();
        let result = hub
            .client
            .invoke_method(&hub.name, (&device, None), &call)
            .await?;
        ensure!(
            result.status == 200,
            "the method answered {}",
            result.status
        );
        if number >= WARM_UP_CALLS {
            times.record(begun.elapsed());
        }
    }
    answering.abort();
    let millis = |fraction| {
        let time = times.quantile(fraction).context("there were calls")?;
        anyhow::Ok(time.as_secs_f64() * 1_000.0)
    };
    Ok(MethodTimes {
        p50_ms: millis(0.5)?,
        p99_ms: millis(0.99)?,
    })
}

async fn answer_methods(mut session: Session<()>) -> Result<(), ConnectionError> {
    let connection = &mut session.connection;
    connection
        .outgoing()
        .subscribe(&[(topics::METHODS_FILTER, QoS::AtMostOnce)])?;
    loop {
        connection.flush().await?;
        connection.read().await?;
        connection.receive(|inbound, outgoing| {
            if let ClientInbound::Publish(publish) = inbound
                && let Inbound::Method { request, .. } = Inbound::parse(publish.topic)
            {
                let topic = topics::method_answer(200, request);
                outgoing.publish_once(&topic, publish.payload)?;
            }
            Ok(())
        })?;
    }
}

/// What reporting showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct PatchRates {
    pub(super) patches_per_second: f64,
    pub(super) server_cpu_us: f64,
}

/// Lets many devices report for `duration`.
pub(super) async fn reported_patches(server: &Server, duration: Duration) -> Result<PatchRates> {
    let sessions = sessions::open(server, tls::Version::Tls13, 0..REPORTERS, 8).await?;
    let mut tasks = JoinSet::new();
    let before = server.process.usage()?;
    let begun = Instant::now();
    let end = begun + duration;
    for session in sessions {
        tasks.spawn(report(session, end));
    }
    let mut patches = 0;
    while let Some(done) = tasks.join_next().await {
        patches += done.context("a device died")??;
    }
    let elapsed = begun.elapsed();
    let cpu = server.process.usage()?.cpu.saturating_sub(before.cpu);
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = patches as f64;
    Ok(PatchRates {
        patches_per_second: count / elapsed.as_secs_f64(),
        server_cpu_us: cpu.as_secs_f64() * 1e6 / count,
    })
}

/// Reports until `end` and returns how many patches were accepted.
async fn report(mut session: Session<()>, end: Instant) -> Result<u64> {
    let connection = &mut session.connection;
    connection
        .outgoing()
        .subscribe(&[(topics::TWIN_ANSWERS_FILTER, QoS::AtMostOnce)])?;
    let (mut sent, mut accepted, mut refused) = (0, 0, 0);
    let mut is_subscribed = false;
    loop {
        if is_subscribed && Instant::now() < end {
            while sent - accepted < PATCHES {
                sent += 1;
                let patch = json!({ "sequence": sent, "state": "running", "temperature": 21.5 });
                let topic = topics::reported_patch(sent);
                connection
                    .outgoing()
                    .publish_once(&topic, patch.to_string().as_bytes())?;
            }
        } else if is_subscribed && sent == accepted {
            return Ok(accepted);
        }
        connection.flush().await?;
        connection.read().await?;
        connection.receive(|inbound, _| {
            match inbound {
                ClientInbound::Subscribed(_) => is_subscribed = true,
                ClientInbound::Publish(publish) => match Inbound::parse(publish.topic) {
                    Inbound::TwinAnswer { status: 204, .. } => accepted += 1,
                    Inbound::TwinAnswer { status, .. } => refused = status,
                    Inbound::Method { .. }
                    | Inbound::Desired
                    | Inbound::Message
                    | Inbound::Unknown => {}
                },
                ClientInbound::Connected { .. }
                | ClientInbound::Refused(_)
                | ClientInbound::Published(())
                | ClientInbound::Unsubscribed(_)
                | ClientInbound::UnmatchedAck(_)
                | ClientInbound::Pong => {}
            }
            Ok(())
        })?;
        ensure!(refused == 0, "a patch was refused with {refused}");
    }
}
