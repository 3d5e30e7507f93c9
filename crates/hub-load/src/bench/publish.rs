//! Telemetry as fast as the server takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hub_mqtt::{ClientInbound, QoS};
use serde::Serialize;
use tokio::task::JoinSet;

use super::machine::Usage;
use super::server::Server;
use super::sessions::{self, Session};
use super::syncs::Syncs;
use crate::connection::ConnectionError;
use crate::messages::{self, Telemetry};
use crate::tls;

/// Load before the measurement, for caches and buffers to fill.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long the server is watched after the last message: what it puts off belongs to the message.
const AFTERMATH: Duration = Duration::from_millis(400);

/// How the load is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Workload {
    pub(super) connections: usize,
    /// Messages of a connection that wait for their acknowledgement; with QoS 0, messages written at once.
    pub(super) window: u16,
    pub(super) body_bytes: usize,
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
        format!(
            "QoS {} · {} × {} · {} B · {}",
            self.qos as u8,
            self.connections,
            self.window,
            self.body_bytes,
            self.tls.name()
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
}

/// Runs a workload for `duration`.
pub(super) async fn run(
    server: &Server,
    workload: &Workload,
    duration: Duration,
) -> Result<Outcome> {
    let numbers = 0..workload.connections;
    let mut sessions = sessions::open(server, workload.tls, numbers, workload.window).await?;
    let (_, rest) = phase(sessions, workload, WARM_UP).await?;
    sessions = rest;
    tokio::time::sleep(AFTERMATH).await;

    let syncs = Syncs::begin(server.process.id());
    let (before, own_before) = (server.process.usage()?, own_usage()?);
    let begun = Instant::now();
    let (messages, rest) = phase(sessions, workload, duration).await?;
    let elapsed = begun.elapsed();
    let (busy, own) = (server.process.usage()?, own_usage()?);
    tokio::time::sleep(AFTERMATH).await;
    let after = server.process.usage()?;
    let syncs = syncs.and_then(Syncs::end);
    for mut session in rest {
        session.connection.outgoing().disconnect();
        session.connection.flush().await?;
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
    })
}

fn own_usage() -> Result<Usage> {
    Usage::of(std::process::id())
}

/// Sends for `duration` and waits until the server has everything. Returns how many messages it has.
async fn phase(
    sessions: Vec<Session<()>>,
    workload: &Workload,
    duration: Duration,
) -> Result<(u64, Vec<Session<()>>)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for session in sessions {
        let message = messages::telemetry(&session.id, 0, workload.body_bytes);
        let sender = Sender {
            session,
            message,
            batch: workload.window,
            is_over: Arc::clone(&is_over),
            sent: Arc::clone(&sent),
        };
        match workload.qos {
            QoS::AtMostOnce => tasks.spawn(sender.unacknowledged()),
            QoS::AtLeastOnce | QoS::ExactlyOnce => tasks.spawn(sender.acknowledged()),
        };
    }
    tokio::time::sleep(duration).await;
    is_over.store(true, Ordering::Relaxed);
    let mut rest = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let done = done.context("a sender died")?;
        rest.push(done.context("a sender lost its connection")?);
    }
    Ok((sent.load(Ordering::Relaxed), rest))
}

/// One connection that sends one message over and over.
struct Sender {
    session: Session<()>,
    message: Telemetry,
    batch: u16,
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Sender {
    /// Fills the window, and again with every acknowledgement.
    async fn acknowledged(mut self) -> Result<Session<()>, ConnectionError> {
        let connection = &mut self.session.connection;
        loop {
            if !self.is_over.load(Ordering::Relaxed) {
                let outgoing = connection.outgoing();
                while !outgoing.is_full() {
                    outgoing.publish((), &self.message.topic, &self.message.body)?;
                }
                connection.flush().await?;
            } else if connection.outgoing().in_flight() == 0 {
                return Ok(self.session);
            }
            connection.read().await?;
            let mut acknowledged = 0;
            connection.receive(|inbound, _| {
                acknowledged += u64::from(matches!(inbound, ClientInbound::Published(())));
                Ok(())
            })?;
            self.sent.fetch_add(acknowledged, Ordering::Relaxed);
        }
    }

    /// Writes without waiting, and at the end asks for a sign that everything was read.
    async fn unacknowledged(mut self) -> Result<Session<()>, ConnectionError> {
        let connection = &mut self.session.connection;
        while !self.is_over.load(Ordering::Relaxed) {
            for _ in 0..self.batch {
                let outgoing = connection.outgoing();
                outgoing.publish_once(&self.message.topic, &self.message.body)?;
            }
            connection.flush().await?;
            self.sent.fetch_add(self.batch.into(), Ordering::Relaxed);
            // A socket that always has room would never let the others send.
            tokio::task::yield_now().await;
        }
        connection.outgoing().ping();
        connection.flush().await?;
        let mut is_there = false;
        while !is_there {
            connection.read().await?;
            connection.receive(|inbound, _| {
                is_there |= inbound == ClientInbound::Pong;
                Ok(())
            })?;
        }
        Ok(self.session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_says_what_it_is() {
        let workload = Workload {
            connections: 64,
            window: 32,
            body_bytes: 100,
            qos: QoS::AtLeastOnce,
            tls: tls::Version::Tls13,
        };
        assert_eq!(workload.name(), "QoS 1 · 64 × 32 · 100 B · TLS 1.3");
        assert_eq!(
            serde_json::to_value(workload).unwrap(),
            serde_json::json!({ "connections": 64, "window": 32, "bodyBytes": 100, "qos": 1, "tls": "1.3" })
        );
    }
}
