//! Calls to what is not this installation: other hubs over the vendor's REST, and webhooks.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, RETRY_AFTER};

use super::ClientError;

/// How long a connection may take to come about. Shorter than any call's own time, so that it is known that nothing was sent.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Calls others over HTTPS, with the certificates that the system trusts and perhaps more. Cheap to clone.
#[derive(Clone)]
pub struct Outside {
    http: reqwest::Client,
}

/// One call.
pub struct OutsideCall<'a> {
    /// What is done.
    pub method: OutsideMethod,
    /// To what. It may hold a secret and is not part of any error.
    pub url: &'a str,
    /// Who asks.
    pub authorization: Option<&'a str>,
    /// The guard, quoted, or `*`.
    pub if_match: Option<&'a str>,
    /// A JSON document.
    pub body: Option<Vec<u8>>,
    /// How long the whole call may take.
    pub timeout: Duration,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutsideMethod {
    /// Read.
    Get,
    /// Create or replace.
    Put,
    /// Ask.
    Post,
    /// Remove.
    Delete,
}

/// An answer, whatever it is.
#[derive(Debug)]
pub struct OutsideAnswer {
    /// The status.
    pub status: u16,
    /// How long to wait before the next call, where the answer says so in seconds.
    pub retry_after: Option<Duration>,
    /// The body, at most 1 MiB.
    pub body: Vec<u8>,
}

/// There was no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutsideError {
    /// Nothing answers there, or not with a certificate that is trusted.
    #[error("it cannot be reached{}", reason(.0))]
    Unreachable(#[source] reqwest::Error),
    /// It did not answer in time.
    #[error("it did not answer in time")]
    Silent,
    /// The answer does not end.
    #[error("its answer is larger than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

impl Outside {
    /// Prepares calls; `trust` is PEM of certificates that are trusted besides those of the system.
    ///
    /// # Errors
    /// When the certificates cannot be read.
    pub fn new(trust: Option<&[u8]>) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("thingstead/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = trust {
            let certificates =
                reqwest::Certificate::from_pem_bundle(pem).map_err(ClientError::Certificate)?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(ClientError::Certificate)?;
        Ok(Self { http })
    }

    /// Calls, and reads whatever the answer is.
    ///
    /// # Errors
    /// There is no answer, or it is too long.
    pub async fn call(&self, call: OutsideCall<'_>) -> Result<OutsideAnswer, OutsideError> {
        let method = match call.method {
            OutsideMethod::Get => reqwest::Method::GET,
            OutsideMethod::Put => reqwest::Method::PUT,
            OutsideMethod::Post => reqwest::Method::POST,
            OutsideMethod::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.http.request(method, call.url).timeout(call.timeout);
        if let Some(authorization) = call.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(guard) = call.if_match {
            request = request.header(IF_MATCH, guard);
        }
        if let Some(body) = call.body {
            request = request.header(CONTENT_TYPE, "application/json; charset=utf-8");
            request = request.body(body);
        }
        let mut response = request.send().await.map_err(failure)?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(failure)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(OutsideError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(OutsideAnswer {
            status,
            retry_after,
            body,
        })
    }
}

/// Why, as far as the client's libraries tell it, in words for whoever set the address.
fn reason(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>()
            && error.kind() == std::io::ErrorKind::ConnectionRefused
        {
            return ": the connection is refused";
        }
        let text = error.to_string();
        // Neither the resolver nor the TLS library is named by the client's errors.
        if text.contains("invalid peer certificate") {
            return ": its TLS certificate is not trusted";
        }
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return ": there is no such host";
        }
        cause = error.source();
    }
    ""
}

fn failure(error: reqwest::Error) -> OutsideError {
    if error.is_timeout() {
        OutsideError::Silent
    } else {
        OutsideError::Unreachable(error.without_url())
    }
}

/// What an id has encoded in a path: all but the unreserved characters (RFC 3986, 2.3), and the dot, which alone is no name.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// An id as a segment of a path.
pub fn path_segment(id: &str) -> String {
    utf8_percent_encode(id, RESERVED).to_string()
}
