//! `cargo xtask run`: a hub on this machine, and what to copy into an SDK.

use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::shell;
use crate::workspace::{self, Workspace};

/// Folder of the hub's data, in the root of the workspace; git ignores it.
const DATA: &str = ".data";
/// How long a start may take; an empty store needs a fraction of a second.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// Pause between two looks at a hub that is starting.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Builds, starts the hub in the foreground and prints how to reach it. Arguments go to `serve`.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
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
    let data = workspace.root.join(DATA);
    let mut server = Command::new(&binary)
        .args(["serve", "--data-dir"])
        .arg(&data)
        .args(arguments)
        .stdin(Stdio::null())
        .spawn()
        .with_context(|| format!("{} does not start", binary.display()))?;
    wait_until_ready(&mut server, &data)?;
    allow_faults(&binary, &data)?;
    print_how_to(&binary, &data)?;
    let status = server.wait().context("waiting for the hub")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A running hub says so by a file of its own making that names this very process; an older one may lie there.
fn wait_until_ready(server: &mut Child, data: &Path) -> Result<()> {
    let begun = Instant::now();
    let file = data.join("run.json");
    while begun.elapsed() < READY_WITHIN {
        if let Some(status) = server.try_wait().context("waiting for the hub")? {
            bail!("the hub ended before it was ready: {status}");
        }
        let run: Option<Value> = std::fs::read(&file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        if run.is_some_and(|run| {
            run["pid"]
                .as_u64()
                .is_none_or(|pid| pid == u64::from(server.id()))
        }) {
            return Ok(());
        }
        std::thread::sleep(LOOK_EVERY);
    }
    bail!("the hub is not ready after {} s", READY_WITHIN.as_secs())
}

/// A hub for development obeys the faults that the vendor's end-to-end suites ask for.
fn allow_faults(binary: &Path, data: &Path) -> Result<()> {
    shell::run(
        Command::new(binary)
            .args(["hub", "update", "--fault-injection", "true", "--data-dir"])
            .arg(data)
            .stdout(Stdio::null()),
    )
}

fn print_how_to(binary: &Path, data: &Path) -> Result<()> {
    let output = Command::new(binary)
        .args(["hub", "show", "-o", "json", "--data-dir"])
        .arg(data)
        .output()
        .context("`thingstead hub show` does not start")?;
    if !output.status.success() {
        bail!(
            "`thingstead hub show` failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let hub: Value =
        serde_json::from_slice(&output.stdout).context("`thingstead hub show` is not JSON")?;
    let service = hub["connectionStrings"]["iothubowner"]
        .as_str()
        .unwrap_or_default();
    let events = hub["events"]["connectionString"]
        .as_str()
        .unwrap_or_default();
    let authority = hub["caCertificate"].as_str().unwrap_or_default();
    eprintln!(
        "
The hub runs. Copy into the shell of a program that uses an SDK:

  export IOTHUB_CONNECTION_STRING='{service}'
  export EVENTHUB_CONNECTION_STRING='{events}'
  export SSL_CERT_FILE='{authority}' REQUESTS_CA_BUNDLE='{authority}' NODE_EXTRA_CA_CERTS='{authority}'

A device and its connection string:

  {program} device create --device-id first --data-dir {data} -o json

Stop with Ctrl-C.
",
        program = binary.display(),
        data = data.display(),
    );
    Ok(())
}
