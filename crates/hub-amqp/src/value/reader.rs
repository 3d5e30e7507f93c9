//! A cursor over encoded values (part 1, section 1.2 "Encodings").

use super::{Array, DEPTH_MAX, Described, EMPTY_ITEMS_MAX, List, Map, Value};
use crate::error::DecodeError;

/// What a described value says it is, if its descriptor is of a type that descriptors have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptor<'a> {
    Code(u64),
    Symbol(&'a str),
}

/// Takes values from the front of some bytes.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::BeyondEnd)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (&bytes, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::BeyondEnd)?;
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::BeyondEnd)?;
        self.rest = rest;
        Ok(taken)
    }

    fn length8(&mut self) -> Result<usize, DecodeError> {
        self.byte().map(usize::from)
    }

    fn length32(&mut self) -> Result<usize, DecodeError> {
        let length = u32::from_be_bytes(self.bytes()?);
        usize::try_from(length).map_err(|_| DecodeError::BeyondEnd)
    }

    fn variable(&mut self, code: u8) -> Result<&'a [u8], DecodeError> {
        let length = if code & 0x10 == 0 {
            self.length8()?
        } else {
            self.length32()?
        };
        self.take(length)
    }

    /// Size and count of a list, map or array; what follows the count within the size is the rest.
    fn compound(&mut self, code: u8) -> Result<(u32, &'a [u8]), DecodeError> {
        let mut body = Self::new(self.variable(code)?);
        let count = if code & 0x10 == 0 {
            body.byte()?.into()
        } else {
            u32::from_be_bytes(body.bytes()?)
        };
        Ok((count, body.rest))
    }

    /// Takes one value and checks all that is in it.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, DecodeError> {
        self.clone().walk(DEPTH_MAX)?;
        self.shallow()
    }

    /// Takes one value and checks all that is in it, without making it.
    #[inline]
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.rest;
        self.walk(DEPTH_MAX)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    /// Takes one value without looking at the items of a list, map, array or described value.
    pub(crate) fn shallow(&mut self) -> Result<Value<'a>, DecodeError> {
        let code = self.byte()?;
        if code == 0 {
            let descriptor = self.skip()?;
            let value = self.skip()?;
            return Ok(Value::Described(Described { descriptor, value }));
        }
        self.shallow_of(code)
    }

    /// Takes the body of one value that has the constructor `code`.
    pub(crate) fn shallow_of(&mut self, code: u8) -> Result<Value<'a>, DecodeError> {
        Ok(match code {
            0x40 => Value::Null,
            0x41 => Value::Bool(true),
            0x42 => Value::Bool(false),
            0x43 => Value::Uint(0),
            0x44 => Value::Ulong(0),
            0x45 => Value::List(List {
                count: 0,
                items: &[],
            }),
            0x50 => Value::Ubyte(self.byte()?),
            0x51 => Value::Byte(i8::from_be_bytes(self.bytes()?)),
            0x52 => Value::Uint(self.byte()?.into()),
            0x53 => Value::Ulong(self.byte()?.into()),
            0x54 => Value::Int(i8::from_be_bytes(self.bytes()?).into()),
            0x55 => Value::Long(i8::from_be_bytes(self.bytes()?).into()),
            0x56 => match self.byte()? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => return Err(DecodeError::InvalidValue("boolean")),
            },
            0x60 => Value::Ushort(u16::from_be_bytes(self.bytes()?)),
            0x61 => Value::Short(i16::from_be_bytes(self.bytes()?)),
            0x70 => Value::Uint(u32::from_be_bytes(self.bytes()?)),
            0x71 => Value::Int(i32::from_be_bytes(self.bytes()?)),
            0x72 => Value::Float(f32::from_be_bytes(self.bytes()?)),
            0x73 => Value::Char(
                char::from_u32(u32::from_be_bytes(self.bytes()?))
                    .ok_or(DecodeError::InvalidValue("char"))?,
            ),
            0x74 => Value::Decimal32(self.bytes()?),
            0x80 => Value::Ulong(u64::from_be_bytes(self.bytes()?)),
            0x81 => Value::Long(i64::from_be_bytes(self.bytes()?)),
            0x82 => Value::Double(f64::from_be_bytes(self.bytes()?)),
            0x83 => Value::Timestamp(i64::from_be_bytes(self.bytes()?)),
            0x84 => Value::Decimal64(self.bytes()?),
            0x94 => Value::Decimal128(self.bytes()?),
            0x98 => Value::Uuid(self.bytes()?),
            0xa0 | 0xb0 => Value::Binary(self.variable(code)?),
            0xa1 | 0xb1 => Value::String(text(self.variable(code)?)?),
            0xa3 | 0xb3 => Value::Symbol(symbol(self.variable(code)?)?),
            0xc0 | 0xd0 => {
                let (count, items) = self.compound(code)?;
                Value::List(List { count, items })
            }
            0xc1 | 0xd1 => {
                let (count, items) = self.compound(code)?;
                Value::Map(Map { count, items })
            }
            0xe0 | 0xf0 => {
                let (count, items) = self.compound(code)?;
                Value::Array(array(count, items)?)
            }
            _ => return Err(DecodeError::UnknownCode(code)),
        })
    }

    fn walk(&mut self, depth: u8) -> Result<(), DecodeError> {
        let code = self.byte()?;
        if code == 0 {
            let depth = deeper(depth)?;
            self.walk(depth)?;
            return self.walk(depth);
        }
        self.walk_of(code, depth)
    }

    fn walk_of(&mut self, code: u8, depth: u8) -> Result<(), DecodeError> {
        match code {
            0xc0 | 0xd0 => {
                let (count, items) = self.compound(code)?;
                walk_items(count, items, deeper(depth)?)
            }
            0xc1 | 0xd1 => {
                let (count, items) = self.compound(code)?;
                if count % 2 == 1 {
                    return Err(DecodeError::InvalidValue("map"));
                }
                walk_items(count, items, deeper(depth)?)
            }
            0xe0 | 0xf0 => {
                let (count, items) = self.compound(code)?;
                walk_array(count, items, deeper(depth)?)
            }
            _ => self.shallow_of(code).map(|_| ()),
        }
    }

    /// Takes the descriptor behind a constructor of 0.
    #[inline]
    pub(crate) fn descriptor(&mut self) -> Result<Descriptor<'a>, DecodeError> {
        match self.shallow()? {
            Value::Ulong(code) => Ok(Descriptor::Code(code)),
            Value::Symbol(name) => Ok(Descriptor::Symbol(name)),
            Value::Null
            | Value::Bool(_)
            | Value::Ubyte(_)
            | Value::Ushort(_)
            | Value::Uint(_)
            | Value::Byte(_)
            | Value::Short(_)
            | Value::Int(_)
            | Value::Long(_)
            | Value::Float(_)
            | Value::Double(_)
            | Value::Decimal32(_)
            | Value::Decimal64(_)
            | Value::Decimal128(_)
            | Value::Char(_)
            | Value::Timestamp(_)
            | Value::Uuid(_)
            | Value::Binary(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Array(_)
            | Value::Described(_) => Err(DecodeError::UnknownDescriptor),
        }
    }

    /// Takes the head of a list, without looking at its items, which a [`super::super::performative`] reads one by one.
    #[inline]
    pub(crate) fn list_head(&mut self) -> Result<(u32, Reader<'a>), DecodeError> {
        match self.byte()? {
            0x45 => Ok((0, Reader::new(&[]))),
            code @ (0xc0 | 0xd0) => {
                let (count, items) = self.compound(code)?;
                Ok((count, Reader::new(items)))
            }
            code => Err(DecodeError::UnexpectedCode(code)),
        }
    }
}

