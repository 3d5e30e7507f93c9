//! Telemetry on its way in, and the back pressure of its log.

use std::sync::Arc;
use std::time::Duration;

use hub_domain::quota::Throttle;
use hub_domain::{HubNo, Timestamp};

use crate::activity::Activities;
use crate::quotas::Quotas;
use crate::sessions::{ProvenIdentity, TelemetryBatch};
use crate::{Error, ErrorKind, Hubs};

/// The entrance of telemetry: for identities without a session; those that have one use
/// [`crate::Session::send_telemetry`].
pub struct Telemetry {
    hubs: Hubs,
    activities: Arc<Activities>,
    quotas: Arc<Quotas>,
}

impl Telemetry {
    pub(crate) const fn new(hubs: Hubs, activities: Arc<Activities>, quotas: Arc<Quotas>) -> Self {
        Self {
            hubs,
            activities,
            quotas,
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
        let log = self
            .hubs
            .log(sender.hub)
            .ok_or_else(|| Error::new(ErrorKind::NotFound, "the hub does not exist"))?;
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
        log.append(batch.0.take(sender.partition, sender.source.clone(), now))
            .await?;
        Ok(())
    }
}
