//! What readers ask of `store.db`. Each is one statement, so one snapshot.

pub(super) mod provisioning;

use hub_domain::identity::Activity;
use hub_domain::twin::{BackEnd, Twin, TwinEtag};
use hub_domain::upload::{CorrelationId, Upload};
use hub_domain::{DeviceId, Fact, Hub, HubNo, IdentityId, ModuleId, Timestamp};
use hub_storage::store::{
    FactNo, MessageNo, Ordinal, Statistics, StoredIdentity, StoredMessage, Subscriptions,
};
use hub_storage::{StoreError, record};
use rusqlite::{Connection, Params, Row, params};

use crate::failure::store_error;
use crate::sql::{int, uint};

type Read<T> = Result<T, StoreError>;

pub(super) fn hubs(connection: &Connection) -> Read<Vec<Hub>> {
    rows(
        connection,
        "SELECT record FROM hub ORDER BY no",
        [],
        |row| record::decode_hub(blob(row, 0)?),
    )
}

pub(super) fn identity(
    connection: &Connection,
    hub: HubNo,
    id: &IdentityId,
) -> Read<Option<StoredIdentity>> {
    let sql = "SELECT ordinal, connected, connection_updated, last_activity, message_count, subscriptions, record
               FROM identity WHERE hub = ?1 AND device = ?2 AND module = ?3";
    let values = params![hub.0, id.device.as_str(), id.module_text()];
    first(connection, sql, values, |row| {
        stored_identity(row, id.clone())
    })
}

pub(super) fn twin(
    connection: &Connection,
    hub: HubNo,
    id: &IdentityId,
) -> Read<Option<(StoredIdentity, Twin)>> {
    let sql = "SELECT i.ordinal, i.connected, i.connection_updated, i.last_activity, i.message_count, i.subscriptions,
                 i.record, i.model_id, b.etag, b.tags, b.desired_version, b.desired, b.desired_metadata,
                 r.version, r.document, r.metadata
               FROM identity i JOIN back_end b ON b.ordinal = i.ordinal JOIN reported r ON r.ordinal = i.ordinal
               WHERE i.hub = ?1 AND i.device = ?2 AND i.module = ?3";
    let values = params![hub.0, id.device.as_str(), id.module_text()];
    first(connection, sql, values, |row| {
        let stored = stored_identity(row, id.clone())?;
        let desired =
            record::decode_section(uint(integer(row, 10)?), text(row, 11)?, blob(row, 12)?)?;
        let tags = record::decode_document(text(row, 9)?)?;
        let back_end = BackEnd {
            tags,
            desired,
            etag: TwinEtag(uint(integer(row, 8)?)),
        };
        let reported =
            record::decode_section(uint(integer(row, 13)?), text(row, 14)?, blob(row, 15)?)?;
        let model_id = row.get(7).map_err(|error| store_error(&error))?;
        Ok((
            stored,
            Twin {
                back_end,
                reported,
                model_id,
            },
        ))
    })
}

pub(super) fn devices(
    connection: &Connection,
    hub: HubNo,
    after: Option<&DeviceId>,
    max: usize,
) -> Read<Vec<StoredIdentity>> {
    let sql = "SELECT ordinal, connected, connection_updated, last_activity, message_count, subscriptions, record, device
               FROM identity WHERE hub = ?1 AND device > ?2 AND module = '' ORDER BY device LIMIT ?3";
    // Ids are never empty, so that the empty text is before all of them.
    let after = after.map_or("", DeviceId::as_str);
    rows(
        connection,
        sql,
        params![hub.0, after, int(max as u64)],
        |row| {
            let device = DeviceId::parse(text(row, 7)?).map_err(StoreError::internal)?;
            stored_identity(row, IdentityId::device(device))
        },
    )
}

pub(super) fn modules(
    connection: &Connection,
    hub: HubNo,
    device: &DeviceId,
) -> Read<Vec<StoredIdentity>> {
    let sql = "SELECT ordinal, connected, connection_updated, last_activity, message_count, subscriptions, record, module
               FROM identity WHERE hub = ?1 AND device = ?2 AND module > '' ORDER BY module";
    rows(connection, sql, params![hub.0, device.as_str()], |row| {
        let module = ModuleId::parse(text(row, 7)?).map_err(StoreError::internal)?;
        stored_identity(row, IdentityId::module(device.clone(), module))
    })
}

pub(super) fn messages(
    connection: &Connection,
    identity: Ordinal,
    after: MessageNo,
    max: usize,
) -> Read<Vec<StoredMessage>> {
    let sql = "SELECT no, delivery_count, record FROM message WHERE identity = ?1 AND no > ?2 ORDER BY no LIMIT ?3";
    rows(
        connection,
        sql,
        params![int(identity.0), int(after.0), int(max as u64)],
        |row| {
            let delivery_count = u32::try_from(integer(row, 1)?).unwrap_or(u32::MAX);
            Ok(StoredMessage {
                no: MessageNo(uint(integer(row, 0)?)),
                delivery_count,
                message: record::decode_message(blob(row, 2)?)?,
            })
        },
    )
}

