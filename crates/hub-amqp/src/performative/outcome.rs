//! Delivery states (part 3, section 3.4 "Delivery state").

use super::Fields;
use super::open::put_error_field;
use crate::error::{AmqpError, DecodeError};
use crate::value::{Composite, Map, Value};

const RECEIVED: u8 = 0x23;
const ACCEPTED: u8 = 0x24;
const REJECTED: u8 = 0x25;
const RELEASED: u8 = 0x26;
const MODIFIED: u8 = 0x27;

const NAMES: &[(&str, u8)] = &[
    ("amqp:received:list", RECEIVED),
    ("amqp:accepted:list", ACCEPTED),
    ("amqp:rejected:list", REJECTED),
    ("amqp:released:list", RELEASED),
    ("amqp:modified:list", MODIFIED),
];

/// What became of a delivery at its receiver.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome<'a> {
    /// It was processed.
    Accepted,
    /// It cannot be processed.
    Rejected(Option<AmqpError<'a>>),
    /// It was not processed and may be delivered again.
    Released,
    /// It was not processed and is changed for the next delivery.
    Modified {
        /// The attempt counts as failed.
        delivery_failed: bool,
        /// It is not to be delivered to this receiver again.
        undeliverable_here: bool,
        /// Annotations to be merged into those of the message.
        annotations: Option<Map<'a>>,
    },
}

/// A state that came with a transfer or a disposition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State<'a> {
    /// Some bytes of it arrived: not terminal, and of no use without resumption.
    Received,
    /// A state of a transaction or an extension; not terminal for us.
    Other,
    Terminal(Outcome<'a>),
}

impl<'a> State<'a> {
    #[inline]
    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Option<Self>, DecodeError> {
        let Some((code, mut fields)) = fields.composite(NAMES)? else {
            return Ok(None);
        };
        let state = match code {
            ACCEPTED => Self::Terminal(Outcome::Accepted),
            RELEASED => Self::Terminal(Outcome::Released),
            REJECTED => Self::Terminal(Outcome::Rejected(fields.error()?)),
            MODIFIED => Self::Terminal(Outcome::Modified {
                delivery_failed: fields.boolean()?.unwrap_or(false),
                undeliverable_here: fields.boolean()?.unwrap_or(false),
                annotations: fields.map()?,
            }),
            RECEIVED => Self::Received,
            _ => Self::Other,
        };
        fields.end()?;
        Ok(Some(state))
    }
}

/// Appends the outcome as a delivery state.
pub(crate) fn put_state(out: &mut Vec<u8>, outcome: &Outcome<'_>) {
    match outcome {
        Outcome::Accepted => out.extend([0x00, 0x53, ACCEPTED, 0x45]),
        Outcome::Released => out.extend([0x00, 0x53, RELEASED, 0x45]),
        Outcome::Rejected(error) => {
            let mut list = Composite::described(out, REJECTED);
            put_error_field(&mut list, out, error.as_ref());
            list.end_list(out);
        }
        Outcome::Modified {
            delivery_failed,
            undeliverable_here,
            annotations,
        } => {
            let mut list = Composite::described(out, MODIFIED);
            list.put(out, Value::Bool(*delivery_failed));
            list.put(out, Value::Bool(*undeliverable_here));
            list.put(out, annotations.map_or(Value::Null, Value::Map));
            list.end_list(out);
        }
    }
}
