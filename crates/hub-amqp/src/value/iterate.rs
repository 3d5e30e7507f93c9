//! Walks over the items of values that are known to be well formed.

use super::{Reader, Value};

/// The items of a list or an array.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    reader: Reader<'a>,
    left: u32,
    /// The one constructor of an array's items.
    code: Option<u8>,
}

impl<'a> Items<'a> {
    pub(super) const fn mixed(items: &'a [u8], count: u32) -> Self {
        Self {
            reader: Reader::new(items),
            left: count,
            code: None,
        }
    }

    pub(super) const fn of_code(items: &'a [u8], count: u32, code: u8) -> Self {
        Self {
            reader: Reader::new(items),
            left: count,
            code: Some(code),
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        self.left = self.left.checked_sub(1)?;
        match self.code {
            None => self.reader.shallow().ok(),
            Some(code) => self.reader.shallow_of(code).ok(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}

/// The pairs of a map.
#[derive(Debug, Clone)]
pub struct MapItems<'a> {
    items: Items<'a>,
}

impl<'a> MapItems<'a> {
    pub(super) const fn new(items: &'a [u8], count: u32) -> Self {
        Self {
            items: Items::mixed(items, count),
        }
    }
}

impl<'a> Iterator for MapItems<'a> {
    type Item = (Value<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.items.next()?, self.items.next()?))
    }
}
