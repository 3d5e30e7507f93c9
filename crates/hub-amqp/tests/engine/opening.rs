//! Headers, SASL, open, close and heartbeats.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_amqp::{AmqpError, Config, Connection, Login, OpenAnswer, Phase, SaslOutcome, Value};

use crate::pair::{Pair, Seen, Side};
use crate::raw::{self, AMQP_HEADER, OPEN, SASL_HEADER, frame, frame_of};

fn server() -> Side {
    let now = Instant::now();
    Side::new(Connection::server(Arc::new(Config::default()), now))
}

fn output(side: &mut Side) -> Vec<u8> {
    std::mem::take(side.connection.output(Instant::now()))
}

#[test]
fn a_client_without_sasl_is_opened() {
    let pair = Pair::opened();
    assert_eq!(pair.server.connection.phase(), Phase::Open);
    assert_eq!(pair.client.connection.phase(), Phase::Open);
    assert_eq!(pair.server.seen, [Seen::Opened]);
}

#[test]
fn a_client_with_sasl_is_opened_however_the_bytes_are_cut() {
    for chunk in [1, 3, 7, usize::MAX] {
        let login = Login::Sasl {
            mechanism: "PLAIN",
            initial_response: Some(b"\0me\0secret"),
            hostname: Some("hub.test"),
        };
        let mut pair = Pair::new(Config::default(), Config::default(), login);
        pair.chunk = chunk;
        pair.client.connection.open(&OpenAnswer::default());
        pair.pump();
        assert_eq!(
            pair.server.seen,
            [Seen::Sasl(
                "PLAIN Some(\"\\0me\\0secret\") Some(\"hub.test\")".to_owned()
            )]
        );
        pair.server.connection.finish_sasl(SaslOutcome::Ok);
        pair.pump();
        pair.server.connection.open(&OpenAnswer::default());
        pair.pump();
        assert_eq!(pair.client.connection.phase(), Phase::Open);
    }
}

#[test]
fn a_mechanism_without_initial_response_is_taken() {
    let pair = Pair::sasl_opened("MSSBCBS");
    assert_eq!(
        pair.server.seen[0],
        Seen::Sasl("MSSBCBS None Some(\"hub.test\")".to_owned())
    );
    assert_eq!(pair.server.connection.phase(), Phase::Open);
}

#[test]
fn the_offer_of_mechanisms_is_an_array_of_symbols() {
    let mut server = server();
    server.give(SASL_HEADER, Instant::now());
    let mut expected = SASL_HEADER.to_vec();
    let mut body = b"\x00\x53\x40\xc0\x32\x01\xe0\x2f\x04\xb3".to_vec();
    for name in ["MSSBCBS", "ANONYMOUS", "PLAIN", "EXTERNAL"] {
        body.extend((name.len() as u32).to_be_bytes());
        body.extend(name.as_bytes());
    }
    expected.extend(frame_of(1, 0, &body));
    assert_eq!(output(&mut server), expected);
}

#[test]
fn a_mechanism_that_was_not_offered_is_refused() {
    let mut server = server();
    server.give(SASL_HEADER, Instant::now());
    output(&mut server);
    let init = raw::composite(0x41, &[Value::Symbol("KERBEROS")]);
    server.give(&frame_of(1, 0, &init), Instant::now());
    assert_eq!(server.seen, [Seen::Ended("sasl Auth".to_owned())]);
    assert_eq!(
        output(&mut server),
        frame_of(1, 0, b"\x00\x53\x44\xc0\x04\x02\x50\x01\x40")
    );
}

#[test]
fn wrong_credentials_end_both_sides() {
    let login = Login::Sasl {
        mechanism: "PLAIN",
        initial_response: Some(b"\0me\0wrong"),
        hostname: None,
    };
    let mut pair = Pair::new(Config::default(), Config::default(), login);
    pair.client.connection.open(&OpenAnswer::default());
    pair.pump();
    pair.server.connection.finish_sasl(SaslOutcome::Auth);
    pair.pump();
    let ended = Seen::Ended("sasl Auth".to_owned());
    assert_eq!(pair.server.seen.last(), Some(&ended));
    assert_eq!(pair.client.seen, [ended]);
}

#[test]
fn challenges_are_answered_until_the_server_is_content() {
    let offering = Config {
        mechanisms: vec!["TPM".to_owned()],
        ..Config::default()
    };
    for chunk in [1, usize::MAX] {
        let login = Login::Sasl {
            mechanism: "TPM",
            initial_response: Some(b"first"),
            hostname: None,
        };
        let mut pair = Pair::new(Config::default(), offering.clone(), login);
        pair.chunk = chunk;
        pair.client.connection.open(&OpenAnswer::default());
        pair.pump();
        for (challenge, response) in [(&[0][..], &b"second"[..]), (&[0xc0, 1, 2], b"")] {
            pair.server.connection.challenge(challenge);
            pair.pump();
            let asked = Seen::Challenge(challenge.to_vec());
            assert_eq!(pair.client.seen.last(), Some(&asked));
            pair.client.connection.respond(response);
            pair.pump();
            let answered = Seen::Response(response.to_vec());
            assert_eq!(pair.server.seen.last(), Some(&answered));
        }
        pair.server.connection.finish_sasl(SaslOutcome::Ok);
        pair.pump();
        pair.server.connection.open(&OpenAnswer::default());
        pair.pump();
        assert_eq!(pair.client.connection.phase(), Phase::Open);
    }
}

