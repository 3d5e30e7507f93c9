//! An AMQP connection over TLS: one socket, one AMQP session, and one buffer each way.
//!
//! What is to be sent leaves with [`Connection::flush`], many frames in one write. Nothing here starts a task; every wait
//! ends when the caller drops the future.

pub(crate) mod device;
pub(crate) mod reader;

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use hub_amqp::{
    AmqpError, AttachRequest, Config, Credit, DetachCause, Event, LinkId, Login, MessageId,
    MessageWriter, OpenAnswer, Outcome, Outgoing, Properties, Role, Sections, SessionId, Value,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::connection::{ConnectionError, Endpoint};

/// Bytes read at once, some TLS records.
const READ_BYTES: usize = 64 * 1024;
/// The bytes that stay in use while nothing comes: thousands of idle connections share this machine with the server.
const KEPT_BYTES: usize = 1_024;
/// Credit for the answers of `$cbs`.
const ANSWERS: Credit = Credit::Window(10);

/// An open connection with one session.
pub(crate) struct Connection {
    stream: TlsStream<TcpStream>,
    amqp: hub_amqp::Connection,
    session: SessionId,
    input: Vec<u8>,
}

impl Connection {
    /// Connects, does the handshake, logs in, opens and begins a session with the hub `host`.
    pub(crate) async fn open(endpoint: &Endpoint, host: &str, login: Login<'_>) -> Result<Self> {
        let stream = endpoint.connect().await?;
        let config = Config {
            container_id: "thingstead-load".to_owned(),
            // The load says nothing by itself, and ends before a hub would take that for an end.
            silence_max: None,
            ..Config::default()
        };
        let mut amqp = hub_amqp::Connection::client(Arc::new(config), login, Instant::now());
        amqp.open(&OpenAnswer {
            hostname: Some(host),
            properties: None,
        });
        let mut opening = Opening {
            stream,
            amqp,
            input: Vec::new(),
        };
        opening
            .wait_for(|event| matches!(event, Event::Opened(_)))
            .await?;
        let session = opening.amqp.begin()?;
        opening
            .wait_for(|event| matches!(event, Event::SessionBegan(_)))
            .await?;
        Ok(Self {
            stream: opening.stream,
            amqp: opening.amqp,
            session,
            input: opening.input,
        })
    }

    /// The protocol's side: links, credit and messages.
    pub(crate) const fn amqp(&mut self) -> &mut hub_amqp::Connection {
        &mut self.amqp
    }

    /// Attaches a link and waits for the answer. Nothing else may be under way.
    pub(crate) async fn attach(&mut self, request: &AttachRequest<'_>) -> Result<LinkId> {
        let asked = self.amqp.attach_link(self.session, request)?;
        let mut is_attached = false;
        while !is_attached {
            self.flush().await?;
            self.read().await?;
            self.receive(|event| {
                if let Event::Attached { link, attach } = &event
                    && *link == asked
                {
                    // Without the terminus that was asked for it is a refusal, and the reason follows.
                    is_attached = match request.role {
                        Role::Sender => attach.target.is_some(),
                        Role::Receiver => attach.source.is_some(),
                    };
                }
                Ok(())
            })
            .with_context(|| format!("the hub does not attach {}", address_of(request)))?;
        }
        Ok(asked)
    }

    /// Proves by `$cbs`, as the SDKs of devices do, that `token` speaks for `audience`. The two links stay.
    pub(crate) async fn put_token(&mut self, audience: &str, token: &str) -> Result<()> {
        let replies = AttachRequest::receiver("cbs-replies", "$cbs", ANSWERS);
        let replies = self.attach(&replies).await?;
        let requests = self
            .attach(&AttachRequest::sender("cbs-requests", "$cbs"))
            .await?;
        while self.amqp.sendable(requests) == 0 {
            self.read().await?;
            self.receive(|_| Ok(()))?;
        }
        let request = put_token_request(audience, token);
        self.amqp.send(requests, &Outgoing::SETTLED, &request)?;
        let mut answer = None;
        while answer.is_none() {
            self.flush().await?;
            self.read().await?;
            self.receive(|event| {
                if let Event::Delivery(delivery) = event
                    && delivery.link == replies
                {
                    answer = Some((delivery.id, status_of(delivery.message)?));
                }
                Ok(())
            })?;
        }
        if let Some((id, status)) = answer {
            self.amqp.settle(replies, id, &Outcome::Accepted);
            ensure!(
                status == 200,
                "the hub does not believe the token ({status})"
            );
        }
        self.flush().await
    }

    /// Writes everything that was encoded.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        flush(&mut self.stream, &mut self.amqp).await
    }

    /// Waits for bytes. Dropping the future loses none.
    pub(crate) async fn read(&mut self) -> Result<()> {
        read(&mut self.stream, &mut self.input).await
    }

    /// Hands everything that has come to `take`. A link or connection that ends is an error.
    pub(crate) fn receive(&mut self, take: impl FnMut(Event<'_>) -> Result<()>) -> Result<()> {
        receive(&mut self.amqp, &mut self.input, take)
    }

    /// Gives back the memory of a busy time.
    pub(crate) fn rest(&mut self) {
        self.input.shrink_to(KEPT_BYTES);
    }

    /// Says goodbye and hangs up.
    pub(crate) async fn close(mut self) -> Result<()> {
        self.amqp.close(None);
        self.flush().await?;
        self.stream
            .shutdown()
            .await
            .map_err(ConnectionError::Socket)?;
        Ok(())
    }
}

/// A connection that has no session yet.
struct Opening {
    stream: TlsStream<TcpStream>,
    amqp: hub_amqp::Connection,
    input: Vec<u8>,
}

impl Opening {
    async fn wait_for(&mut self, is_it: impl Fn(&Event<'_>) -> bool) -> Result<()> {
        let mut is_there = false;
        while !is_there {
            flush(&mut self.stream, &mut self.amqp).await?;
            read(&mut self.stream, &mut self.input).await?;
            receive(&mut self.amqp, &mut self.input, |event| {
                is_there |= is_it(&event);
                Ok(())
            })?;
        }
        Ok(())
    }
}

async fn flush(stream: &mut TlsStream<TcpStream>, amqp: &mut hub_amqp::Connection) -> Result<()> {
    let output = amqp.output(Instant::now());
    if output.is_empty() {
        return Ok(());
    }
    let written = stream.write_all(output).await;
    output.clear();
    written.map_err(ConnectionError::Socket)?;
    stream.flush().await.map_err(ConnectionError::Socket)?;
    Ok(())
}

async fn read(stream: &mut TlsStream<TcpStream>, input: &mut Vec<u8>) -> Result<()> {
    input.reserve(READ_BYTES);
    match stream.read_buf(input).await {
        Ok(0) => Err(ConnectionError::Closed.into()),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(ConnectionError::Closed.into())
        }
        Err(error) => Err(ConnectionError::Socket(error).into()),
    }
}

fn receive(
    amqp: &mut hub_amqp::Connection,
    input: &mut Vec<u8>,
    mut take: impl FnMut(Event<'_>) -> Result<()>,
) -> Result<()> {
    let now = Instant::now();
    let mut rest = input.as_slice();
    while let Some(event) = amqp.receive(&mut rest, now) {
        match event {
            Event::Ended(ended) => bail!("the hub ended the connection: {ended:?}"),
            Event::SessionEnded(ended) => bail!("the hub ended the session: {ended:?}"),
            Event::Detached(detached) => bail!("the hub ended a link: {}", reason(&detached.cause)),
            event => take(event)?,
        }
    }
    let used = input.len() - rest.len();
    input.drain(..used);
    Ok(())
}

fn reason(cause: &DetachCause<'_>) -> String {
    match cause {
        DetachCause::Peer {
            error: Some(error), ..
        } => text_of(error),
        DetachCause::Peer { error: None, .. } => "no reason was given".to_owned(),
        DetachCause::Violation(violation) => violation.description.to_owned(),
        DetachCause::Answered | DetachCause::SessionEnd => "it was told to".to_owned(),
    }
}

fn text_of(error: &AmqpError<'_>) -> String {
    let text = error.description.unwrap_or_default();
    format!("{} {text}", error.condition)
}

fn address_of<'a>(request: &AttachRequest<'a>) -> &'a str {
    let address = match request.role {
        Role::Sender => request.target.and_then(|target| target.address()),
        Role::Receiver => request.source.and_then(|source| source.address()),
    };
    address.unwrap_or_default()
}

/// The request of `$cbs` ("Control access to IoT Hub", protocol specifics).
fn put_token_request(audience: &str, token: &str) -> Vec<u8> {
    let mut request = Vec::new();
    MessageWriter::new(&mut request)
        .properties(&Properties {
            message_id: Some(MessageId::String("1")),
            to: Some("$cbs"),
            reply_to: Some("cbs-replies"),
            ..Properties::default()
        })
        .application_properties(|map| {
            map.string("operation", Value::String("put-token"))
                .string("type", Value::String("servicebus.windows.net:sastoken"))
                .string("name", Value::String(audience));
        })
        .value(Value::String(token));
    request
}

fn status_of(answer: &[u8]) -> Result<i32> {
    let sections = Sections::parse(answer)?;
    match sections.application_properties.get("status-code") {
        Some(Value::Int(status)) => Ok(status),
        Some(_) | None => bail!("the answer of $cbs has no status"),
    }
}

#[cfg(test)]
mod tests;
