//! Peers that break rules: bounded work, bounded memory, and an end with the right condition.

use std::time::{Duration, Instant};

use hub_amqp::{Accept, Config, Credit, LinkId, Value};

use crate::pair::{Seen, Side};
use crate::raw::{
    self, ATTACH, CLOSE, DISPOSITION, END, FLOW, TRANSFER, frame, frame_of, open_server,
};

/// A server with one link on which the peer sends.
fn receiving(config: Config, accept: &Accept<'_>) -> (Side, LinkId) {
    let mut server = open_server(config);
    server.see(&raw::begin(0));
    server.give(&raw::attach_sender(0, "up", 0), Instant::now());
    let link = server.attached();
    server.connection.accept(link, accept);
    server.take_seen();
    server.written();
    (server, link)
}

fn window(credit: u32) -> Accept<'static> {
    Accept {
        credit: Credit::Window(credit),
        ..Accept::default()
    }
}

#[test]
fn a_transfer_without_credit_detaches_the_link() {
    let (mut server, link) = receiving(Config::default(), &window(2));
    for id in 0..2 {
        server.see(&raw::transfer(0, 0, id, false, b"m"));
    }
    let exceeded = "amqp:link:transfer-limit-exceeded";
    assert_eq!(
        server.see(&raw::transfer(0, 0, 2, false, b"m")),
        [Seen::Detached(link, exceeded.to_owned())]
    );
    assert!(server.written()[0].contains(exceeded));
    // The rest of what was under way is passed over.
    assert_eq!(server.see(&raw::transfer(0, 0, 3, false, b"m")), []);
}

#[test]
fn a_link_without_any_credit_takes_nothing() {
    let (mut server, link) = receiving(Config::default(), &Accept::default());
    assert_eq!(
        server.see(&raw::transfer(0, 0, 0, true, b"m")),
        [Seen::Detached(
            link,
            "amqp:link:transfer-limit-exceeded".to_owned()
        )]
    );
}

#[test]
fn a_transfer_before_the_answer_detaches_the_link() {
    let mut server = open_server(Config::default());
    server.see(&raw::begin(0));
    server.give(&raw::attach_sender(0, "up", 0), Instant::now());
    let link = server.attached();
    server.take_seen();
    assert_eq!(
        server.see(&raw::transfer(0, 0, 0, false, b"m")),
        [Seen::Detached(
            link,
            "amqp:link:transfer-limit-exceeded".to_owned()
        )]
    );
}

#[test]
fn a_message_above_the_limit_detaches_the_link_before_its_end() {
    let accept = Accept {
        max_message_size: 100,
        ..window(10)
    };
    let too_large = |link| Seen::Detached(link, "amqp:link:message-size-exceeded".to_owned());
    let (mut server, link) = receiving(Config::default(), &accept);
    let seen = server.see(&raw::transfer(0, 0, 0, false, &[0; 101]));
    assert_eq!(seen, [too_large(link)]);

    let (mut server, link) = receiving(Config::default(), &accept);
    for _ in 0..2 {
        assert_eq!(server.see(&raw::transfer(0, 0, 0, true, &[0; 50])), []);
    }
    assert_eq!(
        server.see(&raw::transfer(0, 0, 0, true, &[0; 1])),
        [too_large(link)]
    );

    let (mut server, _) = receiving(Config::default(), &accept);
    server.see(&raw::transfer(0, 0, 0, true, &[0; 50]));
    let seen = server.see(&raw::transfer(0, 0, 0, false, &[0; 50]));
    assert!(matches!(&seen[..], [Seen::Delivery(message)] if message.bytes == [0; 100]));
}

