//! Telemetry as fast as the server takes it.

mod amqp;
mod mqtt;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hub_mqtt::QoS;
use serde::Serialize;
use tokio::task::JoinSet;

use super::machine::own_usage;
use super::server::Server;
use super::sessions;
use super::syncs::Syncs;
use crate::amqp::device::Links;
use crate::tls;

/// Load before the measurement, for caches and buffers to fill.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long the server is watched after the last message: what it puts off belongs to the message.
const AFTERMATH: Duration = Duration::from_millis(400);

/// What a load is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Mqtt,
    /// Single messages, each in a transfer of its own.
    Amqp,
}

/// How the load is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Workload {
    pub(super) protocol: Protocol,
    pub(super) connections: usize,
    /// Messages of a connection that wait for their acknowledgement; with QoS 0, messages written at once. Over AMQP
    /// never more than the hub gives credit for.
    pub(super) window: u16,
    pub(super) body_bytes: usize,
    /// Over AMQP at least once: an unsettled delivery waits for its outcome.
    #[serde(serialize_with = "qos_number")]
    pub(super) qos: QoS,
    pub(super) tls: tls::Version,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives references")]
fn qos_number<S: serde::Serializer>(qos: &QoS, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(*qos as u8)
}

impl Workload {
    pub(super) fn name(&self) -> String {
        let Self {
            connections,
            window,
            body_bytes,
            tls,
            ..
        } = self;
        let way = match self.protocol {
            Protocol::Mqtt => format!("QoS {}", self.qos as u8),
            Protocol::Amqp => "AMQP".to_owned(),
        };
        format!(
            "{way} · {connections} × {window} · {body_bytes} B · {}",
            tls.name()
        )
    }
}

/// What one run showed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) messages_per_second: f64,
    /// Server time per message in microseconds.
    pub(super) server_cpu_us: f64,
    /// Share of its core that the server used.
    pub(super) server_busy: f64,
    /// Share of its core that the load used.
    pub(super) load_busy: f64,
    /// Messages per sync of a file, where it can be counted and there are any.
    pub(super) messages_per_sync: Option<f64>,
    /// All messages that the server has acknowledged, those of the warm-up included.
    pub(super) acknowledged: u64,
}

/// A connected device that sends one message over and over.
trait Sender: Sized + Send + 'static {
    /// Sends until the load is over and everything was acknowledged.
    fn send(self, load: Load) -> impl Future<Output = Result<Self>> + Send;

    /// Says goodbye.
    fn leave(self) -> impl Future<Output = Result<()>> + Send;
}

/// What the senders of a phase share.
#[derive(Clone)]
struct Load {
    workload: Workload,
    is_over: Arc<AtomicBool>,
    /// What the server has by now.
    sent: Arc<AtomicU64>,
}

impl Load {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn count(&self, messages: u64) {
        self.sent.fetch_add(messages, Ordering::Relaxed);
    }
}

/// Runs a workload for `duration`.
pub(super) async fn run(
    server: &Server,
    workload: &Workload,
    duration: Duration,
) -> Result<Outcome> {
    let numbers = 0..workload.connections;
    match workload.protocol {
        Protocol::Mqtt => {
            let sessions = sessions::open(server, workload.tls, numbers, workload.window).await?;
            measure(server, workload, duration, sessions).await
        }
        Protocol::Amqp => {
            let devices = sessions::open_amqp(server, workload.tls, numbers, Links::Telemetry);
            measure(server, workload, duration, devices.await?).await
        }
    }
}

async fn measure<S: Sender>(
    server: &Server,
    workload: &Workload,
    duration: Duration,
    senders: Vec<S>,
) -> Result<Outcome> {
    let (warm_up, senders) = phase(senders, workload, WARM_UP).await?;
    tokio::time::sleep(AFTERMATH).await;

    let syncs = Syncs::begin(server.process.id());
    let (before, own_before) = (server.process.usage()?, own_usage()?);
    let begun = Instant::now();
    let (messages, rest) = phase(senders, workload, duration).await?;
    let elapsed = begun.elapsed();
    let (busy, own) = (server.process.usage()?, own_usage()?);
    tokio::time::sleep(AFTERMATH).await;
    let after = server.process.usage()?;
    let syncs = syncs.and_then(Syncs::end);
    for sender in rest {
        sender.leave().await?;
    }
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let count = messages as f64;
    let share = |cpu: Duration| cpu.as_secs_f64() / elapsed.as_secs_f64();
    Ok(Outcome {
        messages_per_second: count / elapsed.as_secs_f64(),
        server_cpu_us: (after.cpu.saturating_sub(before.cpu)).as_secs_f64() * 1e6 / count,
        server_busy: share(busy.cpu.saturating_sub(before.cpu)),
        load_busy: share(own.cpu.saturating_sub(own_before.cpu)),
        messages_per_sync: syncs
            .filter(|syncs| *syncs > 0.0)
            .map(|syncs| count / syncs),
        acknowledged: warm_up + messages,
    })
}

/// Sends for `duration` and waits until the server has everything. Returns how many messages it has.
async fn phase<S: Sender>(
    senders: Vec<S>,
    workload: &Workload,
    duration: Duration,
) -> Result<(u64, Vec<S>)> {
    let load = Load {
        workload: *workload,
        is_over: Arc::default(),
        sent: Arc::default(),
    };
    let mut tasks = JoinSet::new();
    for sender in senders {
        tasks.spawn(sender.send(load.clone()));
    }
    tokio::time::sleep(duration).await;
    load.is_over.store(true, Ordering::Relaxed);
    let mut rest = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let done = done.context("a sender died")?;
        rest.push(done.context("a sender lost its connection")?);
    }
    Ok((load.sent.load(Ordering::Relaxed), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_says_what_it_is() {
        let workload = Workload {
            protocol: Protocol::Mqtt,
            connections: 64,
            window: 32,
            body_bytes: 100,
            qos: QoS::AtLeastOnce,
            tls: tls::Version::Tls13,
        };
        assert_eq!(workload.name(), "QoS 1 · 64 × 32 · 100 B · TLS 1.3");
        assert_eq!(
            serde_json::to_value(workload).unwrap(),
            serde_json::json!({ "protocol": "mqtt", "connections": 64, "window": 32, "bodyBytes": 100, "qos": 1, "tls": "1.3" })
        );
        let workload = Workload {
            protocol: Protocol::Amqp,
            ..workload
        };
        assert_eq!(workload.name(), "AMQP · 64 × 32 · 100 B · TLS 1.3");
    }
}
