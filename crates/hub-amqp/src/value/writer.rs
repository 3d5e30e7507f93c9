//! Writes values, always in their shortest form (part 1, section 1.6).

use super::{Array, Map, Value};

/// The values that are their code alone.
pub(crate) const NULL: u8 = 0x40;
pub(crate) const TRUE: u8 = 0x41;
pub(crate) const FALSE: u8 = 0x42;

/// Appends one value.
pub(crate) fn put(out: &mut Vec<u8>, value: Value<'_>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(true) => out.push(TRUE),
        Value::Bool(false) => out.push(FALSE),
        Value::Ubyte(number) => out.extend([0x50, number]),
        Value::Ushort(number) => fixed(out, 0x60, number.to_be_bytes()),
        Value::Uint(0) => out.push(0x43),
        Value::Uint(number) => match u8::try_from(number) {
            Ok(small) => out.extend([0x52, small]),
            Err(_) => fixed(out, 0x70, number.to_be_bytes()),
        },
        Value::Ulong(0) => out.push(0x44),
        Value::Ulong(number) => match u8::try_from(number) {
            Ok(small) => out.extend([0x53, small]),
            Err(_) => fixed(out, 0x80, number.to_be_bytes()),
        },
        Value::Byte(number) => fixed(out, 0x51, number.to_be_bytes()),
        Value::Short(number) => fixed(out, 0x61, number.to_be_bytes()),
        Value::Int(number) => match i8::try_from(number) {
            Ok(small) => fixed(out, 0x54, small.to_be_bytes()),
            Err(_) => fixed(out, 0x71, number.to_be_bytes()),
        },
        Value::Long(number) => match i8::try_from(number) {
            Ok(small) => fixed(out, 0x55, small.to_be_bytes()),
            Err(_) => fixed(out, 0x81, number.to_be_bytes()),
        },
        Value::Float(number) => fixed(out, 0x72, number.to_be_bytes()),
        Value::Double(number) => fixed(out, 0x82, number.to_be_bytes()),
        Value::Decimal32(bytes) => fixed(out, 0x74, bytes),
        Value::Decimal64(bytes) => fixed(out, 0x84, bytes),
        Value::Decimal128(bytes) => fixed(out, 0x94, bytes),
        Value::Char(character) => fixed(out, 0x73, u32::from(character).to_be_bytes()),
        Value::Timestamp(milliseconds) => fixed(out, 0x83, milliseconds.to_be_bytes()),
        Value::Uuid(bytes) => fixed(out, 0x98, bytes),
        Value::Binary(bytes) => variable(out, 0xa0, bytes),
        Value::String(text) => variable(out, 0xa1, text.as_bytes()),
        Value::Symbol(text) => variable(out, 0xa3, text.as_bytes()),
        Value::List(list) if list.count == 0 => out.push(0x45),
        Value::List(list) => compound(out, 0xc0, list.count, list.items),
        Value::Map(map) => compound(out, 0xc1, map.count, map.items),
        Value::Array(array) => put_array(out, &array),
        Value::Described(described) => {
            out.push(0);
            out.extend_from_slice(described.descriptor);
            out.extend_from_slice(described.value);
        }
    }
}

fn fixed<const N: usize>(out: &mut Vec<u8>, code: u8, bytes: [u8; N]) {
    out.push(code);
    out.extend_from_slice(&bytes);
}

/// Lengths of what we write come from slices that fit an AMQP frame or message, below 4 GiB.
fn length32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

fn variable(out: &mut Vec<u8>, code: u8, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) => out.extend([code, length]),
        Err(_) => fixed(out, code | 0x10, length32(bytes.len()).to_be_bytes()),
    }
    out.extend_from_slice(bytes);
}

fn compound(out: &mut Vec<u8>, code: u8, count: u32, items: &[u8]) {
    match (u8::try_from(items.len() + 1), u8::try_from(count)) {
        (Ok(size), Ok(count)) => out.extend([code, size, count]),
        (_, _) => {
            fixed(out, code | 0x10, length32(items.len() + 4).to_be_bytes());
            out.extend_from_slice(&count.to_be_bytes());
        }
    }
    out.extend_from_slice(items);
}

