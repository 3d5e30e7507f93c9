//! Sources and targets of links (part 3, section 3.5 "Sources and targets").

use super::Fields;
use crate::error::DecodeError;
use crate::value::{Array, Composite, Map, Value};

/// Symbols, of which a peer may send none, one or an array.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Symbols<'a>(Value<'a>);

impl<'a> Symbols<'a> {
    /// No symbols.
    pub const NONE: Symbols<'static> = Symbols(Value::Null);

    /// One symbol.
    #[must_use]
    pub const fn one(symbol: &'a str) -> Self {
        Self(Value::Symbol(symbol))
    }

    /// The symbols of an array.
    #[must_use]
    pub const fn array(array: Array<'a>) -> Self {
        Self(Value::Array(array))
    }

    pub(super) fn of(value: Value<'a>) -> Result<Self, DecodeError> {
        let is_text = value.as_str().is_some();
        let is_texts = matches!(value, Value::Array(array) if array.iter().all(|item| item.as_str().is_some()));
        if is_text || is_texts {
            Ok(Self(value))
        } else {
            Err(DecodeError::InvalidValue("symbols"))
        }
    }

    /// The symbols in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let many = if let Value::Array(array) = self.0 {
            Some(array.iter())
        } else {
            None
        };
        let one = self.0.as_str();
        one.into_iter()
            .chain(many.into_iter().flatten().filter_map(|item| item.as_str()))
    }

    /// Whether `symbol` is among them.
    #[must_use]
    pub fn contains(&self, symbol: &str) -> bool {
        self.iter().any(|candidate| candidate == symbol)
    }

    /// Clients written for arrays do not take a single symbol; we never send one.
    pub(crate) const fn value(&self) -> Value<'a> {
        self.0
    }
}

/// Where messages of a link come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Source<'a> {
    /// The address, a string in practice.
    pub address: Option<Value<'a>>,
    /// Which of its states outlives a connection: 0 none, 1 its configuration, 2 its unsettled deliveries.
    pub durable: u32,
    /// When a detached source ends.
    pub expiry_policy: Option<&'a str>,
    /// Seconds after which a detached source ends.
    pub timeout: u32,
    /// The peer is to make an address.
    pub dynamic: bool,
    /// How the peer is to make it.
    pub dynamic_node_properties: Option<Map<'a>>,
    /// `move` or `copy`.
    pub distribution_mode: Option<&'a str>,
    /// Filters by name. Their values are usually described ([`Value::undescribed`]).
    pub filter: Option<Map<'a>>,
    /// Outcome of deliveries that are settled without one.
    pub default_outcome: Option<Value<'a>>,
    /// Outcomes that a receiver may choose.
    pub outcomes: Symbols<'a>,
    /// Extensions.
    pub capabilities: Symbols<'a>,
}

const SOURCE: u8 = 0x28;
const TARGET: u8 = 0x29;
const COORDINATOR: u8 = 0x30;

impl<'a> Source<'a> {
    pub(super) const NAMES: &'static [(&'static str, u8)] = &[("amqp:source:list", SOURCE)];

    /// A source of which nothing but its address is said.
    #[must_use]
    pub const fn new(address: &'a str) -> Self {
        Self {
            address: Some(Value::String(address)),
            durable: 0,
            expiry_policy: None,
            timeout: 0,
            dynamic: false,
            dynamic_node_properties: None,
            distribution_mode: None,
            filter: None,
            default_outcome: None,
            outcomes: Symbols::NONE,
            capabilities: Symbols::NONE,
        }
    }

    /// The address as text.
    #[must_use]
    pub fn address(&self) -> Option<&'a str> {
        self.address?.as_str()
    }

    pub(super) fn decode(code: u8, mut fields: Fields<'a>) -> Result<Self, DecodeError> {
        if code != SOURCE {
            return Err(DecodeError::UnknownDescriptor);
        }
        let source = Self {
            address: fields.any()?,
            durable: fields.uint()?.unwrap_or(0),
            expiry_policy: fields.text()?,
            timeout: fields.uint()?.unwrap_or(0),
            dynamic: fields.boolean()?.unwrap_or(false),
            dynamic_node_properties: fields.map()?,
            distribution_mode: fields.text()?,
            filter: fields.map()?,
            default_outcome: fields.any()?,
            outcomes: fields.symbols()?,
            capabilities: fields.symbols()?,
        };
        fields.end()?;
        Ok(source)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, SOURCE);
        list.put(out, self.address.unwrap_or(Value::Null));
        list.put(out, Value::Uint(self.durable));
        list.put(out, self.expiry_policy.map_or(Value::Null, Value::Symbol));
        list.put(out, Value::Uint(self.timeout));
        list.put(out, Value::Bool(self.dynamic));
        list.put(
            out,
            self.dynamic_node_properties.map_or(Value::Null, Value::Map),
        );
        list.put(
            out,
            self.distribution_mode.map_or(Value::Null, Value::Symbol),
        );
        list.put(out, self.filter.map_or(Value::Null, Value::Map));
        list.put(out, self.default_outcome.unwrap_or(Value::Null));
        list.put(out, self.outcomes.value());
        list.put(out, self.capabilities.value());
        list.end_list(out);
    }
}

