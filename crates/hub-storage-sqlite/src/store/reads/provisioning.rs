//! Provisioning: the service, enrollments, registrations, refusals.

use hub_domain::Timestamp;
use hub_domain::provisioning::{
    Enrollment, EnrollmentGroup, ProvisioningService, Refusal, Registration, RegistrationId,
};
use hub_storage::record;
use hub_storage::store::{RefusalPosition, RegistrationFilter, RegistrationStatistics};
use rusqlite::{Connection, Row, params};

use super::{Read, blob, first, integer, rows};
use crate::sql::{int, uint};

pub(in super::super) fn service(connection: &Connection) -> Read<Option<ProvisioningService>> {
    let sql = "SELECT record FROM provisioning_service";
    first(connection, sql, [], |row| {
        record::decode_provisioning_service(blob(row, 0)?)
    })
}

pub(in super::super) fn enrollment(
    connection: &Connection,
    id: &RegistrationId,
) -> Read<Option<Enrollment>> {
    let sql = "SELECT record FROM enrollment WHERE key = ?1";
    first(connection, sql, [id.key()], |row| {
        record::decode_enrollment(blob(row, 0)?)
    })
}

/// Ids are never empty, so that the empty text is before all of them.
fn from(after: Option<&str>) -> &str {
    after.unwrap_or_default()
}

pub(in super::super) fn enrollments(
    connection: &Connection,
    after: Option<&str>,
    max: usize,
) -> Read<Vec<Enrollment>> {
    let sql = "SELECT record FROM enrollment WHERE key > ?1 ORDER BY key LIMIT ?2";
    let values = params![from(after), int(max as u64)];
    rows(connection, sql, values, |row| {
        record::decode_enrollment(blob(row, 0)?)
    })
}

pub(in super::super) fn groups(
    connection: &Connection,
    after: Option<&str>,
    max: usize,
) -> Read<Vec<EnrollmentGroup>> {
    let sql = "SELECT record FROM enrollment_group WHERE key > ?1 ORDER BY key LIMIT ?2";
    let values = params![from(after), int(max as u64)];
    rows(connection, sql, values, |row| {
        record::decode_enrollment_group(blob(row, 0)?)
    })
}

pub(in super::super) fn registration(
    connection: &Connection,
    id: &RegistrationId,
) -> Read<Option<Registration>> {
    let sql = "SELECT record FROM registration WHERE key = ?1";
    first(connection, sql, [id.key()], |row| {
        record::decode_registration(blob(row, 0)?)
    })
}

/// Each filter has an index in the order of the keys; one that could not be used would fail its statement.
pub(in super::super) fn registrations(
    connection: &Connection,
    filter: &RegistrationFilter,
    after: Option<&str>,
    max: usize,
) -> Read<Vec<Registration>> {
    let after = from(after);
    let max = int(max as u64);
    let of = |sql: &str| {
        rows(connection, sql, params![after, max], |row| {
            record::decode_registration(blob(row, 0)?)
        })
    };
    match filter {
        RegistrationFilter::All => {
            of("SELECT record FROM registration WHERE key > ?1 ORDER BY key LIMIT ?2")
        }
        RegistrationFilter::OfGroup(group) => {
            let sql = "SELECT record FROM registration INDEXED BY registration_group
                       WHERE group_key = ?3 AND key > ?1 ORDER BY key LIMIT ?2";
            rows(connection, sql, params![after, max, group.key()], |row| {
                record::decode_registration(blob(row, 0)?)
            })
        }
        RegistrationFilter::Individual => of(
            "SELECT record FROM registration INDEXED BY registration_individual
             WHERE group_key IS NULL AND key > ?1 ORDER BY key LIMIT ?2",
        ),
        RegistrationFilter::OfDevice(device) => {
            let sql = "SELECT record, key FROM registration
                       WHERE key = ?3 AND device IS NULL AND key > ?1
                       UNION ALL
                       SELECT record, key FROM registration INDEXED BY registration_device
                       WHERE device = ?3 AND device > '' AND key > ?1
                       ORDER BY key LIMIT ?2";
            rows(
                connection,
                sql,
                params![after, max, device.as_str()],
                |row| record::decode_registration(blob(row, 0)?),
            )
        }
        RegistrationFilter::Unfinished => of(
            "SELECT record FROM registration INDEXED BY registration_unfinished
             WHERE progress IN (1, 3, 4) AND key > ?1 ORDER BY key LIMIT ?2",
        ),
        RegistrationFilter::Failed => of(
            "SELECT record FROM registration INDEXED BY registration_failed
             WHERE progress IN (2, 4) AND key > ?1 ORDER BY key LIMIT ?2",
        ),
    }
}

pub(in super::super) fn enrollment_count(connection: &Connection) -> Read<u64> {
    let sql = "SELECT count(*) FROM enrollment";
    let count = first(connection, sql, [], |row| Ok(uint(integer(row, 0)?)))?;
    Ok(count.unwrap_or_default())
}

pub(in super::super) fn statistics(connection: &Connection) -> Read<RegistrationStatistics> {
    let sql = "SELECT
                 (SELECT sum(registrations) FROM registration_statistics WHERE progress IN (0, 3)),
                 (SELECT registrations FROM registration_statistics WHERE progress = 1),
                 (SELECT sum(registrations) FROM registration_statistics WHERE progress IN (2, 4))";
    let counts = first(connection, sql, [], |row| {
        Ok(RegistrationStatistics {
            assigned: uint(integer(row, 0)?),
            assigning: uint(integer(row, 1)?),
            failed: uint(integer(row, 2)?),
        })
    })?;
    Ok(counts.unwrap_or_default())
}

pub(in super::super) fn refusals(
    connection: &Connection,
    after: Option<&RefusalPosition>,
    max: usize,
) -> Read<Vec<Refusal>> {
    let Some(after) = after else {
        let sql =
            "SELECT first, count, record FROM refusal ORDER BY stranger, last DESC, key LIMIT ?1";
        return rows(connection, sql, [int(max as u64)], read_refusal);
    };
    let sql = "SELECT first, count, record FROM refusal
               WHERE stranger >= ?1
                 AND (stranger > ?1 OR last < ?2 OR (last = ?2 AND key > ?3))
               ORDER BY stranger, last DESC, key LIMIT ?4";
    let values = params![
        after.is_stranger,
        after.last.0.micros(),
        after.key,
        int(max as u64)
    ];
    rows(connection, sql, values, read_refusal)
}

pub(in super::super) fn refusal(
    connection: &Connection,
    id: &RegistrationId,
) -> Read<Option<Refusal>> {
    let sql = "SELECT first, count, record FROM refusal WHERE key = ?1";
    first(connection, sql, [id.key()], read_refusal)
}

/// The record is of the last attempt; what goes on from the first one is beside it.
fn read_refusal(row: &Row<'_>) -> Read<Refusal> {
    Ok(Refusal {
        first: Timestamp::from_micros(integer(row, 0)?),
        count: uint(integer(row, 1)?),
        ..record::decode_refusal(blob(row, 2)?)?
    })
}
