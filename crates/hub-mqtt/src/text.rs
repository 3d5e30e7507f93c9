//! The rules for texts, topic names and topic filters (sections 1.5.3 and 4.7).

use crate::error::DecodeError;

/// Reads a text: well-formed UTF-8 without U+0000 ([MQTT-1.5.3-1], [MQTT-1.5.3-2]).
pub(crate) fn parse_text(field: &[u8]) -> Result<&str, DecodeError> {
    let text = parse_utf8(field)?;
    if contains_any(field, [0]) {
        return Err(DecodeError::NulInText);
    }
    Ok(text)
}

/// Reads a topic name: a text that is not empty and has no wildcard ([MQTT-4.7.3-1], [MQTT-3.3.2-2]).
pub(crate) fn parse_topic(field: &[u8]) -> Result<&str, DecodeError> {
    let topic = parse_utf8(field)?;
    check_topic(topic)?;
    Ok(topic)
}

/// Checks what makes a text a topic name.
pub(crate) fn check_topic(topic: &str) -> Result<(), DecodeError> {
    if topic.is_empty() {
        return Err(DecodeError::EmptyTopic);
    }
    if contains_any(topic.as_bytes(), [0, b'+', b'#']) {
        return Err(if topic.contains('\0') {
            DecodeError::NulInText
        } else {
            DecodeError::WildcardInTopic
        });
    }
    Ok(())
}

/// Reads a topic filter: a text that is not empty and has wildcards only where they may stand.
pub(crate) fn parse_filter(field: &[u8]) -> Result<&str, DecodeError> {
    let filter = parse_text(field)?;
    check_filter(filter)?;
    Ok(filter)
}

/// Checks what makes a text without U+0000 a topic filter ([MQTT-4.7.3-1], [MQTT-4.7.1-2], [MQTT-4.7.1-3]).
pub(crate) fn check_filter(filter: &str) -> Result<(), DecodeError> {
    if filter.is_empty() {
        return Err(DecodeError::EmptyTopic);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_last = levels.peek().is_none();
        let is_allowed = match level {
            "+" => true,
            "#" => is_last,
            other => !contains_any(other.as_bytes(), *b"+#"),
        };
        if !is_allowed {
            return Err(DecodeError::MisplacedWildcard);
        }
    }
    Ok(())
}

/// Checks a text before it is written.
pub(crate) fn check_text(text: &str) -> Result<(), DecodeError> {
    if contains_any(text.as_bytes(), [0]) {
        Err(DecodeError::NulInText)
    } else {
        Ok(())
    }
}

fn parse_utf8(field: &[u8]) -> Result<&str, DecodeError> {
    core::str::from_utf8(field).map_err(|_| DecodeError::MalformedUtf8)
}

/// Looks at every byte without an early exit, which lets the compiler compare many bytes at once.
fn contains_any<const N: usize>(bytes: &[u8], wanted: [u8; N]) -> bool {
    let found = bytes.iter().fold(0, |found, byte| {
        wanted
            .iter()
            .fold(found, |found, wanted| found | u8::from(byte == wanted))
    });
    found != 0
}
