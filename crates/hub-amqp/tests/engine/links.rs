//! Attach, refuse, detach.

use std::time::Instant;

use hub_amqp::{
    Accept, AmqpError, AttachRequest, Config, Credit, MapBuf, Outcome, ReceiverSettleMode, Role,
    SenderSettleMode, Source, Symbols, Value,
};

use crate::pair::{Pair, Seen, Side};
use crate::raw::{self, DETACH, FLOW, frame};

fn begun() -> Side {
    let mut server = raw::open_server(Config::default());
    server.see(&raw::begin(0));
    server.written();
    server
}

#[test]
fn what_a_peer_asks_for_can_be_read_until_it_is_answered() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let descriptor = "apache.org:selector-filter:string";
    let mut selector = vec![0x00];
    Value::Symbol(descriptor).encode(&mut selector);
    Value::String("amqp.annotation.x-opt-offset > '-1'").encode(&mut selector);
    let filter = MapBuf::new().symbol(descriptor, Value::decode(&selector).expect("described"));
    let properties = MapBuf::new()
        .symbol("com.microsoft:epoch", Value::Long(3))
        .symbol("com.microsoft:api-version", Value::String("2021-04-12"));
    let request = AttachRequest {
        source: Some(Source {
            filter: Some(filter.as_map()),
            ..Source::new("amqps://hub.test/events/ConsumerGroups/$Default/Partitions/0")
        }),
        desired_capabilities: Symbols::one("com.microsoft:enable-receiver-runtime-metric"),
        properties: Some(properties.as_map()),
        receiver_settle_mode: ReceiverSettleMode::Second,
        sender_settle_mode: SenderSettleMode::Settled,
        ..AttachRequest::receiver("reader", "", Credit::Manual)
    };
    let (_, link) = pair.ask(session, &request);
    let attach = pair.server.connection.attach(link).expect("not answered");
    assert_eq!((attach.name, attach.role), ("reader", Role::Receiver));
    assert_eq!(attach.sender_settle_mode, SenderSettleMode::Settled);
    assert_eq!(attach.receiver_settle_mode, ReceiverSettleMode::Second);
    let capability = "com.microsoft:enable-receiver-runtime-metric";
    assert!(attach.desired_capabilities.contains(capability));
    let properties = attach.properties.expect("sent");
    assert_eq!(properties.get("com.microsoft:epoch"), Some(Value::Long(3)));
    let source = attach.source.expect("sent");
    let path = "amqps://hub.test/events/ConsumerGroups/$Default/Partitions/0";
    assert_eq!(source.address(), Some(path));
    let selector = source.filter.expect("sent").get(descriptor).expect("there");
    assert_eq!(
        selector.undescribed(),
        Value::String("amqp.annotation.x-opt-offset > '-1'")
    );
    pair.server.connection.accept(link, &Accept::default());
    assert!(pair.server.connection.attach(link).is_none());
    assert_eq!(pair.server.connection.role(link), Some(Role::Sender));
}

#[test]
fn the_answer_has_all_fields_and_confirms_what_was_asked_for() {
    let mut server = begun();
    server.give(&raw::attach_sender(0, "up", 3), Instant::now());
    let link = server.attached();
    let accept = Accept {
        credit: Credit::Window(50),
        max_message_size: 1000,
        ..Accept::default()
    };
    server.connection.accept(link, &accept);
    assert_eq!(
        server.written(),
        [
            "0 attach up 0 true 2 0 0x28[here 0 - 0 false - - - - - -] \
             0x29[there 0 - 0 false - -] - false - 1000 - - -",
            "0 flow 0 2048 0 65535 0 0 50 0 false false -",
        ]
    );
}

#[test]
fn a_refused_link_gets_an_attach_without_terminus_and_a_detach() {
    let mut server = begun();
    server.give(&raw::attach_sender(0, "up", 3), Instant::now());
    let link = server.attached();
    let error = AmqpError::new("amqp:not-found", "no such device");
    server.connection.refuse(link, &error);
    assert_eq!(
        server.written(),
        [
            "0 attach up 0 true 2 0 0x28[here 0 - 0 false - - - - - -] - - false - - - - -",
            "0 detach 0 true 0x1d[amqp:not-found no such device -]",
        ]
    );
    server.give(&raw::attach_receiver(0, "down", 4), Instant::now());
    let link = server.attached();
    server.connection.refuse(link, &error);
    assert_eq!(
        server.written(),
        [
            "0 attach down 1 false 2 0 - - - false 0 - - - -",
            "0 detach 1 true 0x1d[amqp:not-found no such device -]",
        ]
    );
    server.take_seen();
    // The peer's answer is of no interest, and frees the handle.
    let detach = frame(0, DETACH, &[Value::Uint(3), Value::Bool(true)]);
    assert_eq!(server.see(&detach), []);
    let again = server.see(&raw::attach_sender(0, "up", 3));
    assert!(matches!(again[..], [Seen::Attached(_)]));
}

