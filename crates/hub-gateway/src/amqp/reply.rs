//! Requests and replies over a pair of links: `$cbs`, `$management`, twins and methods.

use hub_amqp::{Connection, LinkId, MessageId, Outgoing, Properties};

/// A message id that outlives the message: it is echoed with its type, because clients compare both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OwnedId {
    Ulong(u64),
    Uuid([u8; 16]),
    Binary(Box<[u8]>),
    String(Box<str>),
}

impl OwnedId {
    pub(super) fn of(id: MessageId<'_>) -> Self {
        match id {
            MessageId::Ulong(number) => Self::Ulong(number),
            MessageId::Uuid(bytes) => Self::Uuid(bytes),
            MessageId::Binary(bytes) => Self::Binary(bytes.into()),
            MessageId::String(text) => Self::String(text.into()),
        }
    }

    pub(super) fn as_id(&self) -> MessageId<'_> {
        match self {
            Self::Ulong(number) => MessageId::Ulong(*number),
            Self::Uuid(bytes) => MessageId::Uuid(*bytes),
            Self::Binary(bytes) => MessageId::Binary(bytes),
            Self::String(text) => MessageId::String(text),
        }
    }
}

/// The properties of a reply to the message with this id.
pub(super) fn reply_to(id: Option<&OwnedId>) -> Properties<'_> {
    Properties {
        correlation_id: id.map(OwnedId::as_id),
        ..Properties::default()
    }
}

/// Sends a message that nobody settles. A reply that the peer does not take is its own loss, and said in the log.
pub(super) fn send(amqp: &mut Connection, link: LinkId, message: &[u8]) {
    if let Err(error) = amqp.send(link, &Outgoing::SETTLED, message) {
        tracing::debug!(%error, "a message cannot be sent over amqp");
    }
}
