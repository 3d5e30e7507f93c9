//! Arguments that many commands share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hub_api::native;

/// Which hub, and how to print.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Connection and output")]
pub struct Common {
    /// The data directory of a server on this machine [env: THINGSTEAD_DATA_DIR]
    #[arg(long, value_name = "DIR", conflicts_with = "connection_string")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The connection string of a hub's policy, for `dps` of one of the provisioning service [env: THINGSTEAD_CONNECTION_STRING]
    #[arg(long, value_name = "STRING")]
    pub(crate) connection_string: Option<String>,
    /// Trust the certificates of this PEM file and no others, with a connection string
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// The hub's name; the default hub when absent
    #[arg(long, value_name = "NAME")]
    pub(crate) hub: Option<String>,
    /// How to print
    #[arg(long, short, value_name = "FORMAT", value_enum, default_value_t)]
    pub(crate) output: OutputFormat,
}

/// How to print.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people
    #[default]
    Table,
    /// For programs
    Json,
}

/// How an identity proves itself, in the spelling of `az iot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum AuthMethod {
    /// Tokens signed with a key
    SharedPrivateKey,
    /// A certificate with a known thumbprint
    #[value(name = "x509_thumbprint")]
    X509Thumbprint,
    /// A certificate of a registered authority
    #[value(name = "x509_ca")]
    X509Ca,
    /// None: it cannot connect by itself
    None,
}

/// Whether a device may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusArgument {
    /// It may
    Enabled,
    /// It may not
    Disabled,
}

/// Which key is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyChoice {
    /// The first
    Primary,
    /// The second
    Secondary,
    /// Neither: they change places
    Swap,
    /// Both, as after a breach: whoever has an old one is out
    Both,
}

impl KeyChoice {
    pub(crate) const fn wire(self) -> native::KeySlot {
        match self {
            Self::Primary => native::KeySlot::Primary,
            Self::Secondary => native::KeySlot::Secondary,
            Self::Swap => native::KeySlot::Swap,
            Self::Both => native::KeySlot::Both,
        }
    }

    /// As it is typed.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Swap => "swap",
            Self::Both => "both",
        }
    }
}

/// Which key is made anew, as commands take it.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RollArgument {
    /// Which key: the one that nobody uses first, then swap
    #[arg(
        long,
        visible_alias = "kt",
        value_name = "KEY",
        value_enum,
        ignore_case = true
    )]
    pub(crate) key_type: KeyChoice,
}

/// How an identity is to prove itself.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KeyArguments {
    /// How it proves itself
    #[arg(
        long,
        visible_alias = "am",
        value_name = "METHOD",
        value_enum,
        ignore_case = true
    )]
    pub(crate) auth_method: Option<AuthMethod>,
    /// The first key, base64; made by the hub when absent
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    pub(crate) primary_key: Option<String>,
    /// The second key, base64; made by the hub when absent
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    pub(crate) secondary_key: Option<String>,
    /// The first thumbprint, SHA-1 or SHA-256 in hexadecimal
    #[arg(long, visible_alias = "ptp", value_name = "HEX")]
    pub(crate) primary_thumbprint: Option<String>,
    /// The second thumbprint
    #[arg(long, visible_alias = "stp", value_name = "HEX")]
    pub(crate) secondary_thumbprint: Option<String>,
}

impl KeyArguments {
    pub(crate) const fn is_empty(&self) -> bool {
        self.auth_method.is_none()
            && self.primary_key.is_none()
            && self.secondary_key.is_none()
            && self.primary_thumbprint.is_none()
            && self.secondary_thumbprint.is_none()
    }
}
