//! Values of the AMQP type system, borrowed from the bytes they came in (part 1, "Types").
//!
//! A [`List`], [`Map`], [`Array`] or [`Described`] that exists has been walked once: its items are well formed, and
//! nested no deeper than [`DEPTH_MAX`]. Walking it again for its items cannot fail.

mod build;
mod iterate;
mod reader;
mod writer;

pub use build::{ArrayBuf, ListBuf, MapBuf};
pub use iterate::{Items, MapItems};
pub(crate) use reader::{Descriptor, Reader};
pub use writer::MapWriter;
pub(crate) use writer::{Composite, FALSE, NULL, TRUE, put};

use crate::error::DecodeError;

/// Deepest nesting of lists, maps, arrays and described values inside one value.
pub const DEPTH_MAX: u8 = 16;
/// Most items of an array whose items take no bytes, such as nulls; other arrays are bounded by their bytes.
pub(crate) const EMPTY_ITEMS_MAX: u32 = 4096;

/// One value of any type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Absence of a value.
    Null,
    /// True or false.
    Bool(bool),
    /// Unsigned, 8 bits.
    Ubyte(u8),
    /// Unsigned, 16 bits.
    Ushort(u16),
    /// Unsigned, 32 bits.
    Uint(u32),
    /// Unsigned, 64 bits.
    Ulong(u64),
    /// Signed, 8 bits.
    Byte(i8),
    /// Signed, 16 bits.
    Short(i16),
    /// Signed, 32 bits.
    Int(i32),
    /// Signed, 64 bits.
    Long(i64),
    /// IEEE 754, 32 bits.
    Float(f32),
    /// IEEE 754, 64 bits.
    Double(f64),
    /// IEEE 754 decimal as received.
    Decimal32([u8; 4]),
    /// IEEE 754 decimal as received.
    Decimal64([u8; 8]),
    /// IEEE 754 decimal as received.
    Decimal128([u8; 16]),
    /// One character.
    Char(char),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// RFC 4122, in the order of its text form.
    Uuid([u8; 16]),
    /// Bytes.
    Binary(&'a [u8]),
    /// Text.
    String(&'a str),
    /// ASCII text from a constrained domain.
    Symbol(&'a str),
    /// Values of any types.
    List(List<'a>),
    /// Pairs of values of any types.
    Map(Map<'a>),
    /// Values of one type.
    Array(Array<'a>),
    /// A value with a descriptor that says what it means.
    Described(Described<'a>),
}

impl<'a> Value<'a> {
    /// Reads the one value that fills `bytes`.
    ///
    /// # Errors
    ///
    /// The bytes are not exactly one well-formed value.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = reader.value()?;
        if reader.is_empty() {
            Ok(value)
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }

    /// Appends the value to `out`, in its shortest form.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, *self);
    }

    /// The text of a string or a symbol.
    #[must_use]
    pub const fn as_str(&self) -> Option<&'a str> {
        if let Self::String(text) | Self::Symbol(text) = self {
            Some(text)
        } else {
            None
        }
    }

    /// An integer of any width that fits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Self::Ubyte(number) => Some(number.into()),
            Self::Ushort(number) => Some(number.into()),
            Self::Uint(number) => Some(number.into()),
            Self::Ulong(number) => i64::try_from(number).ok(),
            Self::Byte(number) => Some(number.into()),
            Self::Short(number) => Some(number.into()),
            Self::Int(number) => Some(number.into()),
            Self::Long(number) => Some(number),
            Self::Null
            | Self::Bool(_)
            | Self::Float(_)
            | Self::Double(_)
            | Self::Decimal32(_)
            | Self::Decimal64(_)
            | Self::Decimal128(_)
            | Self::Char(_)
            | Self::Timestamp(_)
            | Self::Uuid(_)
            | Self::Binary(_)
            | Self::String(_)
            | Self::Symbol(_)
            | Self::List(_)
            | Self::Map(_)
            | Self::Array(_)
            | Self::Described(_) => None,
        }
    }

    /// The map, if it is one.
    #[must_use]
    pub const fn as_map(&self) -> Option<Map<'a>> {
        if let Self::Map(map) = self {
            Some(*map)
        } else {
            None
        }
    }

    /// The value itself, or what a described value describes.
    #[must_use]
    pub fn undescribed(self) -> Self {
        if let Self::Described(described) = self {
            described.value()
        } else {
            self
        }
    }
}

/// Values of any types.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct List<'a> {
    pub(crate) count: u32,
    pub(crate) items: &'a [u8],
}

impl<'a> List<'a> {
    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values in order.
    #[must_use]
    pub const fn iter(&self) -> Items<'a> {
        Items::mixed(self.items, self.count)
    }
}

/// Pairs of values. Keys may be of any type; in practice they are symbols or strings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Map<'a> {
    /// Keys and values together.
    pub(crate) count: u32,
    pub(crate) items: &'a [u8],
}

impl<'a> Map<'a> {
    /// A map without pairs.
    pub const EMPTY: Map<'static> = Map {
        count: 0,
        items: &[],
    };

    /// How many pairs there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        (self.count / 2) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The pairs in order.
    #[must_use]
    pub const fn iter(&self) -> MapItems<'a> {
        MapItems::new(self.items, self.count)
    }

    /// The value of the first key that is a string or symbol with this text.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.iter()
            .find(|(candidate, _)| candidate.as_str() == Some(key))
            .map(|(_, value)| value)
    }
}

/// Values of one type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Array<'a> {
    pub(crate) count: u32,
    /// Encoded descriptor of every item, if the items are described.
    pub(crate) descriptor: Option<&'a [u8]>,
    pub(crate) code: u8,
    pub(crate) items: &'a [u8],
}

impl<'a> Array<'a> {
    /// How many values there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The descriptor that all values share.
    #[must_use]
    pub fn descriptor(&self) -> Option<Value<'a>> {
        Reader::new(self.descriptor?).shallow().ok()
    }

    /// The values in order, without their descriptor.
    #[must_use]
    pub const fn iter(&self) -> Items<'a> {
        Items::of_code(self.items, self.count, self.code)
    }
}

/// A value with a descriptor that says what it means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Described<'a> {
    pub(crate) descriptor: &'a [u8],
    pub(crate) value: &'a [u8],
}

impl<'a> Described<'a> {
    /// What it means: a symbol or an unsigned long.
    #[must_use]
    pub fn descriptor(&self) -> Value<'a> {
        Reader::new(self.descriptor)
            .shallow()
            .unwrap_or(Value::Null)
    }

    /// The value without the descriptor.
    #[must_use]
    pub fn value(&self) -> Value<'a> {
        Reader::new(self.value).shallow().unwrap_or(Value::Null)
    }
}

impl<'a> IntoIterator for &List<'a> {
    type Item = Value<'a>;
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Array<'a> {
    type Item = Value<'a>;
    type IntoIter = Items<'a>;

    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for &Map<'a> {
    type Item = (Value<'a>, Value<'a>);
    type IntoIter = MapItems<'a>;

    fn into_iter(self) -> MapItems<'a> {
        self.iter()
    }
}
