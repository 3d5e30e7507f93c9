//! `cargo xtask bench`: the optimised binary beside mosquitto.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::workspace::{self, Workspace};
use crate::{debian, shell};

/// Installs mosquitto where it can, builds, and hands over to `thingstead bench`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    if let Err(error) = debian::ensure(debian::FOR_BENCH) {
        eprintln!("without mosquitto, only our own numbers: {error:#}");
    }
    let build = ["build", "--release", "--locked", "--package", "thingstead"];
    shell::run(
        Command::new(workspace::cargo())
            .args(build)
            .current_dir(&workspace.root),
    )?;
    let binary = workspace
        .target
        .join("release")
        .join(format!("thingstead{}", std::env::consts::EXE_SUFFIX));
    shell::run(
        Command::new(binary)
            .arg("bench")
            .args(arguments)
            .current_dir(&workspace.root),
    )?;
    Ok(ExitCode::SUCCESS)
}
