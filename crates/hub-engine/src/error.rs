//! The engine's one error: a closed kind, a stable code, a public message and a private source.

use std::error::Error as StdError;
use std::fmt;

use hub_domain::ErrorCode;
use hub_storage::{Conflict, StoreError};

/// What kind of failure it is. Each protocol renders each kind in its own table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The thing named does not exist.
    NotFound,
    /// The thing to create exists.
    AlreadyExists,
    /// An etag or version guard did not hold.
    PreconditionFailed,
    /// The input is wrong; the message says what.
    Invalid,
    /// The input is larger than its limit.
    TooLarge,
    /// The caller did not prove who it is.
    NotAuthenticated,
    /// The caller may not do this.
    NotAllowed,
    /// Too much at once; try again later.
    Throttled,
    /// A quota is used up.
    QuotaExceeded,
    /// The device is not connected, or takes no methods.
    DeviceOffline,
    /// The device did not answer in time.
    TimedOut,
    /// The device answered with something that is no answer.
    BadDeviceAnswer,
    /// The hub cannot do this at the moment; try again.
    Unavailable,
    /// The hub failed.
    Internal,
}

/// Whose failure an error is, and so what becomes of what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The request's: it is refused, and sent again it would be refused again, or later not.
    Request,
    /// The hub's, which is not able to at the moment. What was sent is to be kept and sent again.
    HubForNow,
    /// The hub's, and a fault of it. What was sent is to be kept and sent again.
    Hub,
}

impl ErrorKind {
    /// All kinds, for tables and their tests.
    pub const ALL: [Self; 14] = [
        Self::NotFound,
        Self::AlreadyExists,
        Self::PreconditionFailed,
        Self::Invalid,
        Self::TooLarge,
        Self::NotAuthenticated,
        Self::NotAllowed,
        Self::Throttled,
        Self::QuotaExceeded,
        Self::DeviceOffline,
        Self::TimedOut,
        Self::BadDeviceAnswer,
        Self::Unavailable,
        Self::Internal,
    ];

    /// Whose failure it is.
    pub const fn origin(self) -> Origin {
        match self {
            Self::NotFound
            | Self::AlreadyExists
            | Self::PreconditionFailed
            | Self::Invalid
            | Self::TooLarge
            | Self::NotAuthenticated
            | Self::NotAllowed
            | Self::Throttled
            | Self::QuotaExceeded
            | Self::DeviceOffline
            | Self::TimedOut
            | Self::BadDeviceAnswer => Origin::Request,
            Self::Unavailable => Origin::HubForNow,
            Self::Internal => Origin::Hub,
        }
    }

    /// The code used when an error names no closer one.
    pub const fn default_code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::GenericNotFound,
            Self::AlreadyExists => ErrorCode::GenericConflict,
            Self::PreconditionFailed => ErrorCode::PreconditionFailed,
            Self::Invalid => ErrorCode::ArgumentInvalid,
            Self::TooLarge => ErrorCode::MessageTooLarge,
            Self::NotAuthenticated => ErrorCode::IotHubUnauthorized,
            Self::NotAllowed => ErrorCode::IotHubUnauthorizedAccess,
            Self::Throttled => ErrorCode::ThrottlingException,
            Self::QuotaExceeded => ErrorCode::IotHubQuotaExceeded,
            Self::DeviceOffline => ErrorCode::DeviceNotOnline,
            Self::TimedOut => ErrorCode::GatewayTimeout,
            Self::BadDeviceAnswer => ErrorCode::GenericBadGateway,
            Self::Unavailable => ErrorCode::ServiceUnavailable,
            Self::Internal => ErrorCode::ServerError,
        }
    }
}

/// An operation failed. Its display is the public message, without the source.
#[derive(Debug)]
pub struct Error(Box<Detail>);

#[derive(Debug)]
struct Detail {
    kind: ErrorKind,
    code: ErrorCode,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with the kind's own code. `message` is public: lowercase, no secrets, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            kind,
            code: kind.default_code(),
            message: message.into(),
            source: None,
        }))
    }

    /// Sets a closer code.
    #[must_use]
    pub fn with_code(mut self, code: ErrorCode) -> Self {
        self.0.code = code;
        self
    }

    /// Sets the private source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whose failure it is.
    pub fn origin(&self) -> Origin {
        self.0.kind.origin()
    }

    /// The stable code.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The public message.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// A device that does not exist.
    pub fn device_not_found(id: &hub_domain::IdentityId) -> Self {
        let code = if id.module.is_some() {
            ErrorCode::ModuleNotFound
        } else {
            ErrorCode::DeviceNotFound
        };
        let what = if id.module.is_some() {
            "module"
        } else {
            "device"
        };
        Self::new(
            ErrorKind::NotFound,
            format!("the {what} {id} is not registered"),
        )
        .with_code(code)
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

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let result = match &error {
            StoreError::Conflict(Conflict::AlreadyExists) => {
                Self::new(ErrorKind::AlreadyExists, "it exists already")
            }
            StoreError::Conflict(Conflict::NotFound) => {
                Self::new(ErrorKind::NotFound, "it does not exist")
            }
            StoreError::Conflict(Conflict::VersionMismatch) => Self::new(
                ErrorKind::PreconditionFailed,
                "it was changed meanwhile, read it again",
            ),
            StoreError::Conflict(Conflict::QueueFull) => Self::new(
                ErrorKind::QuotaExceeded,
                "the device has too many messages waiting",
            )
            .with_code(ErrorCode::DeviceMaximumQueueDepthExceeded),
            StoreError::Conflict(Conflict::TooManyModules) => {
                Self::new(ErrorKind::TooLarge, "the device has too many modules")
                    .with_code(ErrorCode::TooManyModulesOnDevice)
            }
            StoreError::Conflict(Conflict::TooManyUploads) => Self::new(
                ErrorKind::QuotaExceeded,
                "the device has too many uploads that are not finished",
            )
            .with_code(ErrorCode::DeviceMaximumActiveFileUploadLimitExceeded),
            StoreError::DiskFull => Self::new(
                ErrorKind::Unavailable,
                "the hub's disk is full, nothing can be written",
            ),
            StoreError::Unavailable => Self::new(ErrorKind::Unavailable, "the hub is stopping"),
            StoreError::Internal { .. } => {
                Self::new(ErrorKind::Internal, "the hub's storage failed")
            }
        };
        result.with_source(error)
    }
}
