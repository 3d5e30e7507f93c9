//! What must hold for a peer that gets any bytes from the first one on, in either role: SASL, open, and as a client what
//! the server answers. Shared by the fuzz target `amqp_client` and the test that replays its corpus.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use hub_amqp::{
    Accept, AttachRequest, Config, Connection, Credit, DeliveryId, Event, LinkId, Login,
    OpenAnswer, Outcome, Outgoing, Phase, Role, SaslOutcome, SessionId,
};

/// Longest message that is sent here.
const MESSAGE_BYTES_MAX: usize = 2_000;
/// Sessions that a client begins.
const SESSIONS_MAX: usize = 3;

/// Feeds the bytes to a connection that has said nothing yet, and panics if a law of the engine is broken. The first byte
/// says who it is and how the bytes are cut.
pub(crate) fn judge(input: &[u8]) {
    let Some((&manner, bytes)) = input.split_first() else {
        return;
    };
    let mut head = Head::new(manner);
    head.check_output();
    let cut = if manner & 1 == 0 { usize::MAX } else { 5 };
    let mut waiting = Vec::new();
    for chunk in bytes.chunks(cut) {
        waiting.extend_from_slice(chunk);
        let left = head.take(&waiting);
        waiting.drain(..waiting.len() - left);
        let bound = head.connection.frame_bytes_max();
        // A server that was opened, or that judges a login, waits for nothing here: the head answers at once.
        assert!(waiting.len() <= bound, "{} bytes are kept", waiting.len());
    }
}

struct Head {
    connection: Connection,
    is_client: bool,
    links: HashMap<LinkId, Role>,
    sessions: HashSet<SessionId>,
    begun: usize,
    waiting: HashMap<u64, LinkId>,
    next_token: u64,
    has_ended: bool,
    peer_frame_bytes_max: usize,
}

/// What to do about an event, once it is no longer borrowed.
enum Todo {
    Nothing,
    Judge(SaslOutcome),
    Challenge,
    Respond,
    Open,
    Attach(SessionId),
    Answer(LinkId),
    Send(LinkId),
    Settle(LinkId, DeliveryId, u8),
    Confirm(LinkId, DeliveryId),
}

impl Head {
    fn new(manner: u8) -> Self {
        let now = Instant::now();
        let config = Arc::new(Config {
            frame_bytes_max: 4_096,
            opening_frame_bytes_max: 1_024,
            channel_max: 7,
            handle_max: 15,
            links_max: 20,
            incoming_window: 16,
            unsettled_max: 32,
            partial_bytes_max: 4_000,
            queued_max: 4,
            queued_bytes_max: 8_000,
            ..Config::default()
        });
        let login = |mechanism| Login::Sasl {
            mechanism,
            initial_response: Some(b"\0user\0password"),
            hostname: Some("hub.test"),
        };
        let is_client = manner & 6 != 0;
        let mut connection = match manner & 6 {
            0 => Connection::server(config, now),
            2 => Connection::client(config, login("PLAIN"), now),
            4 => Connection::client(config, login("EXTERNAL"), now),
            _ => Connection::client(config, Login::Bare, now),
        };
        if is_client {
            connection.open(&OpenAnswer {
                hostname: Some("hub.test"),
                properties: None,
            });
        }
        Self {
            connection,
            is_client,
            links: HashMap::new(),
            sessions: HashSet::new(),
            begun: 0,
            waiting: HashMap::new(),
            next_token: 0,
            has_ended: false,
            // What a peer takes that has not said anything.
            peer_frame_bytes_max: 512,
        }
    }

