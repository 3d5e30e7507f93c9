//! Open and begin, and what detach, end and close share (part 2, sections 2.7.1, 2.7.2, 2.7.7 to 2.7.9).

use super::{BEGIN, Fields, OPEN, Symbols};
use crate::error::{AmqpError, DecodeError};
use crate::value::{Composite, Map, Value};

/// What a peer says about itself and its limits when a connection opens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Open<'a> {
    /// Who it is.
    pub container_id: &'a str,
    /// Which host the client means; a server answers to several.
    pub hostname: Option<&'a str>,
    /// Largest frame that it takes.
    pub max_frame_size: u32,
    /// Highest channel number that it takes.
    pub channel_max: u16,
    /// Milliseconds of silence after which it gives the connection up; 0 stands for never.
    pub idle_timeout_ms: u32,
    /// Locales for the texts that it sends, best first.
    pub outgoing_locales: Symbols<'a>,
    /// Locales for the texts that it takes.
    pub incoming_locales: Symbols<'a>,
    /// Extensions that it has.
    pub offered_capabilities: Symbols<'a>,
    /// Extensions that it would use.
    pub desired_capabilities: Symbols<'a>,
    /// More about it, such as product and version.
    pub properties: Option<Map<'a>>,
}

impl<'a> Open<'a> {
    pub(super) fn decode(fields: &mut Fields<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            container_id: fields
                .text()?
                .ok_or(DecodeError::MissingField("container-id"))?,
            hostname: fields.text()?,
            max_frame_size: fields.uint()?.unwrap_or(u32::MAX),
            channel_max: fields.ushort()?.unwrap_or(u16::MAX),
            idle_timeout_ms: fields.uint()?.unwrap_or(0),
            outgoing_locales: fields.symbols()?,
            incoming_locales: fields.symbols()?,
            offered_capabilities: fields.symbols()?,
            desired_capabilities: fields.symbols()?,
            properties: fields.map()?,
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, OPEN);
        list.put(out, Value::String(self.container_id));
        list.put(out, self.hostname.map_or(Value::Null, Value::String));
        list.put(out, Value::Uint(self.max_frame_size));
        list.put(out, Value::Ushort(self.channel_max));
        list.put(out, Value::Uint(self.idle_timeout_ms));
        list.put(out, self.outgoing_locales.value());
        list.put(out, self.incoming_locales.value());
        list.put(out, self.offered_capabilities.value());
        list.put(out, self.desired_capabilities.value());
        list.put(out, self.properties.map_or(Value::Null, Value::Map));
        list.end_list(out);
    }
}

/// The beginning of a session. Capabilities and properties mean nothing to any peer known to us and are passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begin {
    pub(crate) remote_channel: Option<u16>,
    pub(crate) next_outgoing_id: u32,
    pub(crate) incoming_window: u32,
    pub(crate) outgoing_window: u32,
    pub(crate) handle_max: u32,
}

impl Begin {
    pub(super) fn decode(fields: &mut Fields<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            remote_channel: fields.ushort()?,
            next_outgoing_id: fields.required_uint("next-outgoing-id")?,
            incoming_window: fields.required_uint("incoming-window")?,
            outgoing_window: fields.required_uint("outgoing-window")?,
            handle_max: fields.uint()?.unwrap_or(u32::MAX),
        })
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut list = Composite::described(out, BEGIN);
        list.put(out, self.remote_channel.map_or(Value::Null, Value::Ushort));
        list.put(out, Value::Uint(self.next_outgoing_id));
        list.put(out, Value::Uint(self.incoming_window));
        list.put(out, Value::Uint(self.outgoing_window));
        list.put(out, Value::Uint(self.handle_max));
        list.put(out, Value::Null);
        list.put(out, Value::Null);
        list.put(out, Value::Null);
        list.end_list(out);
    }
}

const ERROR: u8 = 0x1d;

/// Appends an error as a field of a list.
pub(crate) fn put_error_field(
    list: &mut Composite,
    out: &mut Vec<u8>,
    error: Option<&AmqpError<'_>>,
) {
    let Some(error) = error else {
        list.put(out, Value::Null);
        return;
    };
    list.count_one();
    let mut fields = Composite::described(out, ERROR);
    fields.put(out, Value::Symbol(error.condition));
    fields.put(out, error.description.map_or(Value::Null, Value::String));
    fields.put(out, error.info.map_or(Value::Null, Value::Map));
    fields.end_list(out);
}

/// Appends end or close.
pub(crate) fn put_error(out: &mut Vec<u8>, descriptor: u8, error: Option<&AmqpError<'_>>) {
    let mut list = Composite::described(out, descriptor);
    put_error_field(&mut list, out, error);
    list.end_list(out);
}

/// Appends detach.
pub(crate) fn put_detach(
    out: &mut Vec<u8>,
    handle: u32,
    closed: bool,
    error: Option<&AmqpError<'_>>,
) {
    let mut list = Composite::described(out, super::DETACH);
    list.put(out, Value::Uint(handle));
    list.put(out, Value::Bool(closed));
    put_error_field(&mut list, out, error);
    list.end_list(out);
}
