//! Feedback and file notifications over REST.

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderName, HeaderValue};
use hub_domain::{ErrorCode, ServiceBoundKind};
use hub_engine::service_bound::ServiceBoundToken;

use super::refusal::Refusal;
use super::{Call, no_content};

/// The oldest batch that nobody holds, with its lock token as the etag; 204 when there is none.
pub(super) async fn receive(call: Call, kind: ServiceBoundKind) -> Result<Response, Refusal> {
    let queue = &call.engine.service_bound;
    let Some(batch) = queue.receive(&call.ctx, call.hub.no, kind).await? else {
        return Ok(no_content());
    };
    let mut response = Response::new(Body::from(batch.body()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind.content_type()));
    let texts = [
        (ETAG, format!("\"{}\"", batch.token)),
        (
            HeaderName::from_static("iothub-enqueuedtime"),
            batch.enqueued().to_rfc3339(),
        ),
        (
            HeaderName::from_static("iothub-userid"),
            call.hub.name.as_str().to_owned(),
        ),
        (
            HeaderName::from_static("iothub-deliverycount"),
            batch.delivery_count().to_string(),
        ),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    Ok(response)
}

/// Completes a batch: nobody gets it again. To reject one, which the query says by `reject`, is the same.
pub(super) async fn complete(call: Call, kind: ServiceBoundKind) -> Result<Response, Refusal> {
    let (queue, token) = (&call.engine.service_bound, token(&call)?);
    queue.complete(&call.ctx, call.hub.no, kind, token).await?;
    Ok(no_content())
}

/// Puts a batch back for another try.
pub(super) async fn abandon(call: Call, kind: ServiceBoundKind) -> Result<Response, Refusal> {
    let (queue, token) = (&call.engine.service_bound, token(&call)?);
    queue.abandon(&call.ctx, call.hub.no, kind, token).await?;
    Ok(no_content())
}

fn token(call: &Call) -> Result<ServiceBoundToken, Refusal> {
    ServiceBoundToken::parse(call.ids.token()).ok_or_else(|| {
        Refusal::new(
            ErrorCode::ArgumentInvalid,
            "the lock token in the path is not one that this hub gave",
        )
    })
}
