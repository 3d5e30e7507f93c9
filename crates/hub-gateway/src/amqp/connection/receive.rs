//! From frames to what a peer wants.

use std::sync::Arc;

use hub_amqp::{
    Delivery, DeliveryId, DetachCause, Ended, Event, LinkId, Outcome, SaslOutcome, SessionId,
    condition,
};
use hub_domain::HostName;
use hub_engine::Error;
use tokio::time::Instant;

use super::super::TPM;
use super::super::cbs::PutToken;
use super::super::credentials::{Claim, Plain, context};
use super::super::device::Settlement;
use super::super::device::{DeviceLink, DeviceNo};
use super::super::errors::Refusal;
use super::super::events::{self, Asking, management};
use super::super::links::{Asked, Link};
use super::super::provisioning::parse_plain;
use super::super::telemetry::{self, BadMessage, Collected};
use super::super::work::{Done, Request};
use super::super::{device, service};
use super::Connection;
use crate::counters::CloseCause;

/// What a frame asks for, outliving its bytes.
enum Action {
    Nothing,
    Login {
        mechanism: Mechanism,
        response: Vec<u8>,
        hostname: Option<String>,
    },
    Proof(Vec<u8>),
    Open {
        hostname: Option<String>,
    },
    Attach(Box<Asked>),
    Token(LinkId, DeliveryId, PutToken),
    Question(LinkId, DeliveryId, Asking),
    Message(LinkId, DeliveryId, Vec<u8>),
    Device(DeviceNo, DeviceLink, Arrived),
    Registration(LinkId, DeliveryId, Vec<u8>),
    Reject(LinkId, DeliveryId, Rejected),
    Drain(LinkId),
    Began(SessionId),
    SessionGone(SessionId),
    Settled(device::Settle, u64, Settlement),
    Detached(LinkId),
    Ended(CloseCause),
}

/// How a client logs in.
enum Mechanism {
    Plain,
    Tpm,
    /// What proves nothing by itself.
    Other,
}

/// A request or answer of a device.
pub(super) struct Arrived {
    pub(super) link: LinkId,
    pub(super) delivery: DeliveryId,
    pub(super) message: Vec<u8>,
}

struct Rejected {
    condition: &'static str,
    text: String,
}

/// The telemetry of one socket read, by device.
#[derive(Default)]
struct Inbound(Vec<OfDevice>);

struct OfDevice {
    device: DeviceNo,
    collected: Collected,
    deliveries: Vec<(LinkId, DeliveryId)>,
}

impl Inbound {
    fn push(&mut self, device: DeviceNo, delivery: &Delivery<'_>) -> Result<(), BadMessage> {
        let at = match self.0.iter().rposition(|of| of.device == device) {
            Some(at) => at,
            None => {
                self.0.push(OfDevice {
                    device,
                    collected: Collected::default(),
                    deliveries: Vec::new(),
                });
                self.0.len() - 1
            }
        };
        let of = &mut self.0[at];
        telemetry::push(&mut of.collected, delivery.message_format, delivery.message)?;
        // A pre-settled one is settled again, to which the engine does nothing but to give its credit back.
        of.deliveries.push((delivery.link, delivery.id));
        Ok(())
    }
}

