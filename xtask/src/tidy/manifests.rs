//! Rules about `Cargo.toml` and lock files.

use super::{File, Files, Finding};

/// Every member's manifest, and the lock files of the SDKs.
pub(super) fn check(files: &Files) -> Vec<Finding> {
    let manifests = files
        .ending_in("/Cargo.toml")
        .filter(|file| !file.path.starts_with("fuzz/"));
    let locks = files
        .ending_in("package-lock.json")
        .chain(files.ending_in("requirements.txt"));
    manifests
        .flat_map(check_manifest)
        .chain(locks.flat_map(check_lock))
        .collect()
}

/// Lints, edition and versions come from the root manifest, where each dependency gives its reason.
pub(super) fn check_manifest(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut section = "";
    let mut inherits_lints = false;
    for (number, line) in file.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section == "lints" && line == "workspace = true" {
            inherits_lints = true;
        } else if section.ends_with("dependencies")
            && is_entry(line)
            && !line.contains("workspace = true")
        {
            let place = format!("{}:{}", file.path, number + 1);
            findings.push(Finding::new(place, "write the version and its reason in the root manifest, and `.workspace = true` here"));
        }
    }
    if !inherits_lints {
        findings.push(Finding::new(
            &file.path,
            "does not take the workspace's lints; add `[lints]` with `workspace = true`",
        ));
    }
    for key in [
        "edition.workspace = true",
        "rust-version.workspace = true",
        "license.workspace = true",
    ] {
        if !file.text.contains(key) {
            findings.push(Finding::new(&file.path, format_args!("lacks `{key}`")));
        }
    }
    findings
}

/// A lock file holds names, versions and hashes; where packages are fetched is the machine's own setting.
pub(super) fn check_lock(file: &File) -> Vec<Finding> {
    let names_a_host = [
        "\"resolved\":",
        "--index-url",
        "--extra-index-url",
        "--find-links",
        "--trusted-host",
    ];
    file.text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with('#'))
        .filter(|(_, line)| names_a_host.iter().any(|text| line.contains(text)))
        .map(|(number, _)| {
            Finding::new(
                format_args!("{}:{}", file.path, number + 1),
                "a lock file names no registry",
            )
        })
        .collect()
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && line.contains('=')
}
