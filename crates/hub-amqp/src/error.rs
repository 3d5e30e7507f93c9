//! What can be wrong with bytes, and the errors that peers tell each other.

pub mod condition;

use crate::value::Map;

/// Bytes that are not AMQP 1.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A value reaches beyond the end of what holds it.
    #[error("value reaches beyond its end")]
    BeyondEnd,
    /// Bytes are left after the last value.
    #[error("bytes left after the last value")]
    TrailingBytes,
    /// A constructor that the specification does not have.
    #[error("unknown constructor {0:#04x}")]
    UnknownCode(u8),
    /// A constructor of another type than the field has.
    #[error("unexpected constructor {0:#04x}")]
    UnexpectedCode(u8),
    /// A descriptor that does not stand for anything at this place.
    #[error("unknown descriptor")]
    UnknownDescriptor,
    /// The bytes of a value are none of its type.
    #[error("malformed {0}")]
    InvalidValue(&'static str),
    /// A field that is mandatory is absent or null.
    #[error("field {0} is missing")]
    MissingField(&'static str),
    /// A field has a value that it may not have.
    #[error("field {0} is invalid")]
    InvalidField(&'static str),
    /// Lists, maps, arrays or described values are nested too deep.
    #[error("values are nested too deep")]
    TooDeep,
    /// An array of empty items has too many.
    #[error("too many items")]
    TooManyItems,
    /// A frame is longer than was agreed on.
    #[error("frame of {length} bytes is above the limit of {length_max}")]
    FrameTooLarge {
        /// Length that the frame announces.
        length: usize,
        /// The agreed limit.
        length_max: usize,
    },
    /// A frame is shorter than its own header, its data offset points outside of it, or its type is unknown.
    #[error("malformed frame header")]
    FrameHeader,
    /// The sections of a message are not in their order, or one is there twice.
    #[error("section out of order")]
    SectionOrder,
}

/// An error as peers tell each other in detach, end, close and rejected (part 2, section 2.8.14).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AmqpError<'a> {
    /// What is wrong, as a symbol that programs compare; see [`condition`].
    pub condition: &'a str,
    /// What is wrong, for people.
    pub description: Option<&'a str>,
    /// More about it.
    pub info: Option<Map<'a>>,
}

impl<'a> AmqpError<'a> {
    /// An error with a text for people.
    #[must_use]
    pub const fn new(condition: &'a str, description: &'a str) -> Self {
        Self {
            condition,
            description: Some(description),
            info: None,
        }
    }
}
