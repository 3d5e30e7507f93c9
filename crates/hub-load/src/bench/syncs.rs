//! How often a process makes a file durable, counted by `perf` where that is installed and allowed.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

/// A count under way.
pub(super) struct Syncs(Child);

impl Syncs {
    /// Begins to count; `None` where it cannot.
    pub(super) fn begin(process: u32) -> Option<Self> {
        let child = Command::new("perf")
            .args(["stat", "-x", ",", "-e"])
            .arg("syscalls:sys_enter_fdatasync,syscalls:sys_enter_fsync")
            .args(["-p", &process.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        Some(Self(child))
    }

    /// Ends it and returns the number of syncs.
    pub(super) fn end(mut self) -> Option<f64> {
        super::process::interrupt(self.0.id()).ok()?;
        let mut text = String::new();
        self.0.stderr.take()?.read_to_string(&mut text).ok()?;
        self.0.wait().ok()?;
        sum(&text)
    }
}

/// The sum of the first column, one line per event; `None` when perf could not count.
fn sum(text: &str) -> Option<f64> {
    let counts: Vec<f64> = text
        .lines()
        .filter(|line| line.contains("sys_enter_"))
        .map(|line| line.split(',').next()?.parse().ok())
        .collect::<Option<_>>()?;
    (!counts.is_empty()).then(|| counts.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_calls_are_added_and_a_refusal_is_no_count() {
        let text = "120,,syscalls:sys_enter_fdatasync,1,100.00,,\n3,,syscalls:sys_enter_fsync,1,100.00,,\n";
        assert_eq!(sum(text), Some(123.0));
        assert_eq!(
            sum("<not counted>,,syscalls:sys_enter_fsync,0,0.00,,"),
            None
        );
        assert_eq!(sum("no permission"), None);
    }
}
