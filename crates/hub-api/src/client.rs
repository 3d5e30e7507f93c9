//! The typed client of `/api/v1`: one function per operation, and the event stream.
//!
//! It holds no clock but the one that a token's expiry needs, starts no task and keeps no state between calls.
//! Cancelling a call by dropping its future leaves open whether a write was done.

mod calls;
mod config;
mod error;
mod events;
mod files;
mod messages;
mod outside;
mod provisioning;
mod routing;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hub_domain::{SymmetricKey, Timestamp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::native::{ErrorBody, Operation, OperationId, Verb};

pub use calls::PageQuery;
pub use config::{ClientConfig, ConnectionString, ConnectionStringError, Credential};
pub use error::ClientError;
pub use events::{AtEnd, EventQuery, EventStream, Received};
pub use files::FileStream;
pub use messages::Settlement;
pub use outside::{Outside, OutsideAnswer, OutsideCall, OutsideError, OutsideMethod, path_segment};

/// How long a call may take when nothing says otherwise.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, streams aside.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a token lives that a call is signed with.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Speaks to one installation.
pub struct Client {
    http: reqwest::Client,
    base: String,
    credential: Credential,
}

/// One call on its way.
pub(crate) struct Call<'a> {
    operation: &'static Operation,
    segments: &'a [&'a str],
    query: Vec<(&'static str, String)>,
    if_match: Option<&'a str>,
    timeout: Option<Duration>,
    token_life: Duration,
}

impl<'a> Call<'a> {
    pub(crate) fn new(id: OperationId, segments: &'a [&'a str]) -> Self {
        Self {
            operation: Operation::of(id),
            segments,
            query: Vec::new(),
            if_match: None,
            timeout: Some(CALL_TIMEOUT),
            token_life: TOKEN_LIFE,
        }
    }

    pub(crate) fn if_match(mut self, etag: Option<&'a str>) -> Self {
        self.if_match = etag;
        self
    }

    pub(crate) fn parameter(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    pub(crate) const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) const fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }
}

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// When the certificate cannot be read.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("thingstead/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &config.ca_pem {
            let certificates =
                reqwest::Certificate::from_pem_bundle(pem).map_err(ClientError::Certificate)?;
            builder = builder.tls_certs_only(certificates);
        }
        if let Some((name, address)) = &config.resolve {
            builder = builder.resolve(name, *address);
        }
        let http = builder.build().map_err(ClientError::Certificate)?;
        Ok(Self {
            http,
            base: config.base,
            credential: config.credential,
        })
    }

    /// The address that calls go to.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Calls and reads the answer's document.
    pub(crate) async fn fetch<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
    ) -> Result<T, ClientError> {
        let body = self.read(self.send(call, None).await?).await?;
        parse(&body)
    }

    /// Calls with a document and reads the answer's.
    pub(crate) async fn exchange<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).expect("wire types always serialize");
        let answer = self.read(self.send(call, Some(body)).await?).await?;
        parse(&answer)
    }

    /// Calls; the answer has no document.
    pub(crate) async fn perform(&self, call: Call<'_>) -> Result<(), ClientError> {
        self.send(call, None).await.map(drop)
    }

    /// Sends a call and returns the answer once its head is there and says success.
    async fn send(
        &self,
        call: Call<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<reqwest::Response, ClientError> {
        let url = self.url(&call);
        let mut request = self.http.request(method(call.operation.verb), &url).header(
            AUTHORIZATION,
            self.credential.authorization(now(), call.token_life),
        );
        if let Some(timeout) = call.timeout {
            request = request.timeout(timeout);
        }
        if let Some(etag) = call.if_match {
            request = request.header(
                IF_MATCH,
                if etag == "*" {
                    etag.to_owned()
                } else {
                    format!("\"{etag}\"")
                },
            );
        }
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let response = request
            .send()
            .await
            .map_err(|source| self.transport(source))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = self.read(response).await?;
        Err(match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => ClientError::Refused {
                status,
                detail: body.error,
            },
            Err(_) => ClientError::NotOurs { status },
        })
    }

    fn url(&self, call: &Call<'_>) -> String {
        let mut url = format!("{}{}", self.base, call.operation.path_of(call.segments));
        for (index, (name, value)) in call.query.iter().enumerate() {
            url.push(if index == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.extend(percent_encoding::utf8_percent_encode(
                value,
                percent_encoding::NON_ALPHANUMERIC,
            ));
        }
        url
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, ClientError> {
        let mut body = Vec::new();
        while let Some(chunk) =
            response
                .chunk()
                .await
                .map_err(|source| ClientError::Interrupted {
                    base: self.base.clone(),
                    source: source.without_url(),
                })?
        {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::TooLong {
                    bytes_max: ANSWER_BYTES_MAX,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, source: reqwest::Error) -> ClientError {
        // The address is said once, by this error; the source would say it again with its query.
        ClientError::Transport {
            base: self.base.clone(),
            source: source.without_url(),
        }
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|source| ClientError::BadAnswer { source })
}

const fn method(verb: Verb) -> reqwest::Method {
    match verb {
        Verb::Get => reqwest::Method::GET,
        Verb::Post => reqwest::Method::POST,
        Verb::Put => reqwest::Method::PUT,
        Verb::Patch => reqwest::Method::PATCH,
        Verb::Delete => reqwest::Method::DELETE,
    }
}

/// The moment that a token's life is counted from. A clock before 1970 makes tokens that have expired.
fn now() -> Timestamp {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

impl Credential {
    fn authorization(&self, now: Timestamp, life: Duration) -> String {
        match self {
            Self::AdminToken(token) => format!("Bearer {token}"),
            Self::Policy { host, name, key } => token(host, name, key, now.plus(life)),
        }
    }
}

fn token(host: &str, policy: &str, key: &SymmetricKey, expiry: Timestamp) -> String {
    hub_domain::sas::sign_token(host, key, expiry, Some(policy))
}
