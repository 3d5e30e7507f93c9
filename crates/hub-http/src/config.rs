//! The bounds of the HTTP face.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hub_api::native::Reach;

/// What a direct method may take beyond its own two timeouts before it is given up.
pub(crate) const METHOD_SLACK: Duration = Duration::from_secs(5);

/// Bounds that protect the process. Every one has a default that suits a server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// How long a new connection may take to send the head of its first request.
    pub first_request_timeout: Duration,
    /// How long a connection may stay open between two requests, the next one's head included.
    pub idle_timeout: Duration,
    /// How long a client may leave bytes of an answer unread.
    pub write_timeout: Duration,
    /// How long a request's body may take, and then its operation. Direct methods have their own
    /// timeouts instead.
    pub request_timeout: Duration,
    /// The largest request body in bytes.
    pub body_bytes_max: usize,
    /// Requests of one HTTP/2 connection at the same time.
    pub streams_max: u32,
    /// How long a stopping server waits for the requests in progress.
    pub drain_timeout: Duration,
    /// Where the installation is reached, as `/api/v1` says it.
    pub reach: Reach,
    /// Tells which certificate clients are shown, where TLS is the server's.
    pub shown_certificate: Option<ShownCertificate>,
}

/// Tells which certificate clients are shown at the moment, in DER.
#[derive(Clone)]
pub struct ShownCertificate(Arc<dyn Fn() -> Option<Vec<u8>> + Send + Sync>);

impl ShownCertificate {
    /// Asks `certificate` each time.
    pub fn new(certificate: impl Fn() -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(certificate))
    }

    pub(crate) fn der(&self) -> Option<Vec<u8>> {
        (self.0)()
    }
}

impl fmt::Debug for ShownCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShownCertificate(..)")
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            first_request_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(120),
            write_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(30),
            body_bytes_max: 1024 * 1024,
            streams_max: 100,
            drain_timeout: Duration::from_secs(10),
            reach: Reach::default(),
            shown_certificate: None,
        }
    }
}
