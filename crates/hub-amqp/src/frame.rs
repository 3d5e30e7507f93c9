//! Protocol headers and frames (part 2, sections 2.2 and 2.3).

use crate::error::DecodeError;

/// The smallest `max-frame-size` that a peer may ask for (part 2, section 2.7.1).
pub const MIN_MAX_FRAME_SIZE: u32 = 512;

/// Bytes of a frame header.
pub(crate) const FRAME_HEADER_BYTES: usize = 8;

/// First bytes of a connection, or of its second layer.
pub(crate) const HEADER_BYTES: usize = 8;
pub(crate) const AMQP_HEADER: [u8; HEADER_BYTES] = *b"AMQP\x00\x01\x00\x00";
pub(crate) const SASL_HEADER: [u8; HEADER_BYTES] = *b"AMQP\x03\x01\x00\x00";

/// What frames carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Amqp,
    Sasl,
}

/// One frame without its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) channel: u16,
    /// Empty for a heartbeat.
    pub(crate) body: &'a [u8],
}

/// Takes one frame from the front of `input`; `None` if its end has not come yet.
#[inline]
pub(crate) fn take<'a>(
    input: &mut &'a [u8],
    length_max: usize,
) -> Result<Option<Frame<'a>>, DecodeError> {
    let Some(&[a, b, c, d, data_offset, kind, high, low]) =
        input.first_chunk::<FRAME_HEADER_BYTES>()
    else {
        return Ok(None);
    };
    let length =
        usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| DecodeError::FrameHeader)?;
    if length > length_max {
        return Err(DecodeError::FrameTooLarge { length, length_max });
    }
    let body_at = usize::from(data_offset) * 4;
    if body_at < FRAME_HEADER_BYTES || body_at > length {
        return Err(DecodeError::FrameHeader);
    }
    let kind = match kind {
        0 => FrameKind::Amqp,
        1 => FrameKind::Sasl,
        _ => return Err(DecodeError::FrameHeader),
    };
    let Some((frame, rest)) = input.split_at_checked(length) else {
        return Ok(None);
    };
    *input = rest;
    Ok(Some(Frame {
        kind,
        channel: u16::from_be_bytes([high, low]),
        body: &frame[body_at..],
    }))
}

/// Appends one frame, whose body `write` appends.
#[inline]
pub(crate) fn put(
    out: &mut Vec<u8>,
    kind: FrameKind,
    channel: u16,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let at = out.len();
    let [high, low] = channel.to_be_bytes();
    out.extend([
        0,
        0,
        0,
        0,
        2,
        matches!(kind, FrameKind::Sasl).into(),
        high,
        low,
    ]);
    write(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}
