//! Refusals as the storage REST spells them: an XML body, and the code in a header.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use hub_domain::Timestamp;
use hub_engine::{Error, ErrorKind};

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");

macro_rules! storage_codes {
    ($($(#[$doc:meta])* $name:ident $status:literal $text:literal,)*) => {
        /// The codes that this face answers ("Common REST API error codes", "Blob service error codes").
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum StorageCode {
            $($name,)*
        }

        impl StorageCode {
            pub(super) const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)*
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

storage_codes! {
    AuthenticationFailed 403 "The ticket is not one of an open upload of this file, or has expired.",
    AuthorizationPermissionMismatch 403 "The ticket lets its holder write, and nothing else.",
    BlobAlreadyExists 409 "The file exists already.",
    BlockCountExceedsLimit 409 "Too many blocks wait for their list.",
    BlockListTooLong 400 "The list has more than 50,000 blocks.",
    ConditionNotMet 412 "The condition of a header does not hold.",
    IncompleteBody 400 "The body broke off.",
    InternalError 500 "The hub failed.",
    InvalidBlockId 400 "The block id is not base64 of 1 to 64 bytes.",
    InvalidBlockList 400 "The list names a block that was not sent, or is no block id.",
    InvalidHeaderValue 400 "A header has a value that is not allowed.",
    InvalidMd5 400 "An MD5 is not base64 of 16 bytes.",
    InvalidQueryParameterValue 400 "The parameter comp must be block or blocklist, or be absent.",
    InvalidXmlDocument 400 "The body is no block list.",
    Md5Mismatch 400 "Other bytes came than the MD5 is of.",
    MissingRequiredHeader 400 "The header x-ms-blob-type is missing.",
    MultipleConditionHeadersNotSupported 400 "Only one condition is taken.",
    NoAuthenticationInformation 401 "The address has no ticket.",
    OperationTimedOut 500 "The body took too long to arrive.",
    RequestBodyTooLarge 413 "The file or block is larger than this hub takes.",
    ServerBusy 503 "The hub cannot write now, try again.",
    UnsupportedHeader 400 "A header asks for what this hub does not do.",
    UnsupportedHttpVerb 405 "Files are sent with PUT.",
}

/// A request that is not done, and why.
#[derive(Debug)]
pub(crate) struct StorageRefusal {
    code: StorageCode,
    error: Option<Error>,
}

impl StorageRefusal {
    pub(super) const fn of(code: StorageCode) -> Self {
        Self { code, error: None }
    }

    /// A failed join of blocks, where invalid means the list.
    pub(super) fn of_commit(error: Error) -> Self {
        if error.kind() == ErrorKind::Invalid {
            return Self {
                code: StorageCode::InvalidBlockList,
                error: Some(error),
            };
        }
        Self::from(error)
    }

    #[cfg(test)]
    pub(super) const fn code(&self) -> StorageCode {
        self.code
    }

    pub(super) fn render(self, request_id: &str, now: Timestamp) -> Response {
        self.log(request_id);
        let code = self.code;
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{}</Code><Message>{}\nRequestId:{request_id}\nTime:{}</Message></Error>",
            code.name(),
            code.text(),
            now.to_rfc3339()
        );
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(code.status())
            .expect("invariant: every status of the table is one");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert(ERROR_CODE, HeaderValue::from_static(code.name()));
        if code == StorageCode::NoAuthenticationInformation {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("SharedAccessSignature"),
            );
        }
        response
    }

    fn log(&self, request_id: &str) {
        let code = self.code.name();
        match &self.error {
            Some(error) if error.kind() == ErrorKind::Internal => {
                let source = std::error::Error::source(error).map(ToString::to_string);
                tracing::error!(request_id, %error, source, "file upload failed");
            }
            Some(error) => tracing::debug!(request_id, code, %error, "file upload refused"),
            None => tracing::debug!(request_id, code, "file upload refused"),
        }
    }
}

impl From<Error> for StorageRefusal {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::NotAuthenticated | ErrorKind::NotAllowed | ErrorKind::NotFound => {
                StorageCode::AuthenticationFailed
            }
            ErrorKind::AlreadyExists => StorageCode::BlobAlreadyExists,
            ErrorKind::PreconditionFailed => StorageCode::ConditionNotMet,
            ErrorKind::Invalid | ErrorKind::BadDeviceAnswer | ErrorKind::DeviceOffline => {
                StorageCode::InvalidHeaderValue
            }
            ErrorKind::TooLarge => StorageCode::RequestBodyTooLarge,
            ErrorKind::QuotaExceeded => StorageCode::BlockCountExceedsLimit,
            ErrorKind::Throttled | ErrorKind::Unavailable | ErrorKind::TimedOut => {
                StorageCode::ServerBusy
            }
            ErrorKind::Internal => StorageCode::InternalError,
        };
        Self {
            code,
            error: Some(error),
        }
    }
}
