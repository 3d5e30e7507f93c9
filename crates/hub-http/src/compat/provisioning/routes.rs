//! The table of the provisioning service's routes, and how a request finds its row.

use http::Method;
use hub_domain::provisioning::{EnrollmentGroupId, RegistrationId, ServicePermission};
use hub_engine::ErrorKind;
use hub_provisioning::Error;
use percent_encoding::percent_decode_str;

use super::super::body::BodyKind;
use super::refusal::Refusal;

/// One operation of back ends at one path.
#[derive(Debug)]
pub(in super::super) struct Route {
    pub(in super::super) method: Method,
    /// Fixed parts match without case (Node asks for `/enrollmentgroups/…/attestationmechanism`), `{id}` takes one part.
    pub(in super::super) pattern: &'static str,
    pub(in super::super) permission: ServicePermission,
    pub(in super::super) operation: Operation,
}

/// What a back end asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Operation {
    GetEnrollment,
    PutEnrollment,
    DeleteEnrollment,
    BulkEnrollments,
    QueryEnrollments,
    EnrollmentAttestation,
    GetGroup,
    PutGroup,
    DeleteGroup,
    BulkGroups,
    QueryGroups,
    GroupAttestation,
    GetRegistration,
    DeleteRegistration,
    QueryRegistrations,
}

impl Operation {
    pub(super) const fn body(self) -> BodyKind {
        match self {
            Self::PutEnrollment
            | Self::BulkEnrollments
            | Self::QueryEnrollments
            | Self::PutGroup
            | Self::BulkGroups
            | Self::QueryGroups => BodyKind::Json,
            // Node sends a query with it, which says nothing that the path does not.
            Self::QueryRegistrations
            | Self::GetEnrollment
            | Self::DeleteEnrollment
            | Self::EnrollmentAttestation
            | Self::GetGroup
            | Self::DeleteGroup
            | Self::GroupAttestation
            | Self::GetRegistration
            | Self::DeleteRegistration => BodyKind::None,
        }
    }
}

/// What a device asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DeviceOperation {
    Register,
    OperationStatus,
    Lookup,
}

const fn route(
    method: Method,
    pattern: &'static str,
    permission: ServicePermission,
    operation: Operation,
) -> Route {
    Route {
        method,
        pattern,
        permission,
        operation,
    }
}

const READ: ServicePermission = ServicePermission::EnrollmentRead;
const WRITE: ServicePermission = ServicePermission::EnrollmentWrite;
const STATUS_READ: ServicePermission = ServicePermission::RegistrationStatusRead;
const STATUS_WRITE: ServicePermission = ServicePermission::RegistrationStatusWrite;

const ENROLLMENTS: &str = "/enrollments";
const ENROLLMENT: &str = "/enrollments/{id}";
const GROUPS: &str = "/enrollmentGroups";
const GROUP: &str = "/enrollmentGroups/{id}";
const REGISTRATION: &str = "/registrations/{id}";

/// Every route for back ends. The access tests walk it.
pub(in super::super) static ROUTES: [Route; 15] = [
    route(Method::GET, ENROLLMENT, READ, Operation::GetEnrollment),
    route(Method::PUT, ENROLLMENT, WRITE, Operation::PutEnrollment),
    route(
        Method::DELETE,
        ENROLLMENT,
        WRITE,
        Operation::DeleteEnrollment,
    ),
    route(Method::POST, ENROLLMENTS, WRITE, Operation::BulkEnrollments),
    route(
        Method::POST,
        "/enrollments/query",
        READ,
        Operation::QueryEnrollments,
    ),
    route(
        Method::POST,
        "/enrollments/{id}/attestationmechanism",
        WRITE,
        Operation::EnrollmentAttestation,
    ),
    route(Method::GET, GROUP, READ, Operation::GetGroup),
    route(Method::PUT, GROUP, WRITE, Operation::PutGroup),
    route(Method::DELETE, GROUP, WRITE, Operation::DeleteGroup),
    route(Method::POST, GROUPS, WRITE, Operation::BulkGroups),
    route(
        Method::POST,
        "/enrollmentGroups/query",
        READ,
        Operation::QueryGroups,
    ),
    route(
        Method::POST,
        "/enrollmentGroups/{id}/attestationmechanism",
        WRITE,
        Operation::GroupAttestation,
    ),
    route(
        Method::GET,
        REGISTRATION,
        STATUS_READ,
        Operation::GetRegistration,
    ),
    route(
        Method::DELETE,
        REGISTRATION,
        STATUS_WRITE,
        Operation::DeleteRegistration,
    ),
    route(
        Method::POST,
        "/registrations/{id}/query",
        STATUS_READ,
        Operation::QueryRegistrations,
    ),
];

