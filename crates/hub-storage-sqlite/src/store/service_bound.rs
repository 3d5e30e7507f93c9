//! Service-bound queues: one clustered table, in the order in which it is read.

use hub_domain::service_bound::{FeedbackRecord, FeedbackStatus};
use hub_domain::{
    DeviceId, GenerationId, HubNo, IdentityId, ModuleId, ServiceBoundKind, ServiceBoundRecord,
};
use hub_storage::store::{FeedbackTerms, OpResult, Ordinal, ServiceBoundNo, StoredServiceBound};
use hub_storage::{Conflict, StoreError, record};
use rusqlite::{Connection, OptionalExtension, params};

use super::units::{Counters, WriteError};
use crate::failure::store_error;
use crate::sql::{int, uint};

type Written = Result<OpResult, WriteError>;

/// No identity's ordinal: the record stays when identities go.
const NOBODY: i64 = 0;

/// The number of a kind in the file.
const fn number(kind: ServiceBoundKind) -> i64 {
    match kind {
        ServiceBoundKind::Feedback => 1,
        ServiceBoundKind::FileNotification => 2,
    }
}

/// A message that left its queue, as far as its sender is told of it.
pub(super) struct Outcome<'a> {
    pub(super) identity: Ordinal,
    pub(super) status: FeedbackStatus,
    /// The records of the messages.
    pub(super) messages: &'a [Vec<u8>],
    pub(super) terms: FeedbackTerms,
}

/// Tells the senders of `outcome.messages`. They asked for it: the caller looked.
pub(super) fn give_feedback(
    connection: &Connection,
    counters: &mut Counters,
    outcome: &Outcome<'_>,
) -> Result<(), WriteError> {
    if outcome.messages.is_empty() {
        return Ok(());
    }
    let (hub, id, generation) = addressee(connection, outcome.identity)?;
    for message in outcome.messages {
        let message = record::decode_message(message).map_err(broken)?;
        let record = ServiceBoundRecord::Feedback(FeedbackRecord {
            message_id: message.message_id,
            status: outcome.status,
            at: outcome.terms.at,
            id: id.clone(),
            generation: generation.clone(),
        });
        let row = NewRow {
            hub,
            identity: int(outcome.identity.0),
            record: &record,
            records_max: outcome.terms.records_max,
        };
        insert(connection, counters, &row)?;
    }
    Ok(())
}

fn addressee(
    connection: &Connection,
    ordinal: Ordinal,
) -> Result<(i64, IdentityId, GenerationId), WriteError> {
    let sql = "SELECT hub, device, module, record FROM identity WHERE ordinal = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let row: Option<(i64, String, String, Vec<u8>)> = statement
        .query_row([int(ordinal.0)], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let (hub, device, module, bytes) = row.ok_or(Conflict::NotFound)?;
    let device = DeviceId::parse(&device).map_err(StoreError::internal);
    let device = device.map_err(broken)?;
    let module = (!module.is_empty())
        .then(|| ModuleId::parse(&module).map_err(StoreError::internal))
        .transpose()
        .map_err(broken)?;
    let id = IdentityId { device, module };
    let identity = record::decode_identity(id.clone(), &bytes).map_err(broken)?;
    Ok((hub, id, identity.generation))
}

/// What cannot be read fails its unit alone.
fn broken(error: StoreError) -> WriteError {
    rusqlite::Error::ToSqlConversionFailure(error.into()).into()
}

pub(super) fn append(
    connection: &Connection,
    counters: &mut Counters,
    hub: HubNo,
    record: &ServiceBoundRecord,
    records_max: u64,
) -> Written {
    let hub = i64::from(hub.0);
    if !connection
        .prepare_cached("SELECT 1 FROM hub WHERE no = ?1")?
        .exists([hub])?
    {
        return Err(Conflict::NotFound.into());
    }
    let row = NewRow {
        hub,
        identity: NOBODY,
        record,
        records_max,
    };
    insert(connection, counters, &row)?;
    Ok(OpResult::Done)
}

struct NewRow<'a> {
    hub: i64,
    identity: i64,
    record: &'a ServiceBoundRecord,
    records_max: u64,
}

