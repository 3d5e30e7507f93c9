//! Provisioning: the service, enrollments, registrations, refusals.

use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, EnrollmentGroupId, Origin, Progress, ProvisioningService, Refusal,
    Registration, RegistrationId,
};
use hub_domain::{Etag, Revision};
use hub_storage::store::OpResult;
use hub_storage::{Conflict, record};
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};

use super::Written;
use crate::sql::int;

/// The numbers of those that nobody has to go on with.
const FINISHED: [i64; 2] = [0, 2];

/// The number of a registration's progress in the file.
fn number(registration: &Registration) -> i64 {
    match (&registration.progress, registration.is_unfinished()) {
        (Progress::Assigned, false) => 0,
        (Progress::Assigning(_), _) => 1,
        (Progress::Failed(_), false) => 2,
        (Progress::Assigned, true) => 3,
        (Progress::Failed(_), true) => 4,
    }
}

/// Checks an etag; `None` is for whatever is there.
fn check_etag(found: &str, expected: Option<&Etag>) -> Result<(), Conflict> {
    match expected {
        Some(expected) if expected.0 != found => Err(Conflict::VersionMismatch),
        Some(_) | None => Ok(()),
    }
}

/// What is there, when a row may be written on `expected`: none with `None`, else one of that etag.
fn check_put<T>(
    found: Option<T>,
    etag: impl Fn(&T) -> &str,
    expected: Option<&Etag>,
) -> Result<Option<T>, Conflict> {
    match (found, expected) {
        (Some(_), None) => Err(Conflict::AlreadyExists),
        (None, Some(_)) => Err(Conflict::NotFound),
        (None, None) => Ok(None),
        (Some(found), Some(_)) => {
            check_etag(etag(&found), expected)?;
            Ok(Some(found))
        }
    }
}

fn first<T>(
    connection: &Connection,
    sql: &str,
    value: impl ToSql,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row([value], read).optional()
}

fn run(
    connection: &Connection,
    sql: &str,
    values: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(values)
}

/// The statements of a table of records by key, each guarded by an etag.
struct Guarded {
    etag: &'static str,
    insert: &'static str,
    update: &'static str,
    delete: &'static str,
}

const ENROLLMENTS: Guarded = Guarded {
    etag: "SELECT etag FROM enrollment WHERE key = ?1",
    insert: "INSERT INTO enrollment(key, etag, record) VALUES(?1, ?2, ?3)",
    update: "UPDATE enrollment SET etag = ?2, record = ?3 WHERE key = ?1",
    delete: "DELETE FROM enrollment WHERE key = ?1",
};

const GROUPS: Guarded = Guarded {
    etag: "SELECT etag FROM enrollment_group WHERE key = ?1",
    insert: "INSERT INTO enrollment_group(key, etag, record) VALUES(?1, ?2, ?3)",
    update: "UPDATE enrollment_group SET etag = ?2, record = ?3 WHERE key = ?1",
    delete: "DELETE FROM enrollment_group WHERE key = ?1",
};

impl Guarded {
    fn etag(&self, connection: &Connection, key: &str) -> rusqlite::Result<Option<String>> {
        first(connection, self.etag, key, |row| row.get(0))
    }

    fn check(&self, connection: &Connection, key: &str, expected: Option<&Etag>) -> Written {
        let found = self.etag(connection, key)?.ok_or(Conflict::NotFound)?;
        check_etag(&found, expected)?;
        Ok(OpResult::Done)
    }

    fn put(
        &self,
        connection: &Connection,
        key: &str,
        next: (&Etag, Vec<u8>),
        expected: Option<&Etag>,
    ) -> Written {
        let found = check_put(self.etag(connection, key)?, String::as_str, expected)?;
        let sql = if found.is_some() {
            self.update
        } else {
            self.insert
        };
        let (etag, record) = next;
        run(connection, sql, params![key, etag.0, record])?;
        Ok(OpResult::Done)
    }

    fn delete(&self, connection: &Connection, key: &str, expected: Option<&Etag>) -> Written {
        self.check(connection, key, expected)?;
        run(connection, self.delete, [key])?;
        Ok(OpResult::Done)
    }
}

