//! The marshalling of TPM structures: big-endian numbers, and bytes behind a size of two bytes.

/// Reads a structure from front to back; `None` wherever it is too short.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn number16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    pub(super) fn number32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// Bytes behind their size (`TPM2B_…`).
    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let size = self.number16()?;
        let (bytes, rest) = self.rest.split_at_checked(size.into())?;
        self.rest = rest;
        Some(bytes)
    }

    /// `None` when something is left.
    pub(super) fn finish(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

/// Bytes behind their size (`TPM2B_…`).
///
/// # Panics
/// Beyond 65,535 bytes. Everything here is made of keys, digests and seeds, which are far below.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + bytes.len());
    put_sized(&mut out, bytes);
    out
}

/// Appends what [`sized`] makes.
pub(super) fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u16::try_from(bytes.len()).expect("invariant: keys, digests and seeds are small");
    out.extend(size.to_be_bytes());
    out.extend(bytes);
}
