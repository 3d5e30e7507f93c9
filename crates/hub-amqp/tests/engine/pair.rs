//! A client and a server that exchange bytes, and what each of them saw.

use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_amqp::{
    AttachRequest, Config, Connection, Delivery, DeliveryId, DetachCause, Ended, Event, LinkId,
    Login, OpenAnswer, Outcome, SaslOutcome, SessionId, Settlement,
};

/// An event with everything that a test looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen {
    Sasl(String),
    Challenge(Vec<u8>),
    Response(Vec<u8>),
    Opened,
    Began(SessionId),
    SessionEnded(Option<String>),
    Attached(LinkId),
    Detached(LinkId, String),
    Delivery(Message),
    Credit(LinkId, u32, bool),
    Window,
    Settled(LinkId, DeliveryId, u64, String, bool),
    Ended(String),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) link: LinkId,
    pub(crate) id: DeliveryId,
    pub(crate) tag: Vec<u8>,
    pub(crate) format: u32,
    pub(crate) settlement: Settlement,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn outcome(outcome: Option<&Outcome<'_>>) -> String {
    match outcome {
        None => "none".to_owned(),
        Some(Outcome::Accepted) => "accepted".to_owned(),
        Some(Outcome::Released) => "released".to_owned(),
        Some(Outcome::Rejected(error)) => {
            let condition = error.map_or("", |error| error.condition);
            format!("rejected {condition}").trim_end().to_owned()
        }
        Some(Outcome::Modified {
            delivery_failed,
            undeliverable_here,
            ..
        }) => format!("modified {delivery_failed} {undeliverable_here}"),
    }
}

impl Seen {
    pub(crate) fn of(event: &Event<'_>) -> Self {
        match event {
            Event::SaslInit(init) => Self::Sasl(format!(
                "{} {:?} {:?}",
                init.mechanism,
                init.initial_response.map(String::from_utf8_lossy),
                init.hostname
            )),
            Event::SaslChallenge(bytes) => Self::Challenge(bytes.to_vec()),
            Event::SaslResponse(bytes) => Self::Response(bytes.to_vec()),
            Event::Opened(_) => Self::Opened,
            Event::SessionBegan(id) => Self::Began(*id),
            Event::SessionEnded(ended) => {
                let violation = ended.violation.map(|violation| violation.condition);
                let error = ended.error.map(|error| error.condition);
                Self::SessionEnded(violation.or(error).map(str::to_owned))
            }
            Event::Attached { link, .. } => Self::Attached(*link),
            Event::Detached(detached) => Self::Detached(
                detached.link,
                match detached.cause {
                    DetachCause::Peer { error, closed } => format!(
                        "peer {}{}",
                        if closed { "closed" } else { "detached" },
                        error.map_or(String::new(), |error| format!(" {}", error.condition))
                    ),
                    DetachCause::Violation(violation) => violation.condition.to_owned(),
                    DetachCause::Answered => "answered".to_owned(),
                    DetachCause::SessionEnd => "session end".to_owned(),
                },
            ),
            Event::Delivery(Delivery {
                link,
                id,
                tag,
                message_format,
                settlement,
                message,
            }) => Self::Delivery(Message {
                link: *link,
                id: *id,
                tag: tag.to_vec(),
                format: *message_format,
                settlement: *settlement,
                bytes: message.to_vec(),
            }),
            Event::Credit(credit) => Self::Credit(credit.link, credit.credit, credit.drain),
            Event::Window(_) => Self::Window,
            Event::Settled(settled) => Self::Settled(
                settled.link,
                settled.id,
                settled.token,
                outcome(settled.outcome.as_ref()),
                settled.awaits_confirmation,
            ),
            Event::Ended(ended) => Self::Ended(match ended {
                Ended::Closed(error) => {
                    format!("closed {}", error.map_or("", |error| error.condition))
                }
                Ended::Violation(violation) => violation.condition.to_owned(),
                Ended::UnknownProtocol => "unknown protocol".to_owned(),
                Ended::SaslFailed(outcome) => format!("sasl {outcome:?}"),
                Ended::Silent => "silent".to_owned(),
            }),
        }
    }
}

