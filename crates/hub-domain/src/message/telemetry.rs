//! Telemetry: the size rule on the hot path, and the properties for whoever reads a message.

use std::collections::BTreeMap;

use super::property_bag::{hexadecimal, without_question_mark};
use super::{PropertyBag, PropertyBagError, SystemProperty};
use crate::ErrorCode;
use crate::limits::TELEMETRY_BYTES_MAX;

/// The first characters of a system property's key.
const SYSTEM_PREFIX: &str = "$.";

/// A telemetry message that is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryError {
    /// It is too large.
    #[error("the message has {bytes} bytes with its properties, more than {TELEMETRY_BYTES_MAX}")]
    TooLarge {
        /// Its size as documented.
        bytes: usize,
    },
    /// Its property bag cannot be read.
    #[error(transparent)]
    Properties(#[from] PropertyBagError),
}

impl TelemetryError {
    /// The code to answer with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooLarge { .. } => ErrorCode::MessageTooLarge,
            Self::Properties(_) => ErrorCode::ArgumentInvalid,
        }
    }
}

/// The size of a telemetry message as documented: body, system property values, application property
/// names and values, all decoded. Checks in the same pass that the bag can be read, and allocates
/// nothing.
///
/// # Errors
/// When the bag cannot be read, or the size is above
/// [`TELEMETRY_BYTES_MAX`].
pub fn telemetry_size(raw_bag: &[u8], body_len: usize) -> Result<usize, TelemetryError> {
    let mut rest = without_question_mark(raw_bag);
    let mut bytes = body_len;
    while !rest.is_empty() {
        let (key, after) = measure::<true>(rest)?;
        rest = after;
        if !key.is_system {
            bytes = bytes.saturating_add(key.bytes);
        }
        if key.end == Some(b'=') {
            let (value, after) = measure::<false>(rest)?;
            rest = after;
            bytes = bytes.saturating_add(value.bytes);
        }
    }
    if bytes > TELEMETRY_BYTES_MAX {
        Err(TelemetryError::TooLarge { bytes })
    } else {
        Ok(bytes)
    }
}

struct Measured {
    bytes: usize,
    is_system: bool,
    end: Option<u8>,
}

/// Measures one key (up to `=` or `&`) or value (up to `&`), decoded; returns what follows its end.
fn measure<const KEY: bool>(encoded: &[u8]) -> Result<(Measured, &[u8]), PropertyBagError> {
    let mut bytes = 0;
    let mut text = Utf8::default();
    let mut at = 0;
    let mut end = None;
    loop {
        let run = plain_run(&encoded[at..]);
        if run > 0 {
            text.finish()?;
            bytes += run;
            at += run;
        }
        let Some(&byte) = encoded.get(at) else {
            break;
        };
        at += 1;
        match byte {
            b'%' => {
                let digits = encoded
                    .get(at..at + 2)
                    .ok_or(PropertyBagError::PercentSequence)?;
                at += 2;
                text.push(
                    hexadecimal(digits[0], digits[1]).ok_or(PropertyBagError::PercentSequence)?,
                )?;
            }
            b'&' => {
                end = Some(byte);
                break;
            }
            b'=' if KEY => {
                end = Some(byte);
                break;
            }
            _ => text.push(byte)?,
        }
        bytes += 1;
    }
    text.finish()?;
    Ok((
        Measured {
            bytes,
            is_system: KEY && is_system_key(encoded),
            end,
        },
        &encoded[at..],
    ))
}

/// True when the encoded key decodes to what starts with `$.`.
fn is_system_key(encoded: &[u8]) -> bool {
    let after_dollar = encoded
        .strip_prefix(b"$")
        .or_else(|| encoded.strip_prefix(b"%24"));
    after_dollar.is_some_and(|rest| {
        rest.starts_with(b".") || rest.starts_with(b"%2e") || rest.starts_with(b"%2E")
    })
}