#[test]
fn deliveries_that_never_end_are_bounded_over_all_links() {
    let config = Config {
        partial_bytes_max: 10_000,
        ..Config::default()
    };
    let mut server = open_server(config);
    server.see(&raw::begin(0));
    for handle in 0..5 {
        server.give(
            &raw::attach_sender(0, &format!("n{handle}"), handle),
            Instant::now(),
        );
        let link = server.attached();
        server.connection.accept(link, &window(10));
    }
    server.take_seen();
    for handle in 0..4 {
        assert_eq!(
            server.see(&raw::transfer(0, handle, handle, true, &[0; 2500])),
            []
        );
    }
    let seen = server.see(&raw::transfer(0, 4, 4, true, &[0; 1]));
    assert!(
        matches!(&seen[..], [Seen::Detached(_, cause)] if cause == "amqp:resource-limit-exceeded")
    );
    // Those that end make room.
    let seen = server.see(&raw::transfer(0, 0, 0, false, b""));
    assert!(matches!(&seen[..], [Seen::Delivery(message)] if message.bytes.len() == 2500));
    assert_eq!(server.see(&raw::transfer(0, 0, 10, true, &[0; 2500])), []);
}

#[test]
fn an_aborted_delivery_vanishes_and_gives_its_credit_back() {
    let (mut server, link) = receiving(Config::default(), &window(1));
    server.see(&raw::transfer(0, 0, 0, true, &[0; 50]));
    let aborted = [
        Value::Uint(0),
        Value::Uint(0),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Bool(true),
        Value::Null,
        Value::Null,
        Value::Null,
        Value::Bool(true),
    ];
    assert_eq!(server.see(&frame(0, TRANSFER, &aborted)), []);
    let seen = server.see(&raw::transfer(0, 0, 1, false, b"next"));
    assert!(
        matches!(&seen[..], [Seen::Delivery(message)] if message.link == link && message.bytes == b"next")
    );
}

#[test]
fn parts_may_leave_out_what_the_first_one_said() {
    let (mut server, _) = receiving(Config::default(), &window(1));
    server.see(&raw::transfer(0, 0, 7, true, b"one "));
    let mut body = raw::composite(TRANSFER, &[Value::Uint(0)]);
    body.extend_from_slice(b"two");
    let seen = server.see(&frame_of(0, 0, &body));
    assert!(
        matches!(&seen[..], [Seen::Delivery(message)] if message.bytes == b"one two" && message.tag == b"t")
    );
}

#[test]
fn mixed_up_deliveries_detach_the_link() {
    let (mut server, link) = receiving(Config::default(), &window(5));
    server.see(&raw::transfer(0, 0, 7, true, b"one"));
    assert_eq!(
        server.see(&raw::transfer(0, 0, 8, false, b"two")),
        [Seen::Detached(link, "amqp:not-allowed".to_owned())]
    );
    let (mut server, link) = receiving(Config::default(), &window(5));
    let nameless = frame(0, TRANSFER, &[Value::Uint(0)]);
    assert_eq!(
        server.see(&nameless),
        [Seen::Detached(link, "amqp:not-allowed".to_owned())]
    );
}

#[test]
fn a_delivery_id_that_is_in_use_ends_the_session() {
    let (mut server, link) = receiving(Config::default(), &window(50));
    for id in [u32::MAX, 0, 5, 3] {
        let seen = server.see(&raw::transfer(0, 0, id, false, b"m"));
        assert!(matches!(seen[..], [Seen::Delivery(_)]));
    }
    assert_eq!(
        server.see(&raw::transfer(0, 0, 5, false, b"m")),
        [
            Seen::Detached(link, "session end".to_owned()),
            Seen::SessionEnded(Some("amqp:invalid-field".to_owned())),
        ]
    );
}

#[test]
fn unsettled_deliveries_of_a_session_are_bounded() {
    let config = Config {
        unsettled_max: 3,
        ..Config::default()
    };
    let (mut server, link) = receiving(config, &window(100));
    for id in 0..3 {
        server.see(&raw::transfer(0, 0, id, false, b"m"));
    }
    assert_eq!(
        server.see(&raw::transfer(0, 0, 3, false, b"m")),
        [Seen::Detached(
            link,
            "amqp:resource-limit-exceeded".to_owned()
        )]
    );
}

#[test]
fn transfers_the_wrong_way_detach_the_link() {
    let mut server = open_server(Config::default());
    server.see(&raw::begin(0));
    server.give(&raw::attach_receiver(0, "down", 0), Instant::now());
    let link = server.attached();
    server.connection.accept(link, &Accept::default());
    server.take_seen();
    assert_eq!(
        server.see(&raw::transfer(0, 0, 0, false, b"m")),
        [Seen::Detached(link, "amqp:not-allowed".to_owned())]
    );
}

