//! A client: the engine's client role over a TLS socket, with what tests need to say and see.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use hub_amqp::{
    AttachRequest, Body, Config, Connection, Credit, DeliveryId, DetachCause, Ended, Event, LinkId,
    Login, MapBuf, MessageId, MessageWriter, OpenAnswer, Outcome, Outgoing, Properties, Role,
    Sections, SessionId, Settlement, Source, Symbols, Target, Value,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::DEADLINE;

/// What the hub did, outliving its bytes.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    Challenged(Vec<u8>),
    Opened,
    Began(SessionId),
    Attached(LinkId),
    Detached(LinkId, String),
    Delivery(Message),
    Settled(u64, String),
    Ended(String),
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    pub(crate) link: LinkId,
    pub(crate) id: DeliveryId,
    pub(crate) is_settled: bool,
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    pub(crate) fn sections(&self) -> Sections<'_> {
        Sections::parse(&self.bytes).unwrap()
    }

    pub(crate) fn body(&self) -> String {
        match self.sections().body {
            Body::Data(_) => {
                let body = self.sections().body;
                super::shown(body.single_data().unwrap())
            }
            other => format!("{other:?}"),
        }
    }

    /// An annotation as text.
    pub(crate) fn annotation(&self, name: &str) -> String {
        match self.sections().message_annotations.get(name) {
            Some(Value::String(text)) => text.to_owned(),
            Some(value) => format!("{value:?}"),
            None => "none".to_owned(),
        }
    }

    /// An application property.
    pub(crate) fn property(&self, name: &str) -> String {
        format!("{:?}", self.sections().application_properties.get(name))
    }
}

/// How a reader of events is attached.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) address: &'a str,
    pub(crate) selector: &'a str,
    pub(crate) epoch: Option<i64>,
    pub(crate) credit: u32,
    pub(crate) metric: bool,
}

pub(crate) struct Client {
    stream: TlsStream<TcpStream>,
    pub(crate) amqp: Connection,
    received: Vec<u8>,
    seen: VecDeque<Seen>,
    session: Option<SessionId>,
    names: u32,
    tokens: u64,
    cbs: Option<(LinkId, LinkId)>,
    /// Description of the last rejected message, and after how long to try again.
    pub(crate) rejection: Option<(String, String)>,
    /// Versions in the hub's last attach.
    pub(crate) attached: String,
}

impl Client {
    pub(super) async fn new(address: SocketAddr, config: ClientConfig, login: Login<'_>) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let name = ServerName::try_from("hub.test").unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let stream = timeout(DEADLINE, connector.connect(name, socket)).await;
        let now = Instant::now().into_std();
        Self {
            stream: stream.expect("the handshake ends").unwrap(),
            amqp: Connection::client(Arc::new(Config::default()), login, now),
            received: Vec::new(),
            seen: VecDeque::new(),
            session: None,
            names: 0,
            tokens: 0,
            cbs: None,
            rejection: None,
            attached: String::new(),
        }
    }

    /// Opens the connection and a session.
    pub(crate) async fn open(&mut self, hostname: &str) {
        let open = OpenAnswer {
            hostname: Some(hostname),
            properties: None,
        };
        self.amqp.open(&open);
        self.wait(|seen| (*seen == Seen::Opened).then_some(()))
            .await;
        self.session = Some(self.begin().await);
    }

    async fn begin(&mut self) -> SessionId {
        let session = self.amqp.begin().unwrap();
        self.wait(|seen| (*seen == Seen::Began(session)).then_some(()))
            .await;
        session
    }

    /// Opens a connection whose login is to fail; says how it ended.
    pub(crate) async fn open_in_vain(&mut self) -> String {
        let open = OpenAnswer {
            hostname: Some("hub.test"),
            properties: None,
        };
        self.amqp.open(&open);
        self.ended().await
    }

    /// The hub's next challenge.
    pub(crate) async fn challenged(&mut self) -> Vec<u8> {
        self.wait(|seen| match seen {
            Seen::Challenged(challenge) => Some(challenge.clone()),
            _ => None,
        })
        .await
    }

