//! What a request brings: a JSON document, an etag, parameters behind `?`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::str::FromStr;

use axum::body::to_bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use hub_domain::ErrorCode;
use hub_engine::{ErrorKind, IfMatch};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;

use super::Failure;
use crate::AppState;

/// A JSON document of the expected type.
pub(super) struct Document<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Document<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Failure> {
        if !is_json(request.headers().get(CONTENT_TYPE)) {
            let text = "the body must be application/json, and the Content-Type header say so";
            return Err(Failure::coded(
                ErrorKind::Invalid,
                ErrorCode::GenericUnsupportedMediaType,
                text,
            ));
        }
        let bytes_max = app.config().body_bytes_max;
        let reading = to_bytes(request.into_body(), bytes_max);
        let body = tokio::time::timeout(app.config().request_timeout, reading)
            .await
            .map_err(|_| {
                Failure::coded(
                    ErrorKind::Invalid,
                    ErrorCode::RequestTimedOut,
                    "the body came too slowly",
                )
            })?
            .map_err(|_| {
                let text = format!("the body cannot be read, or has more than {bytes_max} bytes");
                Failure::coded(
                    ErrorKind::TooLarge,
                    ErrorCode::GenericRequestEntityTooLarge,
                    text,
                )
            })?;
        // A sequence would do for a struct: its members in their order, which nobody means.
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Failure::invalid("the body must be a JSON object"));
        }
        serde_json::from_slice(&body)
            .map(Self)
            .map_err(|error| Failure::invalid(format!("the body: {error}")))
    }
}

fn is_json(content_type: Option<&HeaderValue>) -> bool {
    let text = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The guard of a write.
pub(super) struct Guarded(pub(super) IfMatch);

impl<S: Sync> FromRequestParts<S> for Guarded {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if_match(&parts.headers).map(Self)
    }
}

/// One etag, in quotes or bare, or `*`. Weak etags and lists of several are refused: no guard is better than one
/// that guards something else. `W/` alone makes none weak: a bare etag is Base64 and may begin with it.
fn if_match(headers: &HeaderMap) -> Result<IfMatch, Failure> {
    let wrong = || Failure::invalid("If-Match must be one etag in quotes, or *");
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else {
        return Ok(IfMatch::Absent);
    };
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .unwrap_or(text);
    match inner {
        _ if values.next().is_some() => Err(wrong()),
        "*" => Ok(IfMatch::Any),
        "" => Err(wrong()),
        etag if etag.contains(['"', ',', ' ']) => Err(wrong()),
        etag => Ok(IfMatch::Etag(etag.to_owned())),
    }
}

/// The parameters behind `?`. Unknown and repeated ones are errors of whoever takes them.
pub(super) struct Query(BTreeMap<String, Vec<String>>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default()))
    }
}

impl Query {
    fn parse(text: &str) -> Self {
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            parameters
                .entry(decode(name))
                .or_default()
                .push(decode(value));
        }
        Self(parameters)
    }

    /// Takes the parameter of that name, if it is there.
    pub(super) fn take<T>(&mut self, name: &str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let Some(values) = self.0.remove(name) else {
            return Ok(None);
        };
        let [value] = values.as_slice() else {
            return Err(Failure::invalid(format!(
                "the parameter {name} stands there more than once"
            )));
        };
        value
            .parse()
            .map(Some)
            .map_err(|error| Failure::invalid(format!("the parameter {name}: {error}")))
    }

    /// Refuses what nobody took.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(Failure::invalid(format!(
                "there is no parameter {name} here"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(value: &str) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, HeaderValue::from_str(value).unwrap());
        if_match(&headers).ok()
    }

    #[test]
    fn guards_are_one_etag_or_a_star() {
        assert_eq!(guard("*"), Some(IfMatch::Any));
        assert_eq!(guard("\"*\""), Some(IfMatch::Any));
        assert_eq!(
            guard("\"AAAAAAAAAAE=\""),
            Some(IfMatch::Etag("AAAAAAAAAAE=".into()))
        );
        for bare in ["abc", "W/qcIK0Wugg="] {
            assert_eq!(guard(bare), Some(IfMatch::Etag(bare.into())));
        }
        for wrong in ["", "\"\"", "W/\"abc\"", "\"a\", \"b\""] {
            assert_eq!(guard(wrong), None, "{wrong:?}");
        }
        assert_eq!(if_match(&HeaderMap::new()).ok(), Some(IfMatch::Absent));
    }

    #[test]
    fn parameters_are_decoded_taken_once_and_all() {
        let mut query = Query::parse("device=a%2Bb+c&max=3&x=1&x=2");
        assert_eq!(
            query.take::<String>("device").ok(),
            Some(Some("a+b+c".to_owned()))
        );
        assert_eq!(query.take::<u64>("max").ok(), Some(Some(3)));
        assert!(query.take::<u64>("none").is_ok_and(|value| value.is_none()));
        assert!(query.take::<String>("x").is_err());
        assert!(query.finish().is_ok());
        assert!(Query::parse("typo=1").finish().is_err());
    }
}
