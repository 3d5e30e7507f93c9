//! Deliveries between a client and a server: credit, parts, queues, drain.

use hub_amqp::{
    Accept, AttachRequest, Config, Credit, LinkId, Outcome, Outgoing, SendError, Settlement,
};

use crate::pair::{Pair, Seen};

/// A link on which the client sends.
pub(crate) fn upward_with(
    client: Config,
    server: Config,
    accept: &Accept<'_>,
) -> (Pair, LinkId, LinkId) {
    let mut pair = Pair::opened_with(client, server);
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "events"));
    pair.server.connection.accept(server, accept);
    pair.pump();
    (pair, client, server)
}

pub(crate) fn upward(accept: &Accept<'_>) -> (Pair, LinkId, LinkId) {
    upward_with(Config::default(), Config::default(), accept)
}

/// A link on which the server sends. Ids on the client, then on the server.
pub(crate) fn downward_with(client: Config, request: &AttachRequest<'_>) -> (Pair, LinkId, LinkId) {
    let mut pair = Pair::opened_with(client, Config::default());
    let session = pair.begin();
    let (client, server) = pair.ask(session, request);
    pair.server.connection.accept(server, &Accept::default());
    pair.pump();
    (pair, client, server)
}

pub(crate) fn downward(credit: Credit) -> (Pair, LinkId, LinkId) {
    downward_with(
        Config::default(),
        &AttachRequest::receiver("down", "x", credit),
    )
}

pub(crate) fn window(credit: u32) -> Accept<'static> {
    Accept {
        credit: Credit::Window(credit),
        ..Accept::default()
    }
}

#[test]
fn messages_arrive_and_are_settled_in_one_frame() {
    let (mut pair, up, _) = upward(&window(100));
    assert_eq!(pair.client.connection.sendable(up), 100);
    for token in 0..20_u8 {
        let outgoing = Outgoing::unsettled(token.into());
        let sent = pair.client.connection.send(up, &outgoing, &[token; 5]);
        assert_eq!(sent, Ok(()));
    }
    pair.pump();
    let messages = pair.server.messages();
    assert_eq!(messages.len(), 20);
    assert_eq!(messages[7].bytes, [7; 5]);
    assert_eq!(messages[7].tag, 7_u32.to_be_bytes());
    assert_eq!(messages[7].format, 0);
    assert_eq!(messages[7].settlement, Settlement::Unsettled);
    for message in messages {
        pair.server
            .connection
            .settle(message.link, message.id, &Outcome::Accepted);
    }
    assert_eq!(
        pair.server.written(),
        ["0 disposition true 0 19 true 0x24[] false"]
    );
}

#[test]
fn the_window_of_a_link_is_kept_filled() {
    let (mut pair, up, _) = upward(&window(10));
    let mut token = 0;
    for _ in 0..50 {
        while pair.client.connection.sendable(up) > 0 {
            let outgoing = Outgoing::unsettled(token);
            assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
            token += 1;
        }
        pair.pump();
        let messages = pair.server.messages();
        pair.server.take_seen();
        assert!(messages.len() <= 10);
        for message in messages {
            pair.server
                .connection
                .settle(message.link, message.id, &Outcome::Accepted);
        }
        pair.pump();
    }
    assert_eq!(pair.client.outcomes().len(), 500);
}

#[test]
fn credit_waits_for_settlement_and_not_for_arrival() {
    let (mut pair, up, _) = upward(&window(4));
    for token in 0..4 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    }
    pair.pump();
    assert_eq!(pair.client.connection.sendable(up), 0);
    let first = pair.server.messages()[0].clone();
    pair.server
        .connection
        .settle(first.link, first.id, &Outcome::Accepted);
    pair.pump();
    assert_eq!(pair.client.connection.sendable(up), 1);
}

#[test]
fn settled_deliveries_need_no_answer() {
    let (mut pair, up, _) = upward(&window(4));
    for _ in 0..100 {
        let sent = pair.client.connection.send(up, &Outgoing::SETTLED, b"m");
        assert_eq!(sent, Ok(()));
        pair.pump();
    }
    let messages = pair.server.messages();
    assert_eq!(messages.len(), 100);
    assert_eq!(messages[0].settlement, Settlement::Settled);
    pair.server
        .connection
        .settle(messages[0].link, messages[0].id, &Outcome::Accepted);
    assert_eq!(pair.server.written(), [] as [String; 0]);
}

