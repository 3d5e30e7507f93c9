//! The bodies of frames, decoded and encoded by hand (part 2, section 2.7 "Performatives").
//!
//! A peer may leave out trailing fields; what is written always has every field, because pyamqp reads by position.

mod attach;
mod delivery;
mod fields;
mod flow;
mod open;
mod outcome;
mod terminus;

pub use attach::{Attach, ReceiverSettleMode, Role, SenderSettleMode};
pub(crate) use delivery::{Disposition, Transfer};
pub(crate) use fields::Fields;
pub(crate) use flow::{Flow, LinkFlow};
pub use open::Open;
pub(crate) use open::{Begin, put_detach, put_error};
pub use outcome::Outcome;
pub(crate) use outcome::{State, put_state};
pub use terminus::{Source, Symbols, Target};

use crate::error::{AmqpError, DecodeError};
use crate::value::{Descriptor, Reader};

/// The body of one AMQP frame.
#[derive(Debug, Clone)]
pub(crate) enum Performative<'a> {
    // These two are large and rare.
    Open(Box<Open<'a>>),
    Begin(Begin),
    Attach(Box<Attach<'a>>),
    Flow(Flow),
    /// The payload follows the performative in its frame.
    Transfer(Transfer<'a>, &'a [u8]),
    Disposition(Disposition<'a>),
    Detach {
        handle: u32,
        closed: bool,
        error: Option<AmqpError<'a>>,
    },
    End(Option<AmqpError<'a>>),
    Close(Option<AmqpError<'a>>),
}

pub(crate) const OPEN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const ATTACH: u8 = 0x12;
pub(crate) const FLOW: u8 = 0x13;
pub(crate) const TRANSFER: u8 = 0x14;
pub(crate) const DISPOSITION: u8 = 0x15;
pub(crate) const DETACH: u8 = 0x16;
pub(crate) const END: u8 = 0x17;
pub(crate) const CLOSE: u8 = 0x18;

const NAMES: [(&str, u8); 9] = [
    ("amqp:open:list", OPEN),
    ("amqp:begin:list", BEGIN),
    ("amqp:attach:list", ATTACH),
    ("amqp:flow:list", FLOW),
    ("amqp:transfer:list", TRANSFER),
    ("amqp:disposition:list", DISPOSITION),
    ("amqp:detach:list", DETACH),
    ("amqp:end:list", END),
    ("amqp:close:list", CLOSE),
];

/// The descriptor of a performative or another composite type, by its code or its name.
pub(crate) fn descriptor_code(
    reader: &mut Reader<'_>,
    names: &[(&str, u8)],
) -> Result<u8, DecodeError> {
    if reader.byte()? != 0 {
        return Err(DecodeError::UnknownDescriptor);
    }
    match reader.descriptor()? {
        Descriptor::Code(code) => u8::try_from(code).map_err(|_| DecodeError::UnknownDescriptor),
        Descriptor::Symbol(name) => names
            .iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, code)| *code)
            .ok_or(DecodeError::UnknownDescriptor),
    }
}

impl<'a> Performative<'a> {
    /// Reads the body of a frame.
    #[inline]
    pub(crate) fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let code = descriptor_code(&mut reader, &NAMES)?;
        let mut fields = Fields::take(&mut reader)?;
        let performative = match code {
            TRANSFER => {
                let transfer = Transfer::decode(&mut fields)?;
                fields.end()?;
                return Ok(Self::Transfer(transfer, reader.rest()));
            }
            DISPOSITION => Self::Disposition(Disposition::decode(&mut fields)?),
            FLOW => Self::Flow(Flow::decode(&mut fields)?),
            OPEN => Self::Open(Box::new(Open::decode(&mut fields)?)),
            BEGIN => Self::Begin(Begin::decode(&mut fields)?),
            ATTACH => Self::Attach(Box::new(Attach::decode(&mut fields)?)),
            DETACH => Self::Detach {
                handle: fields.required_uint("handle")?,
                closed: fields.boolean()?.unwrap_or(false),
                error: fields.error()?,
            },
            END => Self::End(fields.error()?),
            CLOSE => Self::Close(fields.error()?),
            _ => return Err(DecodeError::UnknownDescriptor),
        };
        fields.end()?;
        if reader.is_empty() {
            Ok(performative)
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }
}
