//! Direct methods.

use axum::response::Response;
use bytes::Bytes;
use hub_api::compat::{MethodInput, MethodResult};
use hub_domain::ErrorCode;
use hub_engine::methods::MethodRequest;

use super::refusal::Refusal;
use super::{Call, json};
use crate::config::METHOD_SLACK;

pub(super) async fn invoke(call: Call) -> Result<Response, Refusal> {
    let id = call.id()?;
    let input = MethodInput::parse(&call.body)?;
    let deadline = input.connect + input.response + METHOD_SLACK;
    let request = MethodRequest {
        name: input.name,
        payload: input
            .payload
            .map(|payload| Bytes::from(payload.get().to_owned())),
        connect: input.connect,
        response: input.response,
    };
    let invoked = call
        .engine
        .methods
        .invoke(&call.ctx, call.hub.no, &id, request);
    let answer = tokio::time::timeout(deadline, invoked)
        .await
        .map_err(|_| {
            Refusal::new(
                ErrorCode::GatewayTimeout,
                format!("{id} did not answer in time"),
            )
        })??;
    let result = MethodResult::new(answer.status, &answer.payload).ok_or_else(|| {
        Refusal::new(
            ErrorCode::GenericBadGateway,
            format!("{id} answered with a payload that is not JSON"),
        )
    })?;
    json(&result)
}
