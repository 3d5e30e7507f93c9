//! A back end that reads events with Event Hubs consumer links.

use anyhow::{Context as _, Result};
use hub_amqp::{AttachRequest, Credit, Event, LinkId, Login};

use super::Connection;
use crate::connection::Endpoint;

/// Events that a link has credit for: the prefetch of the vendor's clients (`prefetch` of azure-eventhub).
const CREDIT: u32 = 300;

/// What an Event Hubs connection string tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) policy: String,
    pub(crate) key: String,
    pub(crate) entity: String,
}

impl Access {
    /// Reads a connection string.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let member = |name: &str| {
            text.split(';')
                .filter_map(|member| member.split_once('='))
                .find_map(|(key, value)| (key == name).then(|| value.to_owned()))
                .with_context(|| format!("the connection string has no {name}"))
        };
        Ok(Self {
            policy: member("SharedAccessKeyName")?,
            key: member("SharedAccessKey")?,
            entity: member("EntityPath")?,
        })
    }
}

/// A connection with one link for each partition.
pub(crate) struct Reader {
    connection: Connection,
    links: Vec<LinkId>,
}

impl Reader {
    /// Attaches to all partitions, from the oldest event on. Nothing comes before [`Self::begin`].
    pub(crate) async fn open(
        endpoint: &Endpoint,
        host: &str,
        access: &Access,
        partitions: u16,
    ) -> Result<Self> {
        let response = format!("\0{}\0{}", access.policy, access.key);
        let login = Login::Sasl {
            mechanism: "PLAIN",
            initial_response: Some(response.as_bytes()),
            hostname: Some(host),
        };
        let mut connection = Connection::open(endpoint, host, login).await?;
        let mut links = Vec::new();
        for partition in 0..partitions {
            let entity = &access.entity;
            let address = format!("{entity}/ConsumerGroups/$Default/Partitions/{partition}");
            let name = format!("reader-{partition}");
            let request = AttachRequest::receiver(&name, &address, Credit::Manual);
            links.push(connection.attach(&request).await?);
        }
        Ok(Self { connection, links })
    }

    /// Gives credit, which renews itself.
    pub(crate) async fn begin(&mut self) -> Result<()> {
        for link in &self.links {
            self.connection
                .amqp()
                .set_credit(*link, Credit::Window(CREDIT));
        }
        self.connection.flush().await
    }

    /// Waits for events and returns how many came.
    pub(crate) async fn read(&mut self) -> Result<u64> {
        self.connection.read().await?;
        let mut events = 0;
        self.connection.receive(|event| {
            events += u64::from(matches!(event, Event::Delivery(_)));
            Ok(())
        })?;
        self.connection.flush().await?;
        Ok(events)
    }

    /// Hangs up.
    pub(crate) async fn close(self) -> Result<()> {
        self.connection.close().await
    }
}
