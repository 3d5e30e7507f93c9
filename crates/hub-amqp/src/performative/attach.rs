//! Attach (part 2, section 2.7.3).

use super::{ATTACH, Fields, Source, Symbols, Target};
use crate::error::DecodeError;
use crate::value::{Composite, Map, Value};

/// Which end of a link a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Messages leave here.
    Sender,
    /// Messages arrive here.
    Receiver,
}

impl Role {
    pub(crate) const fn of(is_receiver: bool) -> Self {
        if is_receiver {
            Self::Receiver
        } else {
            Self::Sender
        }
    }

    /// The role of the other end.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }

    pub(crate) const fn value(self) -> Value<'static> {
        Value::Bool(matches!(self, Self::Receiver))
    }
}

/// Whether deliveries of a link wait for an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SenderSettleMode {
    /// Every one does.
    Unsettled,
    /// None does.
    Settled,
    /// As the sender likes with each.
    #[default]
    Mixed,
}

impl SenderSettleMode {
    fn of(number: Option<u8>) -> Result<Self, DecodeError> {
        match number {
            Some(0) => Ok(Self::Unsettled),
            Some(1) => Ok(Self::Settled),
            Some(2) | None => Ok(Self::Mixed),
            Some(_) => Err(DecodeError::InvalidField("snd-settle-mode")),
        }
    }

    const fn value(self) -> Value<'static> {
        Value::Ubyte(match self {
            Self::Unsettled => 0,
            Self::Settled => 1,
            Self::Mixed => 2,
        })
    }
}

/// Which end settles first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReceiverSettleMode {
    /// The receiver settles together with its outcome.
    #[default]
    First,
    /// The receiver tells the outcome, and settles when the sender has.
    Second,
}

impl ReceiverSettleMode {
    fn of(number: Option<u8>) -> Result<Self, DecodeError> {
        match number {
            Some(0) | None => Ok(Self::First),
            Some(1) => Ok(Self::Second),
            Some(_) => Err(DecodeError::InvalidField("rcv-settle-mode")),
        }
    }

    const fn value(self) -> Value<'static> {
        Value::Ubyte(match self {
            Self::First => 0,
            Self::Second => 1,
        })
    }
}

/// What a peer says about a link when it attaches it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attach<'a> {
    /// Name of the link, its own in this direction between the two containers.
    pub name: &'a str,
    /// Number by which the peer's frames name the link.
    pub handle: u32,
    /// Which end the peer is.
    pub role: Role,
    /// How the sender settles, or how the peer wants it to.
    pub sender_settle_mode: SenderSettleMode,
    /// How the receiver settles, or how the peer wants it to.
    pub receiver_settle_mode: ReceiverSettleMode,
    /// Where messages come from.
    pub source: Option<Source<'a>>,
    /// Where messages go to.
    pub target: Option<Target<'a>>,
    /// Deliveries that the peer knows from an earlier attachment, as it sent them.
    pub unsettled: Option<Map<'a>>,
    /// The count from which a sender counts its deliveries.
    pub initial_delivery_count: Option<u32>,
    /// Largest message that the peer takes; `None` stands for any.
    pub max_message_size: Option<u64>,
    /// Extensions that the peer has.
    pub offered_capabilities: Symbols<'a>,
    /// Extensions that the peer would use.
    pub desired_capabilities: Symbols<'a>,
    /// More about the link.
    pub properties: Option<Map<'a>>,
}

impl<'a> Attach<'a> {
    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        let name = fields.text()?.ok_or(DecodeError::MissingField("name"))?;
        let handle = fields.required_uint("handle")?;
        let role = Role::of(fields.boolean()?.ok_or(DecodeError::MissingField("role"))?);
        let sender_settle_mode = SenderSettleMode::of(fields.ubyte()?)?;
        let receiver_settle_mode = ReceiverSettleMode::of(fields.ubyte()?)?;
        let source = fields.composite(Source::NAMES)?;
        let source = source.map(|(code, fields)| Source::decode(code, fields));
        let target = fields.composite(Target::NAMES)?;
        let target = target.map(|(code, fields)| Target::decode(code, fields));
        let unsettled = fields.map()?;
        // Whether the map of unsettled deliveries is complete: without resumption it does not matter.
        fields.boolean()?;
        Ok(Self {
            name,
            handle,
            role,
            sender_settle_mode,
            receiver_settle_mode,
            source: source.transpose()?,
            target: target.transpose()?,
            unsettled,
            initial_delivery_count: fields.uint()?,
            // Clients say 0 when they mean no limit (part 2, section 2.7.3).
            max_message_size: fields.ulong()?.filter(|size| *size > 0),
            offered_capabilities: fields.symbols()?,
            desired_capabilities: fields.symbols()?,
            properties: fields.map()?,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, ATTACH);
        list.put(out, Value::String(self.name));
        list.put(out, Value::Uint(self.handle));
        list.put(out, self.role.value());
        list.put(out, self.sender_settle_mode.value());
        list.put(out, self.receiver_settle_mode.value());
        match &self.source {
            Some(source) => {
                list.count_one();
                source.encode(out);
            }
            None => list.put(out, Value::Null),
        }
        match &self.target {
            Some(target) => {
                list.count_one();
                target.encode(out);
            }
            None => list.put(out, Value::Null),
        }
        list.put(out, self.unsettled.map_or(Value::Null, Value::Map));
        list.put(out, Value::Bool(false));
        list.put(
            out,
            self.initial_delivery_count.map_or(Value::Null, Value::Uint),
        );
        list.put(out, self.max_message_size.map_or(Value::Null, Value::Ulong));
        list.put(out, self.offered_capabilities.value());
        list.put(out, self.desired_capabilities.value());
        list.put(out, self.properties.map_or(Value::Null, Value::Map));
        list.end_list(out);
    }
}
