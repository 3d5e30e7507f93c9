//! TLS handshakes: connect, handshake, hang up; nothing is said inside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rustls::HandshakeKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use super::machine::own_usage;
use super::server::Server;
use crate::connection::Endpoint;
use crate::tls;

/// Handshakes under way at the same time; below what the server lets wait from one address.
const AT_ONCE: usize = 32;
/// Load before the measurement: in it every client gets a session to resume.
const WARM_UP: Duration = Duration::from_millis(700);
/// How long the server may take to forget what came last.
const AFTERMATH: Duration = Duration::from_millis(400);

/// Whether a client begins anew or resumes the session of its connection before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Full,
    Resumed,
}

impl Kind {
    pub(super) const BOTH: [Self; 2] = [Self::Full, Self::Resumed];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
        }
    }

    fn is(self, kind: HandshakeKind) -> bool {
        match kind {
            HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => self == Self::Full,
            HandshakeKind::Resumed => self == Self::Resumed,
        }
    }
}

/// What one run showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) per_second: f64,
    /// Server time per handshake in microseconds; the connection's other costs are in it.
    pub(super) server_cpu_us: f64,
    pub(super) server_busy: f64,
    pub(super) load_busy: f64,
}

impl Outcome {
    fn of(handshakes: u64, elapsed: Duration, server: Duration, load: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let count = handshakes as f64;
        Self {
            per_second: count / elapsed.as_secs_f64(),
            server_cpu_us: server.as_secs_f64() * 1e6 / count,
            server_busy: server.as_secs_f64() / elapsed.as_secs_f64(),
            load_busy: load.as_secs_f64() / elapsed.as_secs_f64(),
        }
    }

    /// What a core of the server does that does nothing else.
    pub(super) fn per_server_core(&self) -> f64 {
        1e6 / self.server_cpu_us
    }
}

/// Does handshakes for `duration`.
pub(super) async fn run(
    server: &Server,
    version: tls::Version,
    kind: Kind,
    duration: Duration,
) -> Result<Outcome> {
    let mut clients = Vec::new();
    for _ in 0..AT_ONCE {
        clients.push(match kind {
            Kind::Full => server.endpoint(version)?,
            Kind::Resumed => server.resuming_endpoint(version)?,
        });
    }
    for client in &clients {
        greet(client).await?;
    }
    phase(&clients, kind, WARM_UP).await?;
    tokio::time::sleep(AFTERMATH).await;
    let (before, own_before) = (server.process.usage()?, own_usage()?);
    let begun = Instant::now();
    let handshakes = phase(&clients, kind, duration).await?;
    let (after, own) = (server.process.usage()?, own_usage()?);
    Ok(Outcome::of(
        handshakes,
        begun.elapsed(),
        after.cpu.saturating_sub(before.cpu),
        own.cpu.saturating_sub(own_before.cpu),
    ))
}

async fn phase(clients: &[Endpoint], kind: Kind, duration: Duration) -> Result<u64> {
    let is_over = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for client in clients {
        let (client, is_over, done) = (client.clone(), Arc::clone(&is_over), Arc::clone(&done));
        tasks.spawn(async move {
            while !is_over.load(Ordering::Relaxed) {
                let found = greet(&client).await?;
                ensure!(kind.is(found), "the handshake was {found:?}");
                done.fetch_add(1, Ordering::Relaxed);
            }
            anyhow::Ok(())
        });
    }
    tokio::time::sleep(duration).await;
    is_over.store(true, Ordering::Relaxed);
    while let Some(task) = tasks.join_next().await {
        task.context("a client died")??;
    }
    Ok(done.load(Ordering::Relaxed))
}

/// One connection. It waits for the server to hang up as well, so that the server has done its part, and so that a ticket
/// has come, which TLS 1.3 sends behind the handshake.
async fn greet(client: &Endpoint) -> Result<HandshakeKind> {
    let mut stream = client.connect().await?;
    let kind = stream.get_ref().1.handshake_kind();
    stream.shutdown().await?;
    let mut rest = [0; 64];
    // A reset is an end as well.
    while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    kind.context("the handshake is done")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_does_as_many_as_its_time_allows() {
        let millis = Duration::from_millis;
        let outcome = Outcome::of(2_000, millis(1_000), millis(400), millis(900));
        assert!((outcome.per_second - 2_000.0).abs() < 1e-6);
        assert!((outcome.server_cpu_us - 200.0).abs() < 1e-9);
        assert!((outcome.per_server_core() - 5_000.0).abs() < 1e-6);
        assert!((outcome.server_busy - 0.4).abs() < 1e-9);
    }

    #[test]
    fn a_handshake_is_what_was_asked_for() {
        assert!(Kind::Full.is(HandshakeKind::Full));
        assert!(!Kind::Full.is(HandshakeKind::Resumed));
        assert!(Kind::Resumed.is(HandshakeKind::Resumed));
    }
}
