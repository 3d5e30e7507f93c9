//! How `/api/v1` says that something failed.

use std::error::Error as _;
use std::sync::Arc;

use axum::Json;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, StatusCode};
use hub_api::native::{ErrorBody, ErrorDetail};
use hub_domain::ErrorCode;
use hub_engine::{Error, ErrorKind, Origin};

use crate::request::RequestId;

/// A failed request on its way to [`render`], which knows the request's id.
pub(super) struct Failure(Error);

impl Failure {
    /// Input that is wrong.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self(Error::new(ErrorKind::Invalid, message))
    }

    /// A failure with a code of its own.
    pub(super) fn coded(kind: ErrorKind, code: ErrorCode, message: impl Into<String>) -> Self {
        Self(Error::new(kind, message).with_code(code))
    }

    /// A caller that did not prove who it is.
    pub(super) fn not_authenticated(message: impl Into<String>) -> Self {
        Self(Error::new(ErrorKind::NotAuthenticated, message))
    }

    pub(super) fn unknown_route() -> Self {
        Self(Error::new(
            ErrorKind::NotFound,
            "there is no such path in /api/v1",
        ))
    }

    pub(super) fn wrong_method() -> Self {
        Self::coded(
            ErrorKind::Invalid,
            ErrorCode::GenericMethodNotAllowed,
            "this path does not take this method",
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// The service's own numbers are told in the text: those of this face are the hub's.
impl From<hub_provisioning::Error> for Failure {
    fn from(error: hub_provisioning::Error) -> Self {
        Self(Error::new(error.kind(), error.message()).with_source(error))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
        response.extensions_mut().insert(Arc::new(self.0));
        response
    }
}

/// Renders and logs what failed, once, at the edge.
pub(super) async fn render(request: Request, next: Next) -> Response {
    let id = request
        .extensions()
        .get::<RequestId>()
        .map_or("", |id| &id.0)
        .to_owned();
    let response = next.run(request).await;
    match response.extensions().get::<Arc<Error>>() {
        None => response,
        Some(error) => {
            log(error, &id);
            rendered(error, id)
        }
    }
}

fn rendered(error: &Error, request_id: String) -> Response {
    let body = ErrorBody {
        error: detail(error, request_id),
    };
    let mut response = (status(error), Json(body)).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response
            .headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// What is said of an error.
pub(super) fn detail(error: &Error, request_id: String) -> ErrorDetail {
    let code = code(error);
    ErrorDetail {
        code: code.number(),
        name: code.name().to_owned(),
        message: error.message().to_owned(),
        request_id,
    }
}

/// The vendor has no number for "proved, but not allowed" other than one of 401, after which a client would prove
/// itself again.
fn code(error: &Error) -> ErrorCode {
    let code = error.code();
    if error.kind() == ErrorKind::NotAllowed && code.http_status() == 401 {
        return ErrorCode::GenericForbidden;
    }
    code
}

fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(code(error).http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn log(error: &Error, request_id: &str) {
    let chain = || {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            text = format!("{text}: {cause}");
            source = cause.source();
        }
        text
    };
    match error.origin() {
        Origin::Hub => tracing::error!(request_id, error = chain(), "operation failed"),
        Origin::HubForNow => tracing::warn!(request_id, error = chain(), "operation not possible"),
        Origin::Request => tracing::debug!(request_id, error = chain(), "operation refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_status_and_a_code() {
        let table: Vec<String> = ErrorKind::ALL
            .into_iter()
            .map(|kind| {
                let error = Error::new(kind, "text");
                let detail = detail(&error, "r1".to_owned());
                format!(
                    "{kind:?}: {} {} {}",
                    status(&error).as_u16(),
                    detail.code,
                    detail.name
                )
            })
            .collect();
        assert_eq!(
            table,
            [
                "NotFound: 404 404000 GenericNotFound",
                "AlreadyExists: 409 409000 GenericConflict",
                "PreconditionFailed: 412 412001 PreconditionFailed",
                "Invalid: 400 400004 ArgumentInvalid",
                "TooLarge: 413 413001 MessageTooLarge",
                "NotAuthenticated: 401 401003 IotHubUnauthorized",
                "NotAllowed: 403 403000 GenericForbidden",
                "Throttled: 429 429001 ThrottlingException",
                "QuotaExceeded: 403 403002 IotHubQuotaExceeded",
                "DeviceOffline: 404 404103 DeviceNotOnline",
                "TimedOut: 504 504101 GatewayTimeout",
                "BadDeviceAnswer: 502 502000 GenericBadGateway",
                "Unavailable: 503 503001 ServiceUnavailable",
                "Internal: 500 500001 ServerError",
            ]
        );
    }
}
