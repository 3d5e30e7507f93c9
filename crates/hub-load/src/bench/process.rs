//! A server that the measurement starts and stops.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::machine::{SERVER_CORE, Usage, on_core};

/// How long a server may take to listen.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a server may take to end.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// How often is looked whether something has happened.
const LOOK: Duration = Duration::from_micros(500);

/// A running server. Dropping it kills the process.
pub(super) struct Process {
    child: Child,
    name: &'static str,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts `command` on the server's core, its words going to `log`, and waits until `address` can be connected to.
    /// Returns how long that took.
    pub(super) fn start(
        name: &'static str,
        mut command: Command,
        log: &Path,
        listens: impl Fn() -> Option<SocketAddr>,
    ) -> Result<(Self, Duration)> {
        let words = std::fs::File::create(log).context("cannot write a log")?;
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(words);
        let begun = Instant::now();
        let child = on_core(SERVER_CORE, || command.spawn())?
            .with_context(|| format!("cannot start {name}"))?;
        let mut process = Self {
            child,
            name,
            log: log.to_owned(),
        };
        while listens().is_none_or(|address| TcpStream::connect(address).is_err()) {
            if process.child.try_wait()?.is_some() {
                bail!("{name} ended at its start: {}", process.last_words());
            }
            if begun.elapsed() > LISTEN_TIMEOUT {
                bail!("{name} does not listen: {}", process.last_words());
            }
            std::thread::sleep(LOOK);
        }
        Ok((process, begun.elapsed()))
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        Usage::of(self.child.id())
    }

    /// The number of the process, to attach a profiler to.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn last_words(&self) -> String {
        let words = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<_> = words.lines().rev().take(3).collect();
        last.reverse();
        last.join(" / ")
    }

    /// Asks the process to end and waits; kills it if it does not.
    pub(super) fn stop(mut self) -> Result<()> {
        terminate(self.child.id())?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > END_TIMEOUT {
                bail!("{} does not end when told to", self.name);
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

/// Tells a process to end.
fn terminate(process: u32) -> Result<()> {
    signal(process, Signal::Terminate)
}

/// Tells a process that the user wants it to end.
pub(super) fn interrupt(process: u32) -> Result<()> {
    signal(process, Signal::Interrupt)
}

#[derive(Clone, Copy)]
enum Signal {
    Terminate,
    Interrupt,
}

#[cfg(target_os = "linux")]
fn signal(process: u32, signal: Signal) -> Result<()> {
    use rustix::process::{Pid, Signal as Number, kill_process};
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    let number = match signal {
        Signal::Terminate => Number::TERM,
        Signal::Interrupt => Number::INT,
    };
    kill_process(id.context("no process has this id")?, number)
        .context("cannot tell a process to end")
}

#[cfg(not(target_os = "linux"))]
fn signal(_process: u32, _signal: Signal) -> Result<()> {
    bail!("servers are measured on linux only")
}

/// A port that was free a moment ago, for a server that cannot tell which one it took.
pub(super) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no port is free")?;
    Ok(listener.local_addr()?.port())
}