fn put_array(out: &mut Vec<u8>, array: &Array<'_>) {
    let described = array
        .descriptor
        .map_or(0, |descriptor| descriptor.len() + 1);
    let size = described + 1 + array.items.len();
    match (u8::try_from(size + 1), u8::try_from(array.count)) {
        (Ok(size), Ok(count)) => out.extend([0xe0, size, count]),
        (_, _) => {
            fixed(out, 0xf0, length32(size + 4).to_be_bytes());
            out.extend_from_slice(&array.count.to_be_bytes());
        }
    }
    if let Some(descriptor) = array.descriptor {
        out.push(0);
        out.extend_from_slice(descriptor);
    }
    out.push(array.code);
    out.extend_from_slice(array.items);
}

/// A list or map whose items are written one after the other. Its head is written when it ends.
#[derive(Debug)]
pub(crate) struct Composite {
    /// Where the constructor stands.
    at: usize,
    count: u32,
}

impl Composite {
    /// Begins a list that is described by a code below 256, as all of the protocol are.
    pub(crate) fn described(out: &mut Vec<u8>, descriptor: u8) -> Self {
        out.extend([0x00, 0x53, descriptor]);
        Self::begin(out)
    }

    pub(crate) fn begin(out: &mut Vec<u8>) -> Self {
        let at = out.len();
        out.extend([0; 3]);
        Self { at, count: 0 }
    }

    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, value: Value<'_>) {
        self.count += 1;
        put(out, value);
    }

    /// Appends values that are their code alone.
    #[inline]
    pub(crate) fn put_codes<const N: usize>(&mut self, out: &mut Vec<u8>, codes: [u8; N]) {
        self.count += u32::try_from(N).unwrap_or(u32::MAX);
        out.extend_from_slice(&codes);
    }

    /// Counts an item that the caller appends by other means.
    #[inline]
    pub(crate) const fn count_one(&mut self) {
        self.count += 1;
    }

    pub(crate) fn end_list(self, out: &mut Vec<u8>) {
        self.end(out, 0xc0);
    }

    pub(crate) fn end_map(self, out: &mut Vec<u8>) {
        self.end(out, 0xc1);
    }

    fn end(self, out: &mut Vec<u8>, code: u8) {
        let size = out.len() - self.at - 2;
        match (u8::try_from(size), u8::try_from(self.count)) {
            (Ok(size), Ok(count)) => {
                out[self.at..self.at + 3].copy_from_slice(&[code, size, count]);
            }
            (_, _) => {
                let mut head = [0; 9];
                head[0] = code | 0x10;
                head[1..5].copy_from_slice(&length32(size + 3).to_be_bytes());
                head[5..].copy_from_slice(&self.count.to_be_bytes());
                let items_end = out.len();
                out.extend_from_slice(&head[3..]);
                out.copy_within(self.at + 3..items_end, self.at + 9);
                out[self.at..self.at + 9].copy_from_slice(&head);
            }
        }
    }
}

/// Writes the pairs of a map.
#[derive(Debug)]
pub struct MapWriter<'o> {
    out: &'o mut Vec<u8>,
    map: Composite,
}

impl<'o> MapWriter<'o> {
    pub(crate) fn begin(out: &'o mut Vec<u8>) -> Self {
        let map = Composite::begin(out);
        Self { out, map }
    }

    pub(crate) fn end(self) {
        self.map.end_map(self.out);
    }

    /// Writes one pair.
    pub fn entry(&mut self, key: Value<'_>, value: Value<'_>) -> &mut Self {
        self.map.put(self.out, key);
        self.map.put(self.out, value);
        self
    }

    /// Writes the pairs of another map.
    pub fn pairs(&mut self, map: Map<'_>) -> &mut Self {
        self.map.count += map.count;
        self.out.extend_from_slice(map.items);
        self
    }

    /// Writes one pair with a symbol as its key, as annotations and properties of links have it.
    pub fn symbol(&mut self, key: &str, value: Value<'_>) -> &mut Self {
        self.entry(Value::Symbol(key), value)
    }

    /// Writes one pair with a string as its key, as application properties have it.
    pub fn string(&mut self, key: &str, value: Value<'_>) -> &mut Self {
        self.entry(Value::String(key), value)
    }
}
