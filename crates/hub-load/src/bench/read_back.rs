//! Reading all events back, against the rate at which they came.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::machine::own_usage;
use super::publish::{self, Workload};
use super::server::{HOST, Server};
use crate::amqp::reader::{Access, Reader};
use crate::hub::Hub;

/// How long the server may put its files in order before they are read.
const SETTLE: Duration = Duration::from_secs(2);
/// How long the reading may take.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What came in and what was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) ingest: publish::Outcome,
    pub(super) reading: Reading,
}

/// What reading showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reading {
    pub(super) events_per_second: f64,
    /// Server time per event in microseconds.
    pub(super) server_cpu_us: f64,
    pub(super) server_busy: f64,
    pub(super) load_busy: f64,
}

impl Outcome {
    /// How many times faster events are read than they came.
    pub(super) fn times_ingest(&self) -> f64 {
        self.reading.events_per_second / self.ingest.messages_per_second
    }

    /// How many events are read with the server time that one took to come in.
    pub(super) fn times_ingest_by_cpu(&self) -> f64 {
        self.ingest.server_cpu_us / self.reading.server_cpu_us
    }
}

/// Sends for `duration` to a hub that is empty, then reads everything from all partitions with one connection.
pub(super) async fn run(
    server: &Server,
    hub: &Hub,
    workload: &Workload,
    duration: Duration,
) -> Result<Outcome> {
    let ingest = publish::run(server, workload, duration).await?;
    tokio::time::sleep(SETTLE).await;
    let reading = tokio::time::timeout(TIMEOUT, read(server, hub, workload, ingest.acknowledged));
    Ok(Outcome {
        ingest,
        reading: reading.await.context("events are missing")??,
    })
}

async fn read(server: &Server, hub: &Hub, workload: &Workload, events: u64) -> Result<Reading> {
    let access = hub.document.events.connection_string.as_deref();
    let access = Access::parse(access.context("the server has no amqp port")?)?;
    let endpoint = server.amqp_endpoint(workload.tls)?;
    let partitions = hub.document.events.partition_count;
    let mut reader = Reader::open(&endpoint, HOST, &access, partitions).await?;
    let (before, own_before) = (server.process.usage()?, own_usage()?);
    let begun = Instant::now();
    reader.begin().await?;
    let mut read = 0;
    while read < events {
        read += reader.read().await?;
    }
    let elapsed = begun.elapsed();
    let (after, own) = (server.process.usage()?, own_usage()?);
    ensure!(read == events, "{read} events came, {events} were sent");
    reader.close().await?;
    Ok(Reading::of(
        events,
        elapsed,
        after.cpu.saturating_sub(before.cpu),
        own.cpu.saturating_sub(own_before.cpu),
    ))
}

impl Reading {
    fn of(events: u64, elapsed: Duration, server: Duration, load: Duration) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let count = events as f64;
        Self {
            events_per_second: count / elapsed.as_secs_f64(),
            server_cpu_us: server.as_secs_f64() * 1e6 / count,
            server_busy: server.as_secs_f64() / elapsed.as_secs_f64(),
            load_busy: load.as_secs_f64() / elapsed.as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_compared_by_time_and_by_cpu() {
        let millis = Duration::from_millis;
        let reading = Reading::of(100_000, millis(200), millis(100), millis(150));
        assert!((reading.events_per_second - 500_000.0).abs() < 1e-6);
        assert!((reading.server_cpu_us - 1.0).abs() < 1e-9);
        assert!((reading.server_busy - 0.5).abs() < 1e-9);
        assert!((reading.load_busy - 0.75).abs() < 1e-9);
        let outcome = Outcome {
            ingest: publish::Outcome {
                messages_per_second: 100_000.0,
                server_cpu_us: 4.0,
                server_busy: 0.4,
                load_busy: 0.1,
                messages_per_sync: None,
                acknowledged: 100_000,
            },
            reading,
        };
        assert!((outcome.times_ingest() - 5.0).abs() < 1e-9);
        assert!((outcome.times_ingest_by_cpu() - 4.0).abs() < 1e-9);
    }
}