/// Where the routes of devices differ from each other: what follows the registration id.
const DEVICE_ROUTES: [(Method, &str, DeviceOperation); 3] = [
    (
        Method::PUT,
        "/{scope}/registrations/{id}/register",
        DeviceOperation::Register,
    ),
    (
        Method::GET,
        "/{scope}/registrations/{id}/operations/{operation}",
        DeviceOperation::OperationStatus,
    ),
    (
        Method::POST,
        "/{scope}/registrations/{id}",
        DeviceOperation::Lookup,
    ),
];

/// First parts of paths that are the hub's, where `registrations` in the second place is the name of a device.
const HUB_COLLECTIONS: [&str; 9] = [
    "api",
    "configurations",
    "devices",
    "digitaltwins",
    "files",
    "jobs",
    "messages",
    "statistics",
    "twins",
];

/// What a path and method lead to.
pub(super) enum Found {
    /// A device's operation.
    Device(DeviceOperation, Ids),
    /// A back end's.
    Service(&'static Route, Ids),
    /// None; the methods that the path has.
    Other(Vec<&'static str>),
}

/// The parts of a path that are names, decoded but not yet checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) id: String,
    /// The id scope, on the paths of devices.
    pub(super) scope: String,
    /// The operation's id, where a device asks for one.
    pub(super) operation: String,
}

impl Ids {
    pub(super) fn registration(&self) -> Result<RegistrationId, Refusal> {
        RegistrationId::parse(&self.id).map_err(invalid)
    }

    pub(super) fn group(&self) -> Result<EnrollmentGroupId, Refusal> {
        EnrollmentGroupId::parse(&self.id).map_err(invalid)
    }
}

pub(super) fn invalid(error: impl std::fmt::Display) -> Refusal {
    Error::new(ErrorKind::Invalid, error.to_string()).into()
}

/// True for a path below one of the service's collections, and for `/{id scope}/registrations/…`.
pub(super) fn is_path(path: &str) -> bool {
    let mut parts = path.split('/').skip(1);
    let (first, second) = (parts.next().unwrap_or_default(), parts.next());
    let is = |part: &str, name: &str| part.eq_ignore_ascii_case(name);
    if ["enrollments", "enrollmentGroups", "registrations"]
        .iter()
        .any(|name| is(first, name))
    {
        return true;
    }
    !first.is_empty()
        && second.is_some_and(|second| is(second, "registrations"))
        && parts.next().is_some_and(|third| !third.is_empty())
        && !HUB_COLLECTIONS.iter().any(|name| is(first, name))
}

/// Finds the route of `path`, which may end in a slash.
///
/// # Errors
/// When a name in the path is not UTF-8.
pub(super) fn find(method: &Method, path: &str) -> Result<Found, Refusal> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut allowed = Vec::new();
    // A collection has no id: its own words are looked at first.
    for route in &ROUTES {
        let Some(ids) = matches(route.pattern, path) else {
            continue;
        };
        if route.method == *method {
            return Ok(Found::Service(route, decode(&ids)?));
        }
        allowed.push(route.method.as_str());
    }
    if !allowed.is_empty() {
        return Ok(Found::Other(allowed));
    }
    for (verb, pattern, operation) in &DEVICE_ROUTES {
        let Some(ids) = matches(pattern, path) else {
            continue;
        };
        if verb == method {
            return Ok(Found::Device(*operation, decode(&ids)?));
        }
        allowed.push(match *operation {
            DeviceOperation::Register => "PUT",
            DeviceOperation::OperationStatus => "GET",
            DeviceOperation::Lookup => "POST",
        });
    }
    Ok(Found::Other(allowed))
}

#[derive(Default)]
struct RawIds<'a> {
    id: &'a str,
    scope: &'a str,
    operation: &'a str,
}

fn matches<'a>(pattern: &str, path: &'a str) -> Option<RawIds<'a>> {
    let mut ids = RawIds::default();
    let mut parts = path.split('/');
    for expected in pattern.split('/') {
        let part = parts.next()?;
        match expected {
            "{id}" => ids.id = part,
            "{scope}" => ids.scope = part,
            "{operation}" => ids.operation = part,
            fixed if fixed.eq_ignore_ascii_case(part) => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(ids)
}

fn decode(ids: &RawIds<'_>) -> Result<Ids, Refusal> {
    let decode = |text: &str| {
        percent_decode_str(text)
            .decode_utf8()
            .map(String::from)
            .map_err(|_| invalid("a name in the path is not UTF-8 after decoding"))
    };
    Ok(Ids {
        id: decode(ids.id)?,
        scope: decode(ids.scope)?,
        operation: decode(ids.operation)?,
    })
}