#[test]
fn frames_of_huge_length_close_at_their_header() {
    for length in [65_537_u32, u32::MAX] {
        let mut server = open_server(Config::default());
        let mut header = length.to_be_bytes().to_vec();
        header.extend([2, 0, 0, 0]);
        assert_eq!(
            server.see(&header),
            [Seen::Ended("amqp:connection:framing-error".to_owned())]
        );
        assert_eq!(server.written().len(), 1);
        assert_eq!(server.see(&[0; 1000]), []);
        assert_eq!(server.inbox.len(), 0);
    }
}

#[test]
fn malformed_frames_close() {
    let described = |fields: &[u8]| {
        let mut body = vec![0x00, 0x53, ATTACH];
        body.extend_from_slice(fields);
        frame_of(0, 0, &body)
    };
    let deep = {
        let mut body = vec![0x00, 0x53, CLOSE, 0xd0, 0, 0, 0, 0, 0, 0, 0, 1];
        for _ in 0..100 {
            body.extend([0x00, 0x44]);
        }
        body.push(0x40);
        let size = u32::try_from(body.len() - 8).expect("short");
        body[4..8].copy_from_slice(&size.to_be_bytes());
        frame_of(0, 0, &body)
    };
    let cases = [
        frame_of(0, 0, b"\x40"),
        frame_of(0, 0, b"\x00\x53"),
        frame_of(0, 0, b"\x00\x53\x99\x45"),
        frame_of(0, 0, b"\x00\xa3\x03abc\x45"),
        frame_of(9, 0, b""),
        frame_of(1, 0, b""),
        vec![0, 0, 0, 8, 1, 0, 0, 0],
        vec![0, 0, 0, 8, 3, 0, 0, 0],
        described(b"\xc0\xff\x01"),
        described(b"\xd0\xff\xff\xff\xff\xff\xff\xff\xff"),
        described(b"\xc0\x01\xff"),
        described(b"\xa1\x00"),
        deep,
    ];
    for bytes in cases {
        let mut server = open_server(Config::default());
        let seen = server.see(&bytes);
        assert!(
            matches!(seen[..], [Seen::Ended(_)]),
            "{bytes:02x?}: {seen:?}"
        );
        assert!(server.written()[0].contains("close"), "{bytes:02x?}");
    }
}

#[test]
fn a_flood_of_sessions_and_links_is_bounded() {
    let before = Instant::now();
    let mut server = open_server(Config::default());
    for channel in 0..=1023 {
        let seen = server.see(&raw::begin(channel));
        assert!(matches!(seen[..], [Seen::Began(_)]));
    }
    let seen = server.see(&raw::begin(1024));
    assert_eq!(
        seen,
        [Seen::Ended("amqp:connection:framing-error".to_owned())]
    );

    let mut server = open_server(Config::default());
    server.see(&raw::begin(0));
    for handle in 0..=4095 {
        let name = format!("link {handle}");
        let seen = server.see(&raw::attach_sender(0, &name, handle));
        assert!(matches!(seen[..], [Seen::Attached(_)]));
    }
    assert!(server.connection.output(Instant::now()).len() < 1000);
    let seen = server.see(&frame(0, END, &[]));
    assert_eq!(seen.len(), 4097);
    assert!(before.elapsed() < Duration::from_secs(20));
}

#[test]
fn attaches_that_wait_are_bounded_by_their_bytes() {
    let config = Config {
        partial_bytes_max: 20_000,
        ..Config::default()
    };
    let mut server = open_server(config);
    server.see(&raw::begin(0));
    let long = "x".repeat(5000);
    let source = raw::composite(0x28, &[Value::String(&long)]);
    let source = Value::decode(&source).expect("a source");
    let attach = |handle: u32| {
        let name = handle.to_string();
        let fields = [
            Value::String(&name),
            Value::Uint(handle),
            Value::Bool(true),
            Value::Null,
            Value::Null,
            source,
        ];
        frame(0, ATTACH, &fields)
    };
    for handle in 0..3 {
        let seen = server.see(&attach(handle));
        assert!(matches!(seen[..], [Seen::Attached(_)]));
    }
    let seen = server.see(&attach(3));
    let ended = Seen::SessionEnded(Some("amqp:resource-limit-exceeded".to_owned()));
    assert_eq!(seen.last(), Some(&ended));
}

