//! Where things are: the root of the workspace, its target folder and its crates, as `cargo metadata` tells them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The workspace as `cargo metadata --no-deps` describes it.
pub(crate) struct Workspace {
    /// Folder of the root manifest.
    pub(crate) root: PathBuf,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
    /// The member crates, sorted by name.
    pub(crate) crates: Vec<Crate>,
}

/// One member of the workspace.
pub(crate) struct Crate {
    /// Package name.
    pub(crate) name: String,
    /// Folder of its manifest.
    pub(crate) folder: PathBuf,
    /// What its manifest names.
    pub(crate) dependencies: Vec<Dependency>,
}

/// A name in a manifest's dependency tables.
pub(crate) struct Dependency {
    /// Package name, not the rename.
    pub(crate) name: String,
    /// The table it stands in.
    pub(crate) kind: Kind,
}

/// Dependency table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `[dependencies]`
    Normal,
    /// `[dev-dependencies]`
    Development,
    /// `[build-dependencies]`
    Build,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .current_dir(root())
            .output()
            .context("cargo metadata does not start")?;
        if !output.status.success() {
            bail!(
                "cargo metadata failed: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            );
        }
        let metadata: Value =
            serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        Self::parse(&metadata)
    }

    fn parse(metadata: &Value) -> Result<Self> {
        let mut crates = array(metadata, "packages")?
            .iter()
            .map(Crate::parse)
            .collect::<Result<Vec<_>>>()?;
        crates.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            root: PathBuf::from(text(metadata, "workspace_root")?),
            target: PathBuf::from(text(metadata, "target_directory")?),
            crates,
        })
    }
}

impl Crate {
    fn parse(package: &Value) -> Result<Self> {
        let manifest = PathBuf::from(text(package, "manifest_path")?);
        let folder = manifest
            .parent()
            .context("a manifest path without a folder")?
            .to_path_buf();
        let dependencies = array(package, "dependencies")?
            .iter()
            .map(Dependency::parse)
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            name: text(package, "name")?.to_owned(),
            folder,
            dependencies,
        })
    }
}

impl Dependency {
    fn parse(dependency: &Value) -> Result<Self> {
        let kind = match dependency["kind"].as_str() {
            None => Kind::Normal,
            Some("dev") => Kind::Development,
            Some("build") => Kind::Build,
            Some(other) => bail!("unknown dependency kind `{other}`"),
        };
        Ok(Self {
            name: text(dependency, "name")?.to_owned(),
            kind,
        })
    }
}

/// The workspace's root, as known when this program was built.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent()
        .expect("invariant: xtask/ lies inside the workspace")
        .to_path_buf()
}

/// The cargo that started this program, so that the pinned toolchain stays in charge.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    value[key]
        .as_str()
        .with_context(|| format!("cargo metadata has no `{key}`"))
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    value[key]
        .as_array()
        .with_context(|| format!("cargo metadata has no `{key}`"))
}
