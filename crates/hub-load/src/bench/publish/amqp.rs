//! A device that sends over AMQP.

use anyhow::Result;

use super::{Load, Sender};
use crate::amqp::device::{self, Device};

impl Sender for Device {
    /// Fills the window as far as there is credit, and again with every outcome.
    async fn send(mut self, load: Load) -> Result<Self> {
        let message = device::telemetry(&self.id, load.workload.body_bytes);
        let window = usize::from(load.workload.window);
        loop {
            if !load.is_over() {
                self.fill(&message, window).await?;
            } else if self.unsettled() == 0 {
                return Ok(self);
            }
            load.count(self.accepted().await?);
        }
    }

    async fn leave(self) -> Result<()> {
        self.connection.close().await
    }
}
