//! What must hold for any bytes as a value, a message or the body of a frame; shared by the fuzz target
//! `amqp_decode` and the test that replays its corpus.

use std::sync::Arc;
use std::time::Instant;

use hub_amqp::{
    Accept, Body, Config, Connection, Credit, Event, MessageWriter, OpenAnswer, Sections, Value,
};

/// Reads the bytes in every way they may come, and panics if a law of the codec is broken.
pub(crate) fn judge(input: &[u8]) {
    if let Ok(value) = Value::decode(input) {
        check_value(&value);
    }
    if let Ok(sections) = Sections::parse(input) {
        check_message(&sections);
    }
    check_frame_body(input);
}

fn check_value(value: &Value<'_>) {
    let mut bytes = Vec::new();
    value.encode(&mut bytes);
    let again = Value::decode(&bytes).expect("what is written can be read");
    assert_eq!(show(value), show(&again));
}

/// All there is in a value. Numbers that are not numbers are not equal to themselves, so texts are compared.
fn show(value: &Value<'_>) -> String {
    let items = |items: hub_amqp::Items<'_>| -> String { items.map(|item| show(&item)).collect() };
    match value {
        Value::List(list) => format!("[{}]", items(list.iter())),
        Value::Array(array) => {
            let descriptor = array.descriptor().map(|descriptor| show(&descriptor));
            format!("({descriptor:?}{})", items(array.iter()))
        }
        Value::Map(map) => {
            let pairs = map.iter().map(|(key, value)| show(&key) + &show(&value));
            format!("{{{}}}", pairs.collect::<String>())
        }
        Value::Described(described) => {
            let descriptor = show(&described.descriptor());
            format!("<{descriptor}{}>", show(&described.value()))
        }
        plain => format!("{plain:?} "),
    }
}

fn check_message(sections: &Sections<'_>) {
    let mut bytes = Vec::new();
    let mut writer = MessageWriter::new(&mut bytes);
    writer.header(&sections.header);
    writer.message_annotations(|map| {
        for (key, value) in &sections.message_annotations {
            map.entry(key, value);
        }
    });
    if let Some(properties) = &sections.properties {
        writer.properties(properties);
    }
    writer.application_property_map(sections.application_properties);
    match sections.body {
        Body::Empty => {}
        Body::Data(data) => {
            for bytes in data.iter() {
                writer.data(bytes);
            }
        }
        Body::Value(value) => {
            writer.value(value);
        }
        Body::Sequences(lists) => {
            for list in lists.iter() {
                writer.sequence(list);
            }
        }
    }
    let again = Sections::parse(&bytes).expect("what is written can be read");
    assert_eq!(sections.header, again.header);
    assert_eq!(sections.properties, again.properties);
    assert_eq!(
        show(&Value::Map(sections.application_properties)),
        show(&Value::Map(again.application_properties))
    );
    assert_eq!(
        sections.body.single_data().map(<[u8]>::len),
        again.body.single_data().map(<[u8]>::len)
    );
}

/// Gives the bytes to a server as the body of one frame on a session with a link.
fn check_frame_body(body: &[u8]) {
    let now = Instant::now();
    let mut server = Connection::server(Arc::new(Config::default()), now);
    take(&mut server, b"AMQP\x00\x01\x00\x00", now);
    take(
        &mut server,
        &frame(b"\x00\x53\x10\xc0\x04\x01\xa1\x01p"),
        now,
    );
    server.open(&OpenAnswer::default());
    let begin = b"\x00\x53\x11\xc0\x0a\x04\x40\x43\x70\x00\x00\x08\x00\x52\x08";
    take(&mut server, &frame(begin), now);
    let attach = b"\x00\x53\x12\xc0\x06\x03\xa1\x01n\x43\x42";
    take(&mut server, &frame(attach), now);
    assert_eq!(server.phase(), hub_amqp::Phase::Open);
    server.output(now).clear();
    take(&mut server, &frame(body), now);
    check_frames(server.output(now));
}

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 8).expect("short");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend([2, 0, 0, 0]);
    frame.extend_from_slice(body);
    frame
}

fn take(server: &mut Connection, mut input: &[u8], now: Instant) {
    loop {
        let link = match server.receive(&mut input, now) {
            None => return,
            Some(Event::Attached { link, .. }) => link,
            Some(_) => continue,
        };
        assert!(server.attach(link).is_some());
        let accept = Accept {
            credit: Credit::Window(10),
            ..Accept::default()
        };
        server.accept(link, &accept);
    }
}

/// Every frame that leaves is whole, and its body is one described list, followed by the payload of a transfer.
pub(crate) fn check_frames(mut output: &[u8]) {
    while let Some((length, _)) = output.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (frame, rest) = output.split_at(length);
        let body = &frame[8..];
        if !body.is_empty() {
            assert_eq!(body[..2], [0x00, 0x53]);
            let is_transfer = body[2] == 0x14;
            assert!(is_transfer || Value::decode(body).is_ok(), "{body:02x?}");
        }
        output = rest;
    }
}
