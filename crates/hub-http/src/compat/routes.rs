//! The table of routes, and how a request finds its row.

use http::Method;
use hub_domain::{DeviceId, ErrorCode, IdentityId, ModuleId, Permission, ServiceBoundKind};
use percent_encoding::percent_decode_str;

use super::body::BodyKind;
use super::refusal::Refusal;

/// One operation at one path.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) method: Method,
    /// Fixed parts match without case, `{device}`, `{module}` and `{token}` take one part of the path.
    pub(super) pattern: &'static str,
    /// Any one of these allows it.
    pub(super) permissions: &'static [Permission],
    pub(super) operation: Operation,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListDevices,
    RegenerateKeys,
    GetDevice,
    PutDevice,
    DeleteDevice,
    ListModules,
    GetModule,
    PutModule,
    DeleteModule,
    DeviceStatistics,
    ServiceStatistics,
    PurgeMessages,
    SendMessage,
    GetTwin,
    PatchTwin,
    ReplaceTwin,
    InvokeMethod,
    ReceiveServiceBound(ServiceBoundKind),
    CompleteServiceBound(ServiceBoundKind),
    AbandonServiceBound(ServiceBoundKind),
}

impl Operation {
    pub(super) const fn body(self) -> BodyKind {
        match self {
            Self::RegenerateKeys
            | Self::PutDevice
            | Self::PutModule
            | Self::PatchTwin
            | Self::ReplaceTwin
            | Self::InvokeMethod => BodyKind::Json,
            Self::SendMessage => BodyKind::Bytes,
            Self::ListDevices
            | Self::GetDevice
            | Self::DeleteDevice
            | Self::ListModules
            | Self::GetModule
            | Self::DeleteModule
            | Self::DeviceStatistics
            | Self::ServiceStatistics
            | Self::PurgeMessages
            | Self::GetTwin
            | Self::ReceiveServiceBound(_)
            | Self::CompleteServiceBound(_)
            | Self::AbandonServiceBound(_) => BodyKind::None,
        }
    }
}

const READ: &[Permission] = &[Permission::RegistryRead];
const WRITE: &[Permission] = &[Permission::RegistryWrite];
const SERVICE: &[Permission] = &[Permission::ServiceConnect];
const READ_OR_SERVICE: &[Permission] = &[Permission::RegistryRead, Permission::ServiceConnect];

const fn route(
    method: Method,
    pattern: &'static str,
    permissions: &'static [Permission],
    operation: Operation,
) -> Route {
    Route {
        method,
        pattern,
        permissions,
        operation,
    }
}

/// Every route of this face. The access tests walk it.
pub(super) static ROUTES: [Route; 29] = [
    route(Method::GET, "/devices", READ, Operation::ListDevices),
    route(
        Method::POST,
        "/devices/keys/regenerate",
        WRITE,
        Operation::RegenerateKeys,
    ),
    route(Method::GET, "/devices/{device}", READ, Operation::GetDevice),
    route(
        Method::PUT,
        "/devices/{device}",
        WRITE,
        Operation::PutDevice,
    ),
    route(
        Method::DELETE,
        "/devices/{device}",
        WRITE,
        Operation::DeleteDevice,
    ),
    route(
        Method::DELETE,
        "/devices/{device}/commands",
        SERVICE,
        Operation::PurgeMessages,
    ),
    route(
        Method::POST,
        "/devices/{device}/messages/deviceBound",
        SERVICE,
        Operation::SendMessage,
    ),
    route(
        Method::GET,
        "/devices/{device}/modules",
        READ,
        Operation::ListModules,
    ),
    route(
        Method::GET,
        "/devices/{device}/modules/{module}",
        READ,
        Operation::GetModule,
    ),
    route(
        Method::PUT,
        "/devices/{device}/modules/{module}",
        WRITE,
        Operation::PutModule,
    ),
    route(
        Method::DELETE,
        "/devices/{device}/modules/{module}",
        WRITE,
        Operation::DeleteModule,
    ),
    route(
        Method::POST,
        "/devices/{device}/modules/{module}/messages/deviceBound",
        SERVICE,
        Operation::SendMessage,
    ),
    route(
        Method::GET,
        "/statistics/devices",
        READ,
        Operation::DeviceStatistics,
    ),
    route(
        Method::GET,
        "/statistics/service",
        READ_OR_SERVICE,
        Operation::ServiceStatistics,
    ),
    route(Method::GET, "/twins/{device}", SERVICE, Operation::GetTwin),
    route(
        Method::PATCH,
        "/twins/{device}",
        SERVICE,
        Operation::PatchTwin,
    ),
    route(
        Method::PUT,
        "/twins/{device}",
        SERVICE,
        Operation::ReplaceTwin,
    ),
    route(
        Method::POST,
        "/twins/{device}/methods",
        SERVICE,
        Operation::InvokeMethod,
    ),
    route(
        Method::GET,
        "/twins/{device}/modules/{module}",
        SERVICE,
        Operation::GetTwin,
    ),
    route(
        Method::PATCH,
        "/twins/{device}/modules/{module}",
        SERVICE,
        Operation::PatchTwin,
    ),
    route(
        Method::PUT,
        "/twins/{device}/modules/{module}",
        SERVICE,
        Operation::ReplaceTwin,
    ),
    route(
        Method::POST,
        "/twins/{device}/modules/{module}/methods",
        SERVICE,
        Operation::InvokeMethod,
    ),
    route(
        Method::DELETE,
        "/devices/{device}/modules/{module}/commands",
        SERVICE,
        Operation::PurgeMessages,
    ),
    route(
        Method::GET,
        "/messages/serviceBound/feedback",
        SERVICE,
        Operation::ReceiveServiceBound(ServiceBoundKind::Feedback),
    ),
    route(
        Method::DELETE,
        "/messages/serviceBound/feedback/{token}",
        SERVICE,
        Operation::CompleteServiceBound(ServiceBoundKind::Feedback),
    ),
    route(
        Method::POST,
        "/messages/serviceBound/feedback/{token}/abandon",
        SERVICE,
        Operation::AbandonServiceBound(ServiceBoundKind::Feedback),
    ),
    route(
        Method::GET,
        "/messages/serviceBound/filenotifications",
        SERVICE,
        Operation::ReceiveServiceBound(ServiceBoundKind::FileNotification),
    ),
    route(
        Method::DELETE,
        "/messages/serviceBound/filenotifications/{token}",
        SERVICE,
        Operation::CompleteServiceBound(ServiceBoundKind::FileNotification),
    ),
    route(
        Method::POST,
        "/messages/serviceBound/filenotifications/{token}/abandon",
        SERVICE,
        Operation::AbandonServiceBound(ServiceBoundKind::FileNotification),
    ),
];

