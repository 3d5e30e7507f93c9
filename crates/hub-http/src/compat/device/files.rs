//! The beginning and the end of file uploads. The file itself comes to [`crate::files`].

use axum::response::Response;
use hub_api::compat::{UploadInput, UploadNotification, UploadTicket};
use hub_domain::ErrorCode;
use hub_engine::uploads::UploadOutcome;

use super::super::refusal::Refusal;
use super::super::{Call, json, no_content};
use super::DeviceCall;
use crate::files::{CONTAINER, file_uri};
use crate::request::host;

pub(super) async fn begin(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let input = UploadInput::parse(&call.body)?;
    let upload = call
        .engine
        .uploads
        .begin(&call.ctx, &call.hub, &caller.id().device, &input.blob_name)
        .await?;
    json(&UploadTicket {
        correlation_id: upload.correlation.as_str().to_owned(),
        host_name: authority(&call),
        container_name: CONTAINER.to_owned(),
        blob_name: upload.name.as_str().to_owned(),
        sas_token: upload.ticket(),
    })
}

pub(super) async fn finish(device: DeviceCall) -> Result<Response, Refusal> {
    let DeviceCall { call, caller } = device;
    let input = UploadNotification::parse(&call.body)?;
    let outcome = match input.is_success {
        Some(true) => UploadOutcome::Succeeded,
        Some(false) => UploadOutcome::Failed,
        None => {
            return Err(Refusal::new(
                ErrorCode::InvalidFileUploadCompletionStatus,
                "isSuccess must say whether the file was uploaded",
            ));
        }
    };
    let in_body = input.correlation_id.unwrap_or_default();
    let correlation = match call.ids.token() {
        "" => in_body.as_str(),
        in_path => in_path,
    };
    let authority = authority(&call);
    call.engine
        .uploads
        .finish(
            &call.ctx,
            &call.hub,
            &caller.id().device,
            correlation,
            outcome,
            |name| file_uri(&authority, name),
        )
        .await?;
    Ok(no_content())
}

/// The host under which the device reached this hub, because that one it resolves and trusts.
fn authority(call: &Call) -> String {
    let host = match host(&call.parts) {
        Ok(Some(host)) => host,
        Ok(None) | Err(_) => call.hub.host.clone(),
    };
    match call.https_port {
        None | Some(443) => host.to_string(),
        Some(port) => format!("{host}:{port}"),
    }
}
