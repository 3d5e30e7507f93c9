//! `c2d …`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hub_api::client::{Client, Settlement};
use hub_api::native::{Ack, MessageBody, Moment, NewMessage};
use hub_domain::Timestamp;

use crate::arguments::{AckArgument, MessageCommand, MessageReceive, MessageSend, MessageSettle};
use crate::connect::Connected;
use crate::failure::Failure;
use crate::render;

pub(super) async fn execute(
    command: MessageCommand,
    Connected { client, hub }: &Connected,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    match command {
        MessageCommand::Send(send) => {
            let (device_id, output) = (send.device_id.clone(), send.common.output);
            let sent = client
                .send_message(hub, &device_id, &message(*send)?)
                .await?;
            render::answer(output, &sent, render::sent_message, out)
        }
        MessageCommand::Purge(purge) => {
            let purged = client.purge_messages(hub, &purge.device_id).await?;
            render::answer(purge.common.output, &purged, render::purged_messages, out)
        }
        MessageCommand::Receive(receive) => self::receive(&receive, client, hub, out).await,
        MessageCommand::Complete(message) => {
            settle(&message, Settlement::Complete, client, hub).await
        }
        MessageCommand::Reject(message) => settle(&message, Settlement::Reject, client, hub).await,
        MessageCommand::Abandon(message) => {
            settle(&message, Settlement::Abandon, client, hub).await
        }
    }
}

/// A message is shown before it is settled, so that none is lost that nobody saw.
async fn receive(
    receive: &MessageReceive,
    client: &Client,
    hub: &str,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let device = &receive.device_id;
    let delivery = client
        .receive_message(hub, device, receive.lock_timeout)
        .await?;
    render::answer(receive.common.output, &delivery, render::delivery, out)?;
    let settlement = [
        (receive.complete, Settlement::Complete),
        (receive.reject, Settlement::Reject),
        (receive.abandon, Settlement::Abandon),
    ];
    let settlement = settlement.iter().find(|(is_asked, _)| *is_asked);
    if let (Some((_, settlement)), Some(token)) = (settlement, &delivery.lock_token) {
        client
            .settle_message(hub, device, token, *settlement)
            .await?;
    }
    Ok(())
}

async fn settle(
    message: &MessageSettle,
    settlement: Settlement,
    client: &Client,
    hub: &str,
) -> Result<(), Failure> {
    let settled = client.settle_message(hub, &message.device_id, &message.etag, settlement);
    Ok(settled.await?)
}

fn message(send: MessageSend) -> Result<NewMessage, Failure> {
    let body = match (send.data, send.data_file_path) {
        (Some(text), _) => Some(MessageBody::Text(text)),
        (None, Some(path)) => {
            let bytes =
                fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            Some(MessageBody::Base64(STANDARD.encode(bytes)))
        }
        (None, None) => None,
    };
    Ok(NewMessage {
        message_id: send.message_id,
        correlation_id: send.correlation_id,
        user_id: send.user_id,
        content_type: send.content_type,
        content_encoding: send.content_encoding,
        expiry_time_utc: send.expiry_time_utc.as_deref().map(moment).transpose()?,
        ttl_seconds: send.ttl,
        ack: match send.ack {
            None | Some(AckArgument::None) => Ack::None,
            Some(AckArgument::Positive) => Ack::Positive,
            Some(AckArgument::Negative) => Ack::Negative,
            Some(AckArgument::Full) => Ack::Full,
        },
        properties: send
            .props
            .as_deref()
            .map(properties)
            .transpose()?
            .unwrap_or_default(),
        body,
    })
}

/// RFC 3339, or milliseconds since 1970 as `az iot` takes them.
fn moment(text: &str) -> Result<Moment, Failure> {
    let parsed = match text.parse::<i64>() {
        Ok(millis) => Ok(Timestamp::from_millis(millis)),
        Err(_) => Timestamp::parse_rfc3339(text),
    };
    parsed
        .map(Moment)
        .map_err(|error| Failure::usage(format!("--expiry-time-utc: {error}")))
}

/// `name=value;name=value`. A value may hold `=`.
fn properties(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let mut properties = BTreeMap::new();
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if name.is_empty() {
            return Err(Failure::usage(format!(
                "--props: {part:?} has no name; write name=value;name=value"
            )));
        }
        if properties
            .insert(name.to_owned(), value.to_owned())
            .is_some()
        {
            return Err(Failure::usage(format!(
                "--props: {name:?} stands there twice"
            )));
        }
    }
    Ok(properties)
}
