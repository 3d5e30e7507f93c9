//! What a section may hold, and how its size is counted ("Tags and properties format", "Device twin
//! size").

use serde_json::{Map, Number, Value};

use super::{TwinError, TwinPart};
use crate::limits::{
    TWIN_DEPTH_MAX, TWIN_INTEGER_MAX, TWIN_INTEGER_MIN, TWIN_KEY_BYTES_MAX, TWIN_STRING_BYTES_MAX,
};

/// Characters of a path in an error.
const PATH_CHARS_MAX: usize = 256;

/// Checks keys, strings, integers and depth of everything that is about to be written to `part`.
pub(super) fn check(part: TwinPart, members: &Map<String, Value>) -> Result<(), TwinError> {
    Walk {
        part,
        path: Vec::new(),
    }
    .members(members, 0)
}

/// Checks the size of a section as it would be after the write.
pub(super) fn check_size(part: TwinPart, members: &Map<String, Value>) -> Result<(), TwinError> {
    let bytes = size_of_members(members);
    if bytes > part.bytes_max() {
        Err(TwinError::TooLarge { part, bytes })
    } else {
        Ok(())
    }
}

struct Walk<'a> {
    part: TwinPart,
    path: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    /// `depth` counts the objects around these members, the section itself left out.
    fn members(&mut self, members: &'a Map<String, Value>, depth: usize) -> Result<(), TwinError> {
        for (key, value) in members {
            self.path.push(key);
            self.key(key)?;
            self.value(value, depth)?;
            self.path.pop();
        }
        Ok(())
    }

    fn key(&self, key: &str) -> Result<(), TwinError> {
        if key.len() > TWIN_KEY_BYTES_MAX {
            return Err(TwinError::KeyTooLong {
                path: self.path(),
                bytes: key.len(),
            });
        }
        match key
            .chars()
            .find(|c| is_c0_or_c1(*c) || matches!(c, '.' | '$' | ' '))
        {
            Some(character) => Err(TwinError::KeyCharacter {
                path: self.path(),
                character,
            }),
            None => Ok(()),
        }
    }

    fn value(&mut self, value: &'a Value, depth: usize) -> Result<(), TwinError> {
        match value {
            Value::Null | Value::Bool(_) => Ok(()),
            Value::Number(number) if is_in_range(number) => Ok(()),
            Value::Number(_) => Err(TwinError::IntegerOutOfRange { path: self.path() }),
            Value::String(text) if text.len() <= TWIN_STRING_BYTES_MAX => Ok(()),
            Value::String(text) => Err(TwinError::StringTooLong {
                path: self.path(),
                bytes: text.len(),
            }),
            // Only objects count as depth. The nesting of arrays ends where the JSON reader stops.
            Value::Array(elements) => elements
                .iter()
                .try_for_each(|element| self.value(element, depth)),
            Value::Object(_) if depth == TWIN_DEPTH_MAX => {
                Err(TwinError::TooDeep { path: self.path() })
            }
            Value::Object(members) => self.members(members, depth + 1),
        }
    }

    fn path(&self) -> String {
        let whole = format!("{}.{}", self.part, self.path.join("."));
        let mut shown: String = whole
            .chars()
            .take(PATH_CHARS_MAX)
            .map(|c| if c.is_control() || c == ';' { '?' } else { c })
            .collect();
        if shown.len() < whole.len() {
            shown.push('…');
        }
        shown
    }
}

/// Integers of 64 bits and less are checked. A longer one arrives here as a float, which has no bounds.
fn is_in_range(number: &Number) -> bool {
    match (number.as_i64(), number.as_u64()) {
        (Some(integer), _) => (TWIN_INTEGER_MIN..=TWIN_INTEGER_MAX).contains(&integer),
        (None, Some(_)) => false,
        (None, None) => true,
    }
}

const fn is_c0_or_c1(character: char) -> bool {
    matches!(character, '\0'..='\u{1f}' | '\u{80}'..='\u{9f}')
}

/// Keys and values together: strings by their UTF-8 without control characters, numbers 8, booleans 4,
/// nulls (which only arrays can hold) 0.
fn size_of_members(members: &Map<String, Value>) -> usize {
    members
        .iter()
        .map(|(key, value)| size_of_text(key) + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 4,
        Value::Number(_) => 8,
        Value::String(text) => size_of_text(text),
        Value::Array(elements) => elements.iter().map(size_of_value).sum(),
        Value::Object(members) => size_of_members(members),
    }
}

fn size_of_text(text: &str) -> usize {
    let control: usize = text
        .chars()
        .filter(|c| is_c0_or_c1(*c))
        .map(char::len_utf8)
        .sum();
    text.len() - control
}
