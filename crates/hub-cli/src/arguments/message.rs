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
    /// Receive the next message of a device in its place
    Receive(MessageReceive),
    /// Complete a received message: the device took it
    Complete(MessageSettle),
    /// Reject a received message: it is not delivered again
    Reject(MessageSettle),
    /// Put a received message back
    Abandon(MessageSettle),
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
    #[arg(long, value_name = "KIND", value_enum, ignore_case = true)]
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

/// `c2d receive`.
#[derive(Debug, Args)]
pub struct MessageReceive {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// Seconds for which nobody else gets the message, 5 to 300
    #[arg(long, visible_alias = "lt", value_name = "SECONDS")]
    pub(crate) lock_timeout: Option<u64>,
    /// Complete it at once
    #[arg(long, conflicts_with_all = ["reject", "abandon"])]
    pub(crate) complete: bool,
    /// Reject it at once
    #[arg(long, conflicts_with = "abandon")]
    pub(crate) reject: bool,
    /// Put it back at once
    #[arg(long)]
    pub(crate) abandon: bool,
    #[command(flatten)]
    pub(crate) common: Common,
}

/// `c2d complete`, `c2d reject` and `c2d abandon`.
#[derive(Debug, Args)]
pub struct MessageSettle {
    /// The device's id
    #[arg(long, short, value_name = "ID")]
    pub(crate) device_id: String,
    /// The lock token that `c2d receive` told
    #[arg(long, visible_alias = "lock-token", short, value_name = "TOKEN")]
    pub(crate) etag: String,
    #[command(flatten)]
    pub(crate) common: Common,
}
