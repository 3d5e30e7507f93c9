//! The tools a developer brings along: checked before anything long starts, with the command to type when one is missing.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::shell;

/// Oldest Python that the committed lock file serves.
const PYTHON_MIN: (u32, u32) = (3, 11);
/// Oldest Node.js that the committed lock file serves.
const NODE_MIN: (u32, u32) = (20, 0);

/// Checks them all; the error names every one that is missing.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<String> = [rust_parts(), python().err(), node().err()]
        .into_iter()
        .flatten()
        .map(|error| format!("{error:#}"))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!("{}", missing.join("\n"));
}

/// A Python new enough, its version shown.
pub(crate) fn python() -> Result<PathBuf> {
    // uamqp has wheels up to 3.12: a newer default must not shadow one that can install it.
    for name in ["python3.11", "python3.12", "python3"] {
        let Some(path) = shell::find(name) else {
            continue;
        };
        let Some(version) = shell::ask(&path, &["--version"]) else {
            continue;
        };
        if version_of(&version).is_some_and(|version| version >= PYTHON_MIN) {
            eprintln!("{version} ({name})");
            return Ok(path);
        }
    }
    bail!("Python 3.11 or newer is missing; on Debian type: apt-get install python3 python3-venv")
}

/// A Node.js new enough, its version shown; npm comes with it.
pub(crate) fn node() -> Result<PathBuf> {
    const HINT: &str =
        "on Debian type: apt-get install nodejs npm (or unpack a release from nodejs.org)";
    let Some(path) = shell::find("node") else {
        bail!("Node.js 20 or newer is missing; {HINT}")
    };
    let version = shell::ask(&path, &["--version"]).unwrap_or_default();
    if version_of(&version).is_none_or(|version| version < NODE_MIN) {
        bail!("Node.js 20 or newer is needed, `node --version` says `{version}`; {HINT}");
    }
    if shell::find("npm").is_none() {
        bail!("npm is missing; {HINT}");
    }
    eprintln!("Node.js {version}");
    Ok(path)
}

fn rust_parts() -> Option<anyhow::Error> {
    for (argument, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if shell::ask(crate::workspace::cargo(), &[argument, "--version"]).is_none() {
            return Some(anyhow::anyhow!(
                "cargo {argument} is missing; type: rustup component add {component}"
            ));
        }
    }
    eprintln!(
        "{}",
        shell::ask("rustc", &["--version"]).unwrap_or_default()
    );
    None
}

/// Major and minor number of `Python 3.11.7` or `v20.20.2`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let number = text.rsplit(' ').next()?.trim_start_matches('v');
    let mut parts = number.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::version_of;

    #[test]
    fn versions_are_read_from_what_the_tools_print() {
        assert_eq!(version_of("Python 3.11.7"), Some((3, 11)));
        assert_eq!(version_of("v20.20.2"), Some((20, 20)));
        assert_eq!(version_of("nonsense"), None);
    }
}
