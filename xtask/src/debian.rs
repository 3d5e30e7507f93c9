//! Debian packages that the tests call: installed as root, named otherwise.

use std::process::Command;

use anyhow::{Result, bail};

use crate::shell;

/// A program and the Debian package that brings it.
pub(crate) struct Package {
    program: &'static str,
    name: &'static str,
}

/// For the SDK runs: namespaces, the order of system calls, and a TPM for devices that attest by one.
pub(crate) const FOR_TESTS: &[Package] = &[
    Package {
        program: "unshare",
        name: "util-linux",
    },
    Package {
        program: "ip",
        name: "iproute2",
    },
    Package {
        program: "strace",
        name: "strace",
    },
    Package {
        program: "swtpm",
        name: "swtpm",
    },
];

/// For the benchmark: what it is measured against.
pub(crate) const FOR_BENCH: &[Package] = &[Package {
    program: "mosquitto",
    name: "mosquitto",
}];

/// Makes sure that the programs are there.
pub(crate) fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| shell::find(package.program).is_none())
        .map(|package| package.name)
        .collect();
    install(&missing)
}

/// Installs packages by name; without root it says what to type.
pub(crate) fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !shell::is_root() || shell::find("apt-get").is_none() {
        bail!(
            "missing: {names}; on Debian type: sudo apt-get install --no-install-recommends {names}"
        );
    }
    shell::run(apt_get().args(["update", "-q"]))?;
    shell::run(
        apt_get()
            .args(["install", "-q", "-y", "--no-install-recommends"])
            .args(missing),
    )
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command
}
