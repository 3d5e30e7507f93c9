//! A device that sends over MQTT.

use anyhow::Result;
use hub_mqtt::{ClientInbound, QoS};

use super::{Load, Sender};
use crate::bench::sessions::Session;
use crate::connection::ConnectionError;
use crate::messages::{self, Telemetry};

impl Sender for Session<()> {
    async fn send(mut self, load: Load) -> Result<Self> {
        let message = messages::telemetry(&self.id, 0, load.workload.body_bytes);
        match load.workload.qos {
            QoS::AtMostOnce => self.unacknowledged(&message, &load).await?,
            QoS::AtLeastOnce | QoS::ExactlyOnce => self.acknowledged(&message, &load).await?,
        }
        Ok(self)
    }

    async fn leave(mut self) -> Result<()> {
        self.connection.outgoing().disconnect();
        Ok(self.connection.flush().await?)
    }
}

impl Session<()> {
    /// Fills the window, and again with every acknowledgement.
    async fn acknowledged(
        &mut self,
        message: &Telemetry,
        load: &Load,
    ) -> Result<(), ConnectionError> {
        let connection = &mut self.connection;
        loop {
            if !load.is_over() {
                let outgoing = connection.outgoing();
                while !outgoing.is_full() {
                    outgoing.publish((), &message.topic, &message.body)?;
                }
                connection.flush().await?;
            } else if connection.outgoing().in_flight() == 0 {
                return Ok(());
            }
            connection.read().await?;
            let mut acknowledged = 0;
            connection.receive(|inbound, _| {
                acknowledged += u64::from(matches!(inbound, ClientInbound::Published(())));
                Ok(())
            })?;
            load.count(acknowledged);
        }
    }

    /// Writes without waiting, and at the end asks for a sign that everything was read.
    async fn unacknowledged(
        &mut self,
        message: &Telemetry,
        load: &Load,
    ) -> Result<(), ConnectionError> {
        let connection = &mut self.connection;
        while !load.is_over() {
            for _ in 0..load.workload.window {
                let outgoing = connection.outgoing();
                outgoing.publish_once(&message.topic, &message.body)?;
            }
            connection.flush().await?;
            load.count(load.workload.window.into());
            // A socket that always has room would never let the others send.
            tokio::task::yield_now().await;
        }
        connection.outgoing().ping();
        connection.flush().await?;
        let mut is_there = false;
        while !is_there {
            connection.read().await?;
            connection.receive(|inbound, _| {
                is_there |= inbound == ClientInbound::Pong;
                Ok(())
            })?;
        }
        Ok(())
    }
}