    /// Answers a challenge.
    pub(crate) async fn respond(&mut self, response: &[u8]) {
        self.amqp.respond(response);
        self.flush().await;
    }

    /// How the connection ends.
    pub(crate) async fn ended(&mut self) -> String {
        self.wait(|seen| match seen {
            Seen::Ended(how) => Some(how.clone()),
            _ => None,
        })
        .await
    }

    /// The first thing seen that `wanted` picks; others stay for later.
    #[track_caller]
    fn wait<T>(&mut self, wanted: impl Fn(&Seen) -> Option<T>) -> impl Future<Output = T> {
        let caller = std::panic::Location::caller();
        async move {
            let found = timeout(DEADLINE, self.find(&wanted)).await;
            found.unwrap_or_else(|_| panic!("nothing came at {caller}, seen {:?}", self.seen))
        }
    }

    async fn find<T>(&mut self, wanted: &impl Fn(&Seen) -> Option<T>) -> T {
        loop {
            if let Some((at, found)) = self
                .seen
                .iter()
                .enumerate()
                .find_map(|(at, seen)| Some((at, wanted(seen)?)))
            {
                if !matches!(self.seen[at], Seen::Ended(_)) {
                    self.seen.remove(at);
                }
                return found;
            }
            if let Some(Seen::Ended(how)) = self.seen.back() {
                panic!("the connection ended: {how}, seen {:?}", self.seen);
            }
            self.turn().await;
        }
    }

    /// Writes what is to be written and reads once.
    async fn turn(&mut self) {
        self.flush().await;
        self.received.reserve(64 * 1_024);
        let count = self.stream.read_buf(&mut self.received).await.unwrap_or(0);
        if count == 0 {
            self.seen.push_back(Seen::Ended("closed".to_owned()));
            return;
        }
        let bytes = std::mem::take(&mut self.received);
        let mut rest = &bytes[..];
        let now = Instant::now().into_std();
        while let Some(event) = self.amqp.receive(&mut rest, now) {
            match &event {
                Event::Settled(settled) => {
                    if let Some(Outcome::Rejected(Some(error))) = settled.outcome {
                        let description = error.description.unwrap_or_default().to_owned();
                        let after = error.info.and_then(|info| info.get("retry-after"));
                        self.rejection = Some((description, format!("{after:?}")));
                    }
                }
                Event::Attached { attach, .. } => {
                    let property = |name| attach.properties.and_then(|map| map.get(name));
                    self.attached = format!(
                        "{:?} {:?}",
                        property("com.microsoft:api-version"),
                        property("com.microsoft:client-version")
                    );
                }
                _ => {}
            }
            self.seen.extend(seen(event));
        }
        self.received = rest.to_vec();
        self.flush().await;
    }

    pub(crate) async fn flush(&mut self) {
        let output = std::mem::take(self.amqp.output(Instant::now().into_std()));
        drop(self.stream.write_all(&output).await);
        drop(self.stream.flush().await);
    }

