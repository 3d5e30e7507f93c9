//! Reads request bodies member by member, with errors that say which member and what was expected.

use std::fmt;

use hub_domain::ErrorCode;
use serde_json::{Map, Value};

/// A request body that is not what the operation takes. Its text names members, never values: a body
/// may hold keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The body is no JSON.
    #[error("the body is not valid JSON at line {line} column {column}")]
    NotJson {
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, from 1.
        column: usize,
    },
    /// A member has another type.
    #[error("{} must be {expected}, not {found}", member(path))]
    WrongType {
        /// The member, dotted; empty for the body itself.
        path: String,
        /// What it must be.
        expected: JsonType,
        /// What it is.
        found: JsonType,
    },
    /// A member that must be there is not.
    #[error("{} is missing", member(path))]
    Missing {
        /// The member, dotted.
        path: String,
    },
    /// A member has a value that is not allowed.
    #[error("{}: {reason}", member(path))]
    Invalid {
        /// The member, dotted.
        path: String,
        /// What is wrong with it, without the value where that may be a secret.
        reason: String,
    },
}

fn member(path: &str) -> &str {
    if path.is_empty() { "the body" } else { path }
}

impl InputError {
    /// The code to answer with.
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::NotJson { .. } | Self::WrongType { .. } => ErrorCode::DeserializationError,
            Self::Missing { .. } => ErrorCode::ArgumentNull,
            Self::Invalid { .. } => ErrorCode::ArgumentInvalid,
        }
    }

    pub(super) fn invalid(path: impl Into<String>, reason: impl fmt::Display) -> Self {
        Self::Invalid {
            path: path.into(),
            reason: reason.to_string(),
        }
    }
}

/// A JSON type, in an error's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl JsonType {
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }
}

impl fmt::Display for JsonType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Integer => "an integer",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

/// The members of an object of the body. A member that is null counts as absent, for SDKs send
/// objects with every member that they know.
pub(super) struct Members<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

/// Reads a body that must be an object.
pub(super) fn object_body(body: &[u8]) -> Result<Map<String, Value>, InputError> {
    let value = serde_json::from_slice(body).map_err(|error| not_json(&error))?;
    match value {
        Value::Object(map) => Ok(map),
        other => Err(wrong_type(String::new(), JsonType::Object, &other)),
    }
}

pub(super) fn not_json(error: &serde_json::Error) -> InputError {
    InputError::NotJson {
        line: error.line(),
        column: error.column(),
    }
}

pub(super) fn wrong_type(path: String, expected: JsonType, found: &Value) -> InputError {
    InputError::WrongType {
        path,
        expected,
        found: JsonType::of(found),
    }
}

impl<'a> Members<'a> {
    pub(super) const fn of_body(map: &'a Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            map,
        }
    }

    /// The members of an object that stands elsewhere in the body.
    pub(super) const fn at(path: String, map: &'a Map<String, Value>) -> Self {
        Self { path, map }
    }

    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, InputError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(self.path_of(name), JsonType::Text, other)),
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, InputError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => Err(wrong_type(self.path_of(name), JsonType::Boolean, other)),
        }
    }

    pub(super) fn map(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, InputError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong_type(self.path_of(name), JsonType::Object, other)),
        }
    }

    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, InputError> {
        Ok(self.map(name)?.map(|map| Self {
            path: self.path_of(name),
            map,
        }))
    }

    /// An array of strings; absent and null are the empty one.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, InputError> {
        let elements = match self.value(name) {
            None => return Ok(Vec::new()),
            Some(Value::Array(elements)) => elements,
            Some(other) => return Err(wrong_type(self.path_of(name), JsonType::Array, other)),
        };
        let text = |(at, element): (usize, &Value)| match element {
            Value::String(text) => Ok(text.clone()),
            other => Err(wrong_type(
                format!("{}[{at}]", self.path_of(name)),
                JsonType::Text,
                other,
            )),
        };
        elements.iter().enumerate().map(text).collect()
    }
}
