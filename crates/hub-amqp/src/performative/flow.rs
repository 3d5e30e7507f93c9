//! Flow (part 2, section 2.7.4).

use super::{FLOW, Fields};
use crate::error::DecodeError;
use crate::value::{Composite, Value};

/// The state of a session's windows and, with a handle, of a link's credit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flow {
    pub(crate) next_incoming_id: Option<u32>,
    pub(crate) incoming_window: u32,
    pub(crate) next_outgoing_id: u32,
    pub(crate) outgoing_window: u32,
    pub(crate) link: Option<LinkFlow>,
    pub(crate) echo: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkFlow {
    pub(crate) handle: u32,
    pub(crate) delivery_count: Option<u32>,
    pub(crate) link_credit: Option<u32>,
    pub(crate) available: u32,
    pub(crate) drain: bool,
}

impl Flow {
    #[inline]
    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        let next_incoming_id = fields.uint()?;
        let incoming_window = fields.required_uint("incoming-window")?;
        let next_outgoing_id = fields.required_uint("next-outgoing-id")?;
        let outgoing_window = fields.required_uint("outgoing-window")?;
        let handle = fields.uint()?;
        let delivery_count = fields.uint()?;
        let link_credit = fields.uint()?;
        let available = fields.uint()?.unwrap_or(0);
        let drain = fields.boolean()?.unwrap_or(false);
        Ok(Self {
            next_incoming_id,
            incoming_window,
            next_outgoing_id,
            outgoing_window,
            link: handle.map(|handle| LinkFlow {
                handle,
                delivery_count,
                link_credit,
                available,
                drain,
            }),
            echo: fields.boolean()?.unwrap_or(false),
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let optional = |number: Option<u32>| number.map_or(Value::Null, Value::Uint);
        let mut list = Composite::described(out, FLOW);
        list.put(out, optional(self.next_incoming_id));
        list.put(out, Value::Uint(self.incoming_window));
        list.put(out, Value::Uint(self.next_outgoing_id));
        list.put(out, Value::Uint(self.outgoing_window));
        list.put(out, optional(self.link.map(|link| link.handle)));
        list.put(
            out,
            optional(self.link.and_then(|link| link.delivery_count)),
        );
        list.put(out, optional(self.link.and_then(|link| link.link_credit)));
        list.put(out, optional(self.link.map(|link| link.available)));
        list.put(out, Value::Bool(self.link.is_some_and(|link| link.drain)));
        list.put(out, Value::Bool(self.echo));
        list.put(out, Value::Null);
        list.end_list(out);
    }
}
