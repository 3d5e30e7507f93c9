//! Devices that register: their login, their two links, their requests.

use std::sync::Arc;

use hub_amqp::{Accept, DeliveryId, LinkId, Role, SaslOutcome, condition};
use hub_domain::limits::{PROVISIONING_IDLE_MAX, PROVISIONING_REFUSAL_PAUSE};
use hub_engine::ErrorKind;
use hub_provisioning::{Challenge, Error};
use tokio::time::Instant;

use super::super::errors::Refusal;
use super::super::links::{Asked, Link, ReplyEnd};
use super::super::provisioning::tpm::{Broken, Exchange, Step};
use super::super::provisioning::{self, LINKS_MAX, Registrar, Stage, accept_requests};
use super::super::work::{Done, Request};
use super::Connection;
use crate::counters::CloseCause;
use crate::provisioning::{Admitted, Answer, Desk, Device, Name, Proof};

/// Why a link is refused that names another device than the connection's.
const ANOTHER: &str = "the connection speaks for another registration";

impl Connection {
    /// Checks a login by SASL PLAIN whose name is one of provisioning.
    pub(super) fn log_in_device(&mut self, desk: &Arc<Desk>, name: Name, token: &str) {
        let device = self.device(name, Proof::of(Some(token), &[]));
        self.admit(desk, device);
    }

    /// Begins or goes on with SASL TPM.
    pub(super) fn prove_tpm(&mut self, desk: &Arc<Desk>, response: &[u8]) {
        let step = match self.registration.take() {
            Some(Stage::Proving(mut exchange)) => {
                let step = exchange.respond(response);
                let name = exchange.name.clone();
                self.registration = Some(Stage::Proving(exchange));
                step.map(|step| (name, step))
            }
            Some(Stage::Opening { .. } | Stage::Open(_)) | None => {
                Exchange::begin(response).map(|(exchange, challenge)| {
                    let name = exchange.name.clone();
                    self.registration = Some(Stage::Proving(Box::new(exchange)));
                    (name, Step::Challenge(challenge))
                })
            }
        };
        match step {
            Ok((_, Step::Challenge(challenge))) => self.amqp.challenge(&challenge),
            Ok((name, Step::Wrap(keys))) => {
                let device = self.device(name, Proof::Nothing);
                let desk = Arc::clone(desk);
                self.works.push(1, 0, async move {
                    Done::Challenged(desk.challenge(&device, &keys).await)
                });
            }
            Ok((name, Step::Token(token))) => {
                self.registration = None;
                self.log_in_device(desk, name, &token);
            }
            Err(broken) => self.login_failed(unkept(&broken)),
        }
    }

    /// The key for a TPM was made, or was not.
    pub(super) fn finish_challenge(
        &mut self,
        result: Result<Challenge, Error>,
    ) -> Result<(), CloseCause> {
        let Some(Stage::Proving(exchange)) = &mut self.registration else {
            return Ok(());
        };
        let first = result.and_then(|challenge| {
            let wrapped = exchange.wrapped(challenge.authentication_key);
            wrapped.map_err(|broken| Error::new(ErrorKind::Internal, broken.to_string()))
        });
        match first {
            Ok(segment) => {
                self.amqp.challenge(&segment);
                Ok(())
            }
            Err(error) => Err(self.refuse_login(&error)),
        }
    }

    fn login_failed(&mut self, error: Error) {
        self.works
            .push(1, 0, std::future::ready(Done::Admitted(Err(error))));
    }

    fn device(&self, name: Name, proof: Proof) -> Device {
        Device {
            name,
            proof,
            address: self.peer.ip(),
        }
    }

