//! A cursor over the body of one packet.

use crate::error::DecodeError;

/// Takes fields from the front of a packet's body (section 1.5).
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(DecodeError::FieldBeyondEnd)?;
        self.rest = rest;
        Ok(byte)
    }

    /// Takes a number of two bytes, the high one first.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<u16, DecodeError> {
        let (&number, rest) = self
            .rest
            .split_first_chunk()
            .ok_or(DecodeError::FieldBeyondEnd)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(number))
    }

    /// Takes a field that is preceded by its length.
    #[inline]
    pub(crate) fn field(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::from(self.number()?);
        let (field, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(DecodeError::FieldBeyondEnd)?;
        self.rest = rest;
        Ok(field)
    }

    #[inline]
    pub(crate) fn take_rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }
}
