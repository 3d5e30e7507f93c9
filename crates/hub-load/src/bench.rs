//! `thingstead bench`: what a message, a session, a start and a request cost, beside mosquitto where it is installed.
//!
//! The server runs on one core and the load on another. Both servers have the same certificate and get the same
//! packets, one run of each in turn, several rounds. Ours acknowledges what is on disk, mosquitto what is in memory.

mod handshakes;
mod idle;
mod machine;
mod plan;
mod process;
mod publish;
mod read_back;
mod registrations;
mod report;
mod requests;
mod server;
mod sessions;
mod start;
mod statistics;
mod syncs;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::amqp::device::Links;
use crate::sim::{Output, fail, parse_seconds};
use machine::{LOAD_CORE, Machine, on_core};
use plan::Plan;
use publish::Workload;
use report::{Measure, Report};
use server::{Kind, PREFIX, Server};

/// Measures the server of this program, beside mosquitto where that is installed.
#[derive(clap::Args, Debug, Clone)]
pub struct Args {
    /// A short version: fewer workloads, one round, 2,000 sessions.
    #[arg(long)]
    quick: bool,
    /// Rounds of each measurement [default: 3, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: Option<u16>,
    /// Seconds of load in each round [default: 3, with --quick 2].
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    seconds: Option<Duration>,
    /// What to measure; may be repeated. Everything when absent.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Seed this many devices and measure the start with them.
    #[arg(long, value_name = "DEVICES")]
    registered: Option<u64>,
    /// Leave mosquitto out.
    #[arg(long)]
    without_mosquitto: bool,
    /// The server to measure [default: this program].
    #[arg(long, value_name = "PROGRAM")]
    program: Option<PathBuf>,
    /// Where data directories are made; its disk is measured too [default: the system's temporary folder].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Form of the result.
    #[arg(long, short, value_enum, default_value_t = Output::Table)]
    output: Output,
}

/// A part of the measurement.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// CPU time per telemetry message over MQTT.
    Publish,
    /// CPU time per telemetry message over AMQP.
    Amqp,
    /// Reading all events with Event Hubs consumer links, against the rate at which they came.
    ReadBack,
    /// TLS handshakes, full and resumed.
    Handshake,
    /// Memory per idle MQTT session.
    Idle,
    /// Memory per idle AMQP session.
    IdleAmqp,
    /// Time from start to listening.
    Start,
    /// Round trip of a direct method.
    Method,
    /// Reported patches.
    Twin,
    /// Registrations of new devices with the provisioning service.
    Registration,
}

/// Writes devices into a data directory that no server uses. Implemented by the program over the storage.
pub trait Seed {
    /// Creates the devices `{prefix}0` to `{prefix}{count - 1}` in the default hub with the host name `localhost`, and
    /// calls `progress` with the number written so far.
    ///
    /// # Errors
    /// When the storage cannot be opened or written.
    fn seed(&self, data_dir: &Path, prefix: &str, count: u64, progress: &dyn Fn(u64))
    -> Result<()>;
}

