//! Provisioning: what readers ask of registrations, and how much the writes weigh.

use std::cmp::Reverse;

use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, EnrollmentGroupId, Origin, Progress, Refusal, Registration,
    Target, Terms,
};
use hub_domain::{DeviceId, Timestamp};
use serde_json::{Map, Value};

/// Which registrations are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationFilter {
    /// All of them.
    All,
    /// Those that a group let happen, whether it is there still or not.
    OfGroup(EnrollmentGroupId),
    /// Those that an enrollment of their own let happen.
    Individual,
    /// Those that gave a hub a device of this id, spelled just so, whichever hub it is.
    OfDevice(DeviceId),
    /// Those that wait for their hub, or are still to be removed from another one: somebody has to go on with them.
    Unfinished,
    /// Those whose newest attempt failed.
    Failed,
}

impl RegistrationFilter {
    /// True for a registration that is read.
    pub fn admits(&self, registration: &Registration) -> bool {
        match self {
            Self::All => true,
            Self::OfGroup(group) => match &registration.origin {
                Origin::Group(of) => of == group,
                Origin::Individual => false,
            },
            Self::Individual => registration.origin == Origin::Individual,
            Self::OfDevice(device) => {
                let assignment = registration.assignment.as_ref();
                assignment.is_some_and(|assignment| assignment.device == *device)
            }
            Self::Unfinished => registration.is_unfinished(),
            Self::Failed => matches!(registration.progress, Progress::Failed(_)),
        }
    }
}

/// Where a refusal stands in the order in which they are read: those with an enrollment first, then the newest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalPosition {
    /// No enrollment was found.
    pub is_stranger: bool,
    /// The last time.
    pub last: Reverse<Timestamp>,
    /// The key of the id.
    pub key: String,
}

impl RefusalPosition {
    /// That of a refusal.
    pub fn of(refusal: &Refusal) -> Self {
        Self {
            is_stranger: refusal.origin.is_none(),
            last: Reverse(refusal.last),
            key: refusal.id.key().to_owned(),
        }
    }
}

/// How many registrations there are, by their progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RegistrationStatistics {
    /// Devices that have their hub, removed from another one or not.
    pub assigned: u64,
    /// Devices that wait for theirs.
    pub assigning: u64,
    /// Devices whose newest attempt failed.
    pub failed: u64,
}

pub(super) fn enrollment_size(enrollment: &Enrollment) -> usize {
    let information = enrollment.information.as_ref().map_or(0, object_size);
    terms_size(&enrollment.terms) + information
}

pub(super) fn enrollment_group_size(group: &EnrollmentGroup) -> usize {
    terms_size(&group.terms)
}

fn terms_size(terms: &Terms) -> usize {
    let twin = &terms.initial_twin;
    4_096 + object_size(&twin.tags) + object_size(&twin.desired)
}

pub(super) fn registration_size(registration: &Registration) -> usize {
    let asked = match &registration.progress {
        Progress::Assigning(request) => {
            let sent = [&request.signing_request, &request.certificate];
            let sent = sent.into_iter().flatten().map(|bytes| bytes.len());
            request.payload.as_ref().map_or(0, value_size)
                + sent.sum::<usize>()
                + request.target.as_deref().map_or(0, target_size)
        }
        Progress::Assigned | Progress::Failed(_) => 0,
    };
    let certificates = registration.issued_certificates.iter();
    let shown = registration.certificates.as_ref();
    let shown = shown.map_or(0, |shown| {
        let all = core::iter::once(&shown.device).chain(&shown.signing);
        all.map(|info| 512 + info.subject.len() + info.issuer.len())
            .sum()
    });
    1_024
        + shown
        + asked
        + registration.strays.len() * 256
        + registration.payload.as_ref().map_or(0, value_size)
        + certificates.map(|bytes| bytes.len()).sum::<usize>()
}

fn target_size(target: &Target) -> usize {
    let twin = target.twin.as_ref();
    twin.map_or(0, |twin| {
        object_size(&twin.tags) + object_size(&twin.desired)
    }) + target.payload.as_ref().map_or(0, value_size)
}

/// About what a value takes in memory.
fn value_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) => 32 + text.len(),
        Value::Array(items) => 32 + items.iter().map(value_size).sum::<usize>(),
        Value::Object(members) => object_size(members),
    }
}

fn object_size(members: &Map<String, Value>) -> usize {
    let members = members.iter();
    members
        .map(|(name, value)| 64 + name.len() + value_size(value))
        .sum()
}