#[test]
fn dispositions_of_ranges_cost_what_there_is() {
    let (mut server, _) = receiving(Config::default(), &window(4000));
    for id in 0..2000 {
        server.give(&raw::transfer(0, 0, id, false, b"m"), Instant::now());
    }
    server.take_seen();
    let before = Instant::now();
    for role in [true, false] {
        for (first, last) in [(0, u32::MAX), (u32::MAX, 0), (5, 3), (1 << 31, 1 << 30)] {
            let fields = [
                Value::Bool(role),
                Value::Uint(first),
                Value::Uint(last),
                Value::Bool(true),
            ];
            let bytes = frame(0, DISPOSITION, &fields);
            for _ in 0..2000 {
                server.give(&bytes, Instant::now());
            }
        }
    }
    assert_eq!(server.take_seen(), []);
    assert!(before.elapsed() < Duration::from_secs(5));
}

#[test]
fn an_outcome_or_error_of_many_bytes_closes() {
    for length in [7_000, 9_000] {
        let text = "t".repeat(length);
        let error = raw::composite(
            0x1d,
            &[Value::Symbol("amqp:not-found"), Value::String(&text)],
        );
        let error = Value::decode(&error).expect("an error");
        let mut server = open_server(Config::default());
        server.see(&raw::begin(0));
        let seen = server.see(&frame(0, END, &[error]));
        let expected = if length < 8192 {
            Seen::SessionEnded(Some("amqp:not-found".to_owned()))
        } else {
            Seen::Ended("amqp:resource-limit-exceeded".to_owned())
        };
        assert_eq!(seen, [expected]);
    }
}

#[test]
fn a_flow_with_impossible_numbers_is_harmless() {
    let mut server = open_server(Config::default());
    server.see(&raw::begin(0));
    server.give(&raw::attach_receiver(0, "down", 0), Instant::now());
    let link = server.attached();
    server.connection.accept(link, &Accept::default());
    for numbers in [[u32::MAX; 6], [1 << 31; 6], [0, 0, 0, 0, 5, u32::MAX]] {
        let [next, window, outgoing, out_window, count, credit] = numbers.map(Value::Uint);
        let fields = [
            next,
            window,
            outgoing,
            out_window,
            Value::Uint(0),
            count,
            credit,
        ];
        server.see(&frame(0, FLOW, &fields));
        assert!(server.connection.sendable(link) <= Config::default().unsettled_max);
    }
}

#[test]
fn nothing_is_taken_after_the_end() {
    let mut server = open_server(Config::default());
    let seen = server.see(&frame(0, CLOSE, &[]));
    assert_eq!(seen, [Seen::Ended("closed ".to_owned())]);
    server.written();
    assert_eq!(server.see(&raw::begin(0)), []);
    assert_eq!(server.written(), [] as [String; 0]);
    assert_eq!(server.connection.next_deadline(), None);
}

#[test]
fn a_session_that_was_begun_costs_little_and_an_idle_link_less() {
    // The sizes of what is kept are held where the types are visible; this holds that nothing else grows.
    let (mut server, _) = receiving(Config::default(), &window(100));
    for id in 0..1000 {
        server.see(&raw::transfer(0, 0, id, true, &[0; 100]));
        let seen = server.see(&raw::transfer(0, 0, id, false, &[0; 100]));
        let [Seen::Delivery(message)] = &seen[..] else {
            panic!("{seen:?}");
        };
        server
            .connection
            .settle(message.link, message.id, &hub_amqp::Outcome::Accepted);
        let output = std::mem::take(server.connection.output(Instant::now()));
        assert!(output.len() < 200);
    }
}
