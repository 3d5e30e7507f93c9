//! Where devices send their files: the part of the blob REST that uploaders use, for one container.
//!
//! `Put Blob`, `Put Block` and `Put Block List` of block blobs, with the ticket of an upload in place of a service SAS.
//! Bodies go to the file storage as they come; answers and errors are spelled as the storage documentation says
//! ("Blob service REST API", "Status and error codes"). There is nothing to read here.

pub(crate) mod block_list;
mod checks;
mod refusal;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt as _;
use hub_domain::limits::UPLOAD_LIST_BYTES_MAX;
use hub_domain::upload::BlobName;
use hub_engine::uploads::{BlobWrite, Ticket, WriteGrant};
use hub_engine::{BlobState, BlockId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::AppState;
use crate::request::{RequestId, host};
use checks::{Checksum, Condition, Expected};
use refusal::{StorageCode, StorageRefusal};

/// The container of all hubs, told apart by their hosts. No path of the vendor's hub begins so.
pub(crate) const CONTAINER: &str = "device-files";
/// The version of the blob REST that answers name when the request names none.
const VERSION: &str = "2021-12-02";
const VERSION_HEADER: HeaderName = HeaderName::from_static("x-ms-version");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const CONTENT_MD5: HeaderName = HeaderName::from_static("content-md5");
/// All of a path but what RFC 3986 leaves plain.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// True for the paths of this face.
pub(crate) fn is_path_of_file(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(CONTAINER))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The address of a file on the host `authority`.
pub(crate) fn file_uri(authority: &str, name: &BlobName) -> String {
    let name = utf8_percent_encode(name.as_str(), RESERVED);
    format!("https://{authority}/{CONTAINER}/{name}")
}

/// Answers a request of this face.
pub(crate) async fn handle(app: &AppState, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().cloned();
    let id = id.expect("invariant: the outermost layer gives every request an id");
    let mut response = match answer(app, &parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.render(&id.0, app.engine().environment().now()),
    };
    let headers = response.headers_mut();
    let version = parts.headers.get(VERSION_HEADER).cloned();
    headers.insert(
        VERSION_HEADER,
        version.unwrap_or(HeaderValue::from_static(VERSION)),
    );
    if let Some(client_id) = parts.headers.get(CLIENT_REQUEST_ID) {
        headers.insert(CLIENT_REQUEST_ID, client_id.clone());
    }
    response
}

/// A request whose ticket was good.
struct Upload<'a> {
    app: &'a AppState,
    parts: &'a Parts,
    grant: WriteGrant,
    condition: Condition,
}

async fn answer(app: &AppState, parts: &Parts, body: Body) -> Result<Response, StorageRefusal> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let grant = authorize(app, parts, &query).await?;
    match parts.method {
        Method::PUT => {}
        // A ticket lets write and nothing else.
        Method::GET | Method::HEAD | Method::DELETE => {
            return Err(StorageRefusal::of(
                StorageCode::AuthorizationPermissionMismatch,
            ));
        }
        _ => return Err(StorageRefusal::of(StorageCode::UnsupportedHttpVerb)),
    }
    let upload = Upload {
        app,
        parts,
        grant,
        condition: Condition::of(&parts.headers)?,
    };
    match query.value("comp") {
        None => put_blob(&upload, body).await,
        Some("block") => put_block(&upload, &query, body).await,
        Some("blocklist") => put_block_list(&upload, body).await,
        Some(_) => Err(StorageRefusal::of(StorageCode::InvalidQueryParameterValue)),
    }
}

/// Checks the ticket before anything else is told.
async fn authorize(
    app: &AppState,
    parts: &Parts,
    query: &Query,
) -> Result<WriteGrant, StorageRefusal> {
    let (Some(upload), Some(signature)) = (query.value("si"), query.value("sig")) else {
        return Err(StorageRefusal::of(StorageCode::NoAuthenticationInformation));
    };
    let refused = || StorageRefusal::of(StorageCode::AuthenticationFailed);
    let host = host(parts).map_err(|_| refused())?;
    let hub = app
        .engine()
        .hubs
        .by_host(host.as_ref())
        .ok_or_else(refused)?;
    let prefix = CONTAINER.len() + 2;
    let path = parts.uri.path().get(prefix..).ok_or_else(refused)?;
    let name = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| refused())?;
    let ticket = Ticket { upload, signature };
    let uploads = &app.engine().uploads;
    let now = app.engine().environment().now();
    let granted = uploads.authorize(now, &hub, &name, ticket).await;
    // Hand-written clients do not encode the name, and a device id may hold a percent sign.
    match granted {
        Err(error) if error.kind() == hub_engine::ErrorKind::NotAuthenticated && *name != *path => {
            Ok(uploads.authorize(now, &hub, path, ticket).await?)
        }
        granted => Ok(granted?),
    }
}

async fn put_blob(upload: &Upload<'_>, body: Body) -> Result<Response, StorageRefusal> {
    checks::check_blob_type(&upload.parts.headers)?;
    let expected = Expected::of_blob(&upload.parts.headers)?;
    let existing = check_condition(upload).await?;
    check_length(upload)?;
    let writer = upload.app.engine().uploads.put(&upload.grant).await?;
    let (writer, checksum) = receive(upload, writer, body).await?;
    expected.check(&checksum)?;
    let state = writer.finish(existing).await?;
    created(&state, Some(&checksum))
}