#[test]
fn long_messages_travel_in_parts_both_ways() {
    let small = Config {
        frame_bytes_max: 4096,
        ..Config::default()
    };
    let message: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();

    let (mut pair, up, _) = upward_with(Config::default(), small.clone(), &window(2));
    pair.chunk = 1000;
    let sent = pair
        .client
        .connection
        .send(up, &Outgoing::unsettled(1), &message);
    assert_eq!(sent, Ok(()));
    pair.pump();
    let messages = pair.server.messages();
    assert_eq!(messages.len(), 1);
    assert!(messages[0].bytes == message);
    assert_eq!(messages[0].tag, [0, 0, 0, 0]);

    let request = AttachRequest::receiver("down", "x", Credit::Window(2));
    let (mut pair, _, down) = downward_with(small, &request);
    let outgoing = Outgoing {
        tag: Some(b"lock"),
        message_format: 0x8001_3700,
        ..Outgoing::unsettled(9)
    };
    let sent = pair.server.connection.send(down, &outgoing, &message);
    assert_eq!(sent, Ok(()));
    let frames = pair.server.connection.output(pair.now).clone();
    assert!(crate::raw::frames(&frames).len() > 48);
    let mut rest = frames.as_slice();
    while let Some(length) = rest.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        assert!(length <= 4096);
        rest = &rest[length..];
    }
    pair.pump();
    let messages = pair.client.messages();
    assert!(messages[0].bytes == message);
    assert_eq!(messages[0].tag, b"lock");
    assert_eq!(messages[0].format, 0x8001_3700);
    pair.client
        .connection
        .settle(messages[0].link, messages[0].id, &Outcome::Accepted);
    pair.pump();
    assert_eq!(pair.server.outcomes(), [(9, "accepted".to_owned())]);
}

#[test]
fn empty_messages_arrive() {
    let (mut pair, up, _) = upward(&window(2));
    let sent = pair
        .client
        .connection
        .send(up, &Outgoing::unsettled(1), b"");
    assert_eq!(sent, Ok(()));
    pair.pump();
    assert_eq!(pair.server.messages()[0].bytes, b"");
}

#[test]
fn a_message_above_the_limit_is_not_sent() {
    let accept = Accept {
        max_message_size: 1000,
        ..window(10)
    };
    let (mut pair, up, _) = upward(&accept);
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(
        pair.client.connection.send(up, &outgoing, &[0; 1001]),
        Err(SendError::MessageTooLarge {
            size: 1001,
            size_max: 1000
        })
    );
    let sent = pair.client.connection.send(up, &outgoing, &[0; 1000]);
    assert_eq!(sent, Ok(()));
}

#[test]
fn deliveries_wait_for_credit_up_to_a_bound() {
    let (mut pair, client, down) = downward(Credit::Manual);
    for token in 0..64 {
        let sent = pair
            .server
            .connection
            .send(down, &Outgoing::unsettled(token), &[0; 100]);
        assert_eq!(sent, Ok(()));
    }
    let full = pair
        .server
        .connection
        .send(down, &Outgoing::unsettled(64), b"m");
    assert_eq!(full, Err(SendError::Full));
    pair.pump();
    assert_eq!(pair.client.messages().len(), 0);
    pair.client.connection.grant(client, 3);
    pair.pump();
    assert_eq!(pair.client.messages().len(), 3);
    pair.client.connection.grant(client, 100);
    pair.pump();
    let messages = pair.client.messages();
    assert_eq!(messages.len(), 64);
    // Credit that the queue has used up is not offered to the head.
    assert_eq!(
        pair.server.seen.last(),
        Some(&Seen::Credit(down, 39, false))
    );
    assert_eq!(pair.server.connection.sendable(down), 39);
}

#[test]
fn bytes_that_wait_are_bounded() {
    let (mut pair, _, down) = downward(Credit::Manual);
    let half = vec![0; 600 * 1024];
    let outgoing = Outgoing::unsettled(0);
    assert_eq!(pair.server.connection.send(down, &outgoing, &half), Ok(()));
    assert_eq!(
        pair.server.connection.send(down, &outgoing, &half),
        Err(SendError::Full)
    );
    pair.server.connection.detach(down, None);
    pair.pump();
    assert_eq!(
        pair.server.connection.send(down, &outgoing, b"m"),
        Err(SendError::NoLink)
    );
}

