//! Rules about `Cargo.toml` and lock files.

use super::{File, Files, Finding};

/// Members that write their lints down themselves. The list only shrinks.
const OWN_LINTS: &[&str] = &[
    // A file layer of SQLite is a table of C functions, which takes unsafe code; tests alone depend on it.
    "crates/hub-power-cut/Cargo.toml",
];

/// Every member's manifest, and the lock files of the SDKs.
pub(super) fn check(files: &Files) -> Vec<Finding> {
    let root = files
        .0
        .iter()
        .find(|file| file.path == "Cargo.toml")
        .map_or("", |file| file.text.as_str());
    let manifests = files
        .ending_in("/Cargo.toml")
        .filter(|file| !file.path.starts_with("fuzz/"));
    let locks = files
        .ending_in("package-lock.json")
        .chain(files.ending_in("requirements.txt"));
    manifests
        .flat_map(|file| check_manifest(file, root))
        .chain(locks.flat_map(check_lock))
        .collect()
}

/// Lints and edition come from the root manifest, and each dependency stands there with its reason. A member may still
/// write its own line, to ask for fewer features than the workspace does.
pub(super) fn check_manifest(file: &File, root: &str) -> Vec<Finding> {
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
            && !stands_in(root, line)
        {
            let place = format!("{}:{}", file.path, number + 1);
            findings.push(Finding::new(
                place,
                "name it in the root manifest, with its reason, and write `.workspace = true` here",
            ));
        }
    }
    if !inherits_lints && !OWN_LINTS.contains(&file.path.as_str()) {
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

/// Whether the root manifest has an entry of the same name.
fn stands_in(root: &str, entry: &str) -> bool {
    let name = entry.split([' ', '=', '.']).next().unwrap_or_default();
    root.lines().any(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.trim_start().starts_with('='))
    })
}

fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && line.contains('=')
}
