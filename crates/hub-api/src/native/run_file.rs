//! What a running server tells the commands beside it.

use serde::{Deserialize, Serialize};

use super::Ports;

/// The file's name in the data directory. Mode 0600, written when all ports are bound, removed at stop.
pub const RUN_FILE_NAME: &str = "run.json";

/// Where a running server listens, and the token that `/api/v1` takes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunFile {
    /// The process that wrote the file.
    pub pid: u32,
    /// The bound ports.
    pub ports: Ports,
    /// The address on which commands of this machine reach the HTTPS port; 127.0.0.1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::IpAddr>,
    /// A name for which the server has a certificate; `localhost` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Path of the PEM file with the certificate to trust.
    pub ca_certificate: String,
    /// The local admin token, made at each start.
    pub admin_token: String,
}
