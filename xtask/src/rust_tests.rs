//! Building everything once, and running the Rust tests.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell::{self, Ended};
use crate::stages::Tally;
use crate::workspace;

/// Builds every target of every crate in one go, so that the binary of the SDK runs and the tests share one set of
/// compiled dependencies: a build of the binary alone would choose other features and compile most of them again.
pub(crate) fn build() -> Result<()> {
    shell::run(cargo().args(["build", "--workspace", "--all-targets", "--locked"]))
}

/// Runs the tests and counts them.
pub(crate) fn test() -> Result<Tally> {
    let mut tally = Tally::default();
    let ended = shell::run_reading(
        cargo().args(["test", "--workspace", "--no-fail-fast", "--locked"]),
        |line| {
            if let Some(more) = result_line(line) {
                tally.add(more);
            }
        },
    )?;
    match (ended, tally) {
        // A test program that dies, or a tree that does not compile, prints no result line.
        (Ended::Badly, Tally { failed: 0, .. }) => tally.add(Tally::FAIL),
        (Ended::Well, Tally { passed: 0, .. }) => bail!("cargo test ran no test"),
        (Ended::Badly | Ended::Well, _) => {}
    }
    Ok(tally)
}

/// Reads `test result: ok. 5 passed; 0 failed; ...`.
fn result_line(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for count in counts.split("; ") {
        match count.split_once(' ') {
            Some((number, "passed")) => tally.passed = number.parse().ok()?,
            Some((number, "failed")) => tally.failed = number.parse().ok()?,
            Some(_) | None => {}
        }
    }
    Some(tally)
}

fn cargo() -> Command {
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root());
    command
}

#[cfg(test)]
mod tests {
    use super::{Tally, result_line};

    #[test]
    fn result_lines_of_cargo_test_are_counted() {
        let good = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            result_line(good),
            Some(Tally {
                passed: 12,
                failed: 0
            })
        );
        let bad = "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(
            result_line(bad),
            Some(Tally {
                passed: 3,
                failed: 2
            })
        );
        assert_eq!(result_line("running 3 tests"), None);
    }
}