async fn put_block(
    upload: &Upload<'_>,
    query: &Query,
    body: Body,
) -> Result<Response, StorageRefusal> {
    let block = query
        .value("blockid")
        .and_then(|text| STANDARD.decode(text).ok())
        .and_then(|bytes| BlockId::from_bytes(&bytes))
        .ok_or_else(|| StorageRefusal::of(StorageCode::InvalidBlockId))?;
    let expected = Expected::of_body(&upload.parts.headers)?;
    let length = check_length(upload)?;
    let uploads = &upload.app.engine().uploads;
    let writer = uploads.stage(&upload.grant, &block, length).await?;
    let (writer, checksum) = receive(upload, writer, body).await?;
    expected.check(&checksum)?;
    writer.finish(hub_engine::Existing::Replace).await?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    response
        .headers_mut()
        .insert(CONTENT_MD5, checksum.header());
    Ok(response)
}

async fn put_block_list(upload: &Upload<'_>, body: Body) -> Result<Response, StorageRefusal> {
    let expected = Expected::of_body(&upload.parts.headers)?;
    let existing = check_condition(upload).await?;
    let mut list = BytesMut::new();
    let mut body = body;
    while let Some(part) = next_part(upload, &mut body).await? {
        if list.len() + part.len() > UPLOAD_LIST_BYTES_MAX {
            return Err(StorageRefusal::of(StorageCode::RequestBodyTooLarge));
        }
        list.extend_from_slice(&part);
    }
    let mut checksum = Checksum::new();
    checksum.update(&list);
    expected.check(&checksum.finish())?;
    let blocks = block_list::parse(&list)?;
    let uploads = &upload.app.engine().uploads;
    let committed = uploads.commit(&upload.grant, &blocks, existing).await;
    let state = committed.map_err(StorageRefusal::of_commit)?;
    created(&state, None)
}

async fn check_condition(upload: &Upload<'_>) -> Result<hub_engine::Existing, StorageRefusal> {
    if upload.condition.needs_state() {
        let state = upload.app.engine().uploads.state(&upload.grant).await?;
        upload.condition.check(state.as_ref())?;
    }
    Ok(upload.condition.existing())
}

/// Refuses what is too large before it is sent.
fn check_length(upload: &Upload<'_>) -> Result<Option<u64>, StorageRefusal> {
    let Some(value) = upload.parts.headers.get(CONTENT_LENGTH) else {
        return Ok(None);
    };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    let length: u64 = length.ok_or_else(|| StorageRefusal::of(StorageCode::InvalidHeaderValue))?;
    if length > upload.app.engine().uploads.bytes_max() {
        return Err(StorageRefusal::of(StorageCode::RequestBodyTooLarge));
    }
    Ok(Some(length))
}

/// Takes the body part by part. Whatever ends it early leaves nothing.
async fn receive(
    upload: &Upload<'_>,
    mut writer: BlobWrite,
    mut body: Body,
) -> Result<(BlobWrite, checks::Md5Sum), StorageRefusal> {
    let mut checksum = Checksum::new();
    while let Some(part) = next_part(upload, &mut body).await? {
        checksum.update(&part);
        writer.write(part).await?;
    }
    Ok((writer, checksum.finish()))
}

/// The next bytes of the body, within the time that a request may take to send any.
async fn next_part(upload: &Upload<'_>, body: &mut Body) -> Result<Option<Bytes>, StorageRefusal> {
    let limit = upload.app.config().request_timeout;
    loop {
        match tokio::time::timeout(limit, body.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Ok(Some(Err(_))) => return Err(StorageRefusal::of(StorageCode::IncompleteBody)),
            Err(_) => return Err(StorageRefusal::of(StorageCode::OperationTimedOut)),
        }
    }
}

fn created(
    state: &BlobState,
    checksum: Option<&checks::Md5Sum>,
) -> Result<Response, StorageRefusal> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    let unprintable = |_| StorageRefusal::of(StorageCode::InternalError);
    let etag = HeaderValue::from_str(&format!("\"{}\"", state.etag)).map_err(unprintable)?;
    headers.insert(ETAG, etag);
    let micros = u64::try_from(state.modified.micros()).unwrap_or_default();
    let modified = SystemTime::UNIX_EPOCH + Duration::from_micros(micros);
    let modified = httpdate::fmt_http_date(modified);
    headers.insert(
        LAST_MODIFIED,
        HeaderValue::from_str(&modified).map_err(unprintable)?,
    );
    if let Some(checksum) = checksum {
        headers.insert(CONTENT_MD5, checksum.header());
    }
    Ok(response)
}

/// The parameters of a query, decoded; their names are compared without case.
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pairs = text.split('&').filter(|part| !part.is_empty());
        Self(
            pairs
                .map(|part| part.split_once('=').unwrap_or((part, "")))
                .map(|(name, value)| (decode(name), decode(value)))
                .collect(),
        )
    }

    fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        let pair = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name));
        pair.map(|(_, value)| value.as_str())
    }
}
