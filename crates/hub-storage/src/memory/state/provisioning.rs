//! Provisioning in memory.

use std::ops::Bound;

use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, Origin, Progress, ProvisioningService, Refusal, Registration,
};
use hub_domain::{Etag, Revision};

use super::State;
use crate::Conflict;
use crate::memory::table::Table;
use crate::store::{OpResult, RefusalPosition, RegistrationFilter, RegistrationStatistics};

type Written = Result<OpResult, Conflict>;

/// The tables of provisioning. Ids are kept by their keys.
pub(super) struct Provisioning {
    /// One row at most.
    service: Table<(), ProvisioningService>,
    enrollments: Table<String, Enrollment>,
    groups: Table<String, EnrollmentGroup>,
    registrations: Table<String, Registration>,
    refusals: Table<String, Refusal>,
}

impl Provisioning {
    pub(super) const fn new() -> Self {
        Self {
            service: Table::new(),
            enrollments: Table::new(),
            groups: Table::new(),
            registrations: Table::new(),
            refusals: Table::new(),
        }
    }

    pub(super) fn commit(&mut self) {
        self.service.commit();
        self.enrollments.commit();
        self.groups.commit();
        self.registrations.commit();
        self.refusals.commit();
    }

    pub(super) fn roll_back(&mut self) {
        self.service.roll_back();
        self.enrollments.roll_back();
        self.groups.roll_back();
        self.registrations.roll_back();
        self.refusals.roll_back();
    }
}

/// A row that is guarded by an etag.
trait Guarded: Clone {
    fn etag(&self) -> &Etag;
}

impl Guarded for Enrollment {
    fn etag(&self) -> &Etag {
        &self.etag
    }
}

impl Guarded for EnrollmentGroup {
    fn etag(&self) -> &Etag {
        &self.etag
    }
}

impl Guarded for Registration {
    fn etag(&self) -> &Etag {
        &self.etag
    }
}

/// Checks that a row is there, with that etag if one is named.
fn check<T: Guarded>(
    table: &Table<String, T>,
    key: &str,
    expected: Option<&Etag>,
) -> Result<(), Conflict> {
    let row = table.rows().get(key).ok_or(Conflict::NotFound)?;
    match expected {
        Some(expected) if expected != row.etag() => Err(Conflict::VersionMismatch),
        Some(_) | None => Ok(()),
    }
}

fn check_put<T: Guarded>(
    table: &Table<String, T>,
    key: &str,
    expected: Option<&Etag>,
) -> Result<(), Conflict> {
    if expected.is_some() {
        check(table, key, expected)
    } else if table.rows().contains_key(key) {
        Err(Conflict::AlreadyExists)
    } else {
        Ok(())
    }
}

fn put<T: Guarded>(
    table: &mut Table<String, T>,
    key: &str,
    next: T,
    expected: Option<&Etag>,
) -> Written {
    check_put(table, key, expected)?;
    table.put(key.to_owned(), next);
    Ok(OpResult::Done)
}

fn delete<T: Guarded>(table: &mut Table<String, T>, key: &str, expected: Option<&Etag>) -> Written {
    check(table, key, expected)?;
    table.remove(&key.to_owned());
    Ok(OpResult::Done)
}

fn page<'a, T: Clone>(
    table: &'a Table<String, T>,
    after: Option<&str>,
) -> impl Iterator<Item = &'a T> {
    let first = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rows = table.rows().range::<str, _>((first, Bound::Unbounded));
    rows.map(|(_, row)| row)
}

impl State {
    pub(super) fn replace_provisioning_service(
        &mut self,
        next: ProvisioningService,
        expected: Option<Revision>,
    ) -> Written {
        let table = &mut self.provisioning.service;
        let revision = table.rows().get(&()).map(|service| service.revision);
        match (revision, expected) {
            (Some(_), None) => Err(Conflict::AlreadyExists),
            (None, Some(_)) => Err(Conflict::NotFound),
            (Some(revision), Some(expected)) if revision != expected => {
                Err(Conflict::VersionMismatch)
            }
            (Some(_), Some(_)) | (None, None) => {
                table.put((), next);
                Ok(OpResult::Done)
            }
        }
    }

    pub(super) fn put_enrollment(&mut self, next: Enrollment, expected: Option<&Etag>) -> Written {
        let key = next.id.clone();
        put(
            &mut self.provisioning.enrollments,
            key.key(),
            next,
            expected,
        )
    }

    pub(super) fn delete_enrollment(&mut self, key: &str, expected: Option<&Etag>) -> Written {
        delete(&mut self.provisioning.enrollments, key, expected)?;
        let registrations = &mut self.provisioning.registrations;
        let registration = registrations.rows().get(key);
        if registration.is_some_and(|registration| {
            registration.origin == Origin::Individual && !registration.is_unfinished()
        }) {
            registrations.remove(&key.to_owned());
        }
        Ok(OpResult::Done)
    }