/// What a path and method lead to.
pub(super) enum Found {
    /// A route and the ids in the path.
    Route(&'static Route, PathIds),
    /// None; the methods that the path has.
    Other(Vec<&'static str>),
}

/// The ids in a path, decoded but not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PathIds {
    device: String,
    module: Option<String>,
    token: Option<String>,
}

impl PathIds {
    /// The part of the path at `{token}`.
    pub(super) fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    /// # Errors
    /// When an id breaks its rule (400004).
    pub(super) fn identity(&self) -> Result<IdentityId, Refusal> {
        let invalid = |error: hub_domain::ids::IdError| {
            Refusal::new(ErrorCode::ArgumentInvalid, error.to_string())
        };
        let device = DeviceId::parse(&self.device).map_err(invalid)?;
        let module = self
            .module
            .as_deref()
            .map(ModuleId::parse)
            .transpose()
            .map_err(invalid)?;
        Ok(IdentityId { device, module })
    }
}

/// Finds the route of `path`, which may end in a slash.
///
/// # Errors
/// When an id in the path is not UTF-8 (400004).
pub(super) fn find(method: &Method, path: &str) -> Result<Found, Refusal> {
    let mut allowed: Vec<&str> = Vec::new();
    for route in &ROUTES {
        let Some(ids) = match_path(route.pattern, path) else {
            continue;
        };
        if route.method == *method {
            return Ok(Found::Route(route, ids?));
        }
        allowed.push(route.method.as_str());
    }
    Ok(Found::Other(allowed))
}

/// The ids of `path`, which may end in a slash, when it has the form of `pattern`.
pub(super) fn match_path(pattern: &str, path: &str) -> Option<Result<PathIds, Refusal>> {
    let path = path.strip_suffix('/').unwrap_or(path);
    matches(pattern, path).map(|ids| decode(&ids))
}

/// The ids as they stand in the path.
#[derive(Default)]
struct RawIds<'a> {
    device: &'a str,
    module: Option<&'a str>,
    token: Option<&'a str>,
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<RawIds<'a>> {
    let mut ids = RawIds::default();
    let mut parts = path.split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        match expected {
            "{device}" => ids.device = part,
            "{module}" => ids.module = Some(part),
            "{token}" => ids.token = Some(part),
            fixed if fixed.eq_ignore_ascii_case(part) => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(ids)
}

fn decode(ids: &RawIds<'_>) -> Result<PathIds, Refusal> {
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(String::from)
            .map_err(|_| {
                Refusal::new(
                    ErrorCode::ArgumentInvalid,
                    "an id in the path is not UTF-8 after decoding",
                )
            })
    };
    Ok(PathIds {
        device: decode(ids.device)?,
        module: ids.module.map(decode).transpose()?,
        token: ids.token.map(decode).transpose()?,
    })
}

/// The parameters of a query, decoded.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decode(name), decode(value))
        };
        Self(
            text.split('&')
                .filter(|part| !part.is_empty())
                .map(pair)
                .collect(),
        )
    }

    /// The first value of that name, without regard to the name's case.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Any date is accepted: SDKs of ten years send what was new in theirs, and the shapes that matter
    /// have not changed. `2021-04-12`, `2017-11-08-preview`.
    ///
    /// # Errors
    /// When it is missing or no date (400001).
    pub(super) fn check_api_version(&self) -> Result<(), Refusal> {
        let refused = |text: &str| Err(Refusal::new(ErrorCode::InvalidProtocolVersion, text));
        match self.value("api-version") {
            None => refused("the query has no api-version, add ?api-version=2021-04-12"),
            Some(version) if is_version(version) => Ok(()),
            Some(_) => refused("api-version must be a date such as 2021-04-12"),
        }
    }

    /// The same where a client may leave it out.
    pub(super) fn check_api_version_if_given(&self) -> Result<(), Refusal> {
        self.value("api-version")
            .map_or(Ok(()), |_| self.check_api_version())
    }
}

fn is_version(text: &str) -> bool {
    let Some((date, suffix)) = text.split_at_checked(10) else {
        return false;
    };
    let is_date = date.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    let is_suffix = suffix.is_empty()
        || suffix.len() <= 32
            && suffix.starts_with('-')
            && suffix
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    is_date && is_suffix
}
