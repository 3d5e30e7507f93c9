//! `run.json`: what a running server tells the commands beside it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use hub_api::native::{RUN_FILE_NAME, RunFile};

/// The file while the server runs; removed when dropped.
pub(crate) struct WrittenRunFile(PathBuf);

/// Writes the file so that only its owner can read it, and readers see it whole or not at all.
pub(crate) fn write(data_dir: &Path, run: &RunFile) -> io::Result<WrittenRunFile> {
    let path = data_dir.join(RUN_FILE_NAME);
    let temporary = data_dir.join(format!("{RUN_FILE_NAME}.new"));
    write_private(&temporary, &serde_json::to_vec_pretty(run)?)?;
    fs::rename(&temporary, &path)?;
    Ok(WrittenRunFile(path))
}

impl Drop for WrittenRunFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "the run file cannot be removed");
        }
    }
}

/// Writes a file that holds a secret: mode 0600 from the first byte on, synced.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_can_read_a_private_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "open to all").unwrap();
        write_private(&path, b"secret").unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(fs::read(&path).unwrap(), b"secret");
    }
}