pub(super) fn expired_messages(
    connection: &Connection,
    now: Timestamp,
    max: usize,
) -> Read<Vec<(Ordinal, MessageNo)>> {
    let sql = "SELECT identity, no FROM message WHERE expiry <= ?1 ORDER BY expiry LIMIT ?2";
    rows(
        connection,
        sql,
        params![now.micros(), int(max as u64)],
        |row| {
            Ok((
                Ordinal(uint(integer(row, 0)?)),
                MessageNo(uint(integer(row, 1)?)),
            ))
        },
    )
}

pub(super) fn upload(
    connection: &Connection,
    identity: Ordinal,
    correlation: &CorrelationId,
) -> Read<Option<Upload>> {
    let sql = "SELECT record FROM upload WHERE identity = ?1 AND correlation = ?2";
    let values = params![int(identity.0), correlation.as_str()];
    first(connection, sql, values, |row| {
        record::decode_upload(blob(row, 0)?)
    })
}

pub(super) fn expired_uploads(
    connection: &Connection,
    before: Timestamp,
    max: usize,
) -> Read<Vec<(Ordinal, Upload)>> {
    let sql = "SELECT identity, record FROM upload WHERE expires <= ?1 ORDER BY expires LIMIT ?2";
    let values = params![before.micros(), int(max as u64)];
    rows(connection, sql, values, |row| {
        let upload = record::decode_upload(blob(row, 1)?)?;
        Ok((Ordinal(uint(integer(row, 0)?)), upload))
    })
}

pub(super) fn statistics(connection: &Connection, hub: HubNo) -> Read<Statistics> {
    let sql = "SELECT devices, enabled FROM hub_statistics WHERE hub = ?1";
    let counts = first(connection, sql, [hub.0], |row| {
        Ok(Statistics {
            devices: uint(integer(row, 0)?),
            enabled: uint(integer(row, 1)?),
        })
    })?;
    Ok(counts.unwrap_or_default())
}

pub(super) fn checkpoint(connection: &Connection, hub: HubNo) -> Read<Option<FactNo>> {
    let sql = "SELECT at FROM checkpoint WHERE hub = ?1";
    first(connection, sql, [hub.0], |row| {
        Ok(FactNo(uint(integer(row, 0)?)))
    })
}

pub(super) fn changes(
    connection: &Connection,
    after: FactNo,
    max: usize,
) -> Read<Vec<(FactNo, Fact)>> {
    let sql = "SELECT first, record FROM fact_group WHERE last > ?1 ORDER BY last";
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| store_error(&error))?;
    let mut groups = statement
        .query([int(after.0)])
        .map_err(|error| store_error(&error))?;
    let mut page = Vec::new();
    while page.len() < max
        && let Some(row) = groups.next().map_err(|error| store_error(&error))?
    {
        let numbers = (uint(integer(row, 0)?)..).map(FactNo);
        let facts = numbers
            .zip(record::decode_facts(blob(row, 1)?)?)
            .filter(|(no, _)| *no > after);
        page.extend(facts.take(max - page.len()));
    }
    Ok(page)
}

fn stored_identity(row: &Row<'_>, id: IdentityId) -> Read<StoredIdentity> {
    Ok(StoredIdentity {
        ordinal: Ordinal(uint(integer(row, 0)?)),
        activity: Activity {
            connected: integer(row, 1)? != 0,
            connection_updated: Timestamp::from_micros(integer(row, 2)?),
            last_activity: Timestamp::from_micros(integer(row, 3)?),
        },
        message_count: uint(integer(row, 4)?),
        subscriptions: Subscriptions(u32::try_from(integer(row, 5)?).unwrap_or(0)),
        identity: record::decode_identity(id, blob(row, 6)?)?,
    })
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    mut decode: impl FnMut(&Row<'_>) -> Read<T>,
) -> Read<Vec<T>> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| store_error(&error))?;
    let mut rows = statement
        .query(values)
        .map_err(|error| store_error(&error))?;
    let mut all = Vec::new();
    while let Some(row) = rows.next().map_err(|error| store_error(&error))? {
        all.push(decode(row)?);
    }
    Ok(all)
}

fn first<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    decode: impl FnOnce(&Row<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| store_error(&error))?;
    let mut rows = statement
        .query(values)
        .map_err(|error| store_error(&error))?;
    rows.next()
        .map_err(|error| store_error(&error))?
        .map(decode)
        .transpose()
}

fn integer(row: &Row<'_>, column: usize) -> Read<i64> {
    row.get(column).map_err(|error| store_error(&error))
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Read<&'a str> {
    let value = row.get_ref(column).map_err(|error| store_error(&error))?;
    value.as_str().map_err(StoreError::internal)
}

fn blob<'a>(row: &'a Row<'_>, column: usize) -> Read<&'a [u8]> {
    let value = row.get_ref(column).map_err(|error| store_error(&error))?;
    value.as_blob().map_err(StoreError::internal)
}