#[test]
fn a_challenge_has_the_form_of_the_specification() {
    let mut server = server();
    server.give(SASL_HEADER, Instant::now());
    let init = raw::composite(0x41, &[Value::Symbol("PLAIN")]);
    server.give(&frame_of(1, 0, &init), Instant::now());
    output(&mut server);
    server.connection.challenge(&[0]);
    assert_eq!(
        output(&mut server),
        frame_of(1, 0, b"\x00\x53\x42\xc0\x04\x01\xa0\x01\x00")
    );
}

#[test]
fn a_response_that_nobody_asked_for_ends_the_server() {
    let mut server = server();
    server.give(SASL_HEADER, Instant::now());
    let response = raw::composite(0x43, &[Value::Binary(b"x")]);
    server.give(&frame_of(1, 0, &response), Instant::now());
    assert_eq!(server.seen, [Seen::Ended("amqp:illegal-state".to_owned())]);
}

#[test]
fn a_server_that_does_not_offer_the_mechanism_ends_the_client() {
    let login = Login::Sasl {
        mechanism: "TPM",
        initial_response: None,
        hostname: None,
    };
    let mut pair = Pair::new(Config::default(), Config::default(), login);
    pair.pump();
    assert_eq!(pair.client.seen, [Seen::Ended("sasl Auth".to_owned())]);
}

#[test]
fn an_unknown_header_is_answered_with_ours() {
    for header in [
        &b"AMQP\x02\x01\x00\x00"[..],
        b"AMQP\x00\x00\x09\x01",
        b"GET / HTTP/1.1\r\n",
        b"X",
        b"\x16\x03\x01",
    ] {
        let mut server = server();
        server.give(header, Instant::now());
        assert_eq!(server.seen, [Seen::Ended("unknown protocol".to_owned())]);
        assert_eq!(output(&mut server), SASL_HEADER);
        assert_eq!(server.connection.phase(), Phase::Ended);
    }
}

#[test]
fn the_bare_header_does_not_follow_before_sasl_is_done() {
    let mut server = server();
    server.give(SASL_HEADER, Instant::now());
    output(&mut server);
    server.give(&frame(0, OPEN, &[Value::String("peer")]), Instant::now());
    assert_eq!(
        server.seen,
        [Seen::Ended("amqp:connection:framing-error".to_owned())]
    );
}

#[test]
fn open_has_all_ten_fields() {
    let mut server = server();
    server.give(AMQP_HEADER, Instant::now());
    server.give(&frame(0, OPEN, &[Value::String("peer")]), Instant::now());
    server.connection.open(&OpenAnswer::default());
    let bytes = output(&mut server);
    assert_eq!(
        raw::frames(&bytes[8..]),
        [
            "0 open thingstead - 65536 Ushort(1023) 240000 - - - - -"
                .replace("Ushort(1023)", "1023")
        ]
    );
}

#[test]
fn frames_behind_an_open_wait_for_its_answer() {
    let now = Instant::now();
    let mut server = server();
    let mut bytes = AMQP_HEADER.to_vec();
    bytes.extend(frame(0, OPEN, &[Value::String("peer")]));
    bytes.extend(raw::begin(0));
    server.give(&bytes, now);
    assert_eq!(server.seen, [Seen::Opened]);
    assert_eq!(output(&mut server), AMQP_HEADER);
    server.connection.open(&OpenAnswer::default());
    server.receive(now);
    assert!(matches!(server.seen[1], Seen::Began(_)));
    let written = server.written();
    assert!(written[0].starts_with("0 open") && written[1].starts_with("0 begin"));
}

#[test]
fn close_is_answered_on_both_sides() {
    let mut pair = Pair::opened();
    let error = AmqpError::new("amqp:connection:forced", "going down");
    pair.server.connection.close(Some(&error));
    assert_eq!(pair.server.connection.phase(), Phase::Closing);
    pair.pump();
    let forced = Seen::Ended("closed amqp:connection:forced".to_owned());
    assert_eq!(pair.client.seen.last(), Some(&forced));
    assert_eq!(
        pair.server.seen.last(),
        Some(&Seen::Ended("closed ".to_owned()))
    );
    assert_eq!(pair.client.connection.phase(), Phase::Ended);
}

