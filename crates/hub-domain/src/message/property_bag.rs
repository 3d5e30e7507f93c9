//! Property bags: the part of an MQTT topic that carries properties.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986. `.` stays, so that system keys read `%24.mid`, which
/// the C client compares byte for byte (`iothubtransport_mqtt_common.c`).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// `key=value&…`, both percent-encoded. A key without `=` has no value; `key=` has an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyBag {
    /// The pairs in their order, decoded.
    pub entries: Vec<(String, Option<String>)>,
}

/// The text is no property bag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PropertyBagError {
    /// A `%` without two hexadecimal digits after it.
    #[error("the properties have a % without two hexadecimal digits")]
    PercentSequence,
    /// A key or value is not UTF-8.
    #[error("the properties are not UTF-8")]
    NotUtf8,
}

impl PropertyBag {
    /// Reads a bag. A leading `?` and empty parts are skipped; `+` stands for itself.
    ///
    /// # Errors
    /// When a percent sequence is broken or decodes to what is not UTF-8.
    pub fn decode(raw: &[u8]) -> Result<Self, PropertyBagError> {
        let raw = without_question_mark(raw);
        let parts = raw
            .split(|byte| *byte == b'&')
            .filter(|part| !part.is_empty());
        let entries = parts.map(decode_part).collect::<Result<_, _>>()?;
        Ok(Self { entries })
    }

    /// Appends one pair.
    pub fn push(&mut self, key: &str, value: Option<&str>) {
        self.entries
            .push((key.to_owned(), value.map(str::to_owned)));
    }

    /// Prints the bag.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        for (key, value) in &self.entries {
            push_encoded(&mut text, key, value.as_deref());
        }
        text
    }
}

/// Appends one pair to an encoded bag.
pub fn push_encoded(bag: &mut String, key: &str, value: Option<&str>) {
    if !bag.is_empty() {
        bag.push('&');
    }
    bag.extend(utf8_percent_encode(key, RESERVED));
    if let Some(value) = value {
        bag.push('=');
        bag.extend(utf8_percent_encode(value, RESERVED));
    }
}

/// Hand-written clients begin the bag like a query.
pub(super) fn without_question_mark(raw: &[u8]) -> &[u8] {
    raw.strip_prefix(b"?").unwrap_or(raw)
}

/// One decoded pair, borrowed where nothing is encoded.
pub type Property<'a> = (Cow<'a, str>, Option<Cow<'a, str>>);

/// The decoded pairs of a bag, one after the other: [`PropertyBag::decode`] for whoever reads many bags once.
pub fn properties(raw: &[u8]) -> impl Iterator<Item = Result<Property<'_>, PropertyBagError>> {
    let parts = without_question_mark(raw).split(|byte| *byte == b'&');
    parts.filter(|part| !part.is_empty()).map(|part| {
        match part.iter().position(|byte| *byte == b'=') {
            None => Ok((decode_borrowed(part)?, None)),
            Some(at) => Ok((
                decode_borrowed(&part[..at])?,
                Some(decode_borrowed(&part[at + 1..])?),
            )),
        }
    })
}

fn decode_borrowed(encoded: &[u8]) -> Result<Cow<'_, str>, PropertyBagError> {
    if encoded.contains(&b'%') {
        return decode_text(encoded).map(Cow::Owned);
    }
    std::str::from_utf8(encoded)
        .map(Cow::Borrowed)
        .map_err(|_| PropertyBagError::NotUtf8)
}

fn decode_part(part: &[u8]) -> Result<(String, Option<String>), PropertyBagError> {
    match part.iter().position(|byte| *byte == b'=') {
        None => Ok((decode_text(part)?, None)),
        Some(at) => Ok((
            decode_text(&part[..at])?,
            Some(decode_text(&part[at + 1..])?),
        )),
    }
}

fn decode_text(encoded: &[u8]) -> Result<String, PropertyBagError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest
                .split_at_checked(2)
                .ok_or(PropertyBagError::PercentSequence)?;
            bytes.push(hexadecimal(digits[0], digits[1]).ok_or(PropertyBagError::PercentSequence)?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).map_err(|_| PropertyBagError::NotUtf8)
}

/// The byte that two hexadecimal digits stand for.
pub(super) const fn hexadecimal(high: u8, low: u8) -> Option<u8> {
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Some(high << 4 | low),
        (None, _) | (_, None) => None,
    }
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
