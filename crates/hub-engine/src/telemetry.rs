//! Telemetry on its way in, and the back pressure of its log.

use std::sync::Arc;
use std::time::Duration;

use hub_domain::quota::Throttle;
use hub_domain::{HubNo, Timestamp};

use crate::activity::Activities;
use crate::quotas::Quotas;
use crate::routing::ingest::{Ingest, Lane, Sender};
use crate::routing::leftovers::Leftovers;
use crate::sessions::{ProvenIdentity, TelemetryBatch};
use crate::{Error, ErrorKind, Hubs, Twins};

/// The entrance of telemetry: for identities without a session; those that have one use
/// [`crate::Session::send_telemetry`].
pub struct Telemetry {
    hubs: Hubs,
    activities: Arc<Activities>,
    twins: Arc<Twins>,
    quotas: Arc<Quotas>,
    leftovers: Arc<Leftovers>,
}

fn no_hub() -> Error {
    Error::new(ErrorKind::NotFound, "the hub does not exist")
}

impl Telemetry {
    pub(crate) const fn new(
        hubs: Hubs,
        activities: Arc<Activities>,
        twins: Arc<Twins>,
        quotas: Arc<Quotas>,
        leftovers: Arc<Leftovers>,
    ) -> Self {
        Self {
            hubs,
            activities,
            twins,
            quotas,
            leftovers,
        }
    }

    /// Waits until the hub's log has room for more and its profile allows more. Heads read no socket before.
    pub async fn room(&self, hub: HubNo) {
        if let Some(log) = self.hubs.log(hub) {
            log.backlog().room().await;
        }
        let delay = self.quotas.telemetry_delay(hub);
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
    }

    /// Appends what one request of `sender` brought and empties the batch; done when it is durable. Two requests
    /// of a sender are in the log in the order of these calls.
    ///
    /// # Errors
    /// `Unavailable` when the log has no room, its disk is full or the hub stops; `Throttled` and `QuotaExceeded` where
    /// the hub's profile says so.
    pub async fn send(
        &self,
        now: Timestamp,
        sender: &ProvenIdentity,
        batch: &mut TelemetryBatch,
    ) -> Result<(), Error> {
        let log = self.hubs.log(sender.hub).ok_or_else(no_hub)?;
        self.activities.touch(sender.ordinal, sender.activity, now);
        if batch.is_empty() {
            return Ok(());
        }
        if log.backlog().is_full() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "too many messages wait for the disk, try again",
            ));
        }
        self.quotas
            .take_of_device(sender.hub, Throttle::DeviceToCloudSends, now)?;
        let (messages, bytes) = (u64::from(batch.count()), batch.bytes() as u64);
        self.quotas
            .count_messages(sender.hub, messages, bytes, now)?;
        let slot = self.hubs.slot(sender.hub).ok_or_else(no_hub)?;
        let ingest = Ingest {
            log,
            slot,
            twins: Arc::clone(&self.twins),
            leftovers: Arc::clone(&self.leftovers),
        };
        let from = Sender {
            hub: sender.hub,
            id: &sender.id,
            ordinal: sender.ordinal,
            partition: sender.partition,
            source: &sender.source,
        };
        // Each request is a lane of its own: only what a sender sends one after the other has an order.
        ingest
            .send(now, &from, &Lane::default(), &mut batch.0)
            .await?;
        Ok(())
    }
}
