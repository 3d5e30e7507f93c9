//! One call to a hub of another installation, and what a status that is no success means.

use std::time::Duration;

use hub_api::client::{OutsideAnswer, OutsideCall, OutsideError, OutsideMethod};
use hub_domain::DeviceId;
use hub_domain::limits::LINKED_HUB_TIME_MAX;
use hub_engine::ErrorKind;
use tokio::time::Instant;

use super::Remote;
use crate::Error;
use crate::error::codes;
use crate::hubs::HubError;

/// The version of the REST that is spoken: the newest that every hub in use knows.
const API_VERSION: &str = "2021-04-12";
/// How long a token lives that a call is signed with.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// One call.
pub(super) struct Call<'a> {
    pub(super) method: OutsideMethod,
    pub(super) collection: &'a str,
    pub(super) device: &'a DeviceId,
    pub(super) body: Option<&'a [u8]>,
    /// Quoted, or `*`.
    pub(super) if_match: Option<&'a str>,
}

impl Remote {
    /// Calls the hub, again while it says that there is too much at once: what was reached until now is kept.
    pub(super) async fn call(&self, call: Call<'_>) -> Result<(u16, Vec<u8>), HubError> {
        let until = Instant::now() + self.patience;
        loop {
            self.throttles.pass(&self.host).await;
            let answer = self.call_once(&call).await?;
            if answer.status != 429 {
                return Ok((answer.status, answer.body));
            }
            self.throttles.begin(&self.host, answer.retry_after);
            if Instant::now() >= until {
                return Err(self.throttled());
            }
        }
    }

    async fn call_once(&self, call: &Call<'_>) -> Result<OutsideAnswer, HubError> {
        let url = self.url(call.collection, call.device);
        let expiry = self.environment.now().plus(TOKEN_LIFE);
        let token =
            hub_domain::sas::sign_token(self.host.as_str(), &self.key, expiry, Some(&self.policy));
        let call = OutsideCall {
            method: call.method,
            url: &url,
            authorization: Some(&token),
            if_match: call.if_match,
            body: call.body.map(<[u8]>::to_vec),
            timeout: LINKED_HUB_TIME_MAX,
        };
        let answer = self.outside.call(call).await;
        match &answer {
            Ok(_) => self.outages.end(&self.host),
            Err(_) => self.outages.begin(&self.host),
        }
        answer.map_err(|error| {
            let text = format!("the hub {} cannot be used: {error}", self.host);
            let kind = match &error {
                OutsideError::Silent => ErrorKind::TimedOut,
                OutsideError::Unreachable(_) | OutsideError::TooLong => ErrorKind::Unavailable,
            };
            HubError::Unreachable(
                Error::new(kind, text)
                    .with_code(codes::HUB_UNREACHABLE)
                    .with_source(error),
            )
        })
    }

    fn url(&self, collection: &str, device: &DeviceId) -> String {
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let host = self.host.as_str();
        let brackets = if host.contains(':') {
            ("[", "]")
        } else {
            ("", "")
        };
        let device = hub_api::client::path_segment(device.as_str());
        format!(
            "https://{}{host}{}{port}/{collection}/{device}?api-version={API_VERSION}",
            brackets.0, brackets.1
        )
    }

    /// What a status that is no success means: the hub's trouble, or a refusal of this device. What the hub says goes into
    /// the log: whoever reads the registration need not be trusted by it.
    pub(super) fn refusal(&self, status: u16, body: &[u8]) -> HubError {
        let said: String = String::from_utf8_lossy(body).chars().take(500).collect();
        tracing::warn!(hub = %self.host, status, said, "a linked hub refused a call");
        let hint = match status {
            401 => {
                ", the key of its link is not accepted, or its policy lacks RegistryWrite or ServiceConnect"
            }
            403 => ", the policy of its link may not write devices, or it has no room for more",
            404 => ", there is no such hub or it does not have this interface",
            _ => "",
        };
        let text = format!("the hub {} answered with {status}{hint}", self.host);
        match status {
            400 | 402 | 405..=407 | 409..=428 | 430..=499 => {
                HubError::Refused(Error::invalid(text).with_code(codes::HUB_REFUSED))
            }
            _ => self.unusable(text),
        }
    }

    pub(super) fn strange(&self, what: &str) -> HubError {
        self.unusable(format!("the hub {} cannot be used: {what}", self.host))
    }

    pub(super) fn busy(&self) -> HubError {
        self.unusable(format!(
            "the device is being changed too often in the hub {}",
            self.host
        ))
    }

    pub(super) fn unusable(&self, text: String) -> HubError {
        let error = Error::new(ErrorKind::Unavailable, text);
        HubError::Unreachable(error.with_code(codes::HUB_UNREACHABLE))
    }

    fn throttled(&self) -> HubError {
        let text = format!("the hub {} takes no more calls at the moment", self.host);
        HubError::Throttled(Error::new(ErrorKind::Throttled, text))
    }
}
