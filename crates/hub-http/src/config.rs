//! The bounds of the HTTP face.

use std::time::Duration;

/// Bounds that protect the process. Every one has a default that suits a server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// How long a client may take to send a request's head, the first one counted from the accepted stream.
    pub header_read_timeout: Duration,
    /// The largest request body in bytes.
    pub body_bytes_max: usize,
    /// How long a request may take, body and answer included. Direct methods get their own timeouts on top.
    pub request_timeout: Duration,
    /// How long a stopping server waits for the requests in progress.
    pub drain_timeout: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            body_bytes_max: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(10),
        }
    }
}
