//! A device on an AMQP connection of its own.

use anyhow::{Result, bail};
use hub_amqp::{
    AttachRequest, Credit, Event, LinkId, Login, MessageWriter, Outcome, Outgoing, Properties,
    Value,
};

use super::Connection;
use crate::connection::Endpoint;
use crate::messages;

/// Credit for what a hub sends to a device (`prefetch` of the SDKs is about this).
const INBOUND: Credit = Credit::Window(50);

/// Which links a device has besides the two of `$cbs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// It sends telemetry.
    Telemetry,
    /// It sends telemetry, takes messages, and takes direct methods, which it is not asked to answer.
    Three,
    /// What a device of the SDKs has that uses everything: telemetry, messages, and both links of methods and twin.
    All,
}

/// A connected device.
pub(crate) struct Device {
    pub(crate) id: String,
    pub(crate) connection: Connection,
    telemetry: LinkId,
    unsettled: usize,
}

impl Device {
    /// Connects, puts the token for its own address, and attaches its links.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        host: &str,
        id: &str,
        token: &str,
        links: Links,
    ) -> Result<Self> {
        let login = Login::Sasl {
            mechanism: "ANONYMOUS",
            initial_response: None,
            hostname: Some(host),
        };
        let mut connection = Connection::open(endpoint, host, login).await?;
        connection
            .put_token(&format!("{host}/devices/{id}"), token)
            .await?;
        let of = |what: &str| format!("/devices/{id}/{what}");
        let telemetry = of("messages/events");
        let telemetry = AttachRequest::sender("telemetry", &telemetry);
        let telemetry = connection.attach(&telemetry).await?;
        let (messages, methods, twin) = (
            of("messages/devicebound"),
            of("methods/devicebound"),
            of("twin"),
        );
        let others: &[AttachRequest<'_>] = &[
            AttachRequest::receiver("messages", &messages, INBOUND),
            AttachRequest::receiver("methods-in", &methods, INBOUND),
            AttachRequest::sender("methods-out", &methods),
            AttachRequest::receiver("twin-in", &twin, INBOUND),
            AttachRequest::sender("twin-out", &twin),
        ];
        for request in &others[..links.others()] {
            connection.attach(request).await?;
        }
        connection.flush().await?;
        connection.rest();
        Ok(Self {
            id: id.to_owned(),
            connection,
            telemetry,
            unsettled: 0,
        })
    }

    /// Messages that wait for their outcome.
    pub(crate) const fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Sends `message` unsettled as often as the hub gives credit, up to `window` messages that wait for their outcome.
    pub(crate) async fn fill(&mut self, message: &[u8], window: usize) -> Result<()> {
        let amqp = self.connection.amqp();
        while self.unsettled < window && amqp.sendable(self.telemetry) > 0 {
            amqp.send(self.telemetry, &Outgoing::unsettled(0), message)?;
            self.unsettled += 1;
        }
        self.connection.flush().await
    }

    /// Waits for outcomes and returns how many messages were accepted. Any other outcome is an error.
    pub(crate) async fn accepted(&mut self) -> Result<u64> {
        self.connection.read().await?;
        let mut accepted = 0;
        self.connection.receive(|event| {
            if let Event::Settled(settled) = event {
                match settled.outcome {
                    Some(Outcome::Accepted) => accepted += 1,
                    other => bail!("a message was not accepted: {other:?}"),
                }
            }
            Ok(())
        })?;
        self.unsettled -= accepted;
        Ok(accepted as u64)
    }
}

impl Links {
    /// How many links there are besides that of telemetry.
    const fn others(self) -> usize {
        match self {
            Self::Telemetry => 0,
            Self::Three => 2,
            Self::All => 5,
        }
    }

    /// What a row of a report says.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Telemetry => "1 link",
            Self::Three => "3 links",
            Self::All => "6 links",
        }
    }
}

/// The message that a device sends over and over, with the same properties as over MQTT.
pub(crate) fn telemetry(device: &str, size: usize) -> Vec<u8> {
    let body = messages::telemetry(device, 0, size).body;
    let mut message = Vec::new();
    MessageWriter::new(&mut message)
        .properties(&Properties {
            content_type: Some("application/json"),
            content_encoding: Some("utf-8"),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("alert", Value::String("false"));
        })
        .data(&body);
    message
}
