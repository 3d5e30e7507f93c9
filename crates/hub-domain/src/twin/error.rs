//! Why a twin write is refused.

use std::fmt;

use crate::ErrorCode;
use crate::limits::{
    TWIN_DEPTH_MAX, TWIN_DESIRED_BYTES_MAX, TWIN_INTEGER_MAX, TWIN_INTEGER_MIN, TWIN_KEY_BYTES_MAX,
    TWIN_REPORTED_BYTES_MAX, TWIN_STRING_BYTES_MAX, TWIN_TAGS_BYTES_MAX,
};

/// A twin write that is refused. Its text is for the writer: it names keys, never values, and has no
/// semicolon, at which clients cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TwinError {
    /// A key has a control character, `.`, `$` or a space.
    #[error("the key at {path} has the character {character:?}, which is not allowed")]
    KeyCharacter {
        /// Where.
        path: String,
        /// The first such character.
        character: char,
    },
    /// A key is too long.
    #[error("the key at {path} has {bytes} bytes, more than {TWIN_KEY_BYTES_MAX}")]
    KeyTooLong {
        /// Where, shortened.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// A string value is too long.
    #[error("the string at {path} has {bytes} bytes, more than {TWIN_STRING_BYTES_MAX}")]
    StringTooLong {
        /// Where.
        path: String,
        /// Its size.
        bytes: usize,
    },
    /// An integer is too large or too small.
    #[error("the integer at {path} is not between {TWIN_INTEGER_MIN} and {TWIN_INTEGER_MAX}")]
    IntegerOutOfRange {
        /// Where.
        path: String,
    },
    /// Objects are nested too deep.
    #[error("the object at {path} is nested deeper than {TWIN_DEPTH_MAX} levels")]
    TooDeep {
        /// Where.
        path: String,
    },
    /// The section would become too large.
    #[error("{part} would have {bytes} bytes, more than {}", part.bytes_max())]
    TooLarge {
        /// Which section.
        part: TwinPart,
        /// Its size after the write, as documented.
        bytes: usize,
    },
    /// The writer expected another version.
    #[error("{part} has version {actual}, not {expected}")]
    VersionMismatch {
        /// Which section.
        part: TwinPart,
        /// What the writer expected.
        expected: u64,
        /// What it is.
        actual: u64,
    },
}

impl TwinError {
    /// The code to answer with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::KeyCharacter { .. }
            | Self::KeyTooLong { .. }
            | Self::StringTooLong { .. }
            | Self::IntegerOutOfRange { .. }
            | Self::TooDeep { .. }
            | Self::TooLarge { .. } => ErrorCode::ArgumentInvalid,
            Self::VersionMismatch { .. } => ErrorCode::PreconditionFailed,
        }
    }
}

/// A part of a twin with rules of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TwinPart {
    /// Back-end notes.
    Tags,
    /// What the device should be.
    Desired,
    /// What the device says it is.
    Reported,
}

impl TwinPart {
    /// The most bytes it may have, counted as documented.
    pub const fn bytes_max(self) -> usize {
        match self {
            Self::Tags => TWIN_TAGS_BYTES_MAX,
            Self::Desired => TWIN_DESIRED_BYTES_MAX,
            Self::Reported => TWIN_REPORTED_BYTES_MAX,
        }
    }
}

impl fmt::Display for TwinPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tags => "tags",
            Self::Desired => "properties.desired",
            Self::Reported => "properties.reported",
        })
    }
}
