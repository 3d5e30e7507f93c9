//! The vendor-compatible REST: for back ends, and in [`device`] for devices.
//!
//! A request passes in this order: route (404, 405), host and caller (401), api-version (400), body (408,
//! 413, 415), operation. Nothing of the body is read for a caller that may not do the operation.

mod body;
mod device;
mod devices;
mod etag;
mod keys;
mod messages;
mod methods;
pub(crate) mod provisioning;
mod refusal;
mod routes;
mod service_bound;
mod twins;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hub_domain::{ErrorCode, Hub, IdentityId};
use hub_engine::{Caller, Engine, OpContext};
use serde::Serialize;

use crate::request::{RequestId, host};
use crate::spelling::HeaderSpelling;
use crate::{AppState, files};
use device::routes::DeviceFound;
use refusal::Refusal;
use routes::{Found, Operation, PathIds, Query, Route};

/// A request on its way to its operation.
struct Call {
    engine: Arc<Engine>,
    hub: Arc<Hub>,
    ctx: OpContext,
    ids: PathIds,
    query: Query,
    parts: Parts,
    body: Bytes,
    /// The port of this face.
    https_port: Option<u16>,
}

impl Call {
    fn id(&self) -> Result<IdentityId, Refusal> {
        self.ids.identity()
    }
}