impl Connection {
    /// Takes what was read: all whole frames, in order. The rest is kept for the next read.
    pub(super) fn receive(&mut self, read: &[u8]) -> Result<(), CloseCause> {
        if self.partial.is_empty() {
            let used = self.receive_frames(read)?;
            self.partial.extend_from_slice(&read[used..]);
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(read);
        let used = self.receive_frames(&bytes)?;
        bytes.drain(..used);
        if !bytes.is_empty() {
            self.partial = bytes;
        }
        Ok(())
    }

    fn receive_frames(&mut self, bytes: &[u8]) -> Result<usize, CloseCause> {
        let now = Instant::now().into_std();
        let mut inbound = Inbound::default();
        let mut rest = bytes;
        while let Some(event) = self.amqp.receive(&mut rest, now) {
            let action = understand(&self.links, event, &mut inbound);
            match action {
                Action::Nothing => {}
                // The session goes with its last link: what it was sent before still counts.
                Action::Detached(_) | Action::Ended(_) => {
                    self.send_telemetry(&mut inbound);
                    self.act(action)?;
                }
                action => self.act(action)?,
            }
        }
        self.send_telemetry(&mut inbound);
        Ok(bytes.len() - rest.len())
    }

    /// Hands the collected telemetry to the logs; its outcomes follow when it is durable.
    fn send_telemetry(&mut self, inbound: &mut Inbound) {
        let now = self.now();
        for mut of in inbound.0.drain(..) {
            let Some(open) = self.devices.open(of.device) else {
                continue;
            };
            let batch = &mut of.collected.batch;
            if batch.is_empty() {
                continue;
            }
            let (messages, bytes) = (batch.count() as usize, batch.bytes());
            let appended = open.session.send_telemetry(now, batch);
            // Behind it: the message that asks for a fault is stored like any other.
            for bag in &of.collected.faults {
                open.session.note_fault(bag.as_bytes());
            }
            let deliveries = of.deliveries;
            self.works.push(messages, bytes, async move {
                let result = appended.await.map(drop);
                Done::Stored { deliveries, result }
            });
        }
    }

    fn act(&mut self, action: Action) -> Result<(), CloseCause> {
        match action {
            Action::Nothing => {}
            Action::Login {
                mechanism,
                response,
                hostname,
            } => self.login(&mechanism, &response, hostname.as_deref()),
            Action::Proof(response) => {
                if let Some(desk) = self.head.desk.clone() {
                    self.prove_tpm(&desk, &response);
                }
            }
            Action::Open { hostname } => {
                self.name_hub(hostname.as_deref());
                self.amqp.open(&hub_amqp::OpenAnswer::default());
            }
            Action::Attach(asked) => self.attach(*asked),
            Action::Token(link, delivery, put) => self.put_token(link, delivery, put),
            Action::Question(link, delivery, asking) => self.ask(link, delivery, asking),
            Action::Message(link, delivery, message) => {
                self.send_message(link, delivery, &message);
            }
            Action::Device(device, of, arrived) => self.take_from_device(device, of, &arrived),
            Action::Registration(link, delivery, message) => {
                self.take_registration(link, delivery, &message);
            }
            Action::Reject(link, delivery, rejected) => {
                let engine = &self.head.engine;
                let refusal = Refusal::new(engine, rejected.condition, rejected.text);
                refusal.reject(&mut self.amqp, link, delivery);
            }
            Action::Drain(link) => self.drain(link),
            Action::Began(session) => self.sessions.push(session),
            Action::SessionGone(session) => self.sessions.retain(|held| *held != session),
            Action::Settled(settle, token, outcome) => self.settled(settle, token, outcome),
            Action::Detached(link) => self.detached(link),
            Action::Ended(cause) => return Err(cause),
        }
        Ok(())
    }

    /// The hub that the connection means: by the host it names, or by the one of its TLS handshake.
    fn name_hub(&mut self, hostname: Option<&str>) {
        let hubs = &self.head.engine.hubs;
        let named = |text: Option<&str>| {
            let host = HostName::parse(text?).ok();
            hubs.by_host(host.as_ref())
        };
        let hub = named(hostname).or_else(|| named(self.stream.server_name()));
        self.hub = hub.or_else(|| self.hub.take());
    }

    fn login(&mut self, mechanism: &Mechanism, response: &[u8], hostname: Option<&str>) {
        self.name_hub(hostname);
        let desk = self.head.desk.clone();
        match (mechanism, desk) {
            (Mechanism::Tpm, Some(desk)) => self.prove_tpm(&desk, response),
            // Not offered then.
            (Mechanism::Tpm, None) => self.amqp.finish_sasl(SaslOutcome::Auth),
            (Mechanism::Other, _) => self.amqp.finish_sasl(SaslOutcome::Ok),
            (Mechanism::Plain, desk) => match (desk, parse_plain(response)) {
                (Some(desk), Some((name, token))) => self.log_in_device(&desk, name, token),
                (Some(_) | None, _) => self.login_plain(response),
            },
        }
    }

    fn login_plain(&mut self, response: &[u8]) {
        let engine = Arc::clone(&self.head.engine);
        match Claim::parse_plain(&engine, self.hub.as_ref(), response) {
            Ok(Plain::Granted(grant)) => {
                self.works
                    .push(1, 0, std::future::ready(Done::Plain(Ok(*grant))));
            }
            Ok(Plain::Token(claim)) => {
                let now = self.now();
                self.works.push(1, response.len(), async move {
                    Done::Plain(claim.check(&engine, now).await)
                });
            }
            Err(error) => self
                .works
                .push(1, 0, std::future::ready(Done::Plain(Err(error)))),
        }
    }

    fn put_token(&mut self, link: LinkId, delivery: DeliveryId, put: PutToken) {
        let request = Request {
            link,
            delivery,
            session: self.amqp.session(link),
            id: put.id,
            reply_to: put.reply_to,
        };
        let engine = Arc::clone(&self.head.engine);
        let claim = match put.asked {
            Ok((audience, token)) => Claim::parse(&engine, self.hub.as_ref(), &audience, &token),
            Err(text) => Err(Error::new(hub_engine::ErrorKind::Invalid, text)),
        };
        let now = self.now();
        self.works.push(1, 0, async move {
            let result = match claim {
                Ok(claim) => claim.check(&engine, now).await,
                Err(error) => Err(error),
            };
            Done::Token { request, result }
        });
    }

    fn ask(&mut self, link: LinkId, delivery: DeliveryId, asking: Asking) {
        let Some(Link::ManagementRequests(authorized)) = self.links.get(&link) else {
            return;
        };
        let request = Request {
            link,
            delivery,
            session: self.amqp.session(link),
            id: asking.id,
            reply_to: asking.reply_to,
        };
        let engine = Arc::clone(&self.head.engine);
        let ctx = context(&engine, authorized.caller.clone());
        let hub = Arc::clone(&authorized.hub);
        self.works.push(1, 0, async move {
            let result = match asking.question {
                Ok(question) => management::answer(&engine, &ctx, hub, question).await,
                Err(error) => Err(error),
            };
            Done::Management { request, result }
        });
    }

    fn send_message(&mut self, link: LinkId, delivery: DeliveryId, message: &[u8]) {
        let Some(Link::Messages(authorized)) = self.links.get(&link) else {
            return;
        };
        let engine = Arc::clone(&self.head.engine);
        let ctx = context(&engine, authorized.caller.clone());
        let hub = authorized.hub.no;
        let parsed = service::parse_message(message, ctx.now);
        self.works.push(1, message.len(), async move {
            let result = match parsed {
                Ok((id, message)) => engine
                    .messages
                    .send(&ctx, hub, &id, message)
                    .await
                    .map(drop),
                Err(error) => Err(error),
            };
            Done::Sent {
                link,
                delivery,
                result,
            }
        });
    }

    fn drain(&mut self, link: LinkId) {
        match self.links.get_mut(&link) {
            Some(Link::Events(events)) => events.is_draining = true,
            Some(Link::Queue(queue)) => queue.is_draining = true,
            // Whatever there was for the others is sent already.
            Some(_) | None => self.amqp.drained(link),
        }
    }
}

fn understand(
    links: &std::collections::HashMap<LinkId, Link>,
    event: Event<'_>,
    inbound: &mut Inbound,
) -> Action {
    match event {
        Event::SaslInit(init) => Action::Login {
            mechanism: match init.mechanism {
                "PLAIN" => Mechanism::Plain,
                TPM => Mechanism::Tpm,
                // The engine lets through what was offered only.
                _ => Mechanism::Other,
            },
            response: init.initial_response.unwrap_or_default().to_vec(),
            hostname: init.hostname.map(str::to_owned),
        },
        Event::Opened(open) => Action::Open {
            hostname: open.hostname.map(str::to_owned),
        },
        Event::Attached { link, attach } => {
            Action::Attach(Box::new(Asked::of(link, None, &attach)))
        }
        Event::Delivery(delivery) => arrived(links, &delivery, inbound),
        Event::Credit(credit) if credit.drain => Action::Drain(credit.link),
        Event::Settled(settled) => {
            let outcome = match settled.outcome {
                Some(Outcome::Accepted) => Settlement::Complete,
                Some(Outcome::Rejected(_)) => Settlement::Reject,
                Some(Outcome::Released | Outcome::Modified { .. }) | None => Settlement::Abandon,
            };
            let settle = device::Settle {
                link: settled.link,
                delivery: settled.id,
                awaits_confirmation: settled.awaits_confirmation,
            };
            Action::Settled(settle, settled.token, outcome)
        }
        Event::Detached(detached) => {
            if let DetachCause::Violation(violation) = detached.cause {
                tracing::info!(
                    condition = violation.condition,
                    text = violation.description,
                    "amqp link ended"
                );
            }
            Action::Detached(detached.link)
        }
        Event::Ended(ended) => Action::Ended(cause_of(&ended)),
        Event::SessionBegan(session) => Action::Began(session),
        Event::SessionEnded(ended) => Action::SessionGone(ended.session),
        Event::SaslResponse(response) => Action::Proof(response.to_vec()),
        Event::SaslChallenge(_) | Event::Credit(_) | Event::Window(_) => Action::Nothing,
    }
}

fn arrived(
    links: &std::collections::HashMap<LinkId, Link>,
    delivery: &Delivery<'_>,
    inbound: &mut Inbound,
) -> Action {
    let (link, id, message) = (delivery.link, delivery.id, delivery.message);
    match links.get(&link) {
        Some(Link::CbsRequests) => Action::Token(link, id, PutToken::parse(message)),
        Some(Link::ManagementRequests(_)) => {
            Action::Question(link, id, events::Asking::parse(message))
        }
        Some(Link::Messages(_)) => Action::Message(link, id, message.to_vec()),
        Some(Link::Registrations(_)) => Action::Registration(link, id, message.to_vec()),
        Some(Link::Device(device, DeviceLink::Telemetry)) => {
            match inbound.push(*device, delivery) {
                Ok(()) => Action::Nothing,
                Err(error) => Action::Reject(link, id, rejected(&error)),
            }
        }
        Some(Link::Device(device, of)) => {
            let arrived = Arrived {
                link,
                delivery: id,
                message: message.to_vec(),
            };
            Action::Device(*device, *of, arrived)
        }
        // On the others the hub sends; the engine lets nothing through.
        Some(
            Link::CbsReplies(_)
            | Link::ManagementReplies(_)
            | Link::RegistrationReplies(_)
            | Link::Events(_)
            | Link::Queue(_),
        )
        | None => Action::Nothing,
    }
}

fn rejected(error: &BadMessage) -> Rejected {
    let condition = match error {
        BadMessage::Decode(_) => condition::DECODE_ERROR,
        BadMessage::Body => condition::NOT_IMPLEMENTED,
        BadMessage::Size(hub_domain::message::TelemetryError::TooLarge { .. }) => {
            condition::MESSAGE_SIZE_EXCEEDED
        }
        BadMessage::Size(hub_domain::message::TelemetryError::Properties(_)) => {
            condition::DECODE_ERROR
        }
    };
    Rejected {
        condition,
        text: error.to_string(),
    }
}

fn cause_of(ended: &Ended<'_>) -> CloseCause {
    match ended {
        Ended::Closed(_) => CloseCause::ClientDisconnect,
        Ended::Violation(violation) => {
            tracing::info!(
                condition = violation.condition,
                text = violation.description,
                "amqp protocol broken"
            );
            CloseCause::ProtocolViolation
        }
        Ended::UnknownProtocol => CloseCause::ProtocolViolation,
        Ended::SaslFailed(_) => CloseCause::Refused,
        Ended::Silent => CloseCause::KeepAlive,
    }
}
