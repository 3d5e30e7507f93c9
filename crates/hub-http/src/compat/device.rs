//! The device REST: what devices and modules ask for over HTTPS with their own credentials.
//!
//! A request passes in the order of the service REST. The caller is the identity that the path names, or for some
//! operations its device or the module that a header names; nobody else may, whatever policy or key they hold.

mod events;
mod files;
mod messages;
pub(super) mod routes;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::AUTHORIZATION;
use http::request::Parts;
use hub_domain::sas::SasToken;
use hub_domain::{DeviceId, ErrorCode, IdentityId, ModuleId};
use hub_engine::sessions::{Credential, ProvenIdentity};
use hub_engine::{CertificateDer, Error, ErrorKind, OpContext};

use super::refusal::Refusal;
use super::routes::{PathIds, Query};
use super::{Call, body, devices, hub, methods};
use crate::AppState;
use crate::request::{Peer, RequestId};
use routes::{DeviceOperation, DeviceRoute, Speaker};

/// Names the module that calls a method (`http_path_iothub.py`; Node `ModuleClient.invokeMethod`).
const CALLING_MODULE_HEADER: &str = "x-ms-edge-moduleid";

/// A request of an identity on its way to its operation.
struct DeviceCall {
    call: Call,
    caller: ProvenIdentity,
}

/// True for a request that an identity signed: paths that both faces have are told apart by it.
pub(super) fn is_of_identity(parts: &Parts) -> bool {
    let Some(value) = parts.headers.get(AUTHORIZATION) else {
        return !certificates(parts).is_empty();
    };
    value
        .to_str()
        .ok()
        .and_then(|text| SasToken::parse(text).ok())
        .is_some_and(|token| token.policy().is_none() && !token.resource().segments().is_empty())
        || parts.headers.contains_key(CALLING_MODULE_HEADER)
}

pub(super) async fn answer(
    app: &AppState,
    id: &RequestId,
    parts: Parts,
    body: Body,
    (route, ids): (&DeviceRoute, PathIds),
) -> Result<Response, Refusal> {
    let hub = hub(app, &parts)?;
    let speaker = speaker(route, &ids, &parts)?;
    let now = app.engine().environment().now();
    let credential = credential(&parts)?;
    let caller = app
        .engine()
        .sessions
        .identify(now, &hub, speaker, &credential)
        .await?;
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    // azure-iot-device (Node) names no version here (`method_client.ts`).
    if route.operation == DeviceOperation::InvokeMethod {
        query.check_api_version_if_given()?;
    } else {
        query.check_api_version()?;
    }
    let body = body::read(route.operation.body(), &parts.headers, body, app.config()).await?;
    let ctx = OpContext {
        caller: caller.caller(),
        request_id: id.0.to_string(),
        now: app.engine().environment().now(),
    };
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
    if route.operation == DeviceOperation::InvokeMethod {
        return methods::invoke(call).await;
    }
    let run = run(route.operation, DeviceCall { call, caller });
    match tokio::time::timeout(app.config().request_timeout, run).await {
        Ok(result) => result,
        Err(_) => Err(super::too_slow()),
    }
}

/// Who has to ask.
fn speaker(route: &DeviceRoute, ids: &PathIds, parts: &Parts) -> Result<IdentityId, Refusal> {
    match route.speaker {
        Speaker::Identity => ids.identity(),
        Speaker::Device => Ok(IdentityId::device(ids.identity()?.device)),
        Speaker::CallingModule => calling_module(parts),
    }
}

fn calling_module(parts: &Parts) -> Result<IdentityId, Refusal> {
    let unnamed = || {
        Refusal::new(
            ErrorCode::IotHubUnauthorized,
            format!(
                "the header {CALLING_MODULE_HEADER} must name the calling module as device/module"
            ),
        )
    };
    let value = parts.headers.get(CALLING_MODULE_HEADER);
    let text = value
        .and_then(|value| value.to_str().ok())
        .ok_or_else(unnamed)?;
    // Python sends the ids encoded in the path and plain in the header; neither may contain a slash.
    let (device, module) = text.split_once('/').ok_or_else(unnamed)?;
    Ok(IdentityId::module(
        DeviceId::parse(device).map_err(|_| unnamed())?,
        ModuleId::parse(module).map_err(|_| unnamed())?,
    ))
}

fn credential(parts: &Parts) -> Result<Credential<'_>, Refusal> {
    let unauthorized = |text: &str| -> Refusal {
        Error::new(ErrorKind::NotAuthenticated, text)
            .with_code(ErrorCode::IotHubUnauthorized)
            .into()
    };
    let Some(value) = parts.headers.get(AUTHORIZATION) else {
        return match certificates(parts) {
            [] => Err(unauthorized(
                "the request has no Authorization header, sign it with the device's key, or show its certificate",
            )),
            chain => Ok(Credential::Certificate(chain)),
        };
    };
    let token = value
        .to_str()
        .map_err(|_| unauthorized("the Authorization header has characters that are not ASCII"))?;
    Ok(Credential::Token(token))
}

/// What the client showed in its TLS handshake. A token decides where there is one.
fn certificates(parts: &Parts) -> &[CertificateDer<'static>] {
    let peer = parts.extensions.get::<Peer>();
    peer.map_or(&[], |peer| &peer.certificates)
}

async fn run(operation: DeviceOperation, call: DeviceCall) -> Result<Response, Refusal> {
    match operation {
        DeviceOperation::SendEvents => events::send(call).await,
        DeviceOperation::ListModules => devices::list_modules(call.call).await,
        DeviceOperation::GetModule => devices::get(call.call).await,
        DeviceOperation::PutModule => devices::put_module(call.call).await,
        DeviceOperation::DeleteModule => devices::delete(call.call).await,
        DeviceOperation::BeginUpload => files::begin(call).await,
        DeviceOperation::FinishUpload => files::finish(call).await,
        DeviceOperation::ReceiveMessage => messages::receive(call).await,
        DeviceOperation::CompleteOrRejectMessage => messages::complete_or_reject(call).await,
        DeviceOperation::AbandonMessage => messages::abandon(call).await,
        // It has timeouts of its own.
        DeviceOperation::InvokeMethod => methods::invoke(call.call).await,
    }
}
