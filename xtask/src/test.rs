//! `cargo xtask test`: everything that CI runs, in stages.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::stages::{Outcome, Stages};
use crate::workspace::Workspace;
use crate::{ci, debian, rust_tests, sdk, tools};

/// Runs the stages. Later ones run where they still can, and one that cannot counts as a failure.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask test` takes no arguments, got `{unknown}`");
    }
    let workspace = Workspace::load()?;
    let mut stages = Stages::default();
    let tools = stages.preparation("tools", tools::check);
    let packages = stages.preparation("Debian packages", || debian::ensure(debian::FOR_TESTS));
    ci::add_to(&mut stages);
    let build = stages.preparation("build", rust_tests::build);
    stages.stage("Rust tests", rust_tests::test);
    let install = match tools {
        Outcome::Sound => stages.preparation("SDK install", || sdk::install(&workspace)),
        Outcome::Broken => Outcome::Broken,
    };
    if [tools, packages, build, install].contains(&Outcome::Broken) {
        stages.impossible("SDK behaviours", "an earlier stage that it needs failed");
    } else {
        for part in sdk::PARTS {
            stages.stage(part.title, || sdk::behaviours(&workspace, part, &[]));
        }
    }
    let sum = stages.report();
    Ok(if sum.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
