//! What goes when it is old: facts and results of units.

use hub_domain::Timestamp;
use hub_storage::record;
use rusqlite::{Connection, OptionalExtension, params};

use crate::sql::{int, uint};

/// Most rows that one transaction deletes, so that units do not wait long for it.
const ROWS_MAX: i64 = 2_000;

/// How far a trim came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trimmed {
    /// Nothing older is left; facts up to `last` are gone.
    All { last: u64 },
    /// There is more; facts up to `last` are gone.
    Some { last: u64 },
}

/// Deletes the facts before the first one that was decided at or after `before`, up to a bound.
pub(super) fn trim_facts(connection: &Connection, before: Timestamp) -> rusqlite::Result<Trimmed> {
    let transaction = connection.unchecked_transaction()?;
    let last_old = "SELECT max(last), count(*) FROM (SELECT last, newest FROM fact_group ORDER BY last LIMIT ?2)
                    WHERE last < coalesce((SELECT last FROM fact_group WHERE newest >= ?1 ORDER BY last LIMIT 1), ?3)";
    let (last, rows): (Option<i64>, i64) = transaction
        .prepare_cached(last_old)?
        .query_row(params![before.micros(), ROWS_MAX, i64::MAX], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if let Some(last) = last {
        transaction
            .prepare_cached("DELETE FROM fact_group WHERE last <= ?1")?
            .execute([last])?;
    }
    let mut gone = last.map_or(0, uint);
    if rows < ROWS_MAX {
        gone = gone.max(trim_first_group(&transaction, before)?);
    }
    transaction.commit()?;
    Ok(if rows < ROWS_MAX {
        Trimmed::All { last: gone }
    } else {
        Trimmed::Some { last: gone }
    })
}

/// Deletes the old facts at the beginning of the first group; returns the number of the last one.
fn trim_first_group(connection: &Connection, before: Timestamp) -> rusqlite::Result<u64> {
    let sql = "SELECT last, first, record FROM fact_group ORDER BY last LIMIT 1";
    let oldest: Option<(i64, i64, Vec<u8>)> = connection
        .prepare_cached(sql)?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((last, first, bytes)) = oldest else {
        return Ok(0);
    };
    let facts = record::decode_facts(&bytes)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let old = facts.iter().take_while(|fact| fact.at < before).count();
    if old == 0 {
        return Ok(0);
    }
    let first = uint(first) + old as u64;
    connection
        .prepare_cached("UPDATE fact_group SET first = ?2, record = ?3 WHERE last = ?1")?
        .execute(params![
            last,
            int(first),
            record::encode_facts(facts[old..].iter()),
        ])?;
    Ok(first - 1)
}

/// What is left to do after a bounded deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    More,
}

/// Forgets results of units from before `before`, up to a bound.
pub(super) fn forget_operations(
    connection: &Connection,
    before: Timestamp,
) -> rusqlite::Result<Left> {
    let sql = "DELETE FROM operation WHERE id IN (SELECT id FROM operation WHERE at < ?1 ORDER BY at LIMIT ?2)";
    let deleted = connection
        .prepare_cached(sql)?
        .execute(params![before.micros(), ROWS_MAX])?;
    Ok(if deleted as u64 == uint(ROWS_MAX) {
        Left::More
    } else {
        Left::Nothing
    })
}
