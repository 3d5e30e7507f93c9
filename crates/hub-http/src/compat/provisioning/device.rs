//! Devices: registration, its outcome, and what is known of it.

use axum::body::Body;
use axum::response::Response;
use http::header::{AUTHORIZATION, HOST, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use hub_api::compat::provisioning::{AUTHORIZATION_REQUIRED, challenge_document};
use hub_engine::ErrorKind;
use hub_provisioning::{Credential, DeviceCall, Error, OperationStatus, Registered};
use serde_json::Value;

use super::refusal::{ERROR_CODE_HEADER, Refusal};
use super::routes::{DeviceOperation, Ids};
use super::{header, json, text, too_slow};
use crate::AppState;
use crate::compat::body::{self, BodyKind};
use crate::compat::routes::Query;
use crate::request::{Peer, RequestId};

pub(super) async fn answer(
    app: &AppState,
    id: &RequestId,
    (parts, body): (Parts, Body),
    operation: DeviceOperation,
    ids: Ids,
) -> Result<Response, Refusal> {
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    query.check_api_version()?;
    let kind = match operation {
        DeviceOperation::Register | DeviceOperation::Lookup => BodyKind::Json,
        DeviceOperation::OperationStatus => BodyKind::None,
    };
    let body = body::read(kind, &parts.headers, body, app.config()).await?;
    let peer = parts.extensions.get::<Peer>();
    let call = DeviceCall {
        id_scope: &ids.scope,
        id: ids.registration()?,
        credential: credential(&parts, peer)?,
        address: peer.map(|peer| peer.address.ip()),
        now: app.engine().environment().now(),
    };
    let api_version = query.value("api-version");
    let registrations = &app.provisioning().registrations;
    let work = async {
        match operation {
            DeviceOperation::Register => {
                let request = registrations.read(&call, &body, api_version).await?;
                match registrations.register(&call, request).await? {
                    Registered::Accepted(status) => {
                        Ok(accepted(&status, &parts, &ids, api_version))
                    }
                    Registered::Challenge(challenge) => {
                        let key = &challenge.authentication_key;
                        let document = challenge_document(key, challenge.key_name, &id.0, call.now);
                        let mut response = json(StatusCode::UNAUTHORIZED, &document);
                        let code = HeaderValue::from(AUTHORIZATION_REQUIRED);
                        response.headers_mut().insert(ERROR_CODE_HEADER, code);
                        Ok(response)
                    }
                }
            }
            DeviceOperation::OperationStatus => {
                let status = registrations.status(&call, &ids.operation).await?;
                if status.is_final() {
                    Ok(text(StatusCode::OK, status.document()))
                } else {
                    Ok(accepted(&status, &parts, &ids, api_version))
                }
            }
            DeviceOperation::Lookup => {
                check_lookup(&body)?;
                let status = registrations.lookup(&call).await?;
                Ok(text(StatusCode::OK, status.state_document()))
            }
        }
    };
    match tokio::time::timeout(app.config().request_timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(too_slow()),
    }
}

/// A token decides where there is one.
fn credential<'a>(parts: &'a Parts, peer: Option<&'a Peer>) -> Result<Credential<'a>, Refusal> {
    if let Some(value) = parts.headers.get(AUTHORIZATION) {
        return value.to_str().map(Credential::Token).map_err(|_| {
            let text = "the Authorization header has characters that are not ASCII";
            Error::new(ErrorKind::NotAuthenticated, text).into()
        });
    }
    match peer.map_or(&[][..], |peer| &peer.certificates) {
        [] => Ok(Credential::None),
        chain => Ok(Credential::Certificates(chain)),
    }
}

/// A status lookup asks for nothing new.
fn check_lookup(body: &[u8]) -> Result<(), Refusal> {
    let invalid = |text: &str| Refusal::from(Error::new(ErrorKind::Invalid, text));
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(Value::Object(members)) if members.get("csr").is_some_and(|csr| !csr.is_null()) => Err(
            invalid("a status lookup takes no csr, register with it instead"),
        ),
        Ok(Value::Object(_) | Value::Null) => Ok(()),
        Ok(_) | Err(_) => Err(invalid("the body must be a JSON object")),
    }
}

/// 202 with when and where to ask again. C# takes nothing else for a registration, also where there is nothing to wait
/// for because the enrollment is disabled (`RuntimeRegistration.cs`).
fn accepted(
    status: &OperationStatus,
    parts: &Parts,
    ids: &Ids,
    api_version: Option<&str>,
) -> Response {
    let mut response = text(StatusCode::ACCEPTED, status.document());
    let headers = response.headers_mut();
    if let Some(after) = status.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
    }
    let location = location(parts, ids, status.operation(), api_version);
    if let Some(location) = header(&location) {
        headers.insert(LOCATION, location);
    }
    response
}

fn location(parts: &Parts, ids: &Ids, operation: &str, api_version: Option<&str>) -> String {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let header = || {
        parts
            .headers
            .get(HOST)
            .and_then(|value| value.to_str().ok())
    };
    let host = authority
        .or_else(header)
        .map_or_else(String::new, |host| format!("https://{host}"));
    let version = api_version.unwrap_or_default();
    let (scope, id) = (&ids.scope, &ids.id);
    format!("{host}/{scope}/registrations/{id}/operations/{operation}?api-version={version}")
}
