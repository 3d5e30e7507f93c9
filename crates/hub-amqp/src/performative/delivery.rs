//! Transfer and disposition (part 2, sections 2.7.5 and 2.7.6).

use super::outcome::State;
use super::{DISPOSITION, Fields, Outcome, Role, TRANSFER, put_state};
use crate::error::DecodeError;
use crate::value::{Composite, FALSE, NULL, TRUE, Value};

/// Longest delivery tag (part 2, section 2.8.7).
pub(crate) const TAG_BYTES_MAX: usize = 32;

/// One frame of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer<'a> {
    pub(crate) handle: u32,
    pub(crate) delivery_id: Option<u32>,
    pub(crate) delivery_tag: Option<&'a [u8]>,
    pub(crate) message_format: Option<u32>,
    pub(crate) settled: bool,
    pub(crate) more: bool,
    pub(crate) aborted: bool,
}

impl<'a> Transfer<'a> {
    #[inline]
    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        let handle = fields.required_uint("handle")?;
        let delivery_id = fields.uint()?;
        let delivery_tag = fields.binary()?;
        if delivery_tag.is_some_and(|tag| tag.len() > TAG_BYTES_MAX) {
            return Err(DecodeError::InvalidField("delivery-tag"));
        }
        let message_format = fields.uint()?;
        let settled = fields.boolean()?.unwrap_or(false);
        let more = fields.boolean()?.unwrap_or(false);
        // The mode of one delivery may only be that of the link or first, and we settle as the link does.
        fields.ubyte()?;
        State::decode(fields)?;
        // Deliveries are never resumed, because attaching again always begins anew.
        fields.boolean()?;
        Ok(Self {
            handle,
            delivery_id,
            delivery_tag,
            message_format,
            settled,
            more,
            aborted: fields.boolean()?.unwrap_or(false),
        })
    }

    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, TRANSFER);
        list.put(out, Value::Uint(self.handle));
        list.put(out, self.delivery_id.map_or(Value::Null, Value::Uint));
        list.put(out, self.delivery_tag.map_or(Value::Null, Value::Binary));
        list.put(out, self.message_format.map_or(Value::Null, Value::Uint));
        let bit = |bit| if bit { TRUE } else { FALSE };
        let (settled, more, aborted) = (bit(self.settled), bit(self.more), bit(self.aborted));
        // Settled, more, receiver settle mode, state, resume, aborted, batchable: each is one byte, and this is written
        // for every message.
        list.put_codes(out, [settled, more, NULL, NULL, FALSE, aborted, FALSE]);
        list.end_list(out);
    }
}

/// The outcome of a range of deliveries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Disposition<'a> {
    /// Which end the peer is that sends it.
    pub(crate) role: Role,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) settled: bool,
    pub(crate) state: Option<State<'a>>,
}

impl<'a> Disposition<'a> {
    #[inline]
    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        let role = Role::of(fields.boolean()?.ok_or(DecodeError::MissingField("role"))?);
        let first = fields.required_uint("first")?;
        Ok(Self {
            role,
            first,
            last: fields.uint()?.unwrap_or(first),
            settled: fields.boolean()?.unwrap_or(false),
            state: State::decode(fields)?,
        })
    }

    #[inline]
    pub(crate) fn encode(
        out: &mut Vec<u8>,
        role: Role,
        range: (u32, u32),
        settled: bool,
        outcome: Option<&Outcome<'_>>,
    ) {
        let mut list = Composite::described(out, DISPOSITION);
        list.put(out, role.value());
        list.put(out, Value::Uint(range.0));
        list.put(out, Value::Uint(range.1));
        list.put(out, Value::Bool(settled));
        match outcome {
            Some(outcome) => {
                list.count_one();
                put_state(out, outcome);
            }
            None => list.put(out, Value::Null),
        }
        list.put(out, Value::Bool(false));
        list.end_list(out);
    }
}
