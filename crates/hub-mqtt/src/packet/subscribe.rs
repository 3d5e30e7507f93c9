//! SUBSCRIBE, SUBACK and UNSUBSCRIBE. Their lists stay as bytes that were checked once, and are read again by iterators.

use core::iter::FusedIterator;

use crate::decode::Reader;
use crate::error::DecodeError;
use crate::packet::{PacketId, QoS};
use crate::text;

/// A list of filters to subscribe to; never empty (section 3.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The identifier that SUBACK returns.
    pub id: PacketId,
    requests: &'a [u8],
}

impl<'a> Subscribe<'a> {
    pub(crate) fn parse(id: PacketId, requests: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = Reader::new(requests);
        if rest.is_empty() {
            return Err(DecodeError::NoFilter);
        }
        while !rest.is_empty() {
            read_request(&mut rest)?;
        }
        Ok(Self { id, requests })
    }

    /// The filters with their requested quality of service, in the order in which SUBACK answers them.
    #[must_use]
    pub const fn requests(&self) -> SubscribeRequests<'a> {
        SubscribeRequests {
            rest: Reader::new(self.requests),
        }
    }

    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.requests
    }
}

/// One filter of SUBSCRIBE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscribeRequest<'a> {
    /// Topic filter: not empty, wildcards in their places.
    pub filter: &'a str,
    /// The highest quality of service that the client wants.
    pub qos: QoS,
}

/// Iterator over the filters of [`Subscribe`].
#[derive(Debug, Clone)]
pub struct SubscribeRequests<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for SubscribeRequests<'a> {
    type Item = SubscribeRequest<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        Some(read_request(&mut self.rest).expect("invariant: checked by Subscribe::parse"))
    }
}

impl FusedIterator for SubscribeRequests<'_> {}

fn read_request<'a>(rest: &mut Reader<'a>) -> Result<SubscribeRequest<'a>, DecodeError> {
    let filter = text::parse_filter(rest.field()?)?;
    let qos = QoS::from_number(rest.byte()?).ok_or(DecodeError::InvalidRequestedQoS)?;
    Ok(SubscribeRequest { filter, qos })
}

/// A list of filters to unsubscribe from; never empty (section 3.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The identifier that UNSUBACK returns.
    pub id: PacketId,
    filters: &'a [u8],
}

impl<'a> Unsubscribe<'a> {
    pub(crate) fn parse(id: PacketId, filters: &'a [u8]) -> Result<Self, DecodeError> {
        let mut rest = Reader::new(filters);
        if rest.is_empty() {
            return Err(DecodeError::NoFilter);
        }
        while !rest.is_empty() {
            text::parse_filter(rest.field()?)?;
        }
        Ok(Self { id, filters })
    }

    /// The filters, in their order.
    #[must_use]
    pub const fn filters(&self) -> Filters<'a> {
        Filters {
            rest: Reader::new(self.filters),
        }
    }

    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.filters
    }
}

/// Iterator over the filters of [`Unsubscribe`].
#[derive(Debug, Clone)]
pub struct Filters<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Filters<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let filter = self.rest.field().and_then(text::parse_filter);
        Some(filter.expect("invariant: checked by Unsubscribe::parse"))
    }
}

impl FusedIterator for Filters<'_> {}

/// One answer for each filter of SUBSCRIBE; never empty (section 3.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE.
    pub id: PacketId,
    codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(crate) fn parse(id: PacketId, codes: &'a [u8]) -> Result<Self, DecodeError> {
        if codes.is_empty() {
            return Err(DecodeError::NoReturnCode);
        }
        for &code in codes {
            SubscribeReturn::from_code(code).ok_or(DecodeError::ReservedSubscribeReturn(code))?;
        }
        Ok(Self { id, codes })
    }

    /// The answers, in the order of the filters.
    #[must_use]
    pub fn returns(&self) -> SubscribeReturns<'a> {
        SubscribeReturns {
            codes: self.codes.iter(),
        }
    }

    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.codes
    }
}

/// The answer to one filter of SUBSCRIBE (section 3.9.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubscribeReturn {
    /// Subscribed, with at most this quality of service.
    Granted(QoS),
    /// Not subscribed.
    Failure,
}

impl SubscribeReturn {
    /// The return code on the wire.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Granted(qos) => qos as u8,
            Self::Failure => 0x80,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match QoS::from_number(code) {
            Some(qos) => Some(Self::Granted(qos)),
            None if code == 0x80 => Some(Self::Failure),
            None => None,
        }
    }
}

/// Iterator over the answers of [`SubAck`].
#[derive(Debug, Clone)]
pub struct SubscribeReturns<'a> {
    codes: core::slice::Iter<'a, u8>,
}

impl Iterator for SubscribeReturns<'_> {
    type Item = SubscribeReturn;

    fn next(&mut self) -> Option<Self::Item> {
        self.codes.next().map(|&code| {
            SubscribeReturn::from_code(code).expect("invariant: checked by SubAck::parse")
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.codes.size_hint()
    }
}

impl ExactSizeIterator for SubscribeReturns<'_> {}
impl FusedIterator for SubscribeReturns<'_> {}
