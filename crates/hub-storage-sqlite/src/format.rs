//! Which program and which format a file is of.

use rusqlite::Connection;

use crate::OpenError;

/// A kind of file and its format number.
#[derive(Debug)]
pub(crate) struct Format {
    /// What the file is, for people.
    pub(crate) what: &'static str,
    /// The mark of the kind (`PRAGMA application_id`).
    pub(crate) application_id: i32,
    /// The number of the format that this program reads and writes (`PRAGMA user_version`).
    pub(crate) version: i32,
    /// The statements that make an empty file one of this format.
    pub(crate) schema: &'static str,
}

impl Format {
    /// Makes an empty file one of this format, or checks that it is one.
    ///
    /// `fill` runs in the transaction that makes the file.
    pub(crate) fn establish(
        &self,
        connection: &Connection,
        fill: impl FnOnce(&Connection) -> rusqlite::Result<()>,
    ) -> Result<(), OpenError> {
        if self.is_blank(connection)? {
            let transaction = connection.unchecked_transaction()?;
            transaction.execute_batch(self.schema)?;
            transaction.pragma_update(None, "application_id", self.application_id)?;
            transaction.pragma_update(None, "user_version", self.version)?;
            fill(&transaction)?;
            transaction.commit()?;
            return Ok(());
        }
        self.check(connection)
    }

    /// True when nothing was ever written to the file.
    pub(crate) fn is_blank(&self, connection: &Connection) -> Result<bool, OpenError> {
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok(tables == 0 && pragma(connection, "application_id")? == 0)
    }

    /// Checks that the file is of this format.
    pub(crate) fn check(&self, connection: &Connection) -> Result<(), OpenError> {
        if pragma(connection, "application_id")? != self.application_id {
            return Err(OpenError::Foreign { what: self.what });
        }
        let found = pragma(connection, "user_version")?;
        if found == self.version {
            Ok(())
        } else if found > self.version {
            Err(OpenError::Newer {
                what: self.what,
                found,
                known: self.version,
            })
        } else {
            Err(OpenError::Older {
                what: self.what,
                found,
                known: self.version,
            })
        }
    }
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i32> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}
