//! Pages of queries: how many items, from where, and how the answer says so.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use hub_domain::limits::{PAGE_DEFAULT, PAGE_MAX};
use hub_engine::ErrorKind;
use hub_provisioning::Error;
use serde_json::Value;

use super::refusal::Refusal;
use super::{header, json};

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const MAX_ITEM_COUNT: HeaderName = HeaderName::from_static("x-ms-max-item-count");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");

/// Which page is asked for.
pub(super) struct PageRequest {
    /// The key after which it begins.
    pub(super) after: Option<String>,
    /// The most items.
    pub(super) max: usize,
}

impl PageRequest {
    /// Reads the headers. More than a page holds is cut down to it.
    pub(super) fn read(parts: &Parts) -> Result<Self, Refusal> {
        let invalid = |text: String| Refusal::from(Error::new(ErrorKind::Invalid, text));
        let value = |name: &HeaderName| {
            let value = parts.headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        let max = match value(&MAX_ITEM_COUNT) {
            None => PAGE_DEFAULT,
            Some(text) => match text.parse::<usize>() {
                Ok(max) if max > 0 => max.min(PAGE_MAX),
                Ok(_) | Err(_) => {
                    return Err(invalid(format!(
                        "{MAX_ITEM_COUNT} must be a number from 1 to {PAGE_MAX}"
                    )));
                }
            },
        };
        let after = match value(&CONTINUATION) {
            None => None,
            Some(token) => {
                let key = URL_SAFE_NO_PAD
                    .decode(&token)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                Some(key.ok_or_else(|| {
                    invalid(format!(
                        "{CONTINUATION} is none of this service, begin the query anew"
                    ))
                })?)
            }
        };
        Ok(Self { after, max })
    }
}

/// A page: its items, and the key of the last one when there are more.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<String>,
    pub(super) max: usize,
    /// What kind of documents they are.
    pub(super) item_type: &'static str,
}

impl Page {
    pub(super) fn render(self) -> Response {
        let mut response = json(StatusCode::OK, &Value::Array(self.items));
        let headers = response.headers_mut();
        headers.insert(MAX_ITEM_COUNT, HeaderValue::from(self.max));
        headers.insert(ITEM_TYPE, HeaderValue::from_static(self.item_type));
        let next = self.next.map(|key| URL_SAFE_NO_PAD.encode(key));
        if let Some(next) = next.as_deref().and_then(header) {
            headers.insert(CONTINUATION, next);
        }
        response
    }
}
