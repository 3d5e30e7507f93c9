//! The official SDKs against the real binary: their installation from lock files, and the runs in a namespace.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::shell::{self, Ended};
use crate::stages::{Outcome, Stages, Tally};
use crate::workspace::Workspace;
use crate::{debian, rust_tests, tools};

/// A group of behaviours that runs in one namespace.
pub(crate) struct Part {
    /// Its name on the command line.
    name: &'static str,
    /// Its name in the report.
    pub(crate) title: &'static str,
}

/// All of them, in the order they run.
pub(crate) const PARTS: &[Part] = &[
    Part {
        name: "python",
        title: "SDK behaviours, Python",
    },
    Part {
        name: "node",
        title: "SDK behaviours, Node",
    },
    Part {
        name: "durability",
        title: "durability",
    },
];

/// `cargo xtask sdk [--only PART] [arguments of the runner]`: for the one who works on the behaviours.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    let (only, rest) = match arguments {
        [flag, name, rest @ ..] if flag == "--only" => (Some(name.as_str()), rest),
        rest => (None, rest),
    };
    let parts: Vec<&Part> = PARTS
        .iter()
        .filter(|part| only.is_none_or(|name| name == part.name))
        .collect();
    if parts.is_empty() {
        bail!(
            "no such part; there are: {}",
            PARTS
                .iter()
                .map(|part| part.name)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    let workspace = Workspace::load()?;
    let mut stages = Stages::default();
    let ready = [
        stages.preparation("tools", tools::check),
        stages.preparation("Debian packages", || debian::ensure(debian::FOR_TESTS)),
        stages.preparation("build", rust_tests::build),
        stages.preparation("SDK install", || install(&workspace)),
    ];
    if !ready.contains(&Outcome::Broken) {
        for part in parts {
            stages.stage(part.title, || behaviours(&workspace, part, rest));
        }
    }
    Ok(if stages.report().failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Installs the SDKs into `target/sdk`; nothing happens when the lock files are the installed ones.
pub(crate) fn install(workspace: &Workspace) -> Result<()> {
    let folder = workspace.target.join("sdk");
    std::fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    install_python(
        &workspace.root.join("tests/sdk/python"),
        &folder.join("python"),
    )?;
    install_node(&workspace.root.join("tests/sdk/node"), &folder.join("node"))
}

fn install_python(source: &Path, folder: &Path) -> Result<()> {
    let python = tools::python()?;
    let lock = source.join("requirements.txt");
    let version = shell::ask(&python, &["-VV"]).unwrap_or_default();
    let stamp = Stamp::of(folder, &[&lock], &version)?;
    if stamp.holds() {
        eprintln!("the Python SDKs are installed");
        return Ok(());
    }
    if shell::ask(&python, &["-c", "import ensurepip, venv"]).is_none() {
        debian::install(&["python3-venv"])?;
    }
    clear(folder)?;
    shell::run(Command::new(&python).args(["-m", "venv"]).arg(folder))?;
    let pip = folder.join("bin/pip");
    shell::run(
        Command::new(pip)
            .args(["install", "--quiet", "--no-input", "--require-hashes", "-r"])
            .arg(&lock),
    )?;
    stamp.write()
}

fn install_node(source: &Path, folder: &Path) -> Result<()> {
    let node = tools::node()?;
    let manifest = source.join("package.json");
    let lock = source.join("package-lock.json");
    let version = shell::ask(&node, &["--version"]).unwrap_or_default();
    let stamp = Stamp::of(folder, &[&manifest, &lock], &version)?;
    if stamp.holds() {
        eprintln!("the Node SDKs are installed");
        return Ok(());
    }
    clear(folder)?;
    std::fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    for file in [&manifest, &lock] {
        let name = file
            .file_name()
            .expect("invariant: both paths end in a file name");
        std::fs::copy(file, folder.join(name))
            .with_context(|| format!("copying {}", file.display()))?;
    }
    // No script of a package runs: none of them is needed, and what is not run cannot do harm.
    let arguments = [
        "ci",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--loglevel=error",
    ];
    shell::run(Command::new("npm").args(arguments).current_dir(folder))?;
    stamp.write()
}

/// Runs one part in its namespace and counts its behaviours.
pub(crate) fn behaviours(
    workspace: &Workspace,
    part: &Part,
    arguments: &[String],
) -> Result<Tally> {
    let runner = workspace.root.join("tests/sdk/run.py");
    let python = workspace.target.join("sdk/python/bin/python");
    let mut command = Command::new(python);
    command.arg(runner).arg(part.name);
    command.arg("--binary").arg(binary(workspace));
    command.arg("--sdk").arg(workspace.target.join("sdk"));
    command.args(arguments);
    let mut tally = Tally::default();
    let mut summary = Ended::Badly;
    let ended = shell::run_reading(&mut command, |line| {
        if let Some(count) = summary_line(line) {
            tally = count;
            summary = Ended::Well;
        }
    })?;
    if summary == Ended::Badly {
        bail!("the runner ended without a summary line");
    }
    if ended == Ended::Badly && tally.failed == 0 {
        tally.add(Tally::FAIL);
    }
    Ok(tally)
}

fn binary(workspace: &Workspace) -> PathBuf {
    workspace
        .target
        .join("debug")
        .join(format!("thingstead{}", std::env::consts::EXE_SUFFIX))
}

/// Reads the last line of the runner: `behaviours: 12 passed, 0 failed`.
fn summary_line(line: &str) -> Option<Tally> {
    let (passed, failed) = line.strip_prefix("behaviours: ")?.split_once(", ")?;
    let passed = passed.strip_suffix(" passed")?.parse().ok()?;
    let failed = failed.strip_suffix(" failed")?.parse().ok()?;
    Some(Tally { passed, failed })
}

/// A copy of what an installation was made from, kept beside it.
struct Stamp {
    path: PathBuf,
    text: String,
}

impl Stamp {
    fn of(folder: &Path, locks: &[&Path], version: &str) -> Result<Self> {
        let mut text = format!("{version}\n");
        for lock in locks {
            text += &std::fs::read_to_string(lock)
                .with_context(|| format!("reading {}", lock.display()))?;
        }
        Ok(Self {
            path: folder.join("installed-from"),
            text,
        })
    }

    fn holds(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text)
    }

    fn write(&self) -> Result<()> {
        std::fs::write(&self.path, &self.text)
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)
            .with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Tally, summary_line};

    #[test]
    fn the_summary_of_the_runner_is_counted() {
        assert_eq!(
            summary_line("behaviours: 31 passed, 2 failed"),
            Some(Tally {
                passed: 31,
                failed: 2
            })
        );
        assert_eq!(summary_line("31 passed, 2 failed"), None);
    }
}