/// How many bytes at the start are ASCII and neither `%` nor `&` nor `=`, eight at a time: a bag is
/// read for every message.
fn plain_run(bytes: &[u8]) -> usize {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    // The lowest high bit set marks the first byte that is zero; higher ones may be wrong.
    let zero_bytes = |word: u64| word.wrapping_sub(LOW) & !word;
    let equal_bytes = |word: u64, byte: u8| zero_bytes(word ^ u64::from_le_bytes([byte; 8]));
    let mut at = 0;
    while let Some(chunk) = bytes[at..].first_chunk() {
        let word = u64::from_le_bytes(*chunk);
        let ends =
            (word | equal_bytes(word, b'%') | equal_bytes(word, b'&') | equal_bytes(word, b'='))
                & HIGH;
        if ends != 0 {
            return at + ends.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let is_end = |byte: &u8| matches!(byte, b'%' | b'&' | b'=' | 0x80..);
    at + bytes[at..]
        .iter()
        .position(is_end)
        .unwrap_or(bytes.len() - at)
}

/// Checks UTF-8 byte by byte (RFC 3629, section 4), because decoded bytes never stand in a row.
#[derive(Default)]
struct Utf8 {
    /// Continuation bytes still to come.
    pending: u8,
    /// What the next of them may be; the first is bounded by its lead.
    low: u8,
    high: u8,
}

impl Utf8 {
    #[inline]
    fn push(&mut self, byte: u8) -> Result<(), PropertyBagError> {
        if byte < 0x80 && self.pending == 0 {
            Ok(())
        } else {
            self.push_long(byte)
        }
    }

    #[cold]
    fn push_long(&mut self, byte: u8) -> Result<(), PropertyBagError> {
        if self.pending > 0 {
            if byte < self.low || byte > self.high {
                return Err(PropertyBagError::NotUtf8);
            }
            *self = Self {
                pending: self.pending - 1,
                low: 0x80,
                high: 0xbf,
            };
            return Ok(());
        }
        *self = match byte {
            0xc2..=0xdf => Self {
                pending: 1,
                low: 0x80,
                high: 0xbf,
            },
            0xe0 => Self {
                pending: 2,
                low: 0xa0,
                high: 0xbf,
            },
            0xed => Self {
                pending: 2,
                low: 0x80,
                high: 0x9f,
            },
            0xe1..=0xef => Self {
                pending: 2,
                low: 0x80,
                high: 0xbf,
            },
            0xf0 => Self {
                pending: 3,
                low: 0x90,
                high: 0xbf,
            },
            0xf1..=0xf3 => Self {
                pending: 3,
                low: 0x80,
                high: 0xbf,
            },
            0xf4 => Self {
                pending: 3,
                low: 0x80,
                high: 0x8f,
            },
            _ => return Err(PropertyBagError::NotUtf8),
        };
        Ok(())
    }

    fn finish(&self) -> Result<(), PropertyBagError> {
        if self.pending == 0 {
            Ok(())
        } else {
            Err(PropertyBagError::NotUtf8)
        }
    }
}

/// The properties of a telemetry message, by name; of a name given twice, the last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TelemetryProperties {
    /// System properties by their MQTT name (`$.mid`), those that nobody knows included.
    pub system: BTreeMap<String, Option<String>>,
    /// What the sender added.
    pub application: BTreeMap<String, Option<String>>,
}

impl TelemetryProperties {
    /// The value of a system property.
    pub fn system(&self, property: SystemProperty) -> Option<&str> {
        self.system.get(property.mqtt_name())?.as_deref()
    }
}

/// Decodes the bag of a telemetry message. Keys are decoded before they are told apart, for the C and
/// Java clients encode less of them than Python and Node.
///
/// # Errors
/// When the bag cannot be read, which [`telemetry_size`] found out at ingest.
pub fn decode_telemetry_properties(
    raw_bag: &[u8],
) -> Result<TelemetryProperties, PropertyBagError> {
    let mut properties = TelemetryProperties::default();
    for (key, value) in PropertyBag::decode(raw_bag)?.entries {
        let map = if key.starts_with(SYSTEM_PREFIX) {
            &mut properties.system
        } else {
            &mut properties.application
        };
        map.insert(key, value);
    }
    Ok(properties)
}
