//! Outcomes, settle modes and ranges.

use hub_amqp::{
    Accept, AmqpError, AttachRequest, Config, Credit, MapBuf, Outcome, Outgoing,
    ReceiverSettleMode, SenderSettleMode, Settlement, Value,
};

use crate::deliveries::{downward, downward_with, upward, window};
use crate::pair::{Pair, Seen};
use crate::raw::{self, DISPOSITION, frame};

#[test]
fn every_outcome_comes_back_with_its_token() {
    let (mut pair, up, _) = upward(&window(10));
    for token in 10..15 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    let info = MapBuf::new().symbol("com.microsoft:tracking-id", Value::String("1"));
    let error = AmqpError {
        info: Some(info.as_map()),
        ..AmqpError::new("amqp:not-found", "no such device")
    };
    let outcomes = [
        Outcome::Accepted,
        Outcome::Rejected(Some(error)),
        Outcome::Rejected(None),
        Outcome::Released,
        Outcome::Modified {
            delivery_failed: true,
            undeliverable_here: false,
            annotations: None,
        },
    ];
    for (message, outcome) in pair.server.messages().iter().zip(&outcomes) {
        pair.server
            .connection
            .settle(message.link, message.id, outcome);
    }
    pair.pump();
    let expected = [
        (10, "accepted"),
        (11, "rejected amqp:not-found"),
        (12, "rejected"),
        (13, "released"),
        (14, "modified true false"),
    ];
    assert_eq!(
        pair.client.outcomes(),
        expected.map(|(token, outcome)| (token, outcome.to_owned()))
    );
}

#[test]
fn only_neighbors_with_one_outcome_share_a_frame() {
    let (mut pair, up, _) = upward(&window(100));
    for token in 0..10 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    let messages = pair.server.messages();
    let settle = |pair: &mut Pair, number: usize, outcome: &Outcome<'_>| {
        let message = &messages[number];
        pair.server
            .connection
            .settle(message.link, message.id, outcome);
    };
    settle(&mut pair, 0, &Outcome::Accepted);
    settle(&mut pair, 1, &Outcome::Accepted);
    settle(&mut pair, 1, &Outcome::Accepted);
    settle(&mut pair, 3, &Outcome::Accepted);
    settle(&mut pair, 4, &Outcome::Released);
    settle(&mut pair, 5, &Outcome::Released);
    settle(&mut pair, 2, &Outcome::Accepted);
    assert_eq!(
        pair.server.written(),
        [
            "0 disposition true 0 1 true 0x24[] false",
            "0 disposition true 3 3 true 0x24[] false",
            "0 disposition true 4 5 true 0x26[] false",
            "0 disposition true 2 2 true 0x24[] false",
        ]
    );
}

#[test]
fn a_range_over_all_numbers_settles_what_there_is() {
    let (mut pair, _, down) = downward(Credit::Window(100));
    for token in 0..50 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    }
    let accepted = raw::composite(0x24, &[]);
    let range = [
        Value::Bool(true),
        Value::Uint(0),
        Value::Uint(u32::MAX),
        Value::Bool(true),
        Value::decode(&accepted).expect("an outcome"),
    ];
    let bytes = frame(0, DISPOSITION, &range);
    let before = std::time::Instant::now();
    for _ in 0..10_000 {
        pair.server.give(&bytes, pair.now);
    }
    assert_eq!(pair.server.outcomes().len(), 50);
    assert!(before.elapsed().as_secs() < 5);
}

#[test]
fn a_range_settles_no_more_than_it_names() {
    let (mut pair, _, down) = downward(Credit::Window(100));
    for token in 0..10 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    }
    let range = |first: u32, last: Option<u32>| {
        let last = last.map_or(Value::Null, Value::Uint);
        let fields = [
            Value::Bool(true),
            Value::Uint(first),
            last,
            Value::Bool(true),
        ];
        frame(0, DISPOSITION, &fields)
    };
    let mut tokens = |bytes: &[u8]| {
        pair.server.take_seen();
        pair.server.give(bytes, pair.now);
        let outcomes = pair.server.outcomes();
        assert!(outcomes.iter().all(|(_, outcome)| outcome == "none"));
        outcomes.iter().map(|(token, _)| *token).collect::<Vec<_>>()
    };
    assert_eq!(tokens(&range(3, Some(5))), [3, 4, 5]);
    assert_eq!(tokens(&range(4, None)), [] as [u64; 0]);
    assert_eq!(tokens(&range(2, Some(6))), [2, 6]);
    assert_eq!(tokens(&range(8, None)), [8]);
    assert_eq!(tokens(&range(10, Some(99))), [] as [u64; 0]);
    assert_eq!(tokens(&range(u32::MAX - 5, Some(0))), [0]);
    assert_eq!(tokens(&range(0, Some(1000))), [1, 7, 9]);
}