fn insert(
    connection: &Connection,
    counters: &mut Counters,
    row: &NewRow<'_>,
) -> rusqlite::Result<()> {
    let kind = number(row.record.kind());
    let sql = "INSERT INTO service_bound_head(hub, kind, last) VALUES(?1, ?2, 1)
               ON CONFLICT DO UPDATE SET last = last + 1 RETURNING last";
    let no: i64 = connection
        .prepare_cached(sql)?
        .query_row([row.hub, kind], |found| found.get(0))?;
    let sql = "INSERT INTO service_bound(hub, kind, no, identity, delivery_count, record)
               VALUES(?1, ?2, ?3, ?4, 0, ?5)";
    connection.prepare_cached(sql)?.execute(params![
        row.hub,
        kind,
        no,
        row.identity,
        record::encode_service_bound(row.record),
    ])?;
    let oldest = uint(no).saturating_sub(row.records_max);
    if oldest > 0 {
        let sql = "DELETE FROM service_bound WHERE hub = ?1 AND kind = ?2 AND no <= ?3";
        connection
            .prepare_cached(sql)?
            .execute(params![row.hub, kind, int(oldest)])?;
    }
    counters.service_bound += 1;
    Ok(())
}

pub(super) fn remove(
    connection: &Connection,
    hub: HubNo,
    kind: ServiceBoundKind,
    records: &[ServiceBoundNo],
) -> Written {
    let sql = "DELETE FROM service_bound WHERE hub = ?1 AND kind = ?2 AND no = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    let mut removed = 0;
    for no in records {
        removed += statement.execute(params![hub.0, number(kind), int(no.0)])?;
    }
    done_or_gone(removed)
}

pub(super) fn abandon(
    connection: &Connection,
    hub: HubNo,
    kind: ServiceBoundKind,
    records: &[ServiceBoundNo],
    delivery_count_max: u32,
) -> Written {
    let raise = "UPDATE service_bound SET delivery_count = delivery_count + 1
                 WHERE hub = ?1 AND kind = ?2 AND no = ?3";
    let mut raise = connection.prepare_cached(raise)?;
    let drop = "DELETE FROM service_bound
                WHERE hub = ?1 AND kind = ?2 AND no = ?3 AND delivery_count >= ?4";
    let mut drop = connection.prepare_cached(drop)?;
    let mut found = 0;
    for no in records {
        let (kind, no) = (number(kind), int(no.0));
        found += raise.execute(params![hub.0, kind, no])?;
        drop.execute(params![hub.0, kind, no, delivery_count_max])?;
    }
    done_or_gone(found)
}

fn done_or_gone(changed: usize) -> Written {
    if changed > 0 {
        Ok(OpResult::Done)
    } else {
        Err(Conflict::NotFound.into())
    }
}

/// Drops what belongs to an identity that goes.
pub(super) fn forget(connection: &Connection, ordinal: i64) -> rusqlite::Result<()> {
    let sql = "DELETE FROM service_bound WHERE identity = ?1 AND identity > 0";
    connection.prepare_cached(sql)?.execute([ordinal]).map(drop)
}

/// Records of a queue after a number.
pub(super) fn read(
    connection: &Connection,
    hub: HubNo,
    kind: ServiceBoundKind,
    after: ServiceBoundNo,
    max: usize,
) -> Result<Vec<StoredServiceBound>, StoreError> {
    let sql = "SELECT no, delivery_count, record FROM service_bound
               WHERE hub = ?1 AND kind = ?2 AND no > ?3 ORDER BY no LIMIT ?4";
    let failed = |error: rusqlite::Error| store_error(&error);
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    let values = params![hub.0, number(kind), int(after.0), int(max as u64)];
    let mut rows = statement.query(values).map_err(failed)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let bytes = row.get_ref(2).map_err(failed)?;
        all.push(StoredServiceBound {
            no: ServiceBoundNo(uint(row.get(0).map_err(failed)?)),
            delivery_count: row.get(1).map_err(failed)?,
            record: record::decode_service_bound(bytes.as_blob().map_err(StoreError::internal)?)?,
        });
    }
    Ok(all)
}
