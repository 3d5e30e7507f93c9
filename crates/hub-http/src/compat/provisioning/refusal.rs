//! The one renderer of the provisioning service's refusals.

use axum::response::Response;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use hub_api::compat::InputError;
use hub_domain::limits::PROVISIONING_RETRY_AFTER;
use hub_domain::{ErrorCode, Timestamp};
use hub_engine::ErrorKind;
use hub_provisioning::{Error, error_document};

use super::super::refusal;
use super::text;

/// Where the vendor repeats the code.
pub(super) const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-ms-error-code");

/// A request that is not done, and why.
#[derive(Debug)]
pub(super) struct Refusal {
    error: Error,
    allowed: Option<String>,
}

impl Refusal {
    /// Nothing at this path, or nothing for this method where `allowed` says what the path has.
    pub(super) fn no_such_route(allowed: &[&str]) -> Self {
        if allowed.is_empty() {
            let text = "there is no such operation, check the path";
            return Error::new(ErrorKind::NotFound, text)
                .with_code(ErrorCode::GenericNotFound.number())
                .into();
        }
        let allowed = allowed.join(", ");
        let error = Error::new(
            ErrorKind::Invalid,
            format!("this path takes only {allowed}"),
        );
        Self {
            error: error.with_code(ErrorCode::GenericMethodNotAllowed.number()),
            allowed: Some(allowed),
        }
    }

    /// Why, without what only the whole answer needs.
    pub(super) fn into_error(self) -> Error {
        self.error
    }

    /// The answer; a code's number carries its status.
    pub(super) fn render(self, request_id: &str, now: Timestamp) -> Response {
        self.log(request_id);
        let code = self.error.code();
        let status = u16::try_from(code / 1000)
            .ok()
            .and_then(|status| StatusCode::from_u16(status).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = text(status, error_document(&self.error, request_id, now));
        let headers = response.headers_mut();
        headers.insert(ERROR_CODE_HEADER, HeaderValue::from(code));
        if let Some(allowed) = self.allowed.as_deref().and_then(super::header) {
            headers.insert(ALLOW, allowed);
        }
        let is_for_now = matches!(
            self.error.kind(),
            ErrorKind::Unavailable | ErrorKind::TimedOut
        );
        let usual = is_for_now.then_some(PROVISIONING_RETRY_AFTER);
        let wait = self.error.retry_after().or(usual);
        if let Some(wait) = wait {
            headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
        }
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("SharedAccessSignature");
            headers.insert(WWW_AUTHENTICATE, scheme);
        }
        response
    }

    /// The operation ends here, so its error is logged here, with the whole chain, and with the reason that the device is
    /// not told: what it has is the request's id.
    fn log(&self, request_id: &str) {
        let (code, error) = (self.error.code(), refusal::chain(&self.error));
        let reason = self.error.reason();
        match self.error.kind() {
            ErrorKind::Internal => tracing::error!(request_id, error, reason, "request failed"),
            ErrorKind::Unavailable => tracing::warn!(request_id, error, reason, "request failed"),
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::PreconditionFailed
            | ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::NotAuthenticated
            | ErrorKind::NotAllowed
            | ErrorKind::Throttled
            | ErrorKind::QuotaExceeded
            | ErrorKind::DeviceOffline
            | ErrorKind::TimedOut
            | ErrorKind::BadDeviceAnswer => {
                tracing::debug!(request_id, code, error, reason, "request refused");
            }
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            allowed: None,
        }
    }
}

impl From<InputError> for Refusal {
    fn from(error: InputError) -> Self {
        Error::new(ErrorKind::Invalid, error.to_string())
            .with_code(error.code().number())
            .into()
    }
}

/// What both faces check in the same way: bodies, versions, guards.
impl From<refusal::Refusal> for Refusal {
    fn from(refused: refusal::Refusal) -> Self {
        let (code, text) = refused.into_parts();
        Error::new(ErrorKind::Invalid, text)
            .with_code(code.number())
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_do_better_later_is_told_when() {
        let wait = |kind| {
            let refusal = Refusal::from(Error::new(kind, "no"));
            let response = refusal.render("id", Timestamp::from_seconds(0));
            let header = response.headers().get(RETRY_AFTER);
            header.map(|value| value.to_str().expect("digits").to_owned())
        };
        assert_eq!(wait(ErrorKind::Unavailable).as_deref(), Some("5"));
        assert_eq!(wait(ErrorKind::TimedOut).as_deref(), Some("5"));
        assert_eq!(wait(ErrorKind::NotAuthenticated), None);
    }
}