pub(super) fn replace_service(
    connection: &Connection,
    next: &ProvisioningService,
    expected: Option<Revision>,
) -> Written {
    let sql = "SELECT revision FROM provisioning_service WHERE id = ?1";
    let found: Option<i64> = first(connection, sql, 1, |row| row.get(0))?;
    match (found, expected) {
        (Some(_), None) => return Err(Conflict::AlreadyExists.into()),
        (None, Some(_)) => return Err(Conflict::NotFound.into()),
        (Some(found), Some(expected)) if found != int(expected.0) => {
            return Err(Conflict::VersionMismatch.into());
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let sql = "INSERT OR REPLACE INTO provisioning_service(id, revision, record) VALUES(1, ?1, ?2)";
    let record = record::encode_provisioning_service(next);
    run(connection, sql, params![int(next.revision.0), record])?;
    Ok(OpResult::Done)
}

pub(super) fn put_enrollment(
    connection: &Connection,
    next: &Enrollment,
    expected: Option<&Etag>,
) -> Written {
    let record = record::encode_enrollment(next);
    ENROLLMENTS.put(connection, next.id.key(), (&next.etag, record), expected)
}

pub(super) fn delete_enrollment(
    connection: &Connection,
    id: &RegistrationId,
    expected: Option<&Etag>,
) -> Written {
    ENROLLMENTS.delete(connection, id.key(), expected)?;
    if let Some(found) = Registered::find(connection, id)?
        && found.is_individual
        && found.is_finished()
    {
        found.delete(connection)?;
    }
    Ok(OpResult::Done)
}

pub(super) fn check_enrollment(
    connection: &Connection,
    id: &RegistrationId,
    expected: Option<&Etag>,
) -> Written {
    let found = ENROLLMENTS.etag(connection, id.key())?;
    check_put(found, String::as_str, expected)?;
    Ok(OpResult::Done)
}

pub(super) fn put_group(
    connection: &Connection,
    next: &EnrollmentGroup,
    expected: Option<&Etag>,
) -> Written {
    let record = record::encode_enrollment_group(next);
    GROUPS.put(connection, next.id.key(), (&next.etag, record), expected)
}

pub(super) fn delete_group(
    connection: &Connection,
    id: &EnrollmentGroupId,
    expected: Option<&Etag>,
) -> Written {
    GROUPS.delete(connection, id.key(), expected)
}

pub(super) fn check_group(connection: &Connection, id: &EnrollmentGroupId, etag: &Etag) -> Written {
    GROUPS.check(connection, id.key(), Some(etag))
}

/// What a change to a registration must know of the row it changes.
struct Registered {
    row: i64,
    etag: String,
    progress: i64,
    is_individual: bool,
}

impl Registered {
    fn find(connection: &Connection, id: &RegistrationId) -> rusqlite::Result<Option<Self>> {
        let sql =
            "SELECT rowid, etag, progress, group_key IS NULL FROM registration WHERE key = ?1";
        first(connection, sql, id.key(), |row| {
            Ok(Self {
                row: row.get(0)?,
                etag: row.get(1)?,
                progress: row.get(2)?,
                is_individual: row.get(3)?,
            })
        })
    }

    fn is_finished(&self) -> bool {
        FINISHED.contains(&self.progress)
    }

    fn delete(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql = "DELETE FROM registration WHERE rowid = ?1";
        run(connection, sql, [self.row])?;
        count(connection, self.progress, -1)
    }
}

/// The column `device`.
fn device_column(registration: &Registration) -> Option<&str> {
    let assignment = registration.assignment.as_ref();
    let device = assignment.map_or("", |assignment| assignment.device.as_str());
    (device != registration.id.key()).then_some(device)
}

/// Counts registrations of a progress.
fn count(connection: &Connection, progress: i64, change: i64) -> rusqlite::Result<()> {
    let sql =
        "UPDATE registration_statistics SET registrations = registrations + ?2 WHERE progress = ?1";
    run(connection, sql, [progress, change]).map(drop)
}

pub(super) fn put_registration(
    connection: &Connection,
    next: &Registration,
    expected: Option<&Etag>,
) -> Written {
    let found = Registered::find(connection, &next.id)?;
    let found = check_put(found, |found| found.etag.as_str(), expected)?;
    let group = match &next.origin {
        Origin::Individual => None,
        Origin::Group(group) => Some(group.key()),
    };
    let (etag, progress) = (&next.etag.0, number(next));
    let (device, record) = (device_column(next), record::encode_registration(next));
    match found {
        Some(found) => {
            let sql = "UPDATE registration SET group_key = ?2, progress = ?3, etag = ?4, record = ?5, device = ?6
                       WHERE rowid = ?1";
            let values = params![found.row, group, progress, etag, record, device];
            run(connection, sql, values)?;
            if found.progress != progress {
                count(connection, found.progress, -1)?;
                count(connection, progress, 1)?;
            }
        }
        None => {
            let sql = "INSERT INTO registration(key, group_key, progress, etag, record, device)
                       VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
            let values = params![next.id.key(), group, progress, etag, record, device];
            run(connection, sql, values)?;
            count(connection, progress, 1)?;
        }
    }
    Ok(OpResult::Done)
}

pub(super) fn delete_registration(
    connection: &Connection,
    id: &RegistrationId,
    expected: Option<&Etag>,
) -> Written {
    let found = Registered::find(connection, id)?.ok_or(Conflict::NotFound)?;
    check_etag(&found.etag, expected)?;
    found.delete(connection)?;
    Ok(OpResult::Done)
}

pub(super) fn note_refusals(
    connection: &Connection,
    refusals: &[Refusal],
    kept_max: u64,
) -> Written {
    // The count stays at the largest number that the file can hold.
    let sql = "INSERT INTO refusal(key, stranger, first, last, count, record)
               VALUES(?1, ?6, ?2, ?3, ?4, ?5)
               ON CONFLICT(key) DO UPDATE SET stranger = ?6, last = ?3, record = ?5,
                 count = count + min(?4, 9223372036854775807 - count)";
    for refusal in refusals {
        let values = params![
            refusal.id.key(),
            refusal.first.micros(),
            refusal.last.micros(),
            int(refusal.count),
            record::encode_refusal(refusal),
            refusal.origin.is_none(),
        ];
        run(connection, sql, values)?;
    }
    let sql = "DELETE FROM refusal WHERE rowid IN
                 (SELECT rowid FROM refusal ORDER BY stranger, last DESC, key LIMIT -1 OFFSET ?1)";
    run(connection, sql, [int(kept_max)])?;
    Ok(OpResult::Done)
}

pub(super) fn forget_refusal(connection: &Connection, id: &RegistrationId) -> Written {
    run(connection, "DELETE FROM refusal WHERE key = ?1", [id.key()])?;
    Ok(OpResult::Done)
}
