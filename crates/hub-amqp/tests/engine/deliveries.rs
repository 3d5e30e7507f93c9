//! Deliveries between a client and a server: credit, parts, settlement.

use crate::pair::{Pair, Seen};
use hub_amqp::{Accept, AttachRequest, Config, Credit, LinkId, Outcome, Outgoing};

/// A link on which the client sends.
fn upward(accept: &Accept<'_>) -> (Pair, LinkId, LinkId) {
    upward_with(Config::default(), Config::default(), accept)
}

fn upward_with(client: Config, server: Config, accept: &Accept<'_>) -> (Pair, LinkId, LinkId) {
    let mut pair = Pair::opened_with(client, server);
    let session = pair.begin();
    let (client, server) = pair.ask(session, &AttachRequest::sender("up", "events"));
    pair.server.connection.accept(server, accept);
    pair.pump();
    (pair, client, server)
}

fn window(credit: u32) -> Accept<'static> {
    Accept {
        credit: Credit::Window(credit),
        ..Accept::default()
    }
}

#[test]
fn messages_arrive_and_are_settled_in_one_frame() {
    let (mut pair, up, _) = upward(&window(100));
    assert_eq!(pair.client.connection.sendable(up), 100);
    for token in 0..20 {
        let message = [token as u8; 5];
        let sent = pair
            .client
            .connection
            .send(up, &Outgoing::unsettled(token), &message);
        assert_eq!(sent, Ok(()));
    }
    pair.pump();
    let messages = pair.server.messages();
    assert_eq!(messages.len(), 20);
    assert_eq!(messages[7].bytes, [7; 5]);
    assert_eq!(messages[7].tag, 7_u32.to_be_bytes());
    pair.to_client.clear();
    for message in messages {
        pair.server
            .connection
            .settle(message.link, message.id, &Outcome::Accepted);
    }
    pair.pump();
    assert_eq!(
        pair.to_client.len(),
        26,
        "one frame for all: {:02x?}",
        pair.to_client
    );
    let outcomes = pair.client.outcomes();
    assert_eq!(outcomes.len(), 20);
    assert_eq!(outcomes[19], (19, "accepted".to_owned()));
    assert!(matches!(pair.client.seen.last(), Some(Seen::Settled(..))));
}
