//! Units inside a transaction: numbers, facts and replay around the writes.

use hub_domain::{Fact, Timestamp};
use hub_storage::store::{Committed, FactNo, OpId, Unit};
use hub_storage::{Conflict, record};
use rusqlite::{Connection, OptionalExtension, params};

use super::writes;
use crate::sql::{int, uint};

/// The next numbers to give out. Kept in one row, written with the group that used them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) next_identity: u64,
    pub(super) next_message: u64,
    pub(super) last_fact: u64,
    /// Service-bound records since the start. Not kept: it only tells readers that there are more.
    pub(super) service_bound: u64,
}

impl Counters {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT next_identity, next_message, last_fact FROM counter WHERE id = 1";
        connection.query_row(sql, [], |row| {
            Ok(Self {
                next_identity: uint(row.get(0)?),
                next_message: uint(row.get(1)?),
                last_fact: uint(row.get(2)?),
                service_bound: 0,
            })
        })
    }

    fn save(&self, connection: &Connection) -> rusqlite::Result<()> {
        let sql =
            "UPDATE counter SET next_identity = ?1, next_message = ?2, last_fact = ?3 WHERE id = 1";
        let values = params![
            int(self.next_identity),
            int(self.next_message),
            int(self.last_fact)
        ];
        connection.prepare_cached(sql)?.execute(values).map(drop)
    }
}

/// Why a write was not done.
#[derive(Debug)]
pub(super) enum WriteError {
    /// Its precondition does not hold; the unit is not kept, the group goes on.
    Conflict(Conflict),
    /// SQLite failed; the group is not kept.
    Sql(rusqlite::Error),
}

impl From<Conflict> for WriteError {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl From<rusqlite::Error> for WriteError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// What became of a unit in a group that was committed.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was kept.
    Kept(Committed),
    /// It had been kept before; its facts are not new.
    Replayed(Committed),
    /// A precondition did not hold.
    Refused(Conflict),
}

/// What a group comes to once it is committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finished {
    pub(super) counters: Counters,
    /// Bytes of the record of its facts.
    pub(super) fact_bytes: usize,
}

/// A group while its transaction is open.
pub(super) struct Group<'a> {
    connection: &'a Connection,
    before: Counters,
    counters: Counters,
    now: Timestamp,
}

impl<'a> Group<'a> {
    pub(super) const fn new(
        connection: &'a Connection,
        counters: Counters,
        now: Timestamp,
    ) -> Self {
        Self {
            connection,
            before: counters,
            counters,
            now,
        }
    }

    /// Keeps one unit within the transaction, or nothing of it.
    pub(super) fn keep(&mut self, unit: &Unit) -> rusqlite::Result<Outcome> {
        if let Some(op_id) = unit.op_id
            && let Some(first) = self.replay(op_id)?
        {
            return Ok(Outcome::Replayed(first));
        }
        let counters = self.counters;
        match self.write(unit) {
            Ok(committed) => Ok(Outcome::Kept(committed)),
            Err(WriteError::Conflict(conflict)) => {
                self.counters = counters;
                Ok(Outcome::Refused(conflict))
            }
            Err(WriteError::Sql(error)) => Err(error),
        }
    }

    /// Writes what belongs to the group as a whole; `facts` are those of the units that were kept, in their order.
    pub(super) fn finish<'f>(
        self,
        facts: impl Iterator<Item = &'f Fact> + Clone,
    ) -> rusqlite::Result<Finished> {
        let mut fact_bytes = 0;
        if self.counters.last_fact > self.before.last_fact {
            let newest = facts.clone().map(|fact| fact.at).max().unwrap_or(self.now);
            let record = record::encode_facts(facts);
            fact_bytes = record.len();
            let sql = "INSERT INTO fact_group(last, first, newest, record) VALUES(?1, ?2, ?3, ?4)";
            self.connection.prepare_cached(sql)?.execute(params![
                int(self.counters.last_fact),
                int(self.before.last_fact + 1),
                newest.micros(),
                record,
            ])?;
        }
        if self.counters != self.before {
            self.counters.save(self.connection)?;
        }
        Ok(Finished {
            counters: self.counters,
            fact_bytes,
        })
    }

    fn write(&mut self, unit: &Unit) -> Result<Committed, WriteError> {
        // A single write checks before it writes; only several ones may have to be taken back.
        if unit.ops.len() <= 1 {
            return self.write_ops(unit);
        }
        self.run("SAVEPOINT unit")?;
        let written = self.write_ops(unit);
        if let Err(WriteError::Conflict(_)) = &written {
            self.run("ROLLBACK TO unit")?;
        }
        if !matches!(written, Err(WriteError::Sql(_))) {
            self.run("RELEASE unit")?;
        }
        written
    }

    fn write_ops(&mut self, unit: &Unit) -> Result<Committed, WriteError> {
        let mut results = Vec::with_capacity(unit.ops.len());
        for op in &unit.ops {
            results.push(writes::write(self.connection, &mut self.counters, op)?);
        }
        let mut last_fact = FactNo(0);
        if !unit.facts.is_empty() {
            self.counters.last_fact += unit.facts.len() as u64;
            last_fact = FactNo(self.counters.last_fact);
        }
        let committed = Committed { results, last_fact };
        if let Some(op_id) = unit.op_id {
            let sql = "INSERT INTO operation(id, at, result) VALUES(?1, ?2, ?3)";
            let values = params![
                op_id.0.as_slice(),
                self.now.micros(),
                record::encode_committed(&committed)
            ];
            self.connection.prepare_cached(sql)?.execute(values)?;
        }
        Ok(committed)
    }

    fn replay(&self, op_id: OpId) -> rusqlite::Result<Option<Committed>> {
        let sql = "SELECT result FROM operation WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let stored: Option<Vec<u8>> = statement
            .query_row([op_id.0.as_slice()], |row| row.get(0))
            .optional()?;
        stored
            .map(|bytes| {
                record::decode_committed(&bytes)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
            })
            .transpose()
    }

    fn run(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }
}