#[test]
fn a_receiver_that_settles_second_waits_for_the_confirmation() {
    let request = AttachRequest {
        receiver_settle_mode: ReceiverSettleMode::Second,
        ..AttachRequest::receiver("down", "x", Credit::Window(2))
    };
    let (mut pair, _, down) = downward_with(Config::default(), &request);
    for token in 1..3 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    for message in pair.client.messages() {
        pair.client
            .connection
            .settle(message.link, message.id, &Outcome::Accepted);
    }
    pair.pump();
    let settled: Vec<Seen> = pair
        .server
        .take_seen()
        .into_iter()
        .filter(|seen| matches!(seen, Seen::Settled(..)))
        .collect();
    assert_eq!(settled.len(), 2);
    // Nothing is granted before both ends have settled.
    assert_eq!(pair.server.connection.sendable(down), 0);
    for seen in settled {
        let Seen::Settled(link, id, _, outcome, awaits) = seen else {
            continue;
        };
        assert_eq!((outcome.as_str(), awaits), ("accepted", true));
        pair.server.connection.confirm(link, id);
        pair.server.connection.confirm(link, id);
    }
    let written = pair.server.connection.output(pair.now).clone();
    assert_eq!(
        raw::frames(&written),
        ["0 disposition false 0 1 true 0x24[] false"]
    );
    pair.pump();
    assert!(pair.server.connection.sendable(down) > 0);
}

#[test]
fn an_outcome_is_told_once_however_often_it_comes() {
    let (mut pair, _, down) = downward(Credit::Window(10));
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    let accepted = raw::composite(0x24, &[]);
    let accepted = Value::decode(&accepted).expect("an outcome");
    let disposition = |settled| {
        let fields = [
            Value::Bool(true),
            Value::Uint(0),
            Value::Null,
            Value::Bool(settled),
            accepted,
        ];
        frame(0, DISPOSITION, &fields)
    };
    for settled in [false, false, true, true] {
        pair.server.give(&disposition(settled), pair.now);
    }
    assert_eq!(pair.server.outcomes(), [(1, "accepted".to_owned())]);
}

#[test]
fn a_state_that_is_no_outcome_is_passed_over() {
    let (mut pair, _, down) = downward(Credit::Window(10));
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    pair.server.take_seen();
    let received = raw::composite(0x23, &[Value::Uint(0), Value::Ulong(3)]);
    let fields = [
        Value::Bool(true),
        Value::Uint(0),
        Value::Null,
        Value::Bool(false),
        Value::decode(&received).expect("a state"),
    ];
    pair.server.give(&frame(0, DISPOSITION, &fields), pair.now);
    assert_eq!(pair.server.seen, []);
}

#[test]
fn a_sender_that_settles_first_takes_the_choice_away() {
    let (mut pair, up, link) = upward(&window(1));
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    pair.pump();
    let message = pair.server.messages().remove(0);
    let fields = [
        Value::Bool(false),
        Value::Uint(0),
        Value::Uint(0),
        Value::Bool(true),
    ];
    pair.server.give(&frame(0, DISPOSITION, &fields), pair.now);
    // Credit is free again.
    assert!(pair.server.written()[0].starts_with("0 flow"));
    pair.server
        .connection
        .settle(link, message.id, &Outcome::Accepted);
    assert_eq!(pair.server.written(), [] as [String; 0]);
}

#[test]
fn the_settle_mode_of_the_link_decides() {
    for (mode, expected) in [
        (SenderSettleMode::Settled, Settlement::Settled),
        (SenderSettleMode::Unsettled, Settlement::Unsettled),
    ] {
        let request = AttachRequest {
            sender_settle_mode: mode,
            ..AttachRequest::receiver("down", "x", Credit::Window(10))
        };
        let (mut pair, _, down) = downward_with(Config::default(), &request);
        for outgoing in [Outgoing::SETTLED, Outgoing::unsettled(1)] {
            assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
        }
        pair.pump();
        let settlements: Vec<_> = pair
            .client
            .messages()
            .iter()
            .map(|message| message.settlement)
            .collect();
        assert_eq!(settlements, [expected; 2]);
    }
}

#[test]
fn the_head_may_choose_the_settle_mode() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let request = AttachRequest::receiver("down", "x", Credit::Window(10));
    let (_, down) = pair.ask(session, &request);
    let accept = Accept {
        sender_settle_mode: Some(SenderSettleMode::Settled),
        ..Accept::default()
    };
    pair.server.connection.accept(down, &accept);
    pair.pump();
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    pair.pump();
    assert_eq!(pair.client.messages()[0].settlement, Settlement::Settled);
}

#[test]
fn an_outcome_with_more_than_fits_is_shortened() {
    let client = Config {
        frame_bytes_max: 512,
        ..Config::default()
    };
    let (mut pair, up, _) = crate::deliveries::upward_with(client, Config::default(), &window(1));
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    pair.pump();
    let message = pair.server.messages().remove(0);
    let text = "t".repeat(600);
    let error = AmqpError::new("amqp:not-found", &text);
    pair.server
        .connection
        .settle(message.link, message.id, &Outcome::Rejected(Some(error)));
    pair.pump();
    assert_eq!(
        pair.client.outcomes(),
        [(1, "rejected amqp:not-found".to_owned())]
    );
}

#[test]
fn deliveries_of_a_link_that_is_gone_are_forgotten() {
    let (mut pair, client, down) = downward(Credit::Window(10));
    for token in 0..5 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    let messages = pair.client.messages();
    pair.client.connection.detach(client, None);
    pair.pump();
    for message in messages {
        pair.client
            .connection
            .settle(message.link, message.id, &Outcome::Accepted);
    }
    pair.pump();
    assert_eq!(pair.server.outcomes(), []);
}
