//! Frames made by hand, and a server to throw them at.

use std::sync::Arc;
use std::time::Instant;

use hub_amqp::{Config, Connection, ListBuf, OpenAnswer, Value};

use crate::pair::{Seen, Side};

pub(crate) const AMQP_HEADER: &[u8] = b"AMQP\x00\x01\x00\x00";
pub(crate) const SASL_HEADER: &[u8] = b"AMQP\x03\x01\x00\x00";

pub(crate) const OPEN: u8 = 0x10;
pub(crate) const BEGIN: u8 = 0x11;
pub(crate) const ATTACH: u8 = 0x12;
pub(crate) const FLOW: u8 = 0x13;
pub(crate) const TRANSFER: u8 = 0x14;
pub(crate) const DISPOSITION: u8 = 0x15;
pub(crate) const DETACH: u8 = 0x16;
pub(crate) const END: u8 = 0x17;
pub(crate) const CLOSE: u8 = 0x18;

/// One frame of any type.
pub(crate) fn frame_of(kind: u8, channel: u16, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("short");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([2, kind]);
    frame.extend(channel.to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

/// A described list.
pub(crate) fn composite(code: u8, fields: &[Value<'_>]) -> Vec<u8> {
    let list = fields
        .iter()
        .fold(ListBuf::new(), |list, field| list.with(*field));
    let mut body = vec![0x00, 0x53, code];
    Value::List(list.as_list()).encode(&mut body);
    body
}

/// One AMQP frame with a performative.
pub(crate) fn frame(channel: u16, code: u8, fields: &[Value<'_>]) -> Vec<u8> {
    frame_of(0, channel, &composite(code, fields))
}

pub(crate) fn begin(channel: u16) -> Vec<u8> {
    frame(
        channel,
        BEGIN,
        &[
            Value::Null,
            Value::Uint(0),
            Value::Uint(2048),
            Value::Uint(2048),
        ],
    )
}

/// An attach of a peer that sends.
pub(crate) fn attach_sender(channel: u16, name: &str, handle: u32) -> Vec<u8> {
    let source = composite(0x28, &[Value::String("here")]);
    let target = composite(0x29, &[Value::String("there")]);
    let source = Value::decode(&source).expect("a source");
    let target = Value::decode(&target).expect("a target");
    frame(
        channel,
        ATTACH,
        &[
            Value::String(name),
            Value::Uint(handle),
            Value::Bool(false),
            Value::Null,
            Value::Null,
            source,
            target,
            Value::Null,
            Value::Null,
            Value::Uint(0),
        ],
    )
}

/// An attach of a peer that receives.
pub(crate) fn attach_receiver(channel: u16, name: &str, handle: u32) -> Vec<u8> {
    let source = composite(0x28, &[Value::String("there")]);
    let source = Value::decode(&source).expect("a source");
    frame(
        channel,
        ATTACH,
        &[
            Value::String(name),
            Value::Uint(handle),
            Value::Bool(true),
            Value::Null,
            Value::Null,
            source,
        ],
    )
}

/// A whole delivery, or with `more` a part of one.
pub(crate) fn transfer(channel: u16, handle: u32, id: u32, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut body = composite(
        TRANSFER,
        &[
            Value::Uint(handle),
            Value::Uint(id),
            Value::Binary(b"t"),
            Value::Uint(0),
            Value::Bool(false),
            Value::Bool(more),
        ],
    );
    body.extend_from_slice(payload);
    frame_of(0, channel, &body)
}

/// A server that has been opened without SASL, with its answers taken away.
pub(crate) fn open_server(config: Config) -> Side {
    let now = Instant::now();
    let mut server = Side::new(Connection::server(Arc::new(config), now));
    server.give(AMQP_HEADER, now);
    server.give(&frame(0, OPEN, &[Value::String("peer")]), now);
    server.connection.open(&OpenAnswer::default());
    server.connection.output(now).clear();
    server.seen.clear();
    server
}

impl Side {
    /// Takes frames and returns what was seen.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> Vec<Seen> {
        self.give(bytes, Instant::now());
        self.take_seen()
    }

    /// Descriptor and fields of the frames that it has written, as text.
    pub(crate) fn written(&mut self) -> Vec<String> {
        let bytes = std::mem::take(self.connection.output(Instant::now()));
        frames(&bytes)
    }
}

/// Frames as text: channel, performative and its fields.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(length) = bytes.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (frame, rest) = bytes.split_at(length);
        let channel = u16::from_be_bytes([frame[6], frame[7]]);
        texts.push(text(channel, &frame[8..]));
        bytes = rest;
    }
    texts
}

fn text(channel: u16, body: &[u8]) -> String {
    if body.is_empty() {
        return format!("{channel} heartbeat");
    }
    let name = match body[2] {
        OPEN => "open",
        BEGIN => "begin",
        ATTACH => "attach",
        FLOW => "flow",
        TRANSFER => "transfer",
        DISPOSITION => "disposition",
        DETACH => "detach",
        END => "end",
        CLOSE => "close",
        other => panic!("performative {other:#x}"),
    };
    // The payload of a transfer is not shown.
    let list = match body[3] {
        0xc0 => &body[..5 + usize::from(body[4])],
        _ => body,
    };
    let Ok(Value::Described(described)) = Value::decode(list) else {
        panic!("malformed body {body:02x?}");
    };
    let Value::List(fields) = described.value() else {
        panic!("no list");
    };
    let fields: Vec<String> = fields.iter().map(|field| show(&field)).collect();
    format!("{channel} {name} {}", fields.join(" "))
}

fn show(value: &Value<'_>) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::String(text) | Value::Symbol(text) => (*text).to_owned(),
        Value::Described(described) => {
            let code = described.descriptor().as_i64().unwrap_or(-1);
            format!("{code:#x}{}", show(&described.value()))
        }
        Value::List(list) => {
            let fields: Vec<String> = list.iter().map(|field| show(&field)).collect();
            format!("[{}]", fields.join(" "))
        }
        Value::Binary(bytes) => format!("{bytes:02x?}").replace(", ", ""),
        other => other
            .as_i64()
            .map_or_else(|| format!("{other:?}"), |number| number.to_string()),
    }
}
