//! Direct methods of devices and modules.

use std::time::Duration;

use axum::Json;
use bytes::Bytes;
use hub_api::native::{MethodCall, MethodResult};
use hub_domain::limits::METHOD_RESPONSE_TIMEOUT_DEFAULT;
use hub_engine::methods::MethodRequest;
use hub_engine::{Error, ErrorKind};
use serde_json::value::RawValue;

use super::{Document, Failure, Scope};
use crate::config::METHOD_SLACK;

pub(super) async fn invoke(
    scope: Scope,
    Document(call): Document<MethodCall<Box<RawValue>>>,
) -> Result<Json<MethodResult<Box<RawValue>>>, Failure> {
    let hub = scope.hub()?;
    let request = MethodRequest {
        name: call.method_name,
        payload: call
            .payload
            .map(|payload| Bytes::copy_from_slice(payload.get().as_bytes())),
        connect: Duration::from_secs(call.connect_timeout_in_seconds.unwrap_or(0)),
        response: call
            .response_timeout_in_seconds
            .map_or(METHOD_RESPONSE_TIMEOUT_DEFAULT, Duration::from_secs),
    };
    let timeouts = request.connect.saturating_add(request.response);
    let id = scope.identity()?;
    let methods = &scope.engine().methods;
    let invoked = methods.invoke(&scope.ctx, hub.no, &id, request);
    let answer = tokio::time::timeout(timeouts.saturating_add(METHOD_SLACK), invoked)
        .await
        .map_err(|_| {
            let text = format!("{id} did not answer in time");
            Error::new(ErrorKind::TimedOut, text)
        })??;
    let payload = if answer.payload.is_empty() {
        b"null"
    } else {
        &*answer.payload
    };
    let payload = serde_json::from_slice(payload).map_err(|error| {
        Error::new(
            ErrorKind::BadDeviceAnswer,
            "the device answered with a payload that is not JSON",
        )
        .with_source(error)
    })?;
    Ok(Json(MethodResult {
        status: answer.status,
        payload,
    }))
}
