//! Provisioning, as lists.

use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, EnrollmentGroupId, Origin, Progress, ProvisioningService, Refusal,
    Registration, RegistrationId,
};
use hub_domain::{Etag, Revision};

use super::check;
use crate::Conflict;
use crate::store::{RegistrationFilter, RegistrationStatistics};

type Checked = Result<(), Conflict>;

#[derive(Clone, Default)]
pub(in super::super) struct Provisioned {
    pub(in super::super) service: Option<ProvisioningService>,
    pub(in super::super) enrollments: Vec<Enrollment>,
    pub(in super::super) groups: Vec<EnrollmentGroup>,
    pub(in super::super) registrations: Vec<Registration>,
    pub(in super::super) refusals: Vec<Refusal>,
}

/// Whether a write on an etag may be done when `found` is there.
fn check_put(found: Option<&Etag>, expected: Option<&Etag>) -> Checked {
    match (found, expected) {
        (Some(_), None) => Err(Conflict::AlreadyExists),
        (None, Some(_)) => Err(Conflict::NotFound),
        (found, expected) => check(found == expected, Conflict::VersionMismatch),
    }
}

fn check_there(found: Option<&Etag>, expected: Option<&Etag>) -> Checked {
    let found = found.ok_or(Conflict::NotFound)?;
    check(
        expected.is_none_or(|expected| expected == found),
        Conflict::VersionMismatch,
    )
}

impl Provisioned {
    pub(super) fn replace_service(
        &mut self,
        next: &ProvisioningService,
        expected: Option<Revision>,
    ) -> Checked {
        let found = self.service.as_ref().map(|service| service.revision);
        match (found, expected) {
            (Some(_), None) => return Err(Conflict::AlreadyExists),
            (None, Some(_)) => return Err(Conflict::NotFound),
            (found, expected) => check(found == expected, Conflict::VersionMismatch)?,
        }
        self.service = Some(next.clone());
        Ok(())
    }

    pub(in super::super) fn enrollment(&self, id: &RegistrationId) -> Option<&Enrollment> {
        self.enrollments.iter().find(|other| other.id == *id)
    }

    pub(in super::super) fn group(&self, id: &EnrollmentGroupId) -> Option<&EnrollmentGroup> {
        self.groups.iter().find(|other| other.id == *id)
    }

    pub(in super::super) fn registration(&self, id: &RegistrationId) -> Option<&Registration> {
        self.registrations.iter().find(|other| other.id == *id)
    }

    fn enrollment_etag(&self, id: &RegistrationId) -> Option<&Etag> {
        self.enrollment(id).map(|found| &found.etag)
    }

    fn group_etag(&self, id: &EnrollmentGroupId) -> Option<&Etag> {
        self.group(id).map(|found| &found.etag)
    }

    fn registration_etag(&self, id: &RegistrationId) -> Option<&Etag> {
        self.registration(id).map(|found| &found.etag)
    }

    pub(super) fn put_enrollment(&mut self, next: &Enrollment, expected: Option<&Etag>) -> Checked {
        check_put(self.enrollment_etag(&next.id), expected)?;
        self.enrollments.retain(|other| other.id != next.id);
        self.enrollments.push(next.clone());
        Ok(())
    }

    pub(super) fn delete_enrollment(
        &mut self,
        id: &RegistrationId,
        expected: Option<&Etag>,
    ) -> Checked {
        check_there(self.enrollment_etag(id), expected)?;
        self.enrollments.retain(|other| other.id != *id);
        self.registrations.retain(|other| {
            other.id != *id || other.origin != Origin::Individual || other.is_unfinished()
        });
        Ok(())
    }

    pub(super) fn put_group(&mut self, next: &EnrollmentGroup, expected: Option<&Etag>) -> Checked {
        check_put(self.group_etag(&next.id), expected)?;
        self.groups.retain(|other| other.id != next.id);
        self.groups.push(next.clone());
        Ok(())
    }

    pub(super) fn delete_group(
        &mut self,
        id: &EnrollmentGroupId,
        expected: Option<&Etag>,
    ) -> Checked {
        check_there(self.group_etag(id), expected)?;
        self.groups.retain(|other| other.id != *id);
        Ok(())
    }