#[test]
fn a_refused_client_sees_the_error() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "nowhere"));
    let error = AmqpError::new("amqp:not-found", "");
    pair.server.connection.refuse(server, &error);
    pair.pump();
    let seen = pair.client.take_seen();
    assert_eq!(
        seen[seen.len() - 2..],
        [
            Seen::Attached(client),
            Seen::Detached(client, "peer closed amqp:not-found".to_owned()),
        ]
    );
    assert_eq!(pair.server.seen.last(), Some(&Seen::Attached(server)));
}

#[test]
fn a_link_is_detached_by_either_side() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "x"));
    pair.server.connection.accept(server, &Accept::default());
    pair.pump();
    let error = AmqpError::new("amqp:link:detach-forced", "bye");
    pair.server.connection.detach(server, Some(&error));
    pair.pump();
    let forced = "peer closed amqp:link:detach-forced".to_owned();
    assert_eq!(
        pair.client.seen.last(),
        Some(&Seen::Detached(client, forced))
    );
    let answered = Seen::Detached(server, "answered".to_owned());
    assert_eq!(pair.server.seen.last(), Some(&answered));

    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "x"));
    pair.server.connection.accept(server, &Accept::default());
    pair.pump();
    pair.client.connection.detach(client, None);
    pair.pump();
    let closed = Seen::Detached(server, "peer closed".to_owned());
    assert_eq!(pair.server.seen.last(), Some(&closed));
}

#[test]
fn a_peer_that_only_detaches_is_answered_alike() {
    let mut server = begun();
    server.give(&raw::attach_sender(0, "up", 3), Instant::now());
    let link = server.attached();
    server.connection.accept(link, &Accept::default());
    server.written();
    server.take_seen();
    let detach = frame(0, DETACH, &[Value::Uint(3)]);
    assert_eq!(
        server.see(&detach),
        [Seen::Detached(link, "peer detached".to_owned())]
    );
    assert_eq!(server.written(), ["0 detach 0 false -"]);
}

#[test]
fn a_peer_that_detaches_before_the_answer_gets_attach_and_detach() {
    let mut server = begun();
    server.give(&raw::attach_sender(0, "up", 3), Instant::now());
    let link = server.attached();
    server.take_seen();
    let detach = frame(0, DETACH, &[Value::Uint(3), Value::Bool(true)]);
    assert_eq!(
        server.see(&detach),
        [Seen::Detached(link, "peer closed".to_owned())]
    );
    let written = server.written();
    assert!(written[0].starts_with("0 attach up"), "{written:?}");
    assert_eq!(written[1], "0 detach 0 true -");
    // The late answer of the head goes nowhere.
    server.connection.accept(link, &Accept::default());
    assert_eq!(server.written(), [] as [String; 0]);
}

#[test]
fn commands_on_a_link_that_is_gone_do_nothing() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "x"));
    pair.server.connection.accept(server, &Accept::default());
    pair.pump();
    pair.client.connection.detach(client, None);
    pair.pump();
    let (_, other) = pair.ask(session, &AttachRequest::sender("up", "x"));
    assert_ne!(server, other);
    pair.server.connection.output(Instant::now()).clear();
    pair.server.connection.accept(server, &Accept::default());
    pair.server.connection.grant(server, 7);
    pair.server.connection.detach(server, None);
    pair.server.connection.drained(server);
    assert_eq!(pair.server.connection.sendable(server), 0);
    assert_eq!(pair.server.connection.session(server), None);
    assert_eq!(pair.server.written(), [] as [String; 0]);
}

#[test]
fn a_link_attached_again_is_stolen_from_where_it_was() {
    let mut server = begun();
    server.give(&raw::attach_receiver(0, "down", 0), Instant::now());
    let older = server.attached();
    server.connection.accept(older, &Accept::default());
    server.take_seen();
    server.written();
    let seen = server.see(&raw::attach_receiver(0, "down", 1));
    assert_eq!(
        seen[0],
        Seen::Detached(older, "amqp:link:stolen".to_owned())
    );
    assert!(matches!(seen[1..], [Seen::Attached(_)]));
    assert!(server.written()[0].starts_with("0 detach 0 true 0x1d[amqp:link:stolen"));
    // The other direction has its own names.
    let seen = server.see(&raw::attach_sender(0, "down", 2));
    assert!(matches!(seen[..], [Seen::Attached(_)]));
}