/// Answers any request that no other router knows.
pub(crate) async fn handle(State(app): State<AppState>, request: Request) -> Response {
    if files::is_path_of_file(request.uri().path()) {
        return files::handle(&app, request).await;
    }
    if provisioning::is_path(request.uri().path()) {
        return provisioning::handle(&app, request).await;
    }
    let (parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().cloned();
    let id = id.expect("invariant: the outermost layer gives every request an id");
    match answer(&app, &id, parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.render(&id.0, app.engine().environment().now()),
    }
}

async fn answer(
    app: &AppState,
    id: &RequestId,
    parts: Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let found = routes::find(&parts.method, parts.uri.path())?;
    let of_device = device::routes::find(&parts.method, parts.uri.path())?;
    let (route, ids) = match (found, of_device) {
        (Found::Other(_), DeviceFound::Route(route, ids)) => {
            return device::answer(app, id, parts, body, (route, ids)).await;
        }
        (Found::Route(..), DeviceFound::Route(route, ids)) if device::is_of_identity(&parts) => {
            return device::answer(app, id, parts, body, (route, ids)).await;
        }
        (Found::Route(route, ids), DeviceFound::Route(..) | DeviceFound::Other(_)) => (route, ids),
        (Found::Other(mut allowed), DeviceFound::Other(more)) => {
            allowed.extend(more);
            return Err(Refusal::no_such_route(&allowed));
        }
    };
    let hub = hub(app, &parts)?;
    let ctx = context(app, id, &hub, &parts)?;
    allow(&ctx, &hub, route)?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    query.check_api_version()?;
    let body = body::read(route.operation.body(), &parts.headers, body, app.config()).await?;
    let call = Call {
        https_port: app.config().reach.ports.https,
        engine: Arc::clone(app.engine()),
        hub,
        ctx,
        ids,
        query,
        parts,
        body,
    };
    if route.operation == Operation::InvokeMethod {
        return methods::invoke(call).await;
    }
    match tokio::time::timeout(app.config().request_timeout, run(route.operation, call)).await {
        Ok(result) => result,
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Refusal {
    Refusal::new(
        ErrorCode::GenericTimeout,
        "the hub took too long, it may or may not have done what was asked",
    )
}

/// The headers that may say something about a message, spelled as the client spelled them.
fn message_headers(parts: &Parts) -> Result<Vec<(String, &str)>, Refusal> {
    let spelling = parts.extensions.get::<HeaderSpelling>();
    let mut headers = Vec::new();
    for (name, value) in &parts.headers {
        // Only the message's own headers have to be text.
        if name.as_str().starts_with("iothub-") || name.as_str() == "dt-subject" {
            let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
                Refusal::new(ErrorCode::ArgumentInvalid, format!("{name} is not UTF-8"))
            })?;
            let name = spelling.map_or_else(
                || name.as_str().to_owned(),
                |spelling| spelling.of(name.as_str()),
            );
            headers.push((name, text));
        }
    }
    Ok(headers)
}

fn hub(app: &AppState, parts: &Parts) -> Result<Arc<Hub>, Refusal> {
    let host = host(parts)
        .map_err(|error| Refusal::new(ErrorCode::GenericBadRequest, error.to_string()))?;
    app.engine().hubs.by_host(host.as_ref()).ok_or_else(|| {
        Refusal::new(
            ErrorCode::IotHubNotFound,
            "no hub of this installation has the host name of the request",
        )
    })
}

fn context(app: &AppState, id: &RequestId, hub: &Hub, parts: &Parts) -> Result<OpContext, Refusal> {
    let unauthorized = |text: &str| Refusal::new(ErrorCode::IotHubUnauthorized, text);
    let token = parts
        .headers
        .get(AUTHORIZATION)
        .ok_or_else(|| {
            unauthorized(
                "the request has no Authorization header, sign it with a shared access policy",
            )
        })?
        .to_str()
        .map_err(|_| unauthorized("the Authorization header has characters that are not ASCII"))?;
    let now = app.engine().environment().now();
    let caller: Caller = app.engine().access.authenticate_policy(hub, token, now)?;
    Ok(OpContext {
        caller,
        request_id: id.0.to_string(),
        now,
    })
}

fn allow(ctx: &OpContext, hub: &Hub, route: &Route) -> Result<(), Refusal> {
    let mut refused = None;
    for permission in route.permissions {
        match ctx.caller.require(hub.no, *permission) {
            Ok(()) => return Ok(()),
            Err(error) => refused = Some(error),
        }
    }
    Err(refused
        .expect("invariant: every route needs a permission")
        .into())
}

async fn run(operation: Operation, call: Call) -> Result<Response, Refusal> {
    match operation {
        Operation::ListDevices => devices::list(call).await,
        Operation::RegenerateKeys => keys::regenerate(call).await,
        Operation::GetDevice | Operation::GetModule => devices::get(call).await,
        Operation::PutDevice => devices::put_device(call).await,
        Operation::PutModule => devices::put_module(call).await,
        Operation::DeleteDevice | Operation::DeleteModule => devices::delete(call).await,
        Operation::ListModules => devices::list_modules(call).await,
        Operation::DeviceStatistics => devices::device_statistics(call).await,
        Operation::ServiceStatistics => devices::service_statistics(call).await,
        Operation::PurgeMessages => messages::purge(call).await,
        Operation::SendMessage => messages::send(call).await,
        Operation::GetTwin => twins::get(call).await,
        Operation::PatchTwin => twins::patch(call).await,
        Operation::ReplaceTwin => twins::replace(call).await,
        Operation::InvokeMethod => methods::invoke(call).await,
        Operation::ReceiveServiceBound(kind) => service_bound::receive(call, kind).await,
        Operation::CompleteServiceBound(kind) => service_bound::complete(call, kind).await,
        Operation::AbandonServiceBound(kind) => service_bound::abandon(call, kind).await,
    }
}

/// An answer of JSON, without an etag.
fn json(body: &impl Serialize) -> Result<Response, Refusal> {
    let bytes = serde_json::to_vec(body)
        .map_err(|_| Refusal::new(ErrorCode::ServerError, "the answer could not be written"))?;
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    Ok(response)
}

/// An answer of JSON with its etag, which the header shows in quotes.
fn json_with_etag(body: &impl Serialize, etag: &str) -> Result<Response, Refusal> {
    let mut response = json(body)?;
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        response.headers_mut().insert(ETAG, value);
    }
    Ok(response)
}

fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// The media type of every body. Node reads a body only when the header names JSON.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
