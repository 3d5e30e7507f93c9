//! Reads the fields of a composite type one after the other.

use super::{Symbols, descriptor_code};
use crate::error::{AmqpError, DecodeError};
use crate::value::{Map, Reader, Value};

/// The fields that are left. A field that is absent or null reads as `None` (part 1, section 1.4).
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    left: u32,
    reader: Reader<'a>,
}

const ERROR: u8 = 0x1d;

impl<'a> Fields<'a> {
    /// Takes the list of fields that stands at the front of `reader`.
    #[inline]
    pub(crate) fn take(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (left, items) = reader.list_head()?;
        Ok(Self {
            left,
            reader: items,
        })
    }

    /// Reads over the fields that nobody asked for.
    #[inline]
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        while self.left > 0 {
            self.left -= 1;
            self.reader.skip()?;
        }
        if self.reader.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::TrailingBytes)
        }
    }

    /// Whether the next field has a value; if it has none, it is passed.
    #[inline]
    fn present(&mut self) -> Result<bool, DecodeError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(false);
        };
        self.left = left;
        match self.reader.peek() {
            Some(0x40) => {
                self.reader.byte()?;
                Ok(false)
            }
            Some(_) => Ok(true),
            None => Err(DecodeError::BeyondEnd),
        }
    }

    #[inline]
    pub(crate) fn uint(&mut self) -> Result<Option<u32>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.byte()? {
            0x43 => Ok(Some(0)),
            0x52 => Ok(Some(self.reader.byte()?.into())),
            0x70 => Ok(Some(u32::from_be_bytes(self.reader.bytes()?))),
            code => Err(DecodeError::UnexpectedCode(code)),
        }
    }

    #[inline]
    pub(crate) fn required_uint(&mut self, name: &'static str) -> Result<u32, DecodeError> {
        self.uint()?.ok_or(DecodeError::MissingField(name))
    }

    #[inline]
    pub(crate) fn boolean(&mut self) -> Result<Option<bool>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.byte()? {
            0x41 => Ok(Some(true)),
            0x42 => Ok(Some(false)),
            0x56 => match self.reader.byte()? {
                0 => Ok(Some(false)),
                1 => Ok(Some(true)),
                _ => Err(DecodeError::InvalidValue("boolean")),
            },
            code => Err(DecodeError::UnexpectedCode(code)),
        }
    }

    #[inline]
    pub(crate) fn ubyte(&mut self) -> Result<Option<u8>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.byte()? {
            0x50 => Ok(Some(self.reader.byte()?)),
            code => Err(DecodeError::UnexpectedCode(code)),
        }
    }

    pub(crate) fn ushort(&mut self) -> Result<Option<u16>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.byte()? {
            0x60 => Ok(Some(u16::from_be_bytes(self.reader.bytes()?))),
            code => Err(DecodeError::UnexpectedCode(code)),
        }
    }

    pub(crate) fn ulong(&mut self) -> Result<Option<u64>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.shallow()? {
            Value::Ulong(number) => Ok(Some(number)),
            value => Err(unexpected(&value)),
        }
    }

    #[inline]
    pub(crate) fn binary(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.shallow()? {
            Value::Binary(bytes) => Ok(Some(bytes)),
            value => Err(unexpected(&value)),
        }
    }

    /// A string or a symbol: clients confuse the two, and nothing depends on the difference.
    pub(crate) fn text(&mut self) -> Result<Option<&'a str>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        let value = self.reader.shallow()?;
        value.as_str().map(Some).ok_or_else(|| unexpected(&value))
    }

    pub(crate) fn timestamp(&mut self) -> Result<Option<i64>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.shallow()? {
            Value::Timestamp(milliseconds) => Ok(Some(milliseconds)),
            value => Err(unexpected(&value)),
        }
    }

    pub(crate) fn map(&mut self) -> Result<Option<Map<'a>>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        match self.reader.value()? {
            Value::Map(map) => Ok(Some(map)),
            value => Err(unexpected(&value)),
        }
    }

    pub(crate) fn any(&mut self) -> Result<Option<Value<'a>>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        self.reader.value().map(Some)
    }

    /// One symbol or an array of them.
    pub(crate) fn symbols(&mut self) -> Result<Symbols<'a>, DecodeError> {
        if !self.present()? {
            return Ok(Symbols::NONE);
        }
        Symbols::of(self.reader.value()?)
    }

    /// A composite value that the caller reads further.
    #[inline]
    pub(crate) fn composite(
        &mut self,
        names: &[(&str, u8)],
    ) -> Result<Option<(u8, Fields<'a>)>, DecodeError> {
        if !self.present()? {
            return Ok(None);
        }
        let mut whole = Reader::new(self.reader.skip()?);
        let code = descriptor_code(&mut whole, names)?;
        Ok(Some((code, Fields::take(&mut whole)?)))
    }

    pub(crate) fn error(&mut self) -> Result<Option<AmqpError<'a>>, DecodeError> {
        let Some((code, mut fields)) = self.composite(&[("amqp:error:list", ERROR)])? else {
            return Ok(None);
        };
        if code != ERROR {
            return Err(DecodeError::UnknownDescriptor);
        }
        let error = AmqpError {
            condition: fields
                .text()?
                .ok_or(DecodeError::MissingField("condition"))?,
            description: fields.text()?,
            info: fields.map()?,
        };
        fields.end()?;
        Ok(Some(error))
    }
}

/// The type is known from the constructor, which is gone by then; the name of the type is what helps.
const fn unexpected(_: &Value<'_>) -> DecodeError {
    DecodeError::InvalidValue("field type")
}
