//! No request waits for ever.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http_body::Body as _;
use hub_api::native::OperationId;
use hub_engine::{Error, ErrorKind};

use super::Failure;
use crate::AppState;

/// True for what waits as long as its caller says, and keeps that itself.
pub(super) const fn is_the_callers(id: OperationId) -> bool {
    matches!(
        id,
        OperationId::InvokeDeviceMethod | OperationId::InvokeModuleMethod
    )
}

/// How often the time of others an operation may take that goes through everything there is.
const fn times(id: OperationId) -> u32 {
    if matches!(id, OperationId::ListExpiring) {
        10
    } else {
        1
    }
}

/// How long an operation may take.
#[derive(Clone)]
pub(super) struct Limit {
    once: Duration,
}

impl Limit {
    pub(super) fn of(id: OperationId, app: &AppState) -> Self {
        Self {
            once: app.config().request_timeout * times(id),
        }
    }
}

/// Gives an operation up that is not answered in time. An answer that has begun may go on: event streams and files are
/// bounded by how fast they are taken.
pub(super) async fn keep(
    State(Limit { once }): State<Limit>,
    request: Request,
    next: Next,
) -> Response {
    // A body may take as long as the operation after it.
    let limit = if request.body().is_end_stream() {
        once
    } else {
        once * 2
    };
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => too_slow().into_response(),
    }
}

fn too_slow() -> Failure {
    Failure::from(Error::new(
        ErrorKind::TimedOut,
        "the server took too long, it may or may not have done what was asked",
    ))
}