    pub(super) fn check_enrollment(&self, id: &RegistrationId, expected: Option<&Etag>) -> Checked {
        check_put(self.enrollment_etag(id), expected)
    }

    pub(super) fn check_group(&self, id: &EnrollmentGroupId, etag: &Etag) -> Checked {
        check_there(self.group_etag(id), Some(etag))
    }

    pub(super) fn put_registration(
        &mut self,
        next: &Registration,
        expected: Option<&Etag>,
    ) -> Checked {
        check_put(self.registration_etag(&next.id), expected)?;
        self.registrations.retain(|other| other.id != next.id);
        self.registrations.push(next.clone());
        Ok(())
    }

    pub(super) fn delete_registration(
        &mut self,
        id: &RegistrationId,
        expected: Option<&Etag>,
    ) -> Checked {
        check_there(self.registration_etag(id), expected)?;
        self.registrations.retain(|other| other.id != *id);
        Ok(())
    }

    pub(super) fn note_refusals(&mut self, refusals: &[Refusal], kept_max: u64) {
        for refusal in refusals {
            let known = self.refusals.iter().position(|of| of.id == refusal.id);
            let known = known.map(|place| self.refusals.remove(place));
            self.refusals.push(Refusal {
                count: refusal.count + known.as_ref().map_or(0, |known| known.count),
                first: known.map_or(refusal.first, |known| known.first),
                ..refusal.clone()
            });
        }
        while self.refusals.len() as u64 > kept_max {
            let gone = self.refusals().pop().expect("there are more than it holds");
            self.refusals.retain(|other| other.id != gone.id);
        }
    }

    /// All of them in the order in which they are read.
    pub(in super::super) fn refusals(&self) -> Vec<Refusal> {
        let mut all = self.refusals.clone();
        all.sort_by(|a, b| {
            let by_key = a.id.key().cmp(b.id.key());
            let strangers_last = a.origin.is_none().cmp(&b.origin.is_none());
            strangers_last.then(b.last.cmp(&a.last)).then(by_key)
        });
        all
    }

    pub(in super::super) fn enrollments(&self) -> Vec<&Enrollment> {
        let mut all: Vec<&Enrollment> = self.enrollments.iter().collect();
        all.sort_by_key(|enrollment| enrollment.id.key());
        all
    }

    pub(in super::super) fn groups(&self) -> Vec<&EnrollmentGroup> {
        let mut all: Vec<&EnrollmentGroup> = self.groups.iter().collect();
        all.sort_by_key(|group| group.id.key());
        all
    }

    pub(in super::super) fn registrations(
        &self,
        filter: &RegistrationFilter,
    ) -> Vec<&Registration> {
        let all = self.registrations.iter();
        let mut all: Vec<&Registration> = all.filter(|one| is_of(one, filter)).collect();
        all.sort_by_key(|registration| registration.id.key());
        all
    }

    pub(in super::super) fn statistics(&self) -> RegistrationStatistics {
        let count = |is_counted: fn(&Progress) -> bool| {
            let all = self.registrations.iter();
            all.filter(|one| is_counted(&one.progress)).count() as u64
        };
        RegistrationStatistics {
            assigned: count(|one| matches!(one, Progress::Assigned)),
            assigning: count(|one| matches!(one, Progress::Assigning(_))),
            failed: count(|one| matches!(one, Progress::Failed(_))),
        }
    }
}

fn is_of(registration: &Registration, filter: &RegistrationFilter) -> bool {
    match (filter, &registration.origin, &registration.progress) {
        (RegistrationFilter::Unfinished, _, _) => registration.is_unfinished(),
        (RegistrationFilter::All, _, _)
        | (RegistrationFilter::Individual, Origin::Individual, _)
        | (RegistrationFilter::Failed, _, Progress::Failed(_)) => true,
        (RegistrationFilter::OfGroup(group), Origin::Group(of), _) => group == of,
        (RegistrationFilter::OfDevice(device), _, _) => registration
            .assignment
            .as_ref()
            .is_some_and(|assignment| assignment.device == *device),
        (
            RegistrationFilter::OfGroup(_)
            | RegistrationFilter::Individual
            | RegistrationFilter::Failed,
            _,
            _,
        ) => false,
    }
}
