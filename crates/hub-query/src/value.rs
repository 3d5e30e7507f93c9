//! Values of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::Value as Json;

/// What an expression comes to. Arrays and objects are told apart and nothing more: only primitives are compared.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is no such thing, or it cannot be computed.
    Undefined,
    /// The JSON null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A number; always finite.
    Number(f64),
    /// A text.
    Text(Cow<'a, str>),
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> Value<'a> {
    /// The value of a JSON document.
    pub fn of(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => number.as_f64().map_or(Self::Undefined, Self::number),
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(_) => Self::Array,
            Json::Object(_) => Self::Object,
        }
    }

    /// A number, or undefined when it is none.
    pub const fn number(number: f64) -> Self {
        if number.is_finite() {
            Self::Number(number)
        } else {
            Self::Undefined
        }
    }

    /// True for the truth value true only.
    pub const fn is_true(&self) -> bool {
        matches!(self, Self::Bool(true))
    }

    pub(crate) const fn is_primitive(&self) -> bool {
        match self {
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Text(_) => true,
            Self::Undefined | Self::Array | Self::Object => false,
        }
    }

    /// How two primitives of one kind stand to each other; `None` for anything else.
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Bool(left), Self::Bool(right)) => Some(left.cmp(right)),
            (Self::Number(left), Self::Number(right)) => left.partial_cmp(right),
            (Self::Text(left), Self::Text(right)) => Some(left.cmp(right)),
            _ => None,
        }
    }
}
