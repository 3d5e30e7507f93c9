//! The sections of fixed fields: header and properties (part 3, sections 3.2.1 and 3.2.4).

use crate::error::DecodeError;
use crate::performative::{Fields, descriptor_code};
use crate::value::{Composite, Reader, Value};

pub(super) const HEADER: u8 = 0x70;
pub(super) const PROPERTIES: u8 = 0x73;

/// The transport header of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whether the message must not be lost.
    pub durable: bool,
    /// 4 is normal, more is more urgent.
    pub priority: u8,
    /// Milliseconds that the message is good for.
    pub ttl_ms: Option<u32>,
    /// Nobody had it before.
    pub first_acquirer: bool,
    /// Attempts to deliver it that failed.
    pub delivery_count: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            durable: false,
            priority: 4,
            ttl_ms: None,
            first_acquirer: false,
            delivery_count: 0,
        }
    }
}

impl Header {
    pub(super) fn decode(section: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = section_fields(section)?;
        let header = Self {
            durable: fields.boolean()?.unwrap_or(false),
            priority: fields.ubyte()?.unwrap_or(4),
            ttl_ms: fields.uint()?,
            first_acquirer: fields.boolean()?.unwrap_or(false),
            delivery_count: fields.uint()?.unwrap_or(0),
        };
        fields.end()?;
        Ok(header)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, HEADER);
        list.put(out, Value::Bool(self.durable));
        list.put(out, Value::Ubyte(self.priority));
        list.put(out, self.ttl_ms.map_or(Value::Null, Value::Uint));
        list.put(out, Value::Bool(self.first_acquirer));
        list.put(out, Value::Uint(self.delivery_count));
        list.end_list(out);
    }
}

/// A message id or correlation id. A reply echoes it with its type, because clients compare both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageId<'a> {
    /// A number.
    Ulong(u64),
    /// A UUID.
    Uuid([u8; 16]),
    /// Bytes.
    Binary(&'a [u8]),
    /// Text.
    String(&'a str),
}

impl<'a> MessageId<'a> {
    fn of(value: Value<'a>) -> Result<Self, DecodeError> {
        if let Value::Ulong(number) = value {
            return Ok(Self::Ulong(number));
        }
        if let Value::Uuid(bytes) = value {
            return Ok(Self::Uuid(bytes));
        }
        if let Value::Binary(bytes) = value {
            return Ok(Self::Binary(bytes));
        }
        value
            .as_str()
            .map(Self::String)
            .ok_or(DecodeError::InvalidValue("message id"))
    }

    const fn value(self) -> Value<'a> {
        match self {
            Self::Ulong(number) => Value::Ulong(number),
            Self::Uuid(bytes) => Value::Uuid(bytes),
            Self::Binary(bytes) => Value::Binary(bytes),
            Self::String(text) => Value::String(text),
        }
    }
}

/// The immutable properties of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Properties<'a> {
    /// The sender's name for the message.
    pub message_id: Option<MessageId<'a>>,
    /// Who made it.
    pub user_id: Option<&'a [u8]>,
    /// Where it is to go.
    pub to: Option<&'a str>,
    /// What it is about.
    pub subject: Option<&'a str>,
    /// Where replies are to go.
    pub reply_to: Option<&'a str>,
    /// Which message it answers.
    pub correlation_id: Option<MessageId<'a>>,
    /// Media type of the body.
    pub content_type: Option<&'a str>,
    /// How the body is encoded besides.
    pub content_encoding: Option<&'a str>,
    /// When it is no longer good, in milliseconds since 1970.
    pub absolute_expiry_time: Option<i64>,
    /// When it was made, in milliseconds since 1970.
    pub creation_time: Option<i64>,
    /// Which group it belongs to.
    pub group_id: Option<&'a str>,
    /// Its place in the group.
    pub group_sequence: Option<u32>,
    /// Which group a reply belongs to.
    pub reply_to_group_id: Option<&'a str>,
}

impl<'a> Properties<'a> {
    pub(super) fn decode(section: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = section_fields(section)?;
        let properties = Self {
            message_id: fields.any()?.map(MessageId::of).transpose()?,
            user_id: fields.binary()?,
            to: fields.any()?.and_then(|value| value.as_str()),
            subject: fields.text()?,
            reply_to: fields.any()?.and_then(|value| value.as_str()),
            correlation_id: fields.any()?.map(MessageId::of).transpose()?,
            content_type: fields.text()?,
            content_encoding: fields.text()?,
            absolute_expiry_time: fields.timestamp()?,
            creation_time: fields.timestamp()?,
            group_id: fields.text()?,
            group_sequence: fields.uint()?,
            reply_to_group_id: fields.text()?,
        };
        fields.end()?;
        Ok(properties)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let text = |text: Option<&'a str>| text.map_or(Value::Null, Value::String);
        let symbol = |text: Option<&'a str>| text.map_or(Value::Null, Value::Symbol);
        let time = |time: Option<i64>| time.map_or(Value::Null, Value::Timestamp);
        let id = |id: Option<MessageId<'a>>| id.map_or(Value::Null, MessageId::value);
        let mut list = Composite::described(out, PROPERTIES);
        list.put(out, id(self.message_id));
        list.put(out, self.user_id.map_or(Value::Null, Value::Binary));
        list.put(out, text(self.to));
        list.put(out, text(self.subject));
        list.put(out, text(self.reply_to));
        list.put(out, id(self.correlation_id));
        list.put(out, symbol(self.content_type));
        list.put(out, symbol(self.content_encoding));
        list.put(out, time(self.absolute_expiry_time));
        list.put(out, time(self.creation_time));
        list.put(out, text(self.group_id));
        list.put(out, self.group_sequence.map_or(Value::Null, Value::Uint));
        list.put(out, text(self.reply_to_group_id));
        list.end_list(out);
    }
}

fn section_fields(section: &[u8]) -> Result<Fields<'_>, DecodeError> {
    let mut reader = Reader::new(section);
    descriptor_code(&mut reader, super::sections::NAMES)?;
    Fields::take(&mut reader)
}
