//! What must hold for a server that gets any bytes once it is open; shared by the fuzz target `amqp_connection` and
//! the test that replays its corpus.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use hub_amqp::{
    Accept, AmqpError, Config, Connection, Credit, DeliveryId, Event, LinkId, OpenAnswer, Outcome,
    Outgoing, Phase, ReceiverSettleMode, Role, Settlement, condition,
};

/// Longest message that a head sends or takes here.
const MESSAGE_BYTES_MAX: usize = 2000;

/// A head that does a bit of everything, and what it has to expect.
struct Head {
    connection: Connection,
    links: HashMap<LinkId, Role>,
    /// Deliveries sent unsettled that have no outcome yet, by token.
    waiting: HashMap<u64, LinkId>,
    arrived: HashSet<(LinkId, DeliveryId)>,
    next_token: u64,
    peer_frame_bytes_max: usize,
}

/// What to do about an event, once it is no longer borrowed.
enum Todo {
    Nothing,
    Answer(LinkId, u8),
    Settle(LinkId, DeliveryId, u8),
    Send(LinkId),
    Confirm(LinkId, DeliveryId),
}

/// Feeds the bytes to a server that is open, and panics if a law of the engine is broken. The first byte says how the
/// head behaves, and how the bytes are cut.
pub(crate) fn judge(input: &[u8]) {
    let Some((&manner, bytes)) = input.split_first() else {
        return;
    };
    let mut head = open(manner);
    let cut = if manner & 1 == 0 { usize::MAX } else { 7 };
    let mut waiting = Vec::new();
    for chunk in bytes.chunks(cut) {
        waiting.extend_from_slice(chunk);
        let left = head.take(&waiting);
        waiting.drain(..waiting.len() - left);
        assert!(waiting.len() <= head.connection.frame_bytes_max());
    }
    head.check_output();
}

fn open(manner: u8) -> Head {
    let now = Instant::now();
    let config = Config {
        frame_bytes_max: 4096,
        channel_max: 7,
        handle_max: 15,
        links_max: 20,
        incoming_window: 16,
        unsettled_max: 32,
        partial_bytes_max: 4000,
        queued_max: 4,
        queued_bytes_max: 8000,
        ..Config::default()
    };
    let connection = Connection::server(Arc::new(config), now);
    let mut head = Head {
        connection,
        links: HashMap::new(),
        waiting: HashMap::new(),
        arrived: HashSet::new(),
        next_token: 0,
        peer_frame_bytes_max: if manner & 2 == 0 { 512 } else { 65_536 },
    };
    let mut hello = b"AMQP\x00\x01\x00\x00\x00\x00\x00\x17\x02\x00\x00\x00".to_vec();
    hello.extend(b"\x00\x53\x10\xc0\x0a\x03\xa1\x01p\x40\x70");
    hello.extend(
        u32::try_from(head.peer_frame_bytes_max)
            .expect("small")
            .to_be_bytes(),
    );
    assert_eq!(head.take(&hello), 0);
    head.connection.open(&OpenAnswer::default());
    assert_eq!(head.connection.phase(), Phase::Open);
    head.connection.output(now).clear();
    head
}