/// Measures everything and prints one table.
#[must_use]
pub fn run(args: &Args, seeder: &dyn Seed) -> ExitCode {
    drop(rlimit::increase_nofile_limit(u64::MAX));
    // Read before this thread is bound, or there would seem to be one core.
    let machine = Machine::read();
    let report = on_core(LOAD_CORE, || measure(args, seeder, machine.clone()))
        // On one core both share it, and the report says so.
        .unwrap_or_else(|_| measure(args, seeder, machine));
    match report.and_then(|report| report.print(args.output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn measure(args: &Args, seeder: &dyn Seed, machine: Machine) -> Result<Report> {
    let bench = Bench::prepare(args, seeder)?;
    let mut report = Report::new(machine, &bench.plan, bench.mosquitto.clone());
    if bench.plan.has(Part::Start) {
        start::measure(&bench, &mut report)?;
    }
    if bench.plan.publishes().next().is_some() {
        bench.publish(&mut report)?;
    }
    if bench.plan.has(Part::ReadBack) {
        bench.read_back(&mut report)?;
    }
    if bench.plan.has(Part::Handshake) {
        bench.handshakes(&mut report)?;
    }
    if bench.plan.has(Part::Idle) {
        bench.idle(&mut report)?;
    }
    if bench.plan.has(Part::IdleAmqp) {
        bench.idle_amqp(&mut report)?;
    }
    if bench.plan.has(Part::Method) || bench.plan.has(Part::Twin) {
        bench.requests(&mut report)?;
    }
    if bench.plan.has(Part::Registration) {
        bench.registrations(&mut report)?;
    }
    if let Some(devices) = bench.plan.registered {
        start::with_devices(&bench, devices, &mut report)?;
    }
    Ok(report)
}

/// What all measurements need.
struct Bench<'a> {
    plan: Plan,
    program: PathBuf,
    /// Holds one data directory per measurement; deleted at the end.
    folder: Folder,
    seeder: &'a dyn Seed,
    runtime: tokio::runtime::Runtime,
    /// The version of mosquitto, when it takes part.
    mosquitto: Option<String>,
}

impl<'a> Bench<'a> {
    fn prepare(args: &Args, seeder: &'a dyn Seed) -> Result<Self> {
        let program = match &args.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().context("cannot find this program")?,
        };
        let mosquitto = if args.without_mosquitto {
            None
        } else {
            server::mosquitto_version()
        };
        if mosquitto.is_none() && !args.without_mosquitto {
            say(
                "mosquitto is not installed, so only our own numbers (Debian: apt-get install mosquitto)",
            );
        }
        Ok(Self {
            plan: Plan::of(args),
            program,
            folder: Folder::make(args.folder.as_deref())?,
            seeder,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .context("the runtime cannot start")?,
            mosquitto,
        })
    }

    /// A new data directory with this many devices.
    fn data(&self, name: &str, devices: usize) -> Result<PathBuf> {
        let data = self.folder.0.join(name);
        // Left by an earlier measurement; often there is none.
        drop(std::fs::remove_dir_all(&data));
        std::fs::create_dir_all(&data)?;
        self.seeder
            .seed(&data, PREFIX, devices as u64, &|_| ())
            .context("cannot create the devices")?;
        Ok(data)
    }

    fn thingstead(&self, data: &Path) -> Result<(Server, crate::hub::Hub)> {
        let mut server = server::start_thingstead(&self.program, data)?;
        let hub = self.runtime.block_on(server::log_in(&mut server, data))?;
        Ok((server, hub))
    }

    /// Both servers over one data directory; mosquitto only where it takes part.
    fn both(&self, name: &str, devices: usize) -> Result<Vec<Server>> {
        let data = self.data(name, devices)?;
        let (ours, _) = self.thingstead(&data)?;
        let theirs = match &self.mosquitto {
            Some(_) => Some(server::start_mosquitto(
                &self.folder.0,
                &data,
                ours.token(),
            )?),
            None => None,
        };
        Ok(std::iter::once(ours).chain(theirs).collect())
    }

    fn publish(&self, report: &mut Report) -> Result<()> {
        for round in 1..=self.plan.rounds {
            // New servers in each round, so that none carries the other rounds' data.
            let servers = self.both("publish", self.plan.connections_max())?;
            for workload in self.plan.publishes() {
                for server in servers
                    .iter()
                    .filter(|server| server.speaks(workload.protocol))
                {
                    say(&format!(
                        "round {round}: {} · {}",
                        server.kind.name(),
                        workload.name()
                    ));
                    let run = publish::run(server, workload, self.plan.duration);
                    let outcome = self.runtime.block_on(run).with_context(|| {
                        format!("{} under {}", server.kind.name(), workload.name())
                    })?;
                    record(report, server.kind, workload, &outcome);
                }
            }
            stop(servers)?;
        }
        Ok(())
    }

    fn read_back(&self, report: &mut Report) -> Result<()> {
        for round in 1..=self.plan.rounds {
            for workload in self.plan.read_backs() {
                say(&format!("round {round}: read back · {}", workload.name()));
                // A new hub each time: everything in it is read.
                let data = self.data("read-back", workload.connections)?;
                let (server, hub) = self.thingstead(&data)?;
                let run = read_back::run(&server, &hub, workload, self.plan.duration);
                let outcome = self.runtime.block_on(run)?;
                record_read_back(report, workload, &outcome);
                server.process.stop()?;
            }
        }
        Ok(())
    }

    fn handshakes(&self, report: &mut Report) -> Result<()> {
        for round in 1..=self.plan.rounds {
            let servers = self.both("handshakes", 1)?;
            for version in crate::tls::Version::BOTH {
                for kind in handshakes::Kind::BOTH {
                    for server in &servers {
                        let what = format!("handshake, {} · {}", kind.name(), version.name());
                        say(&format!("round {round}: {} · {what}", server.kind.name()));
                        let run = handshakes::run(server, version, kind, self.plan.duration);
                        let outcome = self.runtime.block_on(run)?;
                        record_handshakes(report, server.kind, &what, &outcome);
                    }
                }
            }
            stop(servers)?;
        }
        Ok(())
    }

    fn registrations(&self, report: &mut Report) -> Result<()> {
        let count = self.plan.registrations;
        say(&format!("{count} registrations"));
        let (server, hub) = self.thingstead(&self.data("registrations", 1)?)?;
        let run = registrations::run(&server, &hub, count);
        let outcome = self.runtime.block_on(run)?;
        record_registrations(report, count, &outcome);
        server.process.stop()
    }

    fn idle_amqp(&self, report: &mut Report) -> Result<()> {
        let counts = &self.plan.session_counts;
        let sessions = counts.iter().copied().max().unwrap_or_default();
        for version in crate::tls::Version::BOTH {
            for links in [Links::Three, Links::All] {
                let what = format!("{} · {}", links.name(), version.name());
                say(&format!("{sessions} idle AMQP sessions · {what}"));
                let (server, _) = self.thingstead(&self.data("idle-amqp", sessions)?)?;
                let run = idle::run_amqp(&server, version, counts, links);
                for (count, kibibytes) in self.runtime.block_on(run)? {
                    let what = format!("idle AMQP session, {count} · {what}");
                    report.add(server.kind, &what, Measure::KibibytesPerSession, kibibytes);
                }
                server.process.stop()?;
            }
        }
        Ok(())
    }

    fn idle(&self, report: &mut Report) -> Result<()> {
        let counts = &self.plan.session_counts;
        let sessions = counts.iter().copied().max().unwrap_or_default();
        for version in crate::tls::Version::BOTH {
            for server in self.both("idle", sessions)? {
                say(&format!(
                    "{} idle sessions · {} · {}",
                    sessions,
                    server.kind.name(),
                    version.name()
                ));
                let found = self.runtime.block_on(idle::run(&server, version, counts))?;
                for (count, kibibytes) in found {
                    let what = format!("idle session, {count} · {}", version.name());
                    report.add(server.kind, &what, Measure::KibibytesPerSession, kibibytes);
                }
                server.process.stop()?;
            }
        }
        Ok(())
    }

    fn requests(&self, report: &mut Report) -> Result<()> {
        for round in 1..=self.plan.rounds {
            let data = self.data("requests", self.plan.connections_max())?;
            let (server, hub) = self.thingstead(&data)?;
            if self.plan.has(Part::Method) {
                say(&format!("round {round}: direct methods"));
                let times = requests::methods(&server, &hub, self.plan.calls);
                let times = self.runtime.block_on(times)?;
                let what = "direct method, one after the other";
                report.add(server.kind, what, Measure::P50Milliseconds, times.p50_ms);
                report.add(server.kind, what, Measure::P99Milliseconds, times.p99_ms);
            }
            if self.plan.has(Part::Twin) {
                say(&format!("round {round}: reported patches"));
                let rates = requests::reported_patches(&server, self.plan.duration);
                let rates = self.runtime.block_on(rates)?;
                let what = "reported patch, 64 × 8";
                report.add(
                    server.kind,
                    what,
                    Measure::PerSecond,
                    rates.patches_per_second,
                );
                report.add(
                    server.kind,
                    what,
                    Measure::CpuMicroseconds,
                    rates.server_cpu_us,
                );
            }
            server.process.stop()?;
        }
        Ok(())
    }
}

fn record(report: &mut Report, kind: Kind, workload: &Workload, outcome: &publish::Outcome) {
    let what = workload.name();
    report.add(kind, &what, Measure::CpuMicroseconds, outcome.server_cpu_us);
    report.add(kind, &what, Measure::PerSecond, outcome.messages_per_second);
    report.add(
        kind,
        &what,
        Measure::ServerBusy,
        outcome.server_busy * 100.0,
    );
    report.add(kind, &what, Measure::LoadBusy, outcome.load_busy * 100.0);
    if let Some(messages) = outcome.messages_per_sync {
        report.add(kind, &what, Measure::MessagesPerSync, messages);
    }
}

fn record_read_back(report: &mut Report, workload: &Workload, outcome: &read_back::Outcome) {
    let ours = Kind::Thingstead;
    let (ingest, reading) = (&outcome.ingest, &outcome.reading);
    let what = format!("ingest · {}", workload.name());
    report.add(ours, &what, Measure::CpuMicroseconds, ingest.server_cpu_us);
    report.add(ours, &what, Measure::PerSecond, ingest.messages_per_second);
    report.add(ours, &what, Measure::ServerBusy, ingest.server_busy * 100.0);
    report.add(ours, &what, Measure::LoadBusy, ingest.load_busy * 100.0);
    let what = format!("read back · {}", workload.name());
    report.add(ours, &what, Measure::CpuMicroseconds, reading.server_cpu_us);
    report.add(ours, &what, Measure::PerSecond, reading.events_per_second);
    report.add(
        ours,
        &what,
        Measure::ServerBusy,
        reading.server_busy * 100.0,
    );
    report.add(ours, &what, Measure::LoadBusy, reading.load_busy * 100.0);
    report.add(ours, &what, Measure::TimesIngest, outcome.times_ingest());
    let by_cpu = outcome.times_ingest_by_cpu();
    report.add(ours, &what, Measure::TimesIngestByCpu, by_cpu);
}

fn record_handshakes(report: &mut Report, kind: Kind, what: &str, outcome: &handshakes::Outcome) {
    report.add(kind, what, Measure::CpuMicroseconds, outcome.server_cpu_us);
    report.add(
        kind,
        what,
        Measure::PerServerCore,
        outcome.per_server_core(),
    );
    report.add(kind, what, Measure::PerSecond, outcome.per_second);
    report.add(kind, what, Measure::ServerBusy, outcome.server_busy * 100.0);
    report.add(kind, what, Measure::LoadBusy, outcome.load_busy * 100.0);
}

fn record_registrations(report: &mut Report, count: usize, outcome: &registrations::Outcome) {
    let ours = Kind::Thingstead;
    let what = format!("registration with a full handshake, {count}");
    report.add(ours, &what, Measure::CpuMicroseconds, outcome.server_cpu_us);
    let per_core = outcome.per_server_core();
    report.add(ours, &what, Measure::PerServerCore, per_core);
    report.add(ours, &what, Measure::PerSecond, outcome.per_second);
    report.add(
        ours,
        &what,
        Measure::ServerBusy,
        outcome.server_busy * 100.0,
    );
    report.add(ours, &what, Measure::LoadBusy, outcome.load_busy * 100.0);
    for (which, value) in [
        ("first", outcome.first_p50_ms),
        ("last", outcome.last_p50_ms),
    ] {
        let what = format!("{what}, the {which} 5,000");
        report.add(ours, &what, Measure::P50Milliseconds, value);
    }
}

fn stop(servers: Vec<Server>) -> Result<()> {
    servers
        .into_iter()
        .try_for_each(|server| server.process.stop())
}

/// Says on stderr what goes on.
fn say(text: &str) {
    eprintln!("bench: {text}");
}

/// A folder of this run, deleted when it is over.
struct Folder(PathBuf);

impl Folder {
    fn make(parent: Option<&Path>) -> Result<Self> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = parent.join(format!("thingstead-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say(&format!("cannot delete {}: {error}", self.0.display()));
        }
    }
}

#[cfg(test)]
mod tests;