#[test]
fn two_links_may_have_one_address() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let (_, first) = pair.ask(
        session,
        &AttachRequest::receiver("a", "x", Credit::Window(1)),
    );
    pair.server.connection.accept(first, &Accept::default());
    let (_, second) = pair.ask(
        session,
        &AttachRequest::receiver("b", "x", Credit::Window(1)),
    );
    pair.server.connection.accept(second, &Accept::default());
    pair.pump();
    assert_eq!(pair.server.connection.sendable(first), 1);
    assert_eq!(pair.server.connection.sendable(second), 1);
}

#[test]
fn what_is_wrong_with_an_attach_is_told() {
    let long = "n".repeat(513);
    let cases = [
        (
            raw::attach_sender(0, "new", 0),
            "amqp:session:handle-in-use",
        ),
        (raw::attach_sender(0, &long, 1), "amqp:invalid-field"),
        (
            frame(0, DETACH, &[Value::Uint(9)]),
            "amqp:session:unattached-handle",
        ),
    ];
    for (bytes, condition) in cases {
        let mut server = begun();
        server.see(&raw::attach_sender(0, "old", 0));
        let seen = server.see(&bytes);
        let ended = Seen::SessionEnded(Some(condition.to_owned()));
        assert_eq!(seen.last(), Some(&ended));
    }
    let mut server = begun();
    assert_eq!(
        server.see(&raw::attach_sender(0, "high", 4096)),
        [Seen::Ended("amqp:connection:framing-error".to_owned())]
    );
}

#[test]
fn credit_that_comes_before_the_answer_is_not_lost() {
    let mut server = begun();
    server.give(&raw::attach_receiver(0, "down", 0), Instant::now());
    let link = server.attached();
    server.take_seen();
    let fields = [
        Value::Uint(0),
        Value::Uint(100),
        Value::Uint(0),
        Value::Uint(100),
        Value::Uint(0),
        Value::Null,
        Value::Uint(12),
    ];
    assert_eq!(server.see(&frame(0, FLOW, &fields)), []);
    assert_eq!(server.connection.sendable(link), 0);
    server.connection.accept(link, &Accept::default());
    assert_eq!(server.see(b""), [Seen::Credit(link, 12, false)]);
    assert_eq!(server.connection.sendable(link), 12);
}

#[test]
fn an_answer_that_the_peer_cannot_take_becomes_a_refusal() {
    let client = Config {
        frame_bytes_max: 512,
        ..Config::default()
    };
    let mut pair = Pair::opened_with(client, Config::default());
    let session = pair.begin();
    let address = "x".repeat(600);
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", &address));
    pair.server.connection.accept(server, &Accept::default());
    pair.pump();
    let small = "peer closed amqp:frame-size-too-small".to_owned();
    assert_eq!(
        pair.client.seen.last(),
        Some(&Seen::Detached(client, small))
    );
}

#[test]
fn an_error_that_does_not_fit_is_shortened() {
    let client = Config {
        frame_bytes_max: 512,
        ..Config::default()
    };
    let mut pair = Pair::opened_with(client, Config::default());
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "x"));
    let text = "t".repeat(1000);
    let error = AmqpError::new("amqp:not-found", &text);
    pair.server.connection.refuse(server, &error);
    pair.pump();
    let told = "peer closed amqp:not-found".to_owned();
    assert_eq!(pair.client.seen.last(), Some(&Seen::Detached(client, told)));
}

#[test]
fn the_last_links_of_a_connection_are_refused_with_their_session() {
    let config = Config {
        links_max: 3,
        ..Config::default()
    };
    let mut server = raw::open_server(config);
    server.see(&raw::begin(0));
    for handle in 0..3 {
        server.see(&raw::attach_sender(0, &format!("n{handle}"), handle));
    }
    let seen = server.see(&raw::attach_sender(0, "n3", 3));
    assert_eq!(seen.len(), 4);
    assert_eq!(
        seen[3],
        Seen::SessionEnded(Some("amqp:resource-limit-exceeded".to_owned()))
    );
}

#[test]
fn the_outcome_of_the_engine_does_not_depend_on_the_number_of_handles() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let mut links = Vec::new();
    for number in 0..300 {
        let name = format!("link-{number}");
        let (up, link) = pair.ask(session, &AttachRequest::sender(&name, "x"));
        let accept = Accept {
            credit: Credit::Window(2),
            ..Accept::default()
        };
        pair.server.connection.accept(link, &accept);
        links.push(up);
    }
    pair.pump();
    for (token, link) in (0..).zip(&links) {
        let outgoing = hub_amqp::Outgoing::unsettled(token);
        assert_eq!(pair.client.connection.send(*link, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    for message in pair.server.messages() {
        pair.server
            .connection
            .settle(message.link, message.id, &Outcome::Accepted);
    }
    pair.pump();
    assert_eq!(pair.client.outcomes().len(), 300);
}
