//! What happened, for readers: telemetry by partition and position, facts by number.

use std::sync::Arc;

use hub_domain::{ErrorCode, Fact, HubNo, Permission};
use hub_storage::log::{LogRecord, PartitionState, Position, ReadLimit};
use hub_storage::store::FactNo;
use hub_storage::{MessageLog, Store};
use tokio::sync::watch;

use crate::{Error, ErrorKind, Hubs, OpContext};

/// Reads of committed events.
pub struct Events {
    hubs: Hubs,
    store: Arc<dyn Store>,
}

/// Facts of one hub.
#[derive(Clone, Debug)]
pub struct FactPage {
    /// The hub's facts, in commit order.
    pub facts: Vec<(FactNo, Fact)>,
    /// Where the next page begins: facts of other hubs are passed over.
    pub next: FactNo,
    /// The oldest fact asked for is gone: some were trimmed.
    pub gap: bool,
}

impl Events {
    pub(crate) const fn new(hubs: Hubs, store: Arc<dyn Store>) -> Self {
        Self { hubs, store }
    }

    fn log(&self, hub: HubNo, partition: u16) -> Result<Arc<dyn MessageLog>, Error> {
        let log = self
            .hubs
            .log(hub)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the hub does not exist"))?;
        if partition < log.partition_count() {
            return Ok(log);
        }
        let text = format!(
            "the hub has the partitions 0 to {}",
            log.partition_count() - 1
        );
        Err(Error::new(ErrorKind::NotFound, text).with_code(ErrorCode::PartitionNotFound))
    }

    /// Telemetry of a partition from a position on; empty at the end.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. No such hub or partition.
    pub async fn telemetry(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        partition: u16,
        from: Position,
        limit: ReadLimit,
    ) -> Result<Vec<LogRecord>, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        Ok(self
            .log(hub, partition)?
            .read(partition, from, limit)
            .await?)
    }

    /// What a partition holds.
    ///
    /// # Errors
    /// Needs `ServiceConnect`. No such hub or partition.
    pub async fn partition(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        partition: u16,
    ) -> Result<PartitionState, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        Ok(self.log(hub, partition)?.partition(partition).await?)
    }

    /// Changes after every durable group of the hub's log.
    pub fn telemetry_head(&self, hub: HubNo) -> Option<watch::Receiver<u64>> {
        self.hubs.log(hub).map(|log| log.head())
    }

    /// The hub's facts after `after`; looks at no more than `max` facts of the installation, and at least at one.
    ///
    /// # Errors
    /// Needs `ServiceConnect`.
    pub async fn facts(
        &self,
        ctx: &OpContext,
        hub: HubNo,
        after: FactNo,
        max: usize,
    ) -> Result<FactPage, Error> {
        ctx.caller.require(hub, Permission::ServiceConnect)?;
        // Read first: what was committed by then is in the page, or gone.
        let head = *self.store.fact_head().borrow();
        let page = self.store.changes(after, max.max(1)).await?;
        let gap = match page.first() {
            Some((no, _)) => no.0 > after.0 + 1,
            None => head > after,
        };
        let next = page.last().map_or(head.max(after), |(no, _)| *no);
        let facts = page
            .into_iter()
            .filter(|(_, fact)| fact.hub == hub)
            .collect();
        Ok(FactPage { facts, next, gap })
    }

    /// Changes after every commit with facts.
    pub fn fact_head(&self) -> watch::Receiver<FactNo> {
        self.store.fact_head()
    }
}
