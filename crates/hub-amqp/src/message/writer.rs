//! Writes the sections of a message.

use super::properties::{Header, Properties};
use super::sections::{
    APPLICATION_PROPERTIES, DATA, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, SEQUENCE, VALUE,
};
use crate::value::{List, Map, MapWriter, Value, put};

/// Appends the sections of one message to a buffer. They must be written in the order of the specification, which is the
/// order of the methods here.
#[derive(Debug)]
pub struct MessageWriter<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> MessageWriter<'o> {
    /// Begins a message at the end of `out`.
    pub const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes the transport header.
    pub fn header(&mut self, header: &Header) -> &mut Self {
        header.encode(self.out);
        self
    }

    /// Writes annotations for the next hop.
    pub fn delivery_annotations(&mut self, write: impl FnOnce(&mut MapWriter<'_>)) -> &mut Self {
        self.map(DELIVERY_ANNOTATIONS, write)
    }

    /// Writes annotations for every hop; their keys are symbols.
    pub fn message_annotations(&mut self, write: impl FnOnce(&mut MapWriter<'_>)) -> &mut Self {
        self.map(MESSAGE_ANNOTATIONS, write)
    }

    /// Writes the fixed properties.
    pub fn properties(&mut self, properties: &Properties<'_>) -> &mut Self {
        properties.encode(self.out);
        self
    }

    /// Writes properties of the sender's own; their keys are strings.
    pub fn application_properties(&mut self, write: impl FnOnce(&mut MapWriter<'_>)) -> &mut Self {
        self.map(APPLICATION_PROPERTIES, write)
    }

    /// Writes a map that was read from another message as application properties.
    pub fn application_property_map(&mut self, map: Map<'_>) -> &mut Self {
        self.section(APPLICATION_PROPERTIES, Value::Map(map))
    }

    /// Writes a body of bytes, or one more section of it.
    pub fn data(&mut self, bytes: &[u8]) -> &mut Self {
        self.section(DATA, Value::Binary(bytes))
    }

    /// Writes a body of a list, or one more section of it.
    pub fn sequence(&mut self, list: List<'_>) -> &mut Self {
        self.section(SEQUENCE, Value::List(list))
    }

    /// Writes a body of one value.
    pub fn value(&mut self, value: Value<'_>) -> &mut Self {
        self.section(VALUE, value)
    }

    /// Writes sections as another writer has written them.
    pub fn written(&mut self, sections: &[u8]) -> &mut Self {
        self.out.extend_from_slice(sections);
        self
    }

    fn section(&mut self, code: u8, value: Value<'_>) -> &mut Self {
        self.out.extend([0x00, 0x53, code]);
        put(self.out, value);
        self
    }

    fn map(&mut self, code: u8, write: impl FnOnce(&mut MapWriter<'_>)) -> &mut Self {
        self.out.extend([0x00, 0x53, code]);
        let mut map = MapWriter::begin(self.out);
        write(&mut map);
        map.end();
        self
    }
}
