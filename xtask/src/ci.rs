//! The static part of the tests: what can be said without running the product.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::shell;
use crate::stages::{Stages, Tally};
use crate::workspace::{self, Workspace};

/// `cargo xtask ci`
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask ci` takes no arguments, got `{unknown}`");
    }
    let mut stages = Stages::default();
    add_to(&mut stages);
    Ok(if stages.report().failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Adds the static stages to a run; each counts as one.
pub(crate) fn add_to(stages: &mut Stages) {
    stages.stage("fmt", || {
        one(shell::run(cargo().args(["fmt", "--all", "--check"])))
    });
    stages.stage("clippy", || {
        one(shell::run(cargo().args([
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--",
            "-D",
            "warnings",
        ])))
    });
    stages.stage("docs", || {
        let mut command = cargo();
        command.args([
            "doc",
            "--workspace",
            "--no-deps",
            "--document-private-items",
            "--locked",
        ]);
        one(shell::run(command.env("RUSTDOCFLAGS", "-D warnings")))
    });
    stages.stage("tidy", || crate::tidy::count(&Workspace::load()?));
    stages.stage("deny", deny);
}

/// Not a tool that every developer has: where it is missing, this says so and counts nothing.
fn deny() -> Result<Tally> {
    if shell::find("cargo-deny").is_none() {
        eprintln!(
            "cargo-deny is not installed, so licences and sources are not checked; type: cargo install cargo-deny"
        );
        return Ok(Tally::default());
    }
    one(shell::run(
        cargo().args(["deny", "check", "bans", "licenses", "sources"]),
    ))
}

fn one(outcome: Result<()>) -> Result<Tally> {
    outcome.map(|()| Tally::PASS)
}

fn cargo() -> Command {
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace::root());
    command
}
