//! Files that devices uploaded.

use axum::Json;
use axum::body::Body;
use axum::response::Response;
use futures_util::StreamExt as _;
use http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG};
use http::{HeaderValue, StatusCode};
use hub_api::native::{File, Moment, Page};
use hub_domain::DeviceId;
use hub_domain::upload::BlobName;

use super::hubs::page;
use super::{Failure, Query, Scope};

pub(super) async fn list(scope: Scope, mut query: Query) -> Result<Json<Page<File>>, Failure> {
    let device: Option<String> = query.take("device")?;
    let invalid =
        |name: &str, error: String| Failure::invalid(format!("the parameter {name}: {error}"));
    let device = device.map(|text| DeviceId::parse(&text)).transpose();
    let device = device.map_err(|error| invalid("device", error.to_string()))?;
    let (after, max) = page(query)?;
    let after = after.map(|text| BlobName::parse(&text)).transpose();
    let after = after.map_err(|error| invalid("after", error.to_string()))?;
    let hub = scope.hub()?;
    let files = scope
        .engine()
        .uploads
        .list(&scope.ctx, hub.no, device.as_ref(), after.as_ref(), max)
        .await?;
    let items: Vec<File> = files
        .into_iter()
        .map(|(name, state)| File {
            name: name.to_string(),
            size_bytes: state.size,
            modified_time: Moment(state.modified),
            etag: state.etag,
        })
        .collect();
    // A full page may be the last one; then the next one is empty.
    let next = items.last().filter(|_| items.len() == max);
    let next = next.map(|file| file.name.clone());
    Ok(Json(Page { items, next }))
}

/// The content, part by part as the client takes it.
pub(super) async fn get(scope: Scope) -> Result<Response, Failure> {
    let hub = scope.hub()?;
    let name = scope.file()?;
    let content = scope
        .engine()
        .uploads
        .read(&scope.ctx, hub.no, name)
        .await?;
    let parts = content.bytes.inspect(|part| {
        if let Err(error) = part {
            tracing::warn!(%error, "a file cannot be read to its end");
        }
    });
    let mut response = Response::new(Body::from_stream(parts));
    let headers = response.headers_mut();
    // A device chose the name and the bytes: no browser is to show them as a page of ours.
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(content.state.size));
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", content.state.etag)) {
        headers.insert(ETAG, etag);
    }
    Ok(response)
}

pub(super) async fn delete(scope: Scope) -> Result<StatusCode, Failure> {
    let hub = scope.hub()?;
    let name = scope.file()?;
    scope
        .engine()
        .uploads
        .delete(&scope.ctx, hub.no, name)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
