//! Reads the sections of a message.

use super::properties::{HEADER, Header, PROPERTIES, Properties};
use crate::error::DecodeError;
use crate::performative::descriptor_code;
use crate::value::{List, Map, Reader, Value};

pub(super) const DELIVERY_ANNOTATIONS: u8 = 0x71;
pub(super) const MESSAGE_ANNOTATIONS: u8 = 0x72;
pub(super) const APPLICATION_PROPERTIES: u8 = 0x74;
pub(super) const DATA: u8 = 0x75;
pub(super) const SEQUENCE: u8 = 0x76;
pub(super) const VALUE: u8 = 0x77;
pub(super) const FOOTER: u8 = 0x78;

pub(super) const NAMES: &[(&str, u8)] = &[
    ("amqp:header:list", HEADER),
    ("amqp:delivery-annotations:map", DELIVERY_ANNOTATIONS),
    ("amqp:message-annotations:map", MESSAGE_ANNOTATIONS),
    ("amqp:properties:list", PROPERTIES),
    ("amqp:application-properties:map", APPLICATION_PROPERTIES),
    ("amqp:data:binary", DATA),
    ("amqp:amqp-sequence:list", SEQUENCE),
    ("amqp:amqp-value:*", VALUE),
    ("amqp:footer:map", FOOTER),
];

/// A message, as the bytes of its sections. Everything in it was checked when it was made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sections<'a> {
    /// The transport header.
    pub header: Header,
    /// For the next hop only.
    pub delivery_annotations: Map<'a>,
    /// For every hop.
    pub message_annotations: Map<'a>,
    /// The fixed properties; `None` if the section is absent.
    pub properties: Option<Properties<'a>>,
    /// The sender's own properties.
    pub application_properties: Map<'a>,
    /// The body.
    pub body: Body<'a>,
    /// What can only be known after the body, such as checksums.
    pub footer: Map<'a>,
    /// Bytes of properties, application properties and body as they came, one after the other.
    pub bare: &'a [u8],
}

/// The body of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Body<'a> {
    /// There is none.
    Empty,
    /// Bytes, in one section or more.
    Data(DataSections<'a>),
    /// One value.
    Value(Value<'a>),
    /// Lists, in one section or more.
    Sequences(SequenceSections<'a>),
}

impl<'a> Body<'a> {
    /// The bytes of a body of one data section, without a copy; an absent body has none.
    #[must_use]
    pub fn single_data(&self) -> Option<&'a [u8]> {
        match self {
            Self::Empty => Some(&[]),
            Self::Data(sections) => {
                let mut sections = sections.iter();
                let first = sections.next()?;
                sections.next().is_none().then_some(first)
            }
            Self::Value(_) | Self::Sequences(_) => None,
        }
    }
}

/// Data sections, one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataSections<'a>(&'a [u8]);

impl<'a> DataSections<'a> {
    /// The bytes of each section.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        section_values(self.0).filter_map(|value| {
            if let Value::Binary(bytes) = value {
                Some(bytes)
            } else {
                None
            }
        })
    }
}

/// Sequence sections, one or more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceSections<'a>(&'a [u8]);

impl<'a> SequenceSections<'a> {
    /// The list of each section.
    pub fn iter(&self) -> impl Iterator<Item = List<'a>> + use<'a> {
        section_values(self.0).filter_map(|value| {
            if let Value::List(list) = value {
                Some(list)
            } else {
                None
            }
        })
    }
}

/// The values of sections that were checked.
fn section_values<'a>(bytes: &'a [u8]) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        descriptor_code(&mut reader, NAMES).ok()?;
        reader.shallow().ok()
    })
}

impl<'a> Sections<'a> {
    /// Reads a message, whose sections must be in the order of the specification.
    ///
    /// # Errors
    ///
    /// The bytes are not a well-formed message.
    pub fn parse(message: &'a [u8]) -> Result<Self, DecodeError> {
        let mut sections = Self {
            header: Header::default(),
            delivery_annotations: Map::EMPTY,
            message_annotations: Map::EMPTY,
            properties: None,
            application_properties: Map::EMPTY,
            body: Body::Empty,
            footer: Map::EMPTY,
            bare: &[],
        };
        let mut reader = Reader::new(message);
        let mut last = 0;
        let mut body_at = 0;
        let mut bare = (None, 0);
        while !reader.is_empty() {
            let at = message.len() - reader.rest().len();
            let code = descriptor_code(&mut reader, NAMES)?;
            let repeats = code == last && (code == DATA || code == SEQUENCE);
            let second_body = code != last && is_body(code) && is_body(last);
            if second_body || (code <= last && !repeats) {
                return Err(DecodeError::SectionOrder);
            }
            last = code;
            if !repeats {
                body_at = at;
            }
            let value = reader.value()?;
            let end = message.len() - reader.rest().len();
            sections.take(code, &message[body_at..end], value)?;
            if (PROPERTIES..=VALUE).contains(&code) {
                bare = (bare.0.or(Some(at)), end);
            }
        }
        if let (Some(start), end) = bare {
            sections.bare = &message[start..end];
        }
        Ok(sections)
    }

    fn take(&mut self, code: u8, section: &'a [u8], value: Value<'a>) -> Result<(), DecodeError> {
        let wrong = DecodeError::InvalidValue("section");
        match code {
            HEADER => self.header = Header::decode(section)?,
            DELIVERY_ANNOTATIONS => self.delivery_annotations = value.as_map().ok_or(wrong)?,
            MESSAGE_ANNOTATIONS => self.message_annotations = value.as_map().ok_or(wrong)?,
            PROPERTIES => self.properties = Some(Properties::decode(section)?),
            APPLICATION_PROPERTIES => {
                self.application_properties = value.as_map().ok_or(wrong)?;
            }
            DATA if matches!(value, Value::Binary(_)) => {
                self.body = Body::Data(DataSections(section));
            }
            SEQUENCE if matches!(value, Value::List(_)) => {
                self.body = Body::Sequences(SequenceSections(section));
            }
            VALUE => self.body = Body::Value(value),
            FOOTER => self.footer = value.as_map().ok_or(wrong)?,
            DATA | SEQUENCE => return Err(wrong),
            _ => return Err(DecodeError::UnknownDescriptor),
        }
        Ok(())
    }
}

const fn is_body(code: u8) -> bool {
    matches!(code, DATA | SEQUENCE | VALUE)
}