    /// Sends bytes that no engine would.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.flush().await;
        drop(self.stream.write_all(bytes).await);
        drop(self.stream.flush().await);
    }

    async fn attach(&mut self, request: &AttachRequest<'_>) -> Result<LinkId, String> {
        let session = self.session.unwrap();
        let link = self.amqp.attach_link(session, request).unwrap();
        self.wait(|seen| match seen {
            Seen::Attached(attached) if *attached == link => Some(Ok(link)),
            Seen::Detached(detached, why) if *detached == link => Some(Err(why.clone())),
            _ => None,
        })
        .await
    }

    fn name(&mut self) -> String {
        self.names += 1;
        format!("link-{}", self.names)
    }

    /// Attaches a link to send on; the error is the condition of the refusal.
    pub(crate) async fn sender(&mut self, address: &str) -> Result<LinkId, String> {
        let name = self.name();
        self.attach(&AttachRequest::sender(&name, address)).await
    }

    /// As [`Client::sender`], with properties.
    pub(crate) async fn sender_with(
        &mut self,
        address: &str,
        properties: &MapBuf,
    ) -> Result<LinkId, String> {
        let name = self.name();
        let mut request = AttachRequest::sender(&name, address);
        request.properties = Some(properties.as_map());
        self.attach(&request).await
    }

    /// Attaches a link to receive on.
    pub(crate) async fn receiver(&mut self, address: &str, credit: u32) -> Result<LinkId, String> {
        let name = self.name();
        let request = AttachRequest::receiver(&name, address, Credit::Manual);
        let link = self.attach(&request).await?;
        self.amqp.grant(link, credit);
        self.flush().await;
        Ok(link)
    }

    /// Attaches a reader of events.
    pub(crate) async fn reader(&mut self, reader: Reader<'_>) -> Result<LinkId, String> {
        let name = self.name();
        let mut described = vec![0x00];
        Value::Symbol("apache.org:selector-filter:string").encode(&mut described);
        Value::String(reader.selector).encode(&mut described);
        let filter = MapBuf::new().symbol(
            "apache.org:selector-filter:string",
            Value::decode(&described).unwrap(),
        );
        let properties = match reader.epoch {
            Some(epoch) => MapBuf::new().symbol("com.microsoft:epoch", Value::Long(epoch)),
            None => MapBuf::new(),
        };
        let mut source = Source::new(reader.address);
        source.filter = Some(filter.as_map());
        let mut request = AttachRequest::receiver(&name, reader.address, Credit::Manual);
        request.source = Some(source);
        request.target = Some(Target::new(&name));
        request.properties = Some(properties.as_map());
        if reader.metric {
            request.desired_capabilities =
                Symbols::one("com.microsoft:enable-receiver-runtime-metric");
        }
        let link = self.attach(&request).await?;
        self.amqp.grant(link, reader.credit);
        self.flush().await;
        Ok(link)
    }

    /// Puts a token; the status and the correlation id of the reply.
    pub(crate) async fn put_token_as(
        &mut self,
        id: MessageId<'_>,
        audience: &str,
        token: &str,
    ) -> (i64, String) {
        let (requests, replies) = match self.cbs {
            Some(links) => links,
            None => {
                let links = (
                    self.sender("$cbs").await.unwrap(),
                    self.receiver("$cbs", 100).await.unwrap(),
                );
                *self.cbs.insert(links)
            }
        };
        let mut message = Vec::new();
        MessageWriter::new(&mut message)
            .properties(&Properties {
                message_id: Some(id),
                to: Some("$cbs"),
                reply_to: Some("cbs"),
                ..Properties::default()
            })
            .application_properties(|map| {
                map.string("operation", Value::String("put-token"))
                    .string("type", Value::String("servicebus.windows.net:sastoken"))
                    .string("name", Value::String(audience));
            })
            .value(Value::String(token));
        self.amqp
            .send(requests, &Outgoing::SETTLED, &message)
            .unwrap();
        let reply = self.receive(replies).await;
        let sections = reply.sections();
        let Some(Value::Int(status)) = sections.application_properties.get("status-code") else {
            panic!("the status is no int: {sections:?}");
        };
        let id = format!("{:?}", sections.properties.unwrap().correlation_id);
        (i64::from(status), id)
    }

    pub(crate) async fn put_token(&mut self, audience: &str, token: &str) -> i64 {
        self.put_token_as(MessageId::String("1"), audience, token)
            .await
            .0
    }

    /// Puts a token that is good.
    pub(crate) async fn prove(&mut self, audience: &str, token: &str) {
        assert_eq!(self.put_token(audience, token).await, 200);
    }

    /// Sends a message and returns its outcome.
    pub(crate) async fn send(&mut self, link: LinkId, message: &[u8]) -> String {
        self.send_as(link, 0, message).await
    }

    pub(crate) async fn send_as(&mut self, link: LinkId, format: u32, message: &[u8]) -> String {
        self.tokens += 1;
        let token = self.tokens;
        let outgoing = Outgoing {
            token,
            tag: None,
            settlement: Settlement::Unsettled,
            message_format: format,
        };
        self.amqp.send(link, &outgoing, message).unwrap();
        self.wait(|seen| match seen {
            Seen::Settled(settled, outcome) if *settled == token => Some(outcome.clone()),
            Seen::Detached(detached, why) if *detached == link => Some(format!("detached {why}")),
            _ => None,
        })
        .await
    }

    /// Sends a message whose outcome is asked for later, if ever.
    pub(crate) async fn send_unanswered(&mut self, link: LinkId, message: &[u8]) {
        self.tokens += 1;
        let outgoing = Outgoing::unsettled(self.tokens);
        self.amqp.send(link, &outgoing, message).unwrap();
        self.flush().await;
    }

    /// The next outcome of what was sent.
    pub(crate) async fn outcome(&mut self) -> String {
        self.wait(|seen| match seen {
            Seen::Settled(_, outcome) => Some(outcome.clone()),
            _ => None,
        })
        .await
    }

    /// Sends a message that waits for nothing.
    pub(crate) fn send_settled(&mut self, link: LinkId, message: &[u8]) {
        self.amqp.send(link, &Outgoing::SETTLED, message).unwrap();
    }

    /// The next message of a link.
    pub(crate) async fn receive(&mut self, link: LinkId) -> Message {
        self.wait(|seen| match seen {
            Seen::Delivery(message) if message.link == link => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// Says the outcome of a message.
    pub(crate) async fn settle(&mut self, message: &Message, outcome: &Outcome<'_>) {
        self.amqp.settle(message.link, message.id, outcome);
        self.flush().await;
    }

    /// Why the hub ends a link.
    pub(crate) async fn detached(&mut self, link: LinkId) -> String {
        self.wait(|seen| match seen {
            Seen::Detached(detached, why) if *detached == link => Some(why.clone()),
            _ => None,
        })
        .await
    }

    /// Closes a link.
    pub(crate) async fn detach(&mut self, link: LinkId) {
        self.amqp.detach(link, None);
        self.detached(link).await;
    }
}

fn seen(event: Event<'_>) -> Option<Seen> {
    Some(match event {
        Event::SaslChallenge(challenge) => Seen::Challenged(challenge.to_vec()),
        Event::Opened(_) => Seen::Opened,
        Event::SessionBegan(session) => Seen::Began(session),
        Event::Attached { link, attach } => {
            // A refusal has no terminus of the hub's; its detach follows.
            let is_refused = match attach.role {
                Role::Sender => attach.source.is_none(),
                Role::Receiver => attach.target.is_none(),
            };
            if is_refused {
                return None;
            }
            Seen::Attached(link)
        }
        Event::Delivery(delivery) => Seen::Delivery(Message {
            link: delivery.link,
            id: delivery.id,
            is_settled: delivery.settlement == Settlement::Settled,
            bytes: delivery.message.to_vec(),
        }),
        Event::Settled(settled) => {
            let outcome = match settled.outcome {
                Some(Outcome::Accepted) => "accepted".to_owned(),
                Some(Outcome::Rejected(error)) => {
                    let condition = error.map_or("nothing", |error| error.condition);
                    format!("rejected {condition}")
                }
                other => format!("{other:?}"),
            };
            Seen::Settled(settled.token, outcome)
        }
        Event::Detached(detached) => Seen::Detached(
            detached.link,
            match detached.cause {
                DetachCause::Peer {
                    error: Some(error), ..
                } => error.condition.to_owned(),
                DetachCause::Answered => "answered".to_owned(),
                other => format!("{other:?}"),
            },
        ),
        Event::Ended(Ended::Closed(Some(error))) => Seen::Ended(error.condition.to_owned()),
        Event::Ended(other) => Seen::Ended(format!("{other:?}")),
        Event::SaslInit(_)
        | Event::SaslResponse(_)
        | Event::Credit(_)
        | Event::Window(_)
        | Event::SessionEnded(_) => {
            return None;
        }
    })
}