#[test]
fn a_refused_open_is_answered_with_open_and_close() {
    let mut server = server();
    server.give(AMQP_HEADER, Instant::now());
    server.give(&frame(0, OPEN, &[Value::String("peer")]), Instant::now());
    output(&mut server);
    let error = AmqpError::new("amqp:not-found", "no such hub");
    server.connection.close(Some(&error));
    let written = server.written();
    assert!(written[0].starts_with("0 open"));
    assert_eq!(written[1], "0 close 0x1d[amqp:not-found no such hub -]");
}

#[test]
fn what_is_wrong_with_an_open_is_told() {
    let cases: [(Vec<u8>, &str); 5] = [
        (raw::begin(0), "amqp:illegal-state"),
        (frame(0, OPEN, &[]), "amqp:decode-error"),
        (
            frame(
                0,
                OPEN,
                &[Value::String("p"), Value::Null, Value::Uint(511)],
            ),
            "amqp:invalid-field",
        ),
        (
            frame_of(0, 0, &raw::composite(0x60, &[])),
            "amqp:not-implemented",
        ),
        (
            vec![0, 0, 0, 7, 2, 0, 0, 0],
            "amqp:connection:framing-error",
        ),
    ];
    for (bytes, condition) in cases {
        let mut server = server();
        server.give(AMQP_HEADER, Instant::now());
        output(&mut server);
        assert_eq!(server.see(&bytes), [Seen::Ended(condition.to_owned())]);
        let written = server.written();
        assert!(written[0].starts_with("0 open"), "{written:?}");
        assert!(written[1].contains(condition), "{written:?}");
    }
}

#[test]
fn trailing_fields_of_an_open_may_be_absent_or_too_many() {
    let mut server = server();
    server.give(AMQP_HEADER, Instant::now());
    let fields = [Value::String("p"); 1];
    let mut many = fields.to_vec();
    many.extend([Value::Null; 14]);
    server.give(&frame(0, OPEN, &many), Instant::now());
    assert_eq!(server.seen, [Seen::Opened]);
}

#[test]
fn a_second_open_closes() {
    let mut server = raw::open_server(Config::default());
    let seen = server.see(&frame(0, OPEN, &[Value::String("peer")]));
    assert_eq!(seen, [Seen::Ended("amqp:illegal-state".to_owned())]);
}

#[test]
fn an_idle_peer_gets_heartbeats_at_half_its_time() {
    let client = Config {
        silence_max: Some(Duration::from_secs(8)),
        ..Config::default()
    };
    let server = Config {
        silence_max: None,
        ..Config::default()
    };
    let mut pair = Pair::opened_with(client, server);
    pair.to_client.clear();
    // The client tells half of what it bears, four seconds; half of that is two.
    for _ in 0..10 {
        let deadline = pair.server.connection.next_deadline().expect("heartbeats");
        assert_eq!(deadline - pair.now, Duration::from_secs(2));
        pair.now = deadline;
        assert_eq!(pair.server.connection.on_time(pair.now), None);
        pair.pump();
    }
    assert_eq!(pair.to_client, frame_of(0, 0, &[]).repeat(10));
    assert_eq!(pair.client.connection.on_time(pair.now), None);
}

#[test]
fn what_is_sent_stands_for_a_heartbeat() {
    let client = Config {
        silence_max: Some(Duration::from_secs(8)),
        ..Config::default()
    };
    let mut pair = Pair::opened_with(client, Config::default());
    pair.pass(Duration::from_millis(1500));
    pair.begin();
    let deadline = pair.server.connection.next_deadline().expect("heartbeats");
    assert_eq!(deadline - pair.now, Duration::from_secs(2));
}

#[test]
fn a_silent_peer_is_closed() {
    let config = Config {
        silence_max: Some(Duration::from_secs(60)),
        ..Config::default()
    };
    let mut pair = Pair::opened_with(
        Config {
            silence_max: None,
            ..Config::default()
        },
        config,
    );
    let deadline = pair.server.connection.next_deadline().expect("silence");
    assert_eq!(deadline - pair.now, Duration::from_secs(60));
    let event = pair.server.connection.on_time(deadline).expect("the end");
    assert_eq!(Seen::of(&event), Seen::Ended("silent".to_owned()));
    let written = pair.server.written();
    assert!(written[0].starts_with("0 close 0x1d[amqp:resource-limit-exceeded"));
    assert_eq!(pair.server.connection.next_deadline(), None);
}

#[test]
fn a_peer_that_wants_heartbeats_all_the_time_does_not_get_them() {
    let client = Config {
        silence_max: Some(Duration::from_millis(2)),
        ..Config::default()
    };
    let server = Config {
        silence_max: None,
        ..Config::default()
    };
    let pair = Pair::opened_with(client, server);
    let deadline = pair.server.connection.next_deadline().expect("heartbeats");
    assert_eq!(deadline - pair.now, Duration::from_millis(250));
}