#[test]
fn ids_follow_the_order_of_first_frames_on_all_links() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let request = AttachRequest::receiver("a", "x", Credit::Manual);
    let (first_up, first) = pair.ask(session, &request);
    pair.server.connection.accept(first, &Accept::default());
    let request = AttachRequest::receiver("b", "x", Credit::Window(10));
    let (_, second) = pair.ask(session, &request);
    pair.server.connection.accept(second, &Accept::default());
    pair.pump();
    let send = |pair: &mut Pair, link, token| {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.server.connection.send(link, &outgoing, b"m"), Ok(()));
    };
    send(&mut pair, first, 1);
    send(&mut pair, second, 2);
    pair.pump();
    pair.client.connection.grant(first_up, 1);
    pair.pump();
    let tags: Vec<Vec<u8>> = pair
        .client
        .messages()
        .into_iter()
        .map(|message| message.tag)
        .collect();
    assert_eq!(tags, [[0, 0, 0, 0], [0, 0, 0, 1]]);
}

#[test]
fn a_session_window_holds_back_and_the_rest_follows() {
    let client = Config {
        incoming_window: 3,
        frame_bytes_max: 512,
        ..Config::default()
    };
    let request = AttachRequest::receiver("down", "x", Credit::Window(100));
    let (mut pair, _, down) = downward_with(client, &request);
    let message = vec![7; 5000];
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(
        pair.server.connection.send(down, &outgoing, &message),
        Ok(())
    );
    assert_eq!(pair.server.connection.sendable(down), 0);
    let outgoing = Outgoing::unsettled(2);
    assert_eq!(pair.server.connection.send(down, &outgoing, b"two"), Ok(()));
    pair.pump();
    let messages = pair.client.messages();
    assert!(messages[0].bytes == message);
    assert_eq!(messages[1].bytes, b"two");
    assert!(pair.server.seen.contains(&Seen::Window));
}

#[test]
fn drain_gives_back_what_is_not_used() {
    let (mut pair, client, down) = downward(Credit::Manual);
    pair.client.connection.grant(client, 10);
    pair.client.connection.drain(client);
    pair.pump();
    assert_eq!(pair.server.seen.last(), Some(&Seen::Credit(down, 10, true)));
    let outgoing = Outgoing::unsettled(1);
    assert_eq!(pair.server.connection.send(down, &outgoing, b"m"), Ok(()));
    pair.server.connection.drained(down);
    pair.pump();
    assert_eq!(
        pair.client.seen.last(),
        Some(&Seen::Credit(client, 0, false))
    );
    assert_eq!(pair.server.connection.sendable(down), 0);
    pair.client.connection.grant(client, 5);
    pair.pump();
    assert_eq!(pair.server.connection.sendable(down), 5);
}

#[test]
fn unsettled_deliveries_are_bounded() {
    let (mut pair, up, _) = upward_with(
        Config {
            unsettled_max: 5,
            ..Config::default()
        },
        Config::default(),
        &window(100),
    );
    assert_eq!(pair.client.connection.sendable(up), 5);
    for token in 0..5 {
        let outgoing = Outgoing::unsettled(token);
        assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), Ok(()));
    }
    assert_eq!(pair.client.connection.sendable(up), 0);
    let outgoing = Outgoing::unsettled(5);
    assert_eq!(
        pair.client.connection.send(up, &outgoing, b"m"),
        Err(SendError::Full)
    );
}

#[test]
fn a_tag_has_1_to_32_bytes() {
    let (mut pair, up, _) = upward(&window(100));
    for (tag, result) in [
        (&[][..], Err(SendError::Tag)),
        (&[1; 33], Err(SendError::Tag)),
        (&[1; 32], Ok(())),
    ] {
        let outgoing = Outgoing {
            tag: Some(tag),
            ..Outgoing::unsettled(0)
        };
        assert_eq!(pair.client.connection.send(up, &outgoing, b"m"), result);
    }
}

#[test]
fn nothing_is_sent_on_a_link_that_is_not_accepted() {
    let mut pair = Pair::opened();
    let session = pair.begin();
    let (up, link) = pair.ask(session, &AttachRequest::sender("up", "x"));
    let outgoing = Outgoing::unsettled(0);
    assert_eq!(
        pair.client.connection.send(up, &outgoing, b"m"),
        Err(SendError::NoLink)
    );
    assert_eq!(
        pair.server.connection.send(link, &outgoing, b"m"),
        Err(SendError::NoLink)
    );
}

#[test]
fn credit_can_be_taken_back() {
    let (mut pair, up, link) = upward(&window(50));
    assert_eq!(pair.client.connection.sendable(up), 50);
    pair.server.connection.set_credit(link, Credit::Manual);
    pair.server.connection.grant(link, 0);
    pair.pump();
    assert_eq!(pair.client.connection.sendable(up), 0);
    pair.server.connection.set_credit(link, Credit::Window(20));
    pair.pump();
    assert_eq!(pair.client.connection.sendable(up), 20);
}
