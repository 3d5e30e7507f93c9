//! What a connected device that wants a certificate is told ("Issue Certificate API"; Azure/azure-sdk-for-c,
//! `az_iot_hub_client_certificate_signing_request.c`, which reads `info` only as an object and `retryAfter` beside it).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_domain::{DeviceId, HubNo, Timestamp};
use hub_engine::ErrorKind;
use serde_json::{Value, json};

use super::request::Malformed;
use super::under_way::Busy;
use crate::Error;
use crate::issuance::RequestError;
use crate::parts::Parts;

/// How long a device waits before it asks again when the service cannot help it at the moment.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The vendor's numbers.
mod codes {
    /// The certificate request did not pass.
    pub(super) const REQUEST: u32 = 400_037;
    /// The certificate is not issued (`CredentialOperationFailed`).
    pub(super) const FAILED: u32 = 400_040;
    /// Another request is under way (`CredentialOperationPending`).
    pub(super) const PENDING: u32 = 409_004;
    /// There is no request to take the place of.
    pub(super) const NOTHING_TO_REPLACE: u32 = 412_001;
    /// Too many requests (`ThrottleBacklogLimitExceeded`).
    pub(super) const TOO_OFTEN: u32 = 429_002;
    /// The hub's own trouble.
    pub(super) const INTERNAL: u32 = 500_001;
    /// The hub cannot answer at the moment.
    pub(super) const UNAVAILABLE: u32 = 503_001;
    /// What went wrong with the certificate request, in the vendor's service.
    pub(super) const REQUEST_DETAIL: &str = "400000";
    /// What became of a request that gave way.
    pub(super) const REPLACED_DETAIL: &str = "409000";
}

/// A status and its document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// As in HTTP.
    pub status: u16,
    /// JSON.
    pub document: String,
}

/// Why a device gets no certificate.
#[derive(Debug)]
pub(super) enum Failure {
    Malformed(Malformed),
    Busy(Busy),
    /// The certificate request cannot be answered.
    Request(RequestError),
    /// Another request took its place.
    Replaced,
    /// Anything else.
    NotIssued(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::NotIssued(error)
    }
}

impl Failure {
    /// Says so where somebody may have to do something about it.
    pub(super) fn log(&self, hub: HubNo, device: &DeviceId) {
        let hub = hub.0;
        match self {
            Self::NotIssued(error) if error.kind() == ErrorKind::Internal => {
                let error = error as &dyn std::error::Error;
                tracing::error!(hub, %device, error, "a certificate was not renewed");
            }
            Self::NotIssued(error) => {
                tracing::info!(hub, %device, code = error.code(), %error, "a certificate was not renewed");
            }
            Self::Request(error) => {
                tracing::info!(hub, %device, %error, "a certificate was not renewed");
            }
            Self::Malformed(_) | Self::Busy(_) | Self::Replaced => {}
        }
    }
}

/// The request is accepted; another reply follows until `expires`.
pub(super) fn accepted(correlation: &str, expires: Timestamp) -> Reply {
    let document = json!({
        "correlationId": correlation,
        "operationExpires": expires.to_rfc3339(),
    });
    Reply {
        status: 202,
        document: document.to_string(),
    }
}

/// The certificates, the device's own first.
pub(super) fn issued(correlation: &str, chain: &[Arc<[u8]>]) -> Reply {
    let chain: Vec<String> = chain.iter().map(|der| STANDARD.encode(der)).collect();
    let document = json!({
        "correlationId": correlation,
        "certificates": chain,
    });
    Reply {
        status: 200,
        document: document.to_string(),
    }
}

/// Replies that need a number and the time.
pub(super) struct Replies<'a> {
    parts: &'a Parts,
    now: Timestamp,
}

/// What an error's document says.
struct Told {
    code: u32,
    message: String,
    info: Option<Value>,
    retry_after: Option<Duration>,
}

impl<'a> Replies<'a> {
    pub(super) const fn new(parts: &'a Parts, now: Timestamp) -> Self {
        Self { parts, now }
    }

    /// An error. `correlation` is that of the request when it was accepted before.
    pub(super) fn failure(&self, failure: &Failure, correlation: Option<&str>) -> Reply {
        let told = told(failure, correlation);
        let mut document = json!({
            "errorCode": told.code,
            "message": told.message,
            "trackingId": self.parts.random_uuid(),
            "timestampUtc": self.now.to_rfc3339(),
        });
        if let Some(info) = told.info {
            document["info"] = info;
        }
        if let Some(wait) = told.retry_after {
            document["retryAfter"] = json!(wait.as_secs().max(1));
        }
        Reply {
            status: u16::try_from(told.code / 1_000).unwrap_or(500),
            document: document.to_string(),
        }
    }
}

fn told(failure: &Failure, correlation: Option<&str>) -> Told {
    let plain = |code, message: String| Told {
        code,
        message,
        info: None,
        retry_after: None,
    };
    let credential = |detail: &str, message: &str| {
        let mut info = json!({"credentialError": detail, "credentialMessage": message});
        if let Some(correlation) = correlation {
            info["correlationId"] = json!(correlation);
        }
        Some(info)
    };
    match failure {
        Failure::Malformed(malformed) => plain(malformed.code(), malformed.to_string()),
        Failure::Busy(busy) => busy_told(busy),
        Failure::Request(error) => Told {
            info: credential(codes::REQUEST_DETAIL, &error.to_string()),
            ..plain(codes::REQUEST, error.to_string())
        },
        Failure::Replaced => {
            let text = "another request of the device took the place of this one";
            Told {
                info: credential(codes::REPLACED_DETAIL, text),
                ..plain(codes::FAILED, text.to_owned())
            }
        }
        Failure::NotIssued(error) => {
            let (code, retry_after) = number(error.kind());
            Told {
                info: credential(&error.code().to_string(), error.message()),
                retry_after,
                ..plain(code, error.message().to_owned())
            }
        }
    }
}

fn busy_told(busy: &Busy) -> Told {
    let (code, message, info, retry_after) = match busy {
        Busy::Pending(pending) => (
            codes::PENDING,
            "a request of the device is under way: wait for its end, or take its place with replace",
            Some(json!({
                "requestId": pending.request_id,
                "correlationId": pending.correlation,
                "operationExpires": pending.expires.to_rfc3339(),
            })),
            None,
        ),
        Busy::NothingToReplace(id) => (
            codes::NOTHING_TO_REPLACE,
            "no request with the id in replace is under way",
            Some(json!({"requestId": id})),
            None,
        ),
        Busy::TooOften(wait) => (
            codes::TOO_OFTEN,
            "the device asked for too many certificates, wait",
            None,
            Some(*wait),
        ),
    };
    Told {
        code,
        message: message.to_owned(),
        info,
        retry_after,
    }
}

/// The vendor's number for the end of a request, and whether the device may do better later.
const fn number(kind: ErrorKind) -> (u32, Option<Duration>) {
    match kind {
        ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Throttled => {
            (codes::UNAVAILABLE, Some(RETRY_AFTER))
        }
        ErrorKind::Internal | ErrorKind::DeviceOffline | ErrorKind::BadDeviceAnswer => {
            (codes::INTERNAL, Some(RETRY_AFTER))
        }
        ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::PreconditionFailed
        | ErrorKind::Invalid
        | ErrorKind::TooLarge
        | ErrorKind::NotAuthenticated
        | ErrorKind::NotAllowed
        | ErrorKind::QuotaExceeded => (codes::FAILED, None),
    }
}
