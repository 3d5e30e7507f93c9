//! Enrollments, registrations and refusals.

mod enrollments;
mod refusals;
mod registrations;
mod service;

pub use enrollments::{
    a_check_sees_the_earlier_writes_of_its_unit, a_deleted_enrollment_takes_its_own_registration,
    a_deleted_group_leaves_its_registrations, an_enrollment_group_is_written_only_on_its_etag,
    an_enrollment_is_written_only_on_its_etag, enrollments_are_read_by_key_and_in_pages,
    every_field_of_an_enrollment_is_kept, ids_of_provisioning_compare_without_case,
};
pub use refusals::{refusals_of_one_id_are_one, the_least_recent_refusals_go};
pub use registrations::{
    a_device_and_its_registration_are_kept_together_or_not_at_all,
    a_registration_is_written_only_on_its_etag, every_field_of_a_registration_is_kept,
    registrations_are_counted_by_their_progress, registrations_are_found_by_their_device,
    registrations_are_read_by_filter_key_and_in_pages,
};
pub use service::{
    every_field_of_the_service_is_kept, the_service_is_replaced_only_on_its_revision,
};

use std::sync::Arc;

use hub_domain::provisioning::{
    Attestation, AttestationKind, Enrollment, EnrollmentGroup, OperationId, Origin, Progress,
    Registration, Terms,
};

use super::fixtures::{etag, key, moment};
use super::values::{group_id, registration_id};
use crate::store::Op;

/// How many random values a law of fields writes.
const VALUES: usize = 120;

fn attestation() -> Attestation {
    Attestation::SymmetricKey {
        primary: key(1),
        secondary: key(2),
    }
}

fn enrollment(id: &str, tag: &str) -> Enrollment {
    Enrollment {
        id: registration_id(id),
        device: None,
        attestation: attestation(),
        terms: Terms::default(),
        information: None,
        etag: etag(tag),
        created: moment(0),
        updated: moment(1),
        rolled_in: None,
    }
}

fn group(id: &str, tag: &str) -> EnrollmentGroup {
    EnrollmentGroup {
        id: group_id(id),
        attestation: attestation(),
        terms: Terms::default(),
        etag: etag(tag),
        created: moment(0),
        updated: moment(1),
        rolled_in: None,
    }
}

/// An assigned registration.
fn registration(id: &str, origin: Origin, tag: &str) -> Registration {
    Registration {
        id: registration_id(id),
        origin,
        attestation: AttestationKind::SymmetricKey,
        operation: OperationId::from_random([7; 24]),
        progress: Progress::Assigned,
        assignment: None,
        strays: Vec::new(),
        payload: None,
        authentication_key: Some(Arc::from([1, 2])),
        certificates: None,
        issued_certificates: Vec::new(),
        etag: etag(tag),
        created: moment(0),
        updated: moment(1),
    }
}

fn of_group(id: &str) -> Origin {
    Origin::Group(group_id(id))
}

fn put_enrollment(next: Enrollment, expected: Option<&str>) -> Op {
    Op::PutEnrollment {
        next: Box::new(next),
        expected: expected.map(etag),
    }
}

fn put_group(next: EnrollmentGroup, expected: Option<&str>) -> Op {
    Op::PutEnrollmentGroup {
        next: Box::new(next),
        expected: expected.map(etag),
    }
}

fn put_registration(next: Registration, expected: Option<&str>) -> Op {
    Op::PutRegistration {
        next: Box::new(next),
        expected: expected.map(etag),
    }
}

fn delete_enrollment(id: &str, expected: Option<&str>) -> Op {
    Op::DeleteEnrollment {
        id: registration_id(id),
        expected: expected.map(etag),
    }
}

fn delete_group(id: &str, expected: Option<&str>) -> Op {
    Op::DeleteEnrollmentGroup {
        id: group_id(id),
        expected: expected.map(etag),
    }
}

fn delete_registration(id: &str, expected: Option<&str>) -> Op {
    Op::DeleteRegistration {
        id: registration_id(id),
        expected: expected.map(etag),
    }
}

fn check_enrollment(id: &str, tag: &str) -> Op {
    Op::CheckEnrollment {
        id: registration_id(id),
        expected: Some(etag(tag)),
    }
}

fn check_no_enrollment(id: &str) -> Op {
    Op::CheckEnrollment {
        id: registration_id(id),
        expected: None,
    }
}

fn check_group(id: &str, tag: &str) -> Op {
    Op::CheckEnrollmentGroup {
        id: group_id(id),
        etag: etag(tag),
    }
}
