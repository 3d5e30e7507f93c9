//! Random writes of provisioning.

use hub_domain::Etag;
use hub_domain::Revision;

use super::super::super::generator::Generator;
use super::super::super::values::{GROUPS, IDS, Values, group_id, registration_id};
use super::super::model::{Model, Provisioned};
use crate::store::Op;

/// A write that is mostly decided on what is there.
pub(super) fn some_op(generator: &mut Generator, model: &Model) -> Op {
    let there = &model.provisioned;
    match generator.below(16) {
        0 => some_service(generator, there),
        1..=3 => {
            let next = Values(generator).enrollment();
            let found = there.enrollment(&next.id).map(|there| there.etag.clone());
            Op::PutEnrollment {
                next: Box::new(next),
                expected: some_etag(generator, found),
            }
        }
        4 | 5 => {
            let next = Values(generator).group();
            let found = there.group(&next.id).map(|there| there.etag.clone());
            Op::PutEnrollmentGroup {
                next: Box::new(next),
                expected: some_etag(generator, found),
            }
        }
        6..=9 => {
            let next = Values(generator).registration();
            let found = there.registration(&next.id);
            let found = found.map(|there| there.etag.clone());
            Op::PutRegistration {
                next: Box::new(next),
                expected: some_etag(generator, found),
            }
        }
        10 => {
            let id = registration_id(generator.pick::<&str>(&IDS));
            let found = there.enrollment(&id).map(|there| there.etag.clone());
            Op::CheckEnrollment {
                expected: some_etag(generator, found),
                id,
            }
        }
        11 => {
            let id = group_id(generator.pick::<&str>(&GROUPS));
            let found = there.group(&id).map(|there| there.etag.clone());
            Op::CheckEnrollmentGroup {
                etag: found.unwrap_or_else(|| Values(generator).etag()),
                id,
            }
        }
        12 => some_deletion(generator, there),
        13 | 14 => Op::NoteRefusals {
            refusals: (0..generator.below(4))
                .map(|_| Values(generator).refusal())
                .collect(),
            kept_max: 3 + generator.below(4),
        },
        _ => Op::ForgetRefusal {
            id: registration_id(generator.pick::<&str>(&IDS)),
        },
    }
}

/// The etag that is there, if any; sometimes another one.
fn some_etag(generator: &mut Generator, found: Option<Etag>) -> Option<Etag> {
    if generator.once_in(8) {
        Some(Values(generator).etag()).filter(|_| generator.once_in(2))
    } else {
        found
    }
}

fn some_service(generator: &mut Generator, there: &Provisioned) -> Op {
    let found = there.service.as_ref().map(|service| service.revision);
    let other = Revision(generator.below(4));
    Op::ReplaceProvisioningService {
        next: Box::new(Values(generator).service()),
        expected: if generator.once_in(4) {
            Some(other)
        } else {
            found
        },
    }
}

fn some_deletion(generator: &mut Generator, there: &Provisioned) -> Op {
    let id = registration_id(generator.pick::<&str>(&IDS));
    match generator.below(3) {
        0 => {
            let found = there.enrollment(&id).map(|there| there.etag.clone());
            Op::DeleteEnrollment {
                expected: some_etag(generator, found),
                id,
            }
        }
        1 => {
            let found = there.registration(&id).map(|there| there.etag.clone());
            Op::DeleteRegistration {
                expected: some_etag(generator, found),
                id,
            }
        }
        _ => {
            let id = group_id(generator.pick::<&str>(&GROUPS));
            let found = there.group(&id).map(|there| there.etag.clone());
            Op::DeleteEnrollmentGroup {
                expected: some_etag(generator, found),
                id,
            }
        }
    }
}