pub(crate) struct Side {
    pub(crate) connection: Connection,
    pub(crate) inbox: Vec<u8>,
    pub(crate) seen: Vec<Seen>,
}

impl Side {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            inbox: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Takes all that has arrived, as far as it goes.
    pub(crate) fn receive(&mut self, now: Instant) {
        let mut rest = self.inbox.as_slice();
        while let Some(event) = self.connection.receive(&mut rest, now) {
            self.seen.push(Seen::of(&event));
        }
        let left = rest.len();
        self.inbox.drain(..self.inbox.len() - left);
    }

    pub(crate) fn give(&mut self, bytes: &[u8], now: Instant) {
        self.inbox.extend_from_slice(bytes);
        self.receive(now);
    }

    pub(crate) fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    pub(crate) fn attached(&self) -> LinkId {
        let link = self.seen.iter().rev().find_map(|seen| match seen {
            Seen::Attached(link) => Some(*link),
            _ => None,
        });
        link.expect("a link was attached")
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        let messages = self.seen.iter().filter_map(|seen| match seen {
            Seen::Delivery(message) => Some(message.clone()),
            _ => None,
        });
        messages.collect()
    }

    /// Tokens and outcomes of settled deliveries.
    pub(crate) fn outcomes(&self) -> Vec<(u64, String)> {
        let outcomes = self.seen.iter().filter_map(|seen| match seen {
            Seen::Settled(_, _, token, outcome, _) => Some((*token, outcome.clone())),
            _ => None,
        });
        outcomes.collect()
    }
}

pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) now: Instant,
    /// Bytes that travel at once.
    pub(crate) chunk: usize,
    /// Bytes that have traveled to the client.
    pub(crate) to_client: Vec<u8>,
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config, login: Login<'_>) -> Self {
        let now = Instant::now();
        Self {
            client: Side::new(Connection::client(Arc::new(client), login, now)),
            server: Side::new(Connection::server(Arc::new(server), now)),
            now,
            chunk: usize::MAX,
            to_client: Vec::new(),
        }
    }

    /// Carries bytes until there are none.
    pub(crate) fn pump(&mut self) {
        loop {
            let up = std::mem::take(self.client.connection.output(self.now));
            let down = std::mem::take(self.server.connection.output(self.now));
            self.to_client.extend_from_slice(&down);
            for chunk in up.chunks(self.chunk) {
                self.server.give(chunk, self.now);
            }
            self.server.receive(self.now);
            for chunk in down.chunks(self.chunk) {
                self.client.give(chunk, self.now);
            }
            self.client.receive(self.now);
            if up.is_empty() && down.is_empty() {
                return;
            }
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Opens both sides.
    pub(crate) fn opened_with(client: Config, server: Config) -> Self {
        let mut pair = Self::new(client, server, Login::Bare);
        pair.client.connection.open(&OpenAnswer::default());
        pair.pump();
        pair.server.connection.open(&OpenAnswer::default());
        pair.pump();
        pair
    }

    pub(crate) fn opened() -> Self {
        Self::opened_with(Config::default(), Config::default())
    }

    pub(crate) fn sasl_opened(mechanism: &str) -> Self {
        let login = Login::Sasl {
            mechanism,
            initial_response: None,
            hostname: Some("hub.test"),
        };
        let mut pair = Self::new(Config::default(), Config::default(), login);
        pair.client.connection.open(&OpenAnswer::default());
        pair.pump();
        pair.server.connection.finish_sasl(SaslOutcome::Ok);
        pair.pump();
        pair.server.connection.open(&OpenAnswer::default());
        pair.pump();
        pair
    }

    pub(crate) fn begin(&mut self) -> SessionId {
        let session = self.client.connection.begin().expect("open");
        self.pump();
        session
    }

    /// Attaches from the client; the server has not answered yet. Ids of the link on both sides.
    pub(crate) fn ask(
        &mut self,
        session: SessionId,
        request: &AttachRequest<'_>,
    ) -> (LinkId, LinkId) {
        let client = self
            .client
            .connection
            .attach_link(session, request)
            .expect("open session");
        self.pump();
        (client, self.server.attached())
    }
}
