//! What headers ask to be checked: the type of the blob, checksums, conditions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};
use hub_engine::{BlobState, Existing};
use md5::{Digest as _, Md5};

use super::CONTENT_MD5;
use super::refusal::{StorageCode, StorageRefusal};

const BLOB_TYPE: HeaderName = HeaderName::from_static("x-ms-blob-type");
const BLOB_CONTENT_MD5: HeaderName = HeaderName::from_static("x-ms-blob-content-md5");
const LEASE_ID: HeaderName = HeaderName::from_static("x-ms-lease-id");
const IF_TAGS: HeaderName = HeaderName::from_static("x-ms-if-tags");

/// Only block blobs are taken.
///
/// # Errors
/// When the type is missing or another one.
pub(super) fn check_blob_type(headers: &HeaderMap) -> Result<(), StorageRefusal> {
    match headers.get(BLOB_TYPE) {
        None => Err(StorageRefusal::of(StorageCode::MissingRequiredHeader)),
        Some(value) if value == "BlockBlob" => Ok(()),
        Some(_) => Err(StorageRefusal::of(StorageCode::InvalidHeaderValue)),
    }
}

/// The MD5 of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Md5Sum([u8; 16]);

impl Md5Sum {
    fn parse(value: &HeaderValue) -> Result<Self, StorageRefusal> {
        let bytes = STANDARD.decode(value.as_bytes()).ok();
        let sum = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        sum.map(Self)
            .ok_or_else(|| StorageRefusal::of(StorageCode::InvalidMd5))
    }

    /// As a header shows it.
    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_str(&STANDARD.encode(self.0))
            .expect("invariant: base64 is a header value")
    }
}

/// An MD5 that is being computed.
pub(super) struct Checksum(Md5);

impl Checksum {
    pub(super) fn new() -> Self {
        Self(Md5::new())
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn finish(self) -> Md5Sum {
        Md5Sum(self.0.finalize().into())
    }
}

/// The checksums that the client computed.
#[derive(Debug)]
pub(super) struct Expected(Vec<Md5Sum>);

impl Expected {
    /// Of a body, on its way here.
    ///
    /// # Errors
    /// When the header is no MD5.
    pub(super) fn of_body(headers: &HeaderMap) -> Result<Self, StorageRefusal> {
        Self::of(headers, &[CONTENT_MD5])
    }

    /// Of a whole blob, which may be told apart from that of the body ("Put Blob").
    ///
    /// # Errors
    /// When a header is no MD5.
    pub(super) fn of_blob(headers: &HeaderMap) -> Result<Self, StorageRefusal> {
        Self::of(headers, &[CONTENT_MD5, BLOB_CONTENT_MD5])
    }

    fn of(headers: &HeaderMap, names: &[HeaderName]) -> Result<Self, StorageRefusal> {
        let values = names.iter().filter_map(|name| headers.get(name));
        Ok(Self(values.map(Md5Sum::parse).collect::<Result<_, _>>()?))
    }

    /// # Errors
    /// When other bytes came than were sent.
    pub(super) fn check(&self, actual: &Md5Sum) -> Result<(), StorageRefusal> {
        if self.0.iter().all(|expected| expected == actual) {
            return Ok(());
        }
        Err(StorageRefusal::of(StorageCode::Md5Mismatch))
    }
}

/// What must be true of the file that is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Anything.
    Any,
    /// There is none.
    None,
    /// There is one.
    Some,
    /// It has this etag.
    Is(String),
    /// It has another etag, or there is none.
    IsNot(String),
}

impl Condition {
    /// Reads `If-Match` and `If-None-Match`. Other conditions are refused: to ignore one may lose what it guards.
    ///
    /// # Errors
    /// When there is a condition that is not known here, or both.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, StorageRefusal> {
        let others = [IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, LEASE_ID, IF_TAGS];
        if others.iter().any(|name| headers.contains_key(name)) {
            return Err(StorageRefusal::of(StorageCode::UnsupportedHeader));
        }
        let invalid = || StorageRefusal::of(StorageCode::InvalidHeaderValue);
        let text = |value: &HeaderValue| -> Result<String, StorageRefusal> {
            let text = value.to_str().map_err(|_| invalid())?.trim();
            Ok(text.trim_matches('"').to_owned())
        };
        match (headers.get(IF_MATCH), headers.get(IF_NONE_MATCH)) {
            (None, None) => Ok(Self::Any),
            (Some(value), None) => Ok(match text(value)? {
                any if any == "*" => Self::Some,
                etag => Self::Is(etag),
            }),
            (None, Some(value)) => Ok(match text(value)? {
                any if any == "*" => Self::None,
                etag => Self::IsNot(etag),
            }),
            (Some(_), Some(_)) => Err(StorageRefusal::of(
                StorageCode::MultipleConditionHeadersNotSupported,
            )),
        }
    }

    /// True when the file has to be looked at before it is written.
    pub(super) const fn needs_state(&self) -> bool {
        match self {
            Self::Any => false,
            Self::None | Self::Some | Self::Is(_) | Self::IsNot(_) => true,
        }
    }

    /// # Errors
    /// When it does not hold.
    pub(super) fn check(&self, state: Option<&BlobState>) -> Result<(), StorageRefusal> {
        let (holds, code) = match self {
            Self::Any => (true, StorageCode::ConditionNotMet),
            Self::None => (state.is_none(), StorageCode::BlobAlreadyExists),
            Self::Some => (state.is_some(), StorageCode::ConditionNotMet),
            Self::Is(etag) => (
                state.is_some_and(|state| state.etag == *etag),
                StorageCode::ConditionNotMet,
            ),
            Self::IsNot(etag) => (
                state.is_none_or(|state| state.etag != *etag),
                StorageCode::ConditionNotMet,
            ),
        };
        if holds {
            Ok(())
        } else {
            Err(StorageRefusal::of(code))
        }
    }

    /// What happens to a file that came after the look.
    pub(super) const fn existing(&self) -> Existing {
        match self {
            Self::None => Existing::Keep,
            Self::Any | Self::Some | Self::Is(_) | Self::IsNot(_) => Existing::Replace,
        }
    }
}
