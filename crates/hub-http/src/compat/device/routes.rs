//! The table of the device face's routes.

use http::Method;

use super::super::body::BodyKind;
use super::super::refusal::Refusal;
use super::super::routes::{PathIds, match_path};

/// One operation at one path.
#[derive(Debug)]
pub(in super::super) struct DeviceRoute {
    pub(in super::super) method: Method,
    /// As in the service table.
    pub(in super::super) pattern: &'static str,
    /// Who has to ask.
    pub(in super::super) speaker: Speaker,
    pub(in super::super) operation: DeviceOperation,
}

/// Whose credentials an operation takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Speaker {
    /// Those of the device or module of the path.
    Identity,
    /// Those of the device of the path, also where the path goes on to a module.
    Device,
    /// Those of the module that a header names.
    CallingModule,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum DeviceOperation {
    SendEvents,
    ListModules,
    GetModule,
    PutModule,
    DeleteModule,
    InvokeMethod,
    BeginUpload,
    FinishUpload,
    ReceiveMessage,
    CompleteOrRejectMessage,
    AbandonMessage,
}

impl DeviceOperation {
    pub(in super::super) const fn body(self) -> BodyKind {
        match self {
            Self::PutModule | Self::InvokeMethod | Self::BeginUpload | Self::FinishUpload => {
                BodyKind::Json
            }
            Self::SendEvents => BodyKind::Bytes,
            Self::ListModules
            | Self::GetModule
            | Self::DeleteModule
            | Self::ReceiveMessage
            | Self::CompleteOrRejectMessage
            | Self::AbandonMessage => BodyKind::None,
        }
    }
}

const fn route(
    method: Method,
    pattern: &'static str,
    speaker: Speaker,
    operation: DeviceOperation,
) -> DeviceRoute {
    DeviceRoute {
        method,
        pattern,
        speaker,
        operation,
    }
}

/// Every route of this face. The access tests walk it.
pub(in super::super) static DEVICE_ROUTES: [DeviceRoute; 14] = [
    route(
        Method::POST,
        "/devices/{device}/messages/events",
        Speaker::Identity,
        DeviceOperation::SendEvents,
    ),
    route(
        Method::POST,
        "/devices/{device}/modules/{module}/messages/events",
        Speaker::Identity,
        DeviceOperation::SendEvents,
    ),
    route(
        Method::GET,
        "/devices/{device}/messages/deviceBound",
        Speaker::Identity,
        DeviceOperation::ReceiveMessage,
    ),
    route(
        Method::DELETE,
        "/devices/{device}/messages/deviceBound/{token}",
        Speaker::Identity,
        DeviceOperation::CompleteOrRejectMessage,
    ),
    route(
        Method::POST,
        "/devices/{device}/messages/deviceBound/{token}/abandon",
        Speaker::Identity,
        DeviceOperation::AbandonMessage,
    ),
    route(
        Method::POST,
        "/devices/{device}/files",
        Speaker::Identity,
        DeviceOperation::BeginUpload,
    ),
    route(
        Method::POST,
        "/devices/{device}/files/notifications",
        Speaker::Identity,
        DeviceOperation::FinishUpload,
    ),
    route(
        Method::POST,
        "/devices/{device}/files/notifications/{token}",
        Speaker::Identity,
        DeviceOperation::FinishUpload,
    ),
    route(
        Method::GET,
        "/devices/{device}/modules",
        Speaker::Device,
        DeviceOperation::ListModules,
    ),
    route(
        Method::GET,
        "/devices/{device}/modules/{module}",
        Speaker::Device,
        DeviceOperation::GetModule,
    ),
    route(
        Method::PUT,
        "/devices/{device}/modules/{module}",
        Speaker::Device,
        DeviceOperation::PutModule,
    ),
    route(
        Method::DELETE,
        "/devices/{device}/modules/{module}",
        Speaker::Device,
        DeviceOperation::DeleteModule,
    ),
    route(
        Method::POST,
        "/twins/{device}/methods",
        Speaker::CallingModule,
        DeviceOperation::InvokeMethod,
    ),
    route(
        Method::POST,
        "/twins/{device}/modules/{module}/methods",
        Speaker::CallingModule,
        DeviceOperation::InvokeMethod,
    ),
];

/// What a path and method lead to on this face.
pub(in super::super) enum DeviceFound {
    /// A route and the ids in the path.
    Route(&'static DeviceRoute, PathIds),
    /// None; the methods that the path has here.
    Other(Vec<&'static str>),
}

/// Finds the route of `path`, which may end in a slash (the C client's uploads do).
///
/// # Errors
/// When an id in the path is not UTF-8 (400004).
pub(in super::super) fn find(method: &Method, path: &str) -> Result<DeviceFound, Refusal> {
    let mut allowed = Vec::new();
    for route in &DEVICE_ROUTES {
        let Some(ids) = match_path(route.pattern, path) else {
            continue;
        };
        if route.method == *method {
            return Ok(DeviceFound::Route(route, ids?));
        }
        allowed.push(route.method.as_str());
    }
    Ok(DeviceFound::Other(allowed))
}