/// Where messages of a link go to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target<'a> {
    /// The address, a string in practice.
    pub address: Option<Value<'a>>,
    /// Which of its states outlives a connection: 0 none, 1 its configuration, 2 its unsettled deliveries.
    pub durable: u32,
    /// When a detached target ends.
    pub expiry_policy: Option<&'a str>,
    /// Seconds after which a detached target ends.
    pub timeout: u32,
    /// The peer is to make an address.
    pub dynamic: bool,
    /// How the peer is to make it.
    pub dynamic_node_properties: Option<Map<'a>>,
    /// Extensions.
    pub capabilities: Symbols<'a>,
    /// It coordinates transactions and has no address (part 4, section 4.5.1).
    pub is_coordinator: bool,
}

impl<'a> Target<'a> {
    pub(super) const NAMES: &'static [(&'static str, u8)] = &[
        ("amqp:target:list", TARGET),
        ("amqp:coordinator:list", COORDINATOR),
    ];

    /// A target of which nothing but its address is said.
    #[must_use]
    pub const fn new(address: &'a str) -> Self {
        Self {
            address: Some(Value::String(address)),
            ..Self::NOWHERE
        }
    }

    const NOWHERE: Self = Self {
        address: None,
        durable: 0,
        expiry_policy: None,
        timeout: 0,
        dynamic: false,
        dynamic_node_properties: None,
        capabilities: Symbols(Value::Null),
        is_coordinator: false,
    };

    /// The address as text.
    #[must_use]
    pub fn address(&self) -> Option<&'a str> {
        self.address?.as_str()
    }

    pub(super) fn decode(code: u8, mut fields: Fields<'a>) -> Result<Self, DecodeError> {
        let target = match code {
            TARGET => Self {
                address: fields.any()?,
                durable: fields.uint()?.unwrap_or(0),
                expiry_policy: fields.text()?,
                timeout: fields.uint()?.unwrap_or(0),
                dynamic: fields.boolean()?.unwrap_or(false),
                dynamic_node_properties: fields.map()?,
                capabilities: fields.symbols()?,
                is_coordinator: false,
            },
            COORDINATOR => Self {
                capabilities: fields.symbols()?,
                is_coordinator: true,
                ..Self::NOWHERE
            },
            _ => return Err(DecodeError::UnknownDescriptor),
        };
        fields.end()?;
        Ok(target)
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if self.is_coordinator {
            let mut list = Composite::described(out, COORDINATOR);
            list.put(out, self.capabilities.value());
            list.end_list(out);
            return;
        }
        let mut list = Composite::described(out, TARGET);
        list.put(out, self.address.unwrap_or(Value::Null));
        list.put(out, Value::Uint(self.durable));
        list.put(out, self.expiry_policy.map_or(Value::Null, Value::Symbol));
        list.put(out, Value::Uint(self.timeout));
        list.put(out, Value::Bool(self.dynamic));
        list.put(
            out,
            self.dynamic_node_properties.map_or(Value::Null, Value::Map),
        );
        list.put(out, self.capabilities.value());
        list.end_list(out);
    }
}
