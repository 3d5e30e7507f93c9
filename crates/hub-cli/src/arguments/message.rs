//! `c2d …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Common;

/// Commands on messages for devices.
#[derive(Debug, Subcommand)]
pub enum MessageCommand {
    /// Queue a message for a device
    Send(Box<MessageSend>),
    /// Empty a device's message queue
    Purge(MessagePurge),
}

/// `c2d send`.
#[derive(Debug, Args)]
pub struct MessageSend {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The body as text
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "data_file_path",
        allow_hyphen_values = true
    )]
    pub(crate) data: Option<String>,
    /// A file with the body, any bytes
    #[arg(long, value_name = "FILE")]
    pub(crate) data_file_path: Option<PathBuf>,
    /// Application properties: name=value;name=value
    #[arg(
        long,
        visible_alias = "properties",
        short = 'p',
        value_name = "PROPERTIES"
    )]
    pub(crate) props: Option<String>,
    /// The message's id
    #[arg(long, visible_alias = "mid", value_name = "ID")]
    pub(crate) message_id: Option<String>,
    /// The id of what the message answers
    #[arg(long, visible_alias = "cid", value_name = "ID")]
    pub(crate) correlation_id: Option<String>,
    /// Who sends it
    #[arg(long, visible_alias = "uid", value_name = "ID")]
    pub(crate) user_id: Option<String>,
    /// The type of the body, such as application/json
    #[arg(long, visible_alias = "ct", value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// The encoding of the body, such as utf-8
    #[arg(long, visible_alias = "ce", value_name = "ENCODING")]
    pub(crate) content_encoding: Option<String>,
    /// When it expires: RFC 3339, or milliseconds since 1970
    #[arg(
        long,
        visible_alias = "expiry",
        value_name = "TIME",
        conflicts_with = "ttl"
    )]
    pub(crate) expiry_time_utc: Option<String>,
    /// Seconds after which it expires
    #[arg(long, value_name = "SECONDS")]
    pub(crate) ttl: Option<u64>,
    /// The feedback wanted
    #[arg(long, value_name = "KIND", value_enum)]
    pub(crate) ack: Option<AckArgument>,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// The feedback wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AckArgument {
    /// None
    None,
    /// When the device took it
    Positive,
    /// When it was refused, expired or delivered too often
    Negative,
    /// Both
    Full,
}

/// `c2d purge`.
#[derive(Debug, Args)]
pub struct MessagePurge {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    #[command(flatten)]
    pub(crate) common: Common,
}
