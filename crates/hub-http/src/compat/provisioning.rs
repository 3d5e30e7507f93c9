//! The provisioning service's REST: for back ends at `/enrollments`, `/enrollmentGroups` and `/registrations`, and for
//! devices below their id scope.
//!
//! It answers on every host name of the installation, for its clients name it by id scope or by the key of its own
//! policies. A request passes in this order: route (404, 405), api-version (400), caller (401, 403), quota (429),
//! body (408, 413, 415), operation. Nothing of the body is read for a back end that may not do the operation; a device's proof is
//! checked together with what it sends.

mod bulk;
mod device;
mod enrollments;
mod groups;
mod input;
mod page;
mod refusal;
mod registrations;
pub(super) mod routes;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hub_engine::{ErrorKind, IfMatch};
use hub_provisioning::{Caller, Context, Error, Provisioning};
use serde_json::Value;

use self::refusal::Refusal;
use self::routes::{Found, Ids, Operation, Route};
use super::body;
use super::etag::if_match;
use super::routes::Query;
use crate::AppState;
use crate::request::RequestId;

/// True for paths that are the provisioning service's.
pub(super) fn is_path(path: &str) -> bool {
    routes::is_path(path)
}

/// A back end's request on its way to its operation.
struct Call {
    service: Arc<Provisioning>,
    ctx: Context,
    ids: Ids,
    parts: Parts,
    /// The version whose words the answer has.
    api_version: String,
    body: Bytes,
}

impl Call {
    fn guard(&self) -> Result<IfMatch, Refusal> {
        Ok(if_match(&self.parts.headers)?)
    }

    /// Who asks where the service looks something up by itself to complete an answer.
    fn own(&self) -> Context {
        Context {
            caller: Caller::System,
            ..self.ctx.clone()
        }
    }
}

/// Answers a request to a path of the service.
pub(super) async fn handle(app: &AppState, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let id = parts.extensions.get::<RequestId>().cloned();
    let id = id.expect("invariant: the outermost layer gives every request an id");
    match answer(app, &id, parts, body).await {
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
    match routes::find(&parts.method, parts.uri.path())? {
        Found::Device(operation, ids) => {
            device::answer(app, id, (parts, body), operation, ids).await
        }
        Found::Service(route, ids) => service(app, id, (parts, body), route, ids).await,
        Found::Other(allowed) => Err(Refusal::no_such_route(&allowed)),
    }
}

async fn service(
    app: &AppState,
    id: &RequestId,
    (parts, body): (Parts, Body),
    route: &Route,
    ids: Ids,
) -> Result<Response, Refusal> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    query.check_api_version()?;
    let api_version = query.value("api-version").unwrap_or_default().to_owned();
    let ctx = context(app, id, &parts)?;
    ctx.require(route.permission)?;
    app.provisioning().quotas.take_operation(&ctx)?;
    let body = body::read(route.operation.body(), &parts.headers, body, app.config()).await?;
    let call = Call {
        service: Arc::clone(app.provisioning()),
        ctx,
        ids,
        parts,
        api_version,
        body,
    };
    match tokio::time::timeout(app.config().request_timeout, run(route.operation, call)).await {
        Ok(result) => result,
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> Refusal {
    Error::new(
        ErrorKind::TimedOut,
        "the service took too long, it may or may not have done what was asked",
    )
    .into()
}

fn context(app: &AppState, id: &RequestId, parts: &Parts) -> Result<Context, Refusal> {
    let now = app.engine().environment().now();
    let access = &app.provisioning().access;
    let caller = access.authenticate(token(parts)?, parts.uri.path(), now)?;
    Ok(Context {
        caller,
        request_id: id.0.to_string(),
        now,
    })
}

fn token(parts: &Parts) -> Result<&str, Refusal> {
    let unauthorized = |text: &str| Refusal::from(Error::new(ErrorKind::NotAuthenticated, text));
    let value = parts.headers.get(AUTHORIZATION).ok_or_else(|| {
        unauthorized("the request has no Authorization header, sign it with a policy of the provisioning service")
    })?;
    value
        .to_str()
        .map_err(|_| unauthorized("the Authorization header has characters that are not ASCII"))
}

async fn run(operation: Operation, call: Call) -> Result<Response, Refusal> {
    match operation {
        Operation::GetEnrollment => enrollments::get(call).await,
        Operation::PutEnrollment => enrollments::put(call).await,
        Operation::DeleteEnrollment => enrollments::delete(call).await,
        Operation::BulkEnrollments => bulk::enrollments(call).await,
        Operation::QueryEnrollments => enrollments::query(call).await,
        Operation::EnrollmentAttestation => enrollments::attestation(call).await,
        Operation::GetGroup => groups::get(&call),
        Operation::PutGroup => groups::put(call).await,
        Operation::DeleteGroup => groups::delete(call).await,
        Operation::BulkGroups => bulk::groups(call).await,
        Operation::QueryGroups => groups::query(&call),
        Operation::GroupAttestation => groups::attestation(&call),
        Operation::GetRegistration => registrations::get(call).await,
        Operation::DeleteRegistration => registrations::delete(call).await,
        Operation::QueryRegistrations => registrations::query(call).await,
    }
}

/// An answer of JSON.
fn json(status: StatusCode, document: &Value) -> Response {
    text(status, document.to_string())
}

/// An answer of JSON that is text already.
fn text(status: StatusCode, document: String) -> Response {
    let mut response = Response::new(Body::from(document));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, super::JSON);
    response
}

fn no_content() -> Response {
    super::no_content()
}

/// A header value of text that holds nothing but visible ASCII.
fn header(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}
