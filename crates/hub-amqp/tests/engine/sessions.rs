//! Begin, end and windows.

use std::time::Instant;

use hub_amqp::{Accept, AmqpError, AttachRequest, CommandError, Config, Credit, Value};

use crate::pair::{Pair, Seen};
use crate::raw::{self, BEGIN, END, FLOW, frame};

#[test]
fn the_first_session_may_be_on_any_channel() {
    let mut server = raw::open_server(Config::default());
    assert!(matches!(server.see(&raw::begin(1))[..], [Seen::Began(_)]));
    assert_eq!(
        server.written(),
        ["1 begin 1 0 2048 65535 4095 - - -"],
        "the peer's channel is named, and no field is left out"
    );
}

#[test]
fn channels_of_a_peer_with_a_low_limit_are_kept_below_it() {
    let mut server = {
        let now = Instant::now();
        let config = std::sync::Arc::new(Config::default());
        let mut server = crate::pair::Side::new(hub_amqp::Connection::server(config, now));
        server.give(raw::AMQP_HEADER, now);
        let open = [
            Value::String("p"),
            Value::Null,
            Value::Null,
            Value::Ushort(0),
        ];
        server.give(&frame(0, raw::OPEN, &open), now);
        server.connection.open(&hub_amqp::OpenAnswer::default());
        server.connection.output(now).clear();
        server
    };
    server.see(&raw::begin(7));
    assert_eq!(server.written(), ["0 begin 7 0 2048 65535 4095 - - -"]);
    let seen = server.see(&raw::begin(8));
    assert_eq!(seen, [Seen::Ended("amqp:not-allowed".to_owned())]);
}

#[test]
fn several_sessions_live_side_by_side_and_end_apart() {
    let mut pair = Pair::opened();
    let first = pair.begin();
    let second = pair.begin();
    assert_ne!(first, second);
    pair.client.connection.end(first, None);
    pair.pump();
    assert_eq!(pair.client.seen.last(), Some(&Seen::SessionEnded(None)));
    assert_eq!(pair.server.seen.last(), Some(&Seen::SessionEnded(None)));
    let third = pair.begin();
    assert_ne!(first, third, "an id is never used again");
    let gone = pair
        .client
        .connection
        .attach_link(first, &AttachRequest::sender("a", "b"));
    assert_eq!(gone, Err(CommandError::NotOpen));
    let alive = pair
        .client
        .connection
        .attach_link(second, &AttachRequest::sender("a", "b"));
    assert!(alive.is_ok());
}

#[test]
fn the_end_of_a_session_is_the_end_of_its_links() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    for name in ["a", "b", "c"] {
        let (_, link) = pair.ask(session, &AttachRequest::sender(name, "x"));
        pair.server.connection.accept(link, &Accept::default());
    }
    pair.pump();
    pair.server.take_seen();
    pair.client.take_seen();
    let error = AmqpError::new("amqp:internal-error", "broken");
    pair.client.connection.end(session, Some(&error));
    pair.pump();
    let server = pair.server.take_seen();
    assert_eq!(server.len(), 4, "{server:?}");
    assert!(matches!(&server[0], Seen::Detached(_, cause) if cause == "session end"));
    assert_eq!(
        server[3],
        Seen::SessionEnded(Some("amqp:internal-error".to_owned()))
    );
    let client = pair.client.take_seen();
    assert_eq!(client.len(), 4, "{client:?}");
}

#[test]
fn a_session_is_ended_for_a_violation_and_the_connection_lives() {
    let mut server = raw::open_server(Config::default());
    server.see(&raw::begin(0));
    let link = {
        server.give(&raw::attach_sender(0, "a", 0), Instant::now());
        server.attached()
    };
    server.connection.accept(link, &Accept::default());
    server.take_seen();
    server.written();
    // Handle 5 is not attached.
    let seen = server.see(&raw::transfer(0, 5, 0, false, b"x"));
    assert_eq!(
        seen,
        [
            Seen::Detached(link, "session end".to_owned()),
            Seen::SessionEnded(Some("amqp:session:unattached-handle".to_owned())),
        ]
    );
    assert!(server.written()[0].starts_with("0 end 0x1d[amqp:session:unattached-handle"));
    // What was under way is of no interest.
    assert_eq!(server.see(&raw::transfer(0, 0, 1, false, b"x")), []);
    assert_eq!(server.see(&frame(0, END, &[])), []);
    assert!(matches!(server.see(&raw::begin(0))[..], [Seen::Began(_)]));
}

