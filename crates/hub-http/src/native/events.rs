//! The event stream: lines of JSON, pulled by the reader.
//!
//! The body asks for the next chunk when the connection has taken the last one, so a slow reader costs one chunk and
//! is not read ahead of. There is no task and no queue per stream.

mod facts;
mod record;
mod request;
mod stream;
mod telemetry;

use std::convert::Infallible;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use hub_api::native::EventSource;

use super::{Failure, Query, Scope};
use request::EventRequest;
use stream::{EventStream, Source};

/// Positions are fixed before the head of the answer is sent: what is committed after it comes.
pub(super) async fn read(scope: Scope, query: Query) -> Result<Response, Failure> {
    let request = EventRequest::parse(query)?;
    let hub = scope.hub()?.clone();
    let source = match request.source {
        EventSource::Telemetry
        | EventSource::DeviceConnectionStateEvents
        | EventSource::DeviceJobLifecycleEvents
        | EventSource::DigitalTwinChangeEvents => Source::Telemetry(
            telemetry::Reader::open(scope.engine(), &scope.ctx, &hub, &request).await?,
        ),
        EventSource::TwinChangeEvents | EventSource::DeviceLifecycleEvents => {
            Source::Facts(facts::Reader::open(scope.engine(), &scope.ctx, &hub, &request).await?)
        }
    };
    let stream = EventStream::new(scope, source, &request);
    let body = unfold(stream, |mut stream| async move {
        let chunk = stream.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}