    pub(super) fn put_enrollment_group(
        &mut self,
        next: EnrollmentGroup,
        expected: Option<&Etag>,
    ) -> Written {
        let key = next.id.clone();
        put(&mut self.provisioning.groups, key.key(), next, expected)
    }

    pub(super) fn delete_enrollment_group(
        &mut self,
        key: &str,
        expected: Option<&Etag>,
    ) -> Written {
        delete(&mut self.provisioning.groups, key, expected)
    }

    pub(super) fn check_enrollment(&self, key: &str, expected: Option<&Etag>) -> Written {
        check_put(&self.provisioning.enrollments, key, expected).map(|()| OpResult::Done)
    }

    pub(super) fn check_enrollment_group(&self, key: &str, etag: &Etag) -> Written {
        check(&self.provisioning.groups, key, Some(etag)).map(|()| OpResult::Done)
    }

    pub(super) fn put_registration(
        &mut self,
        next: Registration,
        expected: Option<&Etag>,
    ) -> Written {
        let key = next.id.clone();
        let table = &mut self.provisioning.registrations;
        put(table, key.key(), next, expected)
    }

    pub(super) fn delete_registration(&mut self, key: &str, expected: Option<&Etag>) -> Written {
        delete(&mut self.provisioning.registrations, key, expected)
    }

    pub(super) fn note_refusals(&mut self, refusals: Vec<Refusal>, kept_max: u64) -> OpResult {
        let table = &mut self.provisioning.refusals;
        for mut refusal in refusals {
            let key = refusal.id.key().to_owned();
            if let Some(known) = table.rows().get(&key) {
                refusal.count = known.count.saturating_add(refusal.count);
                refusal.first = known.first;
            }
            table.put(key, refusal);
        }
        let kept_max = usize::try_from(kept_max).unwrap_or(usize::MAX);
        for gone in self.refusals(None, usize::MAX).into_iter().skip(kept_max) {
            let key = gone.id.key().to_owned();
            self.provisioning.refusals.remove(&key);
        }
        OpResult::Done
    }

    pub(super) fn forget_refusal(&mut self, key: &str) -> OpResult {
        self.provisioning.refusals.remove(&key.to_owned());
        OpResult::Done
    }

    pub(in super::super) fn provisioning_service(&self) -> Option<ProvisioningService> {
        self.provisioning.service.rows().get(&()).cloned()
    }

    pub(in super::super) fn enrollment(&self, key: &str) -> Option<Enrollment> {
        self.provisioning.enrollments.rows().get(key).cloned()
    }

    pub(in super::super) fn enrollments(&self, after: Option<&str>, max: usize) -> Vec<Enrollment> {
        let all = page(&self.provisioning.enrollments, after);
        all.take(max).cloned().collect()
    }

    pub(in super::super) fn enrollment_groups(
        &self,
        after: Option<&str>,
        max: usize,
    ) -> Vec<EnrollmentGroup> {
        let all = page(&self.provisioning.groups, after);
        all.take(max).cloned().collect()
    }

    pub(in super::super) fn registration(&self, key: &str) -> Option<Registration> {
        self.provisioning.registrations.rows().get(key).cloned()
    }

    pub(in super::super) fn registrations(
        &self,
        filter: &RegistrationFilter,
        after: Option<&str>,
        max: usize,
    ) -> Vec<Registration> {
        let all = page(&self.provisioning.registrations, after);
        all.filter(|registration| filter.admits(registration))
            .take(max)
            .cloned()
            .collect()
    }

    pub(in super::super) fn enrollment_count(&self) -> u64 {
        self.provisioning.enrollments.rows().len() as u64
    }

    pub(in super::super) fn registration_statistics(&self) -> RegistrationStatistics {
        let mut counts = RegistrationStatistics::default();
        for registration in self.provisioning.registrations.rows().values() {
            match registration.progress {
                Progress::Assigned => counts.assigned += 1,
                Progress::Assigning(_) => counts.assigning += 1,
                Progress::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    pub(in super::super) fn refusals(
        &self,
        after: Option<&RefusalPosition>,
        max: usize,
    ) -> Vec<Refusal> {
        let rows = self.provisioning.refusals.rows().values();
        let mut all: Vec<(RefusalPosition, &Refusal)> = rows
            .map(|refusal| (RefusalPosition::of(refusal), refusal))
            .filter(|(position, _)| after.is_none_or(|after| position > after))
            .collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let page = all.into_iter().take(max);
        page.map(|(_, refusal)| refusal.clone()).collect()
    }

    pub(in super::super) fn refusal(&self, key: &str) -> Option<Refusal> {
        self.provisioning.refusals.rows().get(key).cloned()
    }
}
