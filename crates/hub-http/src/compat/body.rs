//! Reads request bodies within their bounds.

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hub_domain::ErrorCode;

use super::refusal::Refusal;
use crate::HttpConfig;

/// What an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyKind {
    /// Nothing; a body is not read.
    None,
    /// JSON in UTF-8.
    Json,
    /// Anything.
    Bytes,
}

/// The whole body.
///
/// # Errors
/// Wrong media type (415000), too large (413000), too slow (400024), broken off (400021).
pub(super) async fn read(
    kind: BodyKind,
    headers: &HeaderMap,
    body: Body,
    config: &HttpConfig,
) -> Result<Bytes, Refusal> {
    match kind {
        BodyKind::None => return Ok(Bytes::new()),
        BodyKind::Json => check_media_type(headers)?,
        BodyKind::Bytes => {}
    }
    let max = config.body_bytes_max;
    let too_large = || {
        let text = format!("the body has more than {max} bytes");
        Refusal::new(ErrorCode::GenericRequestEntityTooLarge, text)
    };
    if usize::try_from(body.size_hint().lower()).map_or(true, |bytes| bytes > max) {
        return Err(too_large());
    }
    let collected = Limited::new(body, max).collect();
    match tokio::time::timeout(config.request_timeout, collected).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Refusal::new(
            ErrorCode::RequestCanceled,
            "the body broke off",
        )),
        Err(_) => Err(Refusal::new(
            ErrorCode::RequestTimedOut,
            "the body took too long to arrive",
        )),
    }
}

/// The vendor's documentation sends `Content-Encoding: utf-8` with its requests ("How to use symmetric key attestation
/// with the HTTPS protocol"), which is no compression.
fn is_compression(value: &HeaderValue) -> bool {
    let none = ["identity", "utf-8", "utf8"];
    !value.to_str().is_ok_and(|value| {
        none.iter()
            .any(|one| value.trim().eq_ignore_ascii_case(one))
    })
}

/// JSON in UTF-8, uncompressed. A request without a type is taken for it, as some HTTP stacks send none.
fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let unsupported = |text: &str| Err(Refusal::new(ErrorCode::GenericUnsupportedMediaType, text));
    if headers.get(CONTENT_ENCODING).is_some_and(is_compression) {
        return unsupported("the body must not be compressed");
    }
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let Ok(text) = value.to_str() else {
        return unsupported("Content-Type must be application/json");
    };
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return unsupported("Content-Type must be application/json");
    }
    let charset = parts.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    });
    match charset {
        None => Ok(()),
        Some(charset)
            if charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8") =>
        {
            Ok(())
        }
        Some(_) => unsupported("the charset of Content-Type must be utf-8"),
    }
}