    fn admit(&mut self, desk: &Arc<Desk>, device: Device) {
        let desk = Arc::clone(desk);
        let pause = self
            .has_refused_registration
            .then_some(PROVISIONING_REFUSAL_PAUSE);
        self.works.push(1, 0, async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            let admitted = desk.admit(device).await;
            Done::Admitted(admitted.map(Box::new))
        });
    }

    /// A device was let in, or was not: by its login, or by its certificate when it attached a link.
    pub(super) fn finish_admission(
        &mut self,
        result: Result<Box<Admitted>, Error>,
    ) -> Result<(), CloseCause> {
        let waiting = match self.registration.take() {
            Some(Stage::Opening { waiting, .. }) => Some(waiting),
            Some(Stage::Proving(_) | Stage::Open(_)) | None => None,
        };
        let waiting = match (result, waiting) {
            (Ok(admitted), waiting) => {
                self.credentials.accept_other();
                self.admitted();
                tracing::debug!(peer = %self.peer, registration_id = %admitted.device.name.id, "amqp connection of a registration opened");
                self.registration = Some(Stage::Open(Registrar {
                    admitted: Arc::from(admitted),
                    last_request: Instant::now(),
                }));
                waiting
            }
            (Err(error), None) => return Err(self.refuse_login(&error)),
            (Err(error), Some(waiting)) => {
                tracing::info!(peer = %self.peer, %error, reason = error.reason(), "amqp link of a registration refused");
                let condition = provisioning::condition_of(error.kind());
                let refusal = Refusal::new(&self.head.engine, condition, error.message());
                self.has_refused_registration = true;
                for asked in waiting {
                    refusal.refuse(&mut self.amqp, asked.link);
                }
                return Ok(());
            }
        };
        match waiting {
            None => self.amqp.finish_sasl(SaslOutcome::Ok),
            Some(waiting) => {
                for asked in waiting {
                    self.accept_registration(&asked);
                }
            }
        }
        Ok(())
    }

    fn refuse_login(&mut self, error: &Error) -> CloseCause {
        tracing::info!(peer = %self.peer, %error, reason = error.reason(), "amqp login refused");
        self.amqp.finish_sasl(match error.kind() {
            ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Throttled => {
                SaslOutcome::SysTemp
            }
            ErrorKind::Internal => SaslOutcome::Sys,
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::PreconditionFailed
            | ErrorKind::Invalid
            | ErrorKind::TooLarge
            | ErrorKind::NotAuthenticated
            | ErrorKind::NotAllowed
            | ErrorKind::QuotaExceeded
            | ErrorKind::DeviceOffline
            | ErrorKind::BadDeviceAnswer => SaslOutcome::Auth,
        });
        CloseCause::Refused
    }

    /// Accepts a link of the device that logged in, or has the certificate looked at first.
    pub(super) fn attach_registration(&mut self, asked: &Asked, name: Name) -> Result<(), Refusal> {
        let Some(desk) = self.head.desk.clone() else {
            return Err(self.refusal(condition::NOT_FOUND, "no devices register here"));
        };
        let (mut registrations, mut others) = (0, 0);
        for link in self.links.values() {
            match link {
                Link::Registrations(_) | Link::RegistrationReplies(_) => registrations += 1,
                Link::CbsRequests
                | Link::CbsReplies(_)
                | Link::ManagementRequests(_)
                | Link::ManagementReplies(_)
                | Link::Events(_)
                | Link::Messages(_)
                | Link::Queue(_)
                | Link::Device(_, _) => others += 1,
            }
        }
        if others > 0 {
            let text = "a connection that serves a hub registers no device";
            return Err(self.refusal(condition::NOT_ALLOWED, text));
        }
        match &mut self.registration {
            Some(Stage::Open(registrar)) if !registrar.admitted.device.is(&name) => {
                return Err(self.refusal(condition::UNAUTHORIZED_ACCESS, ANOTHER));
            }
            Some(Stage::Opening { name: opening, .. }) if *opening != name => {
                return Err(self.refusal(condition::UNAUTHORIZED_ACCESS, ANOTHER));
            }
            Some(Stage::Open(_)) if registrations < LINKS_MAX => {
                self.accept_registration(asked);
                return Ok(());
            }
            Some(Stage::Opening { waiting, .. }) if waiting.len() < LINKS_MAX => {
                waiting.push(asked.clone());
                return Ok(());
            }
            Some(Stage::Open(_) | Stage::Opening { .. } | Stage::Proving(_)) => {
                let text = "too many links of one registration";
                return Err(self.refusal(condition::RESOURCE_LIMIT_EXCEEDED, text));
            }
            None => {}
        }
        let proof = Proof::of(None, self.stream.certificates());
        if matches!(proof, Proof::Nothing) {
            let text = "neither a login nor a certificate speaks for this registration";
            return Err(self.refusal(condition::UNAUTHORIZED_ACCESS, text));
        }
        let device = self.device(name.clone(), proof);
        self.registration = Some(Stage::Opening {
            name,
            waiting: vec![asked.clone()],
        });
        self.admit(&desk, device);
        Ok(())
    }

    /// Accepts a link whose device was let in.
    fn accept_registration(&mut self, asked: &Asked) {
        let properties = asked.versions.properties();
        let (link, accept) = match asked.role {
            Role::Sender => (
                Link::Registrations(Box::new(asked.versions.clone())),
                accept_requests(),
            ),
            Role::Receiver => (
                Link::RegistrationReplies(ReplyEnd::of(asked)),
                Accept::default(),
            ),
        };
        let accept = Accept {
            properties: Some(properties.as_map()),
            ..accept
        };
        self.links.insert(asked.link, link);
        self.amqp.accept(asked.link, &accept);
    }

    /// Forgets a link that went while its device was not let in yet.
    pub(super) fn forget_waiting(&mut self, link: LinkId) {
        if let Some(Stage::Opening { waiting, .. }) = &mut self.registration {
            waiting.retain(|asked| asked.link != link);
        }
    }

    /// Takes a request.
    pub(super) fn take_registration(&mut self, link: LinkId, delivery: DeliveryId, message: &[u8]) {
        let (Some(desk), Some(Link::Registrations(versions)), Some(Stage::Open(registrar))) = (
            self.head.desk.clone(),
            self.links.get(&link),
            &mut self.registration,
        ) else {
            return;
        };
        registrar.last_request = Instant::now();
        let (id, asked) = provisioning::parse(message, versions);
        let request = Request {
            link,
            delivery,
            session: self.amqp.session(link),
            id,
            reply_to: None,
        };
        let admitted = Arc::clone(&registrar.admitted);
        self.works.push(1, message.len(), async move {
            let answer = desk.answer(&admitted.device, asked).await;
            Done::Registered { request, answer }
        });
    }

    /// Replies to a request, or rejects it.
    pub(super) fn finish_registration(&mut self, request: &Request, answer: &Answer) {
        if let Some((kind, tracking)) = &answer.failure {
            let place = (request.link, request.delivery);
            provisioning::reject(&mut self.amqp, place, (*kind, tracking), answer);
            return;
        }
        let mut message = Vec::new();
        provisioning::write_reply(&mut message, request.id.as_ref(), answer);
        self.reply(request, &message, |link| match link {
            Link::RegistrationReplies(end) => Some(end),
            _ => None,
        });
    }

    /// When a connection of a registration that asks nothing ends.
    pub(super) fn registration_end(&self) -> Option<Instant> {
        match &self.registration {
            Some(Stage::Open(registrar)) => Some(registrar.last_request + PROVISIONING_IDLE_MAX),
            Some(Stage::Proving(_) | Stage::Opening { .. }) | None => None,
        }
    }
}

fn unkept(broken: &Broken) -> Error {
    Error::new(ErrorKind::Invalid, broken.to_string())
}
