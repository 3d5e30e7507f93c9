//! The one renderer of refusals on this face.

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use hub_api::compat::{ErrorBody, InputError};
use hub_domain::{ErrorCode, Timestamp};
use hub_engine::{Error, Origin};

use super::JSON;

/// C# compares this header with the code in the body (`ExceptionHandlingHelper.cs`).
const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("iothub-errorcode");

/// A request that is not done, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    text: String,
    allowed: Option<String>,
    error: Option<Error>,
}

impl Refusal {
    /// `text` is public: no secrets, lowercase, no full stop.
    pub(super) fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            allowed: None,
            error: None,
        }
    }

    /// Nothing at this path, or nothing for this method where `allowed` says what the path has.
    pub(super) fn no_such_route(allowed: &[&str]) -> Self {
        if allowed.is_empty() {
            return Self::new(
                ErrorCode::GenericNotFound,
                "there is no such operation, check the path",
            );
        }
        let allowed = allowed.join(", ");
        let text = format!("this path takes only {allowed}");
        Self {
            allowed: Some(allowed),
            ..Self::new(ErrorCode::GenericMethodNotAllowed, text)
        }
    }

    /// Code and text, for a face that answers in another form.
    pub(super) fn into_parts(self) -> (ErrorCode, String) {
        (self.code, self.text)
    }

    /// The answer. A code's number carries its status, so every kind of error has one row:
    /// [`hub_engine::ErrorKind::default_code`] or the closer code of the error.
    pub(super) fn render(self, request_id: &str, now: Timestamp) -> Response {
        self.log(request_id);
        let body = ErrorBody::new(self.code, &self.text, request_id, now);
        let bytes = serde_json::to_vec(&body).expect("invariant: two strings always serialize");
        let mut response = Response::new(Body::from(bytes));
        *response.status_mut() = StatusCode::from_u16(self.code.http_status())
            .expect("invariant: every code's status is between 400 and 504");
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, JSON);
        headers.insert(
            ERROR_CODE_HEADER,
            HeaderValue::from_static(self.code.name()),
        );
        if let Some(allowed) = self
            .allowed
            .and_then(|text| HeaderValue::from_str(&text).ok())
        {
            headers.insert(ALLOW, allowed);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("SharedAccessSignature");
            response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }

    /// The operation ends here, so its error is logged here, with the whole chain.
    fn log(&self, request_id: &str) {
        let Some(error) = &self.error else {
            tracing::debug!(request_id, code = %self.code, error = self.text, "request refused");
            return;
        };
        let chain = chain(error);
        match error.origin() {
            Origin::Hub => tracing::error!(request_id, error = chain, "request failed"),
            Origin::HubForNow => tracing::warn!(request_id, error = chain, "request failed"),
            Origin::Request => {
                tracing::debug!(request_id, code = %self.code, error = chain, "request refused");
            }
        }
    }
}

/// The error and its sources in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let (code, text) = (error.code(), error.message().to_owned());
        Self {
            error: Some(error),
            ..Self::new(code, text)
        }
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
