//! Telemetry on its way in, and the back pressure of its log.

use hub_domain::HubNo;

use crate::Hubs;

/// The entrance of telemetry. Messages themselves go through [`crate::Session::send_telemetry`].
pub struct Telemetry {
    hubs: Hubs,
}

impl Telemetry {
    pub(crate) const fn new(hubs: Hubs) -> Self {
        Self { hubs }
    }

    /// Waits until the hub's log has room for more. Heads read no socket before.
    pub async fn room(&self, hub: HubNo) {
        if let Some(log) = self.hubs.log(hub) {
            log.backlog().room().await;
        }
    }
}