    /// Takes what can be taken, and says how many bytes are left.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let now = Instant::now();
        let mut rest = bytes;
        loop {
            let Some(event) = self.connection.receive(&mut rest, now) else {
                self.check_output();
                return rest.len();
            };
            assert!(!self.has_ended, "nothing follows the end");
            let todo = note(&event, self.is_client, &mut self.links, &mut self.waiting);
            if let Event::Opened(open) = &event {
                let bytes = usize::try_from(open.max_frame_size);
                self.peer_frame_bytes_max = bytes.unwrap_or(usize::MAX);
            }
            if let Event::SessionBegan(session) = &event {
                assert!(self.sessions.insert(*session), "a session begins once");
            }
            if let Event::SessionEnded(ended) = &event {
                assert!(self.sessions.remove(&ended.session), "and ends once");
            }
            self.has_ended = matches!(event, Event::Ended(_));
            self.act(&todo);
            if self.has_ended {
                assert_eq!(self.connection.phase(), Phase::Ended);
            }
            self.check_output();
        }
    }

    fn act(&mut self, todo: &Todo) {
        match *todo {
            Todo::Nothing => {}
            Todo::Judge(outcome) => self.connection.finish_sasl(outcome),
            Todo::Challenge => self.connection.challenge(b"what else?"),
            Todo::Respond => self.connection.respond(b"nothing"),
            Todo::Open if self.is_client => self.begin(),
            Todo::Open => self.connection.open(&OpenAnswer::default()),
            Todo::Attach(session) if self.is_client => self.attach(session),
            Todo::Attach(_) => {}
            Todo::Answer(link) => {
                let accept = Accept {
                    credit: Credit::Window(4),
                    ..Accept::default()
                };
                self.connection.accept(link, &accept);
                self.send(link);
            }
            Todo::Send(link) => self.send(link),
            Todo::Settle(link, id, choice) => match choice % 4 {
                0 => self.connection.settle(link, id, &Outcome::Released),
                1 => {}
                2 => self.connection.detach(link, None),
                _ => self.connection.settle(link, id, &Outcome::Accepted),
            },
            Todo::Confirm(link, id) => self.connection.confirm(link, id),
        }
    }

    /// Begins a session; the peer may allow none.
    fn begin(&mut self) {
        if self.begun < SESSIONS_MAX && self.connection.begin().is_ok() {
            self.begun += 1;
        }
    }

    /// Attaches a link in each direction, as far as the peer has handles.
    fn attach(&mut self, session: SessionId) {
        let credit = Credit::Window(4);
        let number = self.begun;
        let (up, down) = (format!("up-{number}"), format!("down-{number}"));
        for request in [
            AttachRequest::sender(&up, "telemetry"),
            AttachRequest::receiver(&down, "events", credit),
        ] {
            if let Ok(link) = self.connection.attach_link(session, &request) {
                assert_eq!(self.links.insert(link, request.role), None);
            }
        }
        self.begin();
    }

    fn send(&mut self, link: LinkId) {
        for _ in 0..=self.connection.sendable(link).min(3) {
            let token = self.next_token;
            self.next_token += 1;
            let message = vec![7; (token as usize * 311) % MESSAGE_BYTES_MAX];
            let outgoing = Outgoing::unsettled(token);
            let sent = self.connection.send(link, &outgoing, &message);
            // A link whose mode is settled has no outcome to wait for.
            if sent.is_ok() {
                self.waiting.insert(token, link);
            }
        }
        self.connection.drained(link);
    }

    fn check_output(&mut self) {
        let output = self.connection.output(Instant::now());
        let mut rest = output.as_slice();
        loop {
            let protocol = [b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00"];
            if let Some(after) = protocol.iter().find_map(|one| rest.strip_prefix(&one[..])) {
                rest = after;
                continue;
            }
            let Some((length, _)) = rest.split_first_chunk::<4>() else {
                break;
            };
            let length = u32::from_be_bytes(*length) as usize;
            assert!(
                length <= self.peer_frame_bytes_max.max(512),
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
    is_client: bool,
    links: &mut HashMap<LinkId, Role>,
    waiting: &mut HashMap<u64, LinkId>,
) -> Todo {
    match event {
        Event::SaslInit(init) => {
            assert!(!is_client, "only servers judge");
            Todo::Judge(match init.initial_response {
                Some([b'c', ..]) => return Todo::Challenge,
                Some([b'n', ..]) => SaslOutcome::Auth,
                Some(_) | None => SaslOutcome::Ok,
            })
        }
        Event::SaslResponse(response) => {
            assert!(!is_client, "only servers judge");
            match response {
                [b'c', ..] => Todo::Challenge,
                _ => Todo::Judge(SaslOutcome::Ok),
            }
        }
        Event::SaslChallenge(_) => {
            assert!(is_client, "only clients are challenged");
            Todo::Respond
        }
        Event::Opened(_) => Todo::Open,
        Event::SessionBegan(session) => Todo::Attach(*session),
        Event::Attached { link, attach } => match links.get(link) {
            // The answer to an attach of our own.
            Some(role) => {
                assert_eq!(*role, attach.role.opposite());
                Todo::Send(*link)
            }
            None => {
                links.insert(*link, attach.role.opposite());
                Todo::Answer(*link)
            }
        },
        Event::Detached(detached) => {
            let known = links.remove(&detached.link);
            assert!(known.is_some(), "a link is detached once");
            waiting.retain(|_, link| *link != detached.link);
            Todo::Nothing
        }
        Event::Delivery(delivery) => {
            assert_eq!(links.get(&delivery.link), Some(&Role::Receiver));
            let choice = delivery.message.first().copied().unwrap_or(3);
            Todo::Settle(delivery.link, delivery.id, choice)
        }
        Event::Credit(credit) => {
            assert!(links.contains_key(&credit.link));
            Todo::Send(credit.link)
        }
        Event::Settled(settled) => {
            let link = waiting.remove(&settled.token);
            assert_eq!(link, Some(settled.link), "an outcome is told once");
            if settled.awaits_confirmation {
                Todo::Confirm(settled.link, settled.id)
            } else {
                Todo::Nothing
            }
        }
        Event::SessionEnded(_) | Event::Window(_) | Event::Ended(_) => Todo::Nothing,
    }
}
