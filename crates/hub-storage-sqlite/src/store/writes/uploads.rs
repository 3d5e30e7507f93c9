//! Open uploads.

use hub_domain::upload::{CorrelationId, Upload};
use hub_storage::store::{OpResult, Ordinal};
use hub_storage::{Conflict, record};
use rusqlite::{Connection, params};

use super::Written;
use crate::sql::{int, uint};

pub(super) fn begin(
    connection: &Connection,
    identity: Ordinal,
    upload: &Upload,
    open_max: u32,
) -> Written {
    let sql = "SELECT 1 FROM identity WHERE ordinal = ?1";
    if !connection.prepare_cached(sql)?.exists([int(identity.0)])? {
        return Err(Conflict::NotFound.into());
    }
    let sql = "SELECT count(*) FROM upload WHERE identity = ?1 AND expires > ?2";
    let open: i64 = connection
        .prepare_cached(sql)?
        .query_row(params![int(identity.0), upload.begun.micros()], |row| {
            row.get(0)
        })?;
    if uint(open) >= u64::from(open_max) {
        return Err(Conflict::TooManyUploads.into());
    }
    let sql = "INSERT OR REPLACE INTO upload(identity, correlation, expires, record) VALUES(?1, ?2, ?3, ?4)";
    connection.prepare_cached(sql)?.execute(params![
        int(identity.0),
        upload.correlation.as_str(),
        upload.expires.micros(),
        record::encode_upload(upload),
    ])?;
    Ok(OpResult::Done)
}

pub(super) fn finish(
    connection: &Connection,
    identity: Ordinal,
    correlation: &CorrelationId,
) -> Written {
    let sql = "DELETE FROM upload WHERE identity = ?1 AND correlation = ?2";
    let changed = connection
        .prepare_cached(sql)?
        .execute(params![int(identity.0), correlation.as_str()])?;
    if changed == 0 {
        return Err(Conflict::NotFound.into());
    }
    Ok(OpResult::Done)
}