impl Head {
    /// Takes what can be taken, and says how many bytes are left.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let now = Instant::now();
        let mut rest = bytes;
        loop {
            let Some(event) = self.connection.receive(&mut rest, now) else {
                return rest.len();
            };
            let todo = note(
                &event,
                &mut self.links,
                &mut self.waiting,
                &mut self.arrived,
            );
            self.act(&todo);
            self.check_output();
        }
    }

    fn act(&mut self, todo: &Todo) {
        match *todo {
            Todo::Nothing => {}
            Todo::Answer(link, choice) => self.answer(link, choice),
            Todo::Settle(link, id, choice) => self.settle(link, id, choice),
            Todo::Send(link) => self.send(link),
            Todo::Confirm(link, id) => self.connection.confirm(link, id),
        }
    }

    fn answer(&mut self, link: LinkId, choice: u8) {
        let attach = self.connection.attach(link);
        assert!(
            attach.is_some(),
            "an attach can be read until it is answered"
        );
        if choice == b'r' {
            let error = AmqpError::new(condition::NOT_FOUND, "refused");
            self.links.remove(&link);
            return self.connection.refuse(link, &error);
        }
        let accept = Accept {
            credit: if choice == b'm' {
                Credit::Manual
            } else {
                Credit::Window(u32::from(choice) % 20)
            },
            max_message_size: MESSAGE_BYTES_MAX as u64,
            receiver_settle_mode: (choice == b's').then_some(ReceiverSettleMode::Second),
            ..Accept::default()
        };
        self.connection.accept(link, &accept);
        if choice == b'm' {
            self.connection.grant(link, 3);
        }
        if self.connection.role(link) == Some(Role::Sender) {
            self.send(link);
        }
    }

    fn settle(&mut self, link: LinkId, id: DeliveryId, choice: u8) {
        let error = AmqpError::new(condition::NOT_ALLOWED, "not today");
        match choice % 7 {
            0 => self.connection.settle(link, id, &Outcome::Released),
            1 => {
                let rejected = Outcome::Rejected(Some(error));
                self.connection.settle(link, id, &rejected);
            }
            // Some are never settled.
            2 => {}
            3 => self.connection.detach(link, Some(&error)),
            _ => self.connection.settle(link, id, &Outcome::Accepted),
        }
    }

    /// Sends one message more than leaves at once, of growing length.
    fn send(&mut self, link: LinkId) {
        for _ in 0..=self.connection.sendable(link).min(4) {
            let token = self.next_token;
            self.next_token += 1;
            let message = vec![7; (token as usize * 311) % MESSAGE_BYTES_MAX];
            let outgoing = Outgoing::unsettled(token);
            if self.connection.send(link, &outgoing, &message).is_ok() {
                self.waiting.insert(token, link);
            }
        }
        self.connection.drained(link);
    }

    fn check_output(&mut self) {
        let output = self.connection.output(Instant::now());
        let mut rest = output.as_slice();
        rest = rest.strip_prefix(b"AMQP\x00\x01\x00\x00").unwrap_or(rest);
        while let Some((length, _)) = rest.split_first_chunk::<4>() {
            let length = u32::from_be_bytes(*length) as usize;
            assert!(
                length <= self.peer_frame_bytes_max,
                "frame of {length} bytes"
            );
            rest = &rest[length..];
        }
        output.clear();
    }
}

/// Checks that an event is one that may come.
fn note(
    event: &Event<'_>,
    links: &mut HashMap<LinkId, Role>,
    waiting: &mut HashMap<u64, LinkId>,
    arrived: &mut HashSet<(LinkId, DeliveryId)>,
) -> Todo {
    match event {
        Event::Attached { link, attach } => {
            let known = links.insert(*link, attach.role.opposite());
            assert_eq!(known, None, "a link is attached once");
            Todo::Answer(*link, attach.name.bytes().next().unwrap_or(0))
        }
        Event::Detached(detached) => {
            let known = links.remove(&detached.link);
            assert!(known.is_some(), "a link is detached once");
            waiting.retain(|_, link| *link != detached.link);
            Todo::Nothing
        }
        Event::Delivery(delivery) => {
            assert_eq!(links.get(&delivery.link), Some(&Role::Receiver));
            assert!(delivery.message.len() <= MESSAGE_BYTES_MAX);
            if delivery.settlement == Settlement::Unsettled {
                arrived.insert((delivery.link, delivery.id));
            }
            let choice = delivery.message.first().copied().unwrap_or(5);
            Todo::Settle(delivery.link, delivery.id, choice)
        }
        Event::Credit(credit) => {
            assert!(links.contains_key(&credit.link));
            Todo::Send(credit.link)
        }
        Event::Settled(settled) => {
            assert_eq!(links.get(&settled.link), Some(&Role::Sender));
            let link = waiting.remove(&settled.token);
            assert_eq!(link, Some(settled.link), "an outcome is told once");
            if settled.awaits_confirmation {
                Todo::Confirm(settled.link, settled.id)
            } else {
                Todo::Nothing
            }
        }
        Event::SaslInit(_)
        | Event::SaslResponse(_)
        | Event::SaslChallenge(_)
        | Event::Opened(_)
        | Event::SessionBegan(_)
        | Event::SessionEnded(_)
        | Event::Window(_)
        | Event::Ended(_) => Todo::Nothing,
    }
}
