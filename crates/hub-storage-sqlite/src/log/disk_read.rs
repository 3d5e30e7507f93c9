//! Pages from the files of a log.

use std::sync::Arc;

use bytes::Bytes;
use hub_storage::StoreError;
use hub_storage::log::{LogRecord, ReadLimit};
use rusqlite::{Connection, OptionalExtension};

use super::bucket::{Bucket, Pool, Start, unreadable_heads};
use super::heads::{Heads, PartitionHead};
use super::page::{From, Page};
use super::read_groups::ReadGroups;
use crate::failure::store_error;
use crate::sql::{int, uint};

/// Groups without a message of the partition that are passed one by one before a search skips the rest.
const PASSED_MAX: u32 = 32;

/// What one read of the disk came to.
pub(super) enum DiskPage {
    Page(Vec<LogRecord>),
    /// A file was removed meanwhile: look at the list of files again.
    FileGone,
}

enum Scan {
    Done,
    SearchAfter(u64),
}

/// Where one partition is read.
pub(super) struct DiskRead<'a> {
    pub(super) pool: &'a Pool,
    pub(super) read_groups: &'a ReadGroups,
    pub(super) partition: u16,
}

impl DiskRead<'_> {
    /// The page from `from` on, out of `buckets`, oldest first.
    pub(super) fn read(
        &self,
        buckets: &[Arc<Bucket>],
        from: From,
        limit: ReadLimit,
    ) -> Result<DiskPage, StoreError> {
        let mut page = Page::new(self.partition, from, limit);
        let begin = match first_bucket(buckets, self.pool, self.partition, from) {
            Ok(begin) => begin,
            Err(_) if is_any_removed(buckets) => return Ok(DiskPage::FileGone),
            Err(error) => return Err(error),
        };
        for bucket in &buckets[begin..] {
            match self.read_bucket(bucket, &mut page) {
                Err(_) if bucket.is_removed() => return Ok(DiskPage::FileGone),
                result => result?,
            }
            if page.is_full() {
                break;
            }
        }
        Ok(DiskPage::Page(page.finish()))
    }

    fn read_bucket(&self, bucket: &Bucket, page: &mut Page) -> Result<(), StoreError> {
        let start = bucket.start(self.pool)?;
        let connection = self.pool.take(bucket)?;
        let result = self.read_groups(&connection, start, page);
        self.pool.give_back(bucket, connection);
        result
    }

    fn read_groups(
        &self,
        connection: &Connection,
        start: &Start,
        page: &mut Page,
    ) -> Result<(), StoreError> {
        let mut low = start.first_group;
        while let Some(id) = first_group(connection, low, self.partition, page.from())
            .map_err(|error| store_error(&error))?
        {
            match self.scan(connection, id, page)? {
                Scan::Done => return Ok(()),
                Scan::SearchAfter(id) => low = id + 1,
            }
        }
        Ok(())
    }

    fn scan(
        &self,
        connection: &Connection,
        first: u64,
        page: &mut Page,
    ) -> Result<Scan, StoreError> {
        let sql = "SELECT id, heads, body FROM g WHERE id >= ?1 ORDER BY id";
        let mut statement = connection
            .prepare_cached(sql)
            .map_err(|error| store_error(&error))?;
        let mut rows = statement
            .query([int(first)])
            .map_err(|error| store_error(&error))?;
        let mut passed = 0;
        while let Some(row) = rows.next().map_err(|error| store_error(&error))? {
            let heads = row
                .get_ref(1)
                .map_err(|error| store_error(&error))?
                .as_blob()
                .map_err(StoreError::internal)?;
            let head = Heads::decode_one(heads, self.partition)
                .ok_or_else(|| store_error(&unreadable_heads()))?;
            if page.from().is_after(head) {
                passed += 1;
                if passed > PASSED_MAX {
                    let id: i64 = row.get(0).map_err(|error| store_error(&error))?;
                    return Ok(Scan::SearchAfter(uint(id)));
                }
                continue;
            }
            passed = 0;
            let body = row
                .get_ref(2)
                .map_err(|error| store_error(&error))?
                .as_blob()
                .map_err(StoreError::internal)?;
            let body = Bytes::copy_from_slice(body);
            let id: i64 = row.get(0).map_err(|error| store_error(&error))?;
            self.read_groups.keep(uint(id), &body)?;
            page.add(body)?;
            if page.is_full() {
                break;
            }
        }
        Ok(Scan::Done)
    }
}

fn is_any_removed(buckets: &[Arc<Bucket>]) -> bool {
    buckets.iter().any(|bucket| bucket.is_removed())
}

/// The last file that begins at or before the position; the first one when all begin later.
fn first_bucket(
    buckets: &[Arc<Bucket>],
    pool: &Pool,
    partition: u16,
    from: From,
) -> Result<usize, StoreError> {
    let (mut low, mut high) = (0, buckets.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start = buckets[middle].start(pool)?;
        if from.is_after(start.heads.partitions[usize::from(partition)]) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    Ok(low.saturating_sub(1))
}

/// The first group from `low` on that ends after the position; `None` when there is none.
fn first_group(
    connection: &Connection,
    low: u64,
    partition: u16,
    from: From,
) -> rusqlite::Result<Option<u64>> {
    let last: Option<i64> = connection
        .prepare_cached("SELECT max(id) FROM g")?
        .query_row([], |row| row.get(0))?;
    let Some(last) = last.map(uint).filter(|last| *last >= low) else {
        return Ok(None);
    };
    let (mut low, mut high) = (low, last + 1);
    while low < high {
        let middle = u64::midpoint(low, high);
        if from.is_after(head_after(connection, middle, partition)?) {
            low = middle + 1
        } else {
            high = middle
        }
    }
    Ok((low <= last).then_some(low))
}

fn head_after(connection: &Connection, id: u64, partition: u16) -> rusqlite::Result<PartitionHead> {
    let mut statement = connection.prepare_cached("SELECT heads FROM g WHERE id = ?1")?;
    let head = statement.query_row([int(id)], |row| {
        let heads = row.get_ref(0)?.as_blob().map_err(|_| unreadable_heads())?;
        Heads::decode_one(heads, partition).ok_or_else(unreadable_heads)
    });
    // Numbers of groups have no gaps, so that a missing one is a broken file.
    head.optional()?.ok_or_else(unreadable_heads)
}