#[test]
fn what_comes_late_behind_the_end_of_a_session_is_passed_over() {
    let mut server = raw::open_server(Config::default());
    server.see(&raw::begin(3));
    assert_eq!(server.see(&frame(3, END, &[])), [Seen::SessionEnded(None)]);
    for _ in 0..256 {
        assert_eq!(server.see(&raw::transfer(3, 0, 0, false, b"x")), []);
    }
    assert_eq!(
        server.see(&raw::transfer(3, 0, 0, false, b"x")),
        [Seen::Ended("amqp:not-allowed".to_owned())],
        "within a bound"
    );

    let mut server = raw::open_server(Config::default());
    server.see(&raw::begin(3));
    server.see(&frame(3, END, &[]));
    assert!(matches!(server.see(&raw::begin(3))[..], [Seen::Began(_)]));
    assert_eq!(
        server.see(&raw::transfer(4, 0, 0, false, b"x")),
        [Seen::Ended("amqp:not-allowed".to_owned())],
        "a channel that never had a session"
    );
}

#[test]
fn the_window_is_opened_again_by_itself() {
    let server = Config {
        incoming_window: 10,
        ..Config::default()
    };
    let mut pair = Pair::opened_with(Config::default(), server);
    let session = pair.begin();
    let (up, link) = pair.ask(session, &AttachRequest::sender("a", "b"));
    let accept = Accept {
        credit: Credit::Window(1000),
        ..Accept::default()
    };
    pair.server.connection.accept(link, &accept);
    pair.pump();
    for token in 0..60 {
        let sent = pair
            .client
            .connection
            .send(up, &hub_amqp::Outgoing::unsettled(token), b"m");
        assert_eq!(sent, Ok(()));
    }
    pair.pump();
    assert_eq!(pair.server.messages().len(), 60);
    assert!(pair.client.seen.contains(&Seen::Window));
}

#[test]
fn more_transfers_than_the_window_end_the_session() {
    let config = Config {
        incoming_window: 4,
        ..Config::default()
    };
    let mut server = raw::open_server(config);
    server.see(&raw::begin(0));
    server.give(&raw::attach_sender(0, "a", 0), Instant::now());
    let accept = Accept {
        credit: Credit::Window(100),
        ..Accept::default()
    };
    let link = server.attached();
    server.connection.accept(link, &accept);
    server.take_seen();
    // The engine opens the window at half, so nobody gets beyond it who reads; one who does not, may not either.
    for id in 0..20 {
        let seen = server.see(&raw::transfer(0, 0, id, false, b"x"));
        assert!(matches!(seen[..], [Seen::Delivery(_)]));
    }
    let flows = server.written();
    assert!(flows.iter().filter(|flow| flow.contains("flow")).count() >= 10);
}

#[test]
fn what_is_wrong_with_a_begin_closes() {
    let begin = |channel: u16, remote: Value<'static>| {
        let fields = [remote, Value::Uint(0), Value::Uint(1), Value::Uint(1)];
        frame(channel, BEGIN, &fields)
    };
    let cases = [
        (begin(1024, Value::Null), "amqp:connection:framing-error"),
        (begin(0, Value::Null), "amqp:illegal-state"),
        (begin(3, Value::Ushort(0)), "amqp:invalid-field"),
        (begin(3, Value::Ushort(9)), "amqp:invalid-field"),
        (frame(5, FLOW, &[]), "amqp:decode-error"),
        (raw::transfer(6, 0, 0, false, b""), "amqp:not-allowed"),
    ];
    for (bytes, condition) in cases {
        let mut server = raw::open_server(Config::default());
        server.see(&raw::begin(0));
        assert_eq!(server.see(&bytes), [Seen::Ended(condition.to_owned())]);
    }
}

#[test]
fn an_echo_is_answered() {
    let mut server = raw::open_server(Config::default());
    server.see(&raw::begin(0));
    server.written();
    let fields = [
        Value::Uint(0),
        Value::Uint(100),
        Value::Uint(0),
        Value::Uint(100),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Bool(true),
    ];
    server.see(&frame(0, FLOW, &fields));
    assert_eq!(
        server.written(),
        ["0 flow 0 2048 0 65535 - - - - false false -"]
    );
}
