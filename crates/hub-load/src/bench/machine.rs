//! The machine under the numbers, and binding work to its cores. Linux calls live here.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;

/// What a reader must know to judge a number.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Machine {
    pub(super) cores: usize,
    pub(super) cpu: String,
    pub(super) kernel: String,
    pub(super) load_before: String,
}

impl Machine {
    pub(super) fn read() -> Self {
        let line = |path: &str| {
            std::fs::read_to_string(path)
                .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
        };
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu_of(&line("/proc/cpuinfo")),
            kernel: line("/proc/sys/kernel/osrelease"),
            load_before: line("/proc/loadavg"),
        }
    }
}

fn cpu_of(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(name, value)| (name.trim() == "model name").then(|| value.trim().to_owned()))
        .unwrap_or_else(|| "unknown".to_owned())
}

/// A core, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Core(pub(super) usize);

/// Where the server runs.
pub(super) const SERVER_CORE: Core = Core(0);
/// Where the load runs.
pub(super) const LOAD_CORE: Core = Core(1);

/// Runs `work` on a thread bound to `core`; what it starts is bound there too.
#[cfg(target_os = "linux")]
pub(super) fn on_core<R>(core: Core, work: impl FnOnce() -> R) -> Result<R> {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let before = sched_getaffinity(None).context("cannot read the cores of this thread")?;
    let mut set = CpuSet::new();
    set.set(core.0);
    sched_setaffinity(None, &set).with_context(|| format!("cannot bind to core {}", core.0))?;
    let done = work();
    sched_setaffinity(None, &before).context("cannot leave the core")?;
    Ok(done)
}

/// Runs `work`; threads are not bound to cores here.
#[cfg(not(target_os = "linux"))]
pub(super) fn on_core<R>(_core: Core, work: impl FnOnce() -> R) -> Result<R> {
    Ok(work())
}

/// What a process has used and holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Usage {
    /// On a core, user and system, all threads.
    pub(super) cpu: Duration,
    /// Resident memory in bytes.
    pub(super) resident: u64,
}

impl Usage {
    /// Reads it from `/proc`.
    pub(super) fn of(process: u32) -> Result<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
            .with_context(|| format!("the process {process} is gone"))?;
        let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
        Ok(Self {
            cpu: threads(process)
                .or_else(|| ticks(&stat))
                .context("/proc/PID/stat cannot be read")?,
            resident: resident(&status).context("/proc/PID/status cannot be read")?,
        })
    }
}

/// What this process, the load, has used and holds.
pub(super) fn own_usage() -> Result<Usage> {
    Usage::of(std::process::id())
}

/// The sum over all threads in nanoseconds, where the kernel keeps it. Threads that ended are missing: the servers end
/// none while they are measured.
fn threads(process: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for entry in std::fs::read_dir(format!("/proc/{process}/task")).ok()? {
        let text = std::fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += text.split_whitespace().next()?.parse::<u64>().ok()?;
    }
    Some(Duration::from_nanos(nanoseconds))
}

/// User and system time in ticks of 10 ms: the fourteenth and fifteenth field, after a name that may hold anything.
fn ticks(stat: &str) -> Option<Duration> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * 10))
}

fn resident(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_a_name_with_blanks_and_brackets() {
        let stat = "7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 6 5 20 0 1 0 9 9 9";
        assert_eq!(ticks(stat), Some(Duration::from_secs(2)));
        assert_eq!(ticks("nothing"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        assert_eq!(resident("Name: x\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(resident("Name: x\n"), None);
    }

    #[test]
    fn the_model_is_the_first_cores() {
        assert_eq!(
            cpu_of("processor : 0\nmodel name\t: AMD EPYC\n"),
            "AMD EPYC"
        );
        assert_eq!(cpu_of(""), "unknown");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory_and_time() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident > 0);
        assert!(on_core(Core(0), || 1).unwrap() == 1);
    }
}
