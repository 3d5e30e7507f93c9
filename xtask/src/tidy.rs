//! Checks that no compiler makes: which crate may name which, and rules about the text of the sources.
//!
//! Every rule has a unit test with a sample that breaks it. To allow a new direction, edit the tables in
//! [`directions`]; a new edge between parts is an architecture decision and belongs in `docs/adr/` too.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::stages::Tally;
use crate::workspace::Workspace;

mod code;
mod directions;
mod manifests;
mod sources;
#[cfg(test)]
mod tests;
mod words;

/// Something that breaks a rule, with its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding(String);

impl Finding {
    fn new(place: impl std::fmt::Display, text: impl std::fmt::Display) -> Self {
        Self(format!("{place}: {text}"))
    }
}

/// `cargo xtask tidy`
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask tidy` takes no arguments, got `{unknown}`");
    }
    let tally = count(&Workspace::load()?)?;
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Prints the findings. Each rule group that holds counts as one passed check, each finding as one failed.
pub(crate) fn count(workspace: &Workspace) -> Result<Tally> {
    let files = Files::read(&workspace.root)?;
    let groups = [
        directions::check(workspace),
        manifests::check(&files),
        sources::check(&files),
        words::check(&files),
    ];
    let mut tally = Tally::default();
    for findings in groups {
        tally.add(if findings.is_empty() {
            Tally::PASS
        } else {
            Tally::default()
        });
        for Finding(text) in findings {
            eprintln!("tidy: {text}");
            tally.add(Tally::FAIL);
        }
    }
    Ok(tally)
}

/// The text files of the tree, with paths as `crates/hub-domain/src/lib.rs`.
struct Files(Vec<File>);

struct File {
    path: String,
    text: String,
}

impl Files {
    fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .with_context(|| format!("reading {}", folder.display()))?;
            for entry in entries {
                let entry = entry.with_context(|| format!("reading {}", folder.display()))?;
                let kind = entry
                    .file_type()
                    .with_context(|| format!("reading {}", entry.path().display()))?;
                if kind.is_dir() && !is_left_out(&entry.file_name().to_string_lossy()) {
                    folders.push(entry.path());
                } else if kind.is_file() {
                    files.extend(File::read(root, entry.path()));
                }
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(Self(files))
    }

    fn ending_in<'a>(&'a self, ending: &'a str) -> impl Iterator<Item = &'a File> {
        self.0
            .iter()
            .filter(move |file| file.path.ends_with(ending))
    }
}

impl File {
    /// None for what is not text.
    fn read(root: &Path, path: PathBuf) -> Option<Self> {
        let text = std::fs::read_to_string(&path).ok()?;
        let path = path
            .strip_prefix(root)
            .ok()?
            .to_string_lossy()
            .replace('\\', "/");
        Some(Self { path, text })
    }

    /// The crate's folder name, for files under `crates/`.
    fn crate_name(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    /// Whether the whole file is test code.
    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        let in_tests_folder = ["/tests/", "/benches/", "/examples/"]
            .iter()
            .any(|part| self.path.contains(part));
        in_tests_folder || name == "tests.rs" || name.ends_with("_tests.rs")
    }
}

/// Built things, version control, installed packages and a developer's own data.
fn is_left_out(folder: &str) -> bool {
    [
        "target",
        ".git",
        "node_modules",
        ".data",
        "__pycache__",
        ".pytest_cache",
    ]
    .contains(&folder)
}
