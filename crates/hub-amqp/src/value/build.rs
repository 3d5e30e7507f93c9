//! Values that own their bytes, for what a program puts together itself.

use super::writer::put;
use super::{Array, List, Map, Value};

/// A map under construction.
#[derive(Debug, Clone, Default)]
pub struct MapBuf {
    count: u32,
    items: Vec<u8>,
}

impl MapBuf {
    /// A map without pairs.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            items: Vec::new(),
        }
    }

    /// Adds a pair.
    #[must_use]
    pub fn with(mut self, key: Value<'_>, value: Value<'_>) -> Self {
        put(&mut self.items, key);
        put(&mut self.items, value);
        self.count += 2;
        self
    }

    /// Adds a pair whose key is a symbol.
    #[must_use]
    pub fn symbol(self, key: &str, value: Value<'_>) -> Self {
        self.with(Value::Symbol(key), value)
    }

    /// Adds a pair whose key is a string.
    #[must_use]
    pub fn string(self, key: &str, value: Value<'_>) -> Self {
        self.with(Value::String(key), value)
    }

    /// The map.
    #[must_use]
    pub fn as_map(&self) -> Map<'_> {
        Map {
            count: self.count,
            items: &self.items,
        }
    }
}

/// A list under construction.
#[derive(Debug, Clone, Default)]
pub struct ListBuf {
    count: u32,
    items: Vec<u8>,
}

impl ListBuf {
    /// A list without items.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            items: Vec::new(),
        }
    }

    /// Adds an item.
    #[must_use]
    pub fn with(mut self, value: Value<'_>) -> Self {
        put(&mut self.items, value);
        self.count += 1;
        self
    }

    /// The list.
    #[must_use]
    pub fn as_list(&self) -> List<'_> {
        List {
            count: self.count,
            items: &self.items,
        }
    }
}

/// An array under construction.
#[derive(Debug, Clone)]
pub struct ArrayBuf {
    count: u32,
    code: u8,
    items: Vec<u8>,
}

impl ArrayBuf {
    /// An array of strings.
    #[must_use]
    pub fn strings<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::texts(0xb1, texts)
    }

    /// An array of symbols, which must be ASCII.
    #[must_use]
    pub fn symbols<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        Self::texts(0xb3, texts)
    }

    fn texts<'t>(code: u8, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut array = Self {
            count: 0,
            code,
            items: Vec::new(),
        };
        for text in texts {
            let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
            array.items.extend_from_slice(&length.to_be_bytes());
            array.items.extend_from_slice(text.as_bytes());
            array.count += 1;
        }
        array
    }

    /// The array.
    #[must_use]
    pub fn as_array(&self) -> Array<'_> {
        Array {
            count: self.count,
            descriptor: None,
            code: self.code,
            items: &self.items,
        }
    }
}
