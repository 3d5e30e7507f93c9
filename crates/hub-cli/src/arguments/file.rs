//! `file …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Common;

/// Commands on files that devices uploaded.
#[derive(Debug, Subcommand)]
pub enum FileCommand {
    /// List files
    List(FileList),
    /// Get a file's content
    Download(FileDownload),
    /// Delete a file
    Delete(FileDelete),
}

/// `file list`.
#[derive(Debug, Args)]
pub struct FileList {
    /// Only the files of this device
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: Option<String>,
    /// The most files; all when absent
    #[arg(long, visible_alias = "top", value_name = "NUMBER")]
    pub(crate) max: Option<usize>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `file download`.
#[derive(Debug, Args)]
pub struct FileDownload {
    /// The file's name, with its device: d1/log.txt
    #[arg(long, short, value_name = "NAME")]
    pub(crate) name: String,
    /// Where to write it; standard output when absent. A file that is there is not replaced
    #[arg(long, short, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `file delete`.
#[derive(Debug, Args)]
pub struct FileDelete {
    /// The file's name, with its device: d1/log.txt
    #[arg(long, short, value_name = "NAME")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl FileCommand {
    /// What every command has.
    pub(crate) const fn common(&self) -> &Common {
        match self {
            Self::List(list) => &list.common,
            Self::Download(download) => &download.common,
            Self::Delete(delete) => &delete.common,
        }
    }
}