fn deeper(depth: u8) -> Result<u8, DecodeError> {
    depth.checked_sub(1).ok_or(DecodeError::TooDeep)
}

/// Every item takes a byte at least, so the count is bounded by the bytes.
fn walk_items(count: u32, items: &[u8], depth: u8) -> Result<(), DecodeError> {
    let mut reader = Reader::new(items);
    for _ in 0..count {
        reader.walk(depth)?;
    }
    if reader.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::TrailingBytes)
    }
}

fn walk_array(count: u32, items: &[u8], depth: u8) -> Result<(), DecodeError> {
    let mut reader = Reader::new(items);
    let mut code = reader.byte()?;
    if code == 0 {
        reader.walk(depth)?;
        code = reader.byte()?;
    }
    if (0x40..0x50).contains(&code) && count > EMPTY_ITEMS_MAX {
        return Err(DecodeError::TooManyItems);
    }
    for _ in 0..count {
        reader.walk_of(code, depth)?;
    }
    if reader.is_empty() {
        Ok(())
    } else {
        Err(DecodeError::TrailingBytes)
    }
}

fn array(count: u32, items: &[u8]) -> Result<Array<'_>, DecodeError> {
    let mut reader = Reader::new(items);
    let mut code = reader.byte()?;
    let mut descriptor = None;
    if code == 0 {
        descriptor = Some(reader.skip()?);
        code = reader.byte()?;
    }
    Ok(Array {
        count,
        descriptor,
        code,
        items: reader.rest,
    })
}

fn text(bytes: &[u8]) -> Result<&str, DecodeError> {
    std::str::from_utf8(bytes).map_err(|_| DecodeError::InvalidValue("string"))
}

fn symbol(bytes: &[u8]) -> Result<&str, DecodeError> {
    if bytes.is_ascii() {
        text(bytes)
    } else {
        Err(DecodeError::InvalidValue("symbol"))
    }
}
