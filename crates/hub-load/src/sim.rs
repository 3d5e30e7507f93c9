//! `thingstead sim`: many devices that behave like devices.
//!
//! Each device is a task with one connection: it sends telemetry at its rate, reads its twin, reports what is desired,
//! answers the methods `echo` and `reboot`, and takes messages. A device that loses its connection comes back after a
//! doubling wait with jitter and sends again what was not acknowledged.

mod counters;
mod device;
mod live;
mod progress;
mod report;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use hub_mqtt::QoS;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::OPENS_AT_ONCE;
use crate::backoff::Dice;
use crate::fleet::{self, Member, Origin};
use crate::hub::{Hub, Where};
use crate::pacing::Rate;
use crate::topics::parse_qos;
use counters::Counters;
pub(crate) use device::now;
use progress::Progress;

/// How long devices may take to finish what they sent after the end was called.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// The largest body, so that topic and properties fit the documented 256 KiB of a message as well.
const BODY_BYTES_MAX: u64 = 255 * 1024;

/// Runs simulated devices against a hub.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    #[command(flatten)]
    place: Where,
    /// Number of devices; those that are missing are created.
    #[arg(long, short = 'n', default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    devices: u32,
    /// Telemetry messages per second and device; 0 sends none.
    #[arg(long, short, default_value_t = 1.0, value_parser = parse_rate)]
    rate: f64,
    /// Seconds until the end; without it, until Ctrl-C.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    duration: Option<Duration>,
    /// How the devices' ids begin.
    #[arg(long, default_value = "sim-")]
    prefix: String,
    /// Quality of service of telemetry, 0 or 1.
    #[arg(long, default_value = "1", value_parser = parse_qos)]
    qos: QoS,
    /// Bytes of a telemetry body, from 100.
    #[arg(long, value_name = "BYTES", default_value_t = 128, value_parser = clap::value_parser!(u64).range(100..=BODY_BYTES_MAX))]
    size: u64,
    /// Seconds between reported patches of each device; 0 reports only at the start and what is desired.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds)]
    twin_interval: Duration,
    /// Share of the devices that lose their connection each minute, 0 to 1.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = parse_share)]
    drop_rate: f64,
    /// Delete at the end the devices that this run has created.
    #[arg(long)]
    cleanup: bool,
    /// Form of the summary.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// The form of what is printed.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What all devices of a run have in common.
struct Plan {
    host: String,
    endpoint: crate::connection::Endpoint,
    rate: Option<Rate>,
    qos: QoS,
    size: usize,
    twin_interval: Option<Duration>,
    drop_rate: f64,
    /// Opens at the same time.
    gate: Semaphore,
    counters: Counters,
}

/// Runs until the time is over or Ctrl-C, and prints the summary.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    drop(rlimit::increase_nofile_limit(u64::MAX));
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start threads")),
    };
    match runtime.block_on(simulate(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Says on stderr why a command failed.
pub(crate) fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

async fn simulate(args: &Args) -> Result<()> {
    let hub = Hub::find(&args.place).await?;
    let plan = Arc::new(Plan::of(args, &hub));
    let client = Arc::clone(&hub.client);
    let progress = Progress::start(args.devices);
    let count = args.devices as usize;
    let ids = (0..count).map(|number| fleet::device_id(&args.prefix, number));
    let members = tokio::select! {
        members = fleet::ready(&client, &hub.name, ids, || progress.device_ready()) => members?,
        _ = tokio::signal::ctrl_c() => return Ok(()),
    };
    let created = ids_created(&members);
    let begun = Instant::now();
    run_devices(&plan, members, args.duration, &progress).await;
    let elapsed = begun.elapsed();
    progress.finish();
    report::print(&plan.counters, args, elapsed, created.len())?;
    if args.cleanup {
        let deleted = fleet::delete(&client, &hub.name, created).await?;
        eprintln!("deleted {deleted} devices");
    }
    Ok(())
}

fn ids_created(members: &[Member]) -> Vec<String> {
    members
        .iter()
        .filter(|member| member.origin == Origin::Created)
        .map(|member| member.id.clone())
        .collect()
}

/// Starts a task per device and ends them all when time is over or the user wants it.
async fn run_devices(
    plan: &Arc<Plan>,
    members: Vec<Member>,
    duration: Option<Duration>,
    progress: &Progress,
) {
    let (stop, stopped) = watch::channel(false);
    let mut seeds = Dice::new(random_seed());
    let mut tasks = JoinSet::new();
    for member in members {
        let device = device::Device::new(Arc::clone(plan), member, Dice::new(seeds.next()));
        tasks.spawn(device.run(stopped.clone()));
    }
    let end = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = progress.follow(&plan.counters) => {}
        () = end => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    stop.send_replace(true);
    let all = async { while tasks.join_next().await.is_some() {} };
    if tokio::time::timeout(END_TIMEOUT, all).await.is_err() {
        eprintln!(
            "some devices did not end within {} s",
            END_TIMEOUT.as_secs()
        );
        tasks.shutdown().await;
    }
}

impl Plan {
    fn of(args: &Args, hub: &Hub) -> Self {
        Self {
            host: hub.host.clone(),
            endpoint: hub.mqtt.clone(),
            rate: Rate::new(args.rate),
            qos: args.qos,
            size: usize::try_from(args.size).expect("invariant: the range of the argument"),
            twin_interval: Some(args.twin_interval).filter(|interval| !interval.is_zero()),
            drop_rate: args.drop_rate,
            gate: Semaphore::new(OPENS_AT_ONCE),
            counters: Counters::default(),
        }
    }
}

/// Differs from run to run; without randomness of the system all runs are alike, which harms nothing.
fn random_seed() -> u64 {
    getrandom::u64().unwrap_or_default()
}

fn parse_rate(text: &str) -> Result<f64> {
    let rate: f64 = text.parse().context("must be a number")?;
    anyhow::ensure!(
        rate == 0.0 || Rate::new(rate).is_some(),
        "must be 0 to 1,000,000"
    );
    Ok(rate)
}

pub(crate) fn parse_seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("must be a number of seconds")?;
    Duration::try_from_secs_f64(seconds).context("must be a number of seconds, 0 or more")
}

fn parse_share(text: &str) -> Result<f64> {
    let share: f64 = text.parse().context("must be a number")?;
    anyhow::ensure!((0.0..=1.0).contains(&share), "must be 0 to 1");
    Ok(share)
}

#[cfg(test)]
mod tests;
