//! A run made of stages: each is timed, a failing one does not hide the later ones, and the sum is the last line.

use std::time::{Duration, Instant};

use anyhow::Result;

/// What was counted in a stage.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Tally {
    /// Checks that held.
    pub(crate) passed: u64,
    /// Checks that did not.
    pub(crate) failed: u64,
}

impl Tally {
    /// A single check that held.
    pub(crate) const PASS: Self = Self {
        passed: 1,
        failed: 0,
    };
    /// A single check that did not.
    pub(crate) const FAIL: Self = Self {
        passed: 0,
        failed: 1,
    };

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// The stages of one run, in order.
#[derive(Default)]
pub(crate) struct Stages {
    done: Vec<Stage>,
}

struct Stage {
    name: &'static str,
    took: Duration,
    tally: Tally,
    note: Option<String>,
}

/// Whether later stages may count on an earlier one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    /// Nothing in the stage failed.
    Sound,
    /// Something did.
    Broken,
}

impl Stages {
    /// Runs a stage that counts for itself. An error is one more failure.
    pub(crate) fn stage(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Tally>,
    ) -> Outcome {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let (tally, note) = match work() {
            Ok(tally) => (tally, None),
            Err(error) => {
                eprintln!("error: {error:#}");
                (Tally::FAIL, Some(format!("{error:#}")))
            }
        };
        self.finish(Stage {
            name,
            took: begun.elapsed(),
            tally,
            note,
        })
    }

    /// Runs a stage that prepares something: it adds to the count only by failing.
    pub(crate) fn preparation(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<()>,
    ) -> Outcome {
        self.stage(name, || work().map(|()| Tally::default()))
    }

    /// Records a stage that cannot run, as a failure, so that nothing goes missing silently.
    pub(crate) fn impossible(&mut self, name: &'static str, reason: &str) {
        eprintln!("\n== {name}\nnot run: {reason}");
        let note = Some(format!("not run: {reason}"));
        self.finish(Stage {
            name,
            took: Duration::ZERO,
            tally: Tally::FAIL,
            note,
        });
    }

    /// Prints minutes per stage and, as the last line of standard output, the sum. Returns the sum.
    #[expect(
        clippy::print_stdout,
        reason = "the last line of standard output is the contract of `cargo xtask test`"
    )]
    pub(crate) fn report(&self) -> Tally {
        eprintln!("\nminutes  passed  failed  stage");
        let mut sum = Tally::default();
        let mut minutes = 0.0;
        for stage in &self.done {
            let Tally { passed, failed } = stage.tally;
            let took = stage.took.as_secs_f64() / 60.0;
            let note = stage
                .note
                .as_deref()
                .map(|note| format!("  ({})", first_line(note)))
                .unwrap_or_default();
            eprintln!(
                "{took:>7.1}  {passed:>6}  {failed:>6}  {}{note}",
                stage.name
            );
            minutes += took;
            sum.add(stage.tally);
        }
        eprintln!("{minutes:>7.1}  {:>6}  {:>6}  all", sum.passed, sum.failed);
        println!("{} passed, {} failed", sum.passed, sum.failed);
        sum
    }

    fn finish(&mut self, stage: Stage) -> Outcome {
        let outcome = if stage.tally.failed == 0 {
            Outcome::Sound
        } else {
            Outcome::Broken
        };
        self.done.push(stage);
        outcome
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
