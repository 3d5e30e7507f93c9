//! The service's one error: a kind, a six-digit code, a public message and a private source.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use hub_engine::{ErrorKind, Origin};
use hub_storage::StoreError;

/// An operation failed. Its display is the public message, without the source.
#[derive(Debug)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    kind: ErrorKind,
    code: u32,
    message: String,
    retry_after: Option<Duration>,
    reason: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Codes that devices and back ends see. A number is the HTTP status times 1000 plus a detail; those with a source are
/// the vendor's, the others keep its form.
pub(crate) mod codes {
    /// The custom policy's webhook answered with a failure ("Custom allocation failed with status code: 400"), or with
    /// something that is no assignment.
    pub(crate) const ALLOCATION_WEBHOOK_FAILED: u32 = 400_207;
    /// No hub to assign (`DPS_HUB_ERROR_NO_HUB` in `prov_device_ll_client.c`). 400209 stands free: it is
    /// `DPS_HUB_ERROR_UNAUTH` there, and a device whose hub refuses the link's key asks again.
    pub(crate) const NO_HUB: u32 = 400_208;
    /// The hub refused the device.
    pub(crate) const HUB_REFUSED: u32 = 400_210;
    /// The certificate signing request cannot be signed.
    pub(crate) const SIGNING_REQUEST: u32 = 400_211;
    /// The request's proof is not good (SDK logs: `401002 Unauthorized`).
    pub(crate) const UNAUTHORIZED: u32 = 401_002;
    /// The id scope, or the enrollment a device asks by, does not exist.
    pub(crate) const SCOPE_NOT_FOUND: u32 = 404_001;
    /// The enrollment is disabled.
    pub(crate) const DISABLED: u32 = 403_201;
    /// There is no such enrollment, group or registration (SDK logs: `404201`).
    pub(crate) const NOT_FOUND: u32 = 404_201;
    /// It exists already.
    pub(crate) const EXISTS: u32 = 409_201;
    /// The registration is not finished.
    pub(crate) const UNFINISHED: u32 = 409_202;
    /// The etag is another.
    pub(crate) const PRECONDITION: u32 = 412_201;
    /// A hub could not be reached.
    pub(crate) const HUB_UNREACHABLE: u32 = 503_201;
    /// The webhook did not answer in time.
    pub(crate) const WEBHOOK_SILENT: u32 = 504_201;
}

impl Error {
    /// An error with the kind's own code. `message` is public: lowercase, no secrets, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            kind,
            code: default_code(kind),
            message: message.into(),
            retry_after: None,
            reason: None,
            source: None,
        }))
    }

    /// Sets a closer code.
    #[must_use]
    pub fn with_code(mut self, code: u32) -> Self {
        self.0.code = code;
        self
    }

    /// Sets what the operator is told in the place of the message.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<String>) -> Self {
        self.0.reason = Some(reason.into());
        self
    }

    /// Says when the same may be asked again, in whole seconds.
    #[must_use]
    pub(crate) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// Sets the private source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// True for what is about this device: it is told by the status. The rest is the service's own trouble, and the device
    /// asks again.
    pub(crate) fn is_final(&self) -> bool {
        let kind = self.kind();
        kind != ErrorKind::Throttled && kind.origin() == Origin::Request
    }

    /// The six-digit code.
    pub fn code(&self) -> u32 {
        self.0.code
    }

    /// The public message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Why, for the operator alone; the public message when there is nothing more to say.
    pub fn reason(&self) -> &str {
        self.0.reason.as_deref().unwrap_or(&self.0.message)
    }

    /// How long to wait before the same may be asked again, in whole seconds, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotAuthenticated, message)
    }

    pub(crate) fn not_found(what: &str, id: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("there is no {what} {id}"))
    }
}

/// The code of a kind when an error names no closer one.
const fn default_code(kind: ErrorKind) -> u32 {
    match kind {
        ErrorKind::NotFound => codes::NOT_FOUND,
        ErrorKind::AlreadyExists => codes::EXISTS,
        ErrorKind::PreconditionFailed => codes::PRECONDITION,
        ErrorKind::Invalid => 400_004,
        ErrorKind::TooLarge => 413_001,
        ErrorKind::NotAuthenticated => codes::UNAUTHORIZED,
        ErrorKind::NotAllowed => 403_001,
        ErrorKind::Throttled => 429_001,
        ErrorKind::QuotaExceeded => 403_002,
        ErrorKind::DeviceOffline | ErrorKind::BadDeviceAnswer | ErrorKind::Internal => 500_001,
        ErrorKind::TimedOut => 504_101,
        ErrorKind::Unavailable => 503_001,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<hub_engine::Error> for Error {
    fn from(error: hub_engine::Error) -> Self {
        Self::new(error.kind(), error.message().to_owned()).with_source(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        hub_engine::Error::from(error).into()
    }
}
