//! One connection: its layers, sessions, links and deliveries.

mod config;
mod event;

use std::sync::Arc;
use std::time::Instant;

pub use config::{
    Accept, AttachRequest, CommandError, Config, Credit, Login, OpenAnswer, Outgoing, SaslOutcome,
    SendError, Settlement,
};
pub use event::{
    CreditEvent, Delivery, DeliveryId, DetachCause, Detached, Ended, Event, LinkId, SaslInit,
    SessionEnded, SessionId, Settled, Violation,
};

use crate::error::AmqpError;
use crate::performative::{Attach, Outcome, Role};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Headers and SASL.
    Login,
    /// The peer has not opened it yet, or was not answered yet.
    Opening,
    /// Open on both sides.
    Open,
    /// This side closed it and waits for the answer.
    Closing,
    /// At its end.
    Ended,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<Config>,
    output: Vec<u8>,
}

impl Connection {
    /// Makes the server's side of a connection from which nothing has come.
    #[must_use]
    pub fn server(config: Arc<Config>, now: Instant) -> Self {
        let _ = now;
        Self {
            config,
            output: Vec::new(),
        }
    }

    /// Makes the client's side of a connection. The client logs in by itself; [`Self::open`] may be called at once.
    #[must_use]
    pub fn client(config: Arc<Config>, login: Login<'_>, now: Instant) -> Self {
        todo!("{login:?} {now:?} {config:?}")
    }

    /// Takes frames from the front of `input` until one of them is of interest to the head. `None` when no whole
    /// frame is left: the rest of `input` is to be given again, with more bytes behind it.
    pub fn receive<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Option<Event<'a>> {
        todo!("{input:?} {now:?}")
    }

    /// The bytes to be written, which the caller takes out or clears when they are.
    pub fn output(&mut self, now: Instant) -> &mut Vec<u8> {
        let _ = now;
        &mut self.output
    }

    /// When [`Self::on_time`] is to be called; it moves with everything that is received or written.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Queues a heartbeat if one is due; tells when the peer has been silent for too long.
    pub fn on_time(&mut self, now: Instant) -> Option<Event<'static>> {
        todo!("{now:?}")
    }

    /// How far the connection has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        todo!()
    }

    /// Largest frame that is taken: a whole frame is never longer, so neither is what a head has to keep of one.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        todo!()
    }

    /// Server: ends SASL. With anything but [`SaslOutcome::Ok`] the connection is at its end.
    pub fn finish_sasl(&mut self, outcome: SaslOutcome) {
        todo!("{outcome:?}")
    }

    /// Opens the connection from this side: a server's answer, or a client's request.
    pub fn open(&mut self, open: &OpenAnswer<'_>) {
        todo!("{open:?}")
    }

    /// Closes the connection. [`Ended`] follows when the peer answers; a head does not wait for long.
    pub fn close(&mut self, error: Option<&AmqpError<'_>>) {
        todo!("{error:?}")
    }

    /// Client: begins a session.
    ///
    /// # Errors
    ///
    /// The connection is not open, or has as many sessions as the peer takes.
    pub fn begin(&mut self) -> Result<SessionId, CommandError> {
        todo!()
    }

    /// Ends a session and all its links.
    pub fn end(&mut self, session: SessionId, error: Option<&AmqpError<'_>>) {
        todo!("{session:?} {error:?}")
    }

    /// The session of a link.
    #[must_use]
    pub fn session(&self, link: LinkId) -> Option<SessionId> {
        todo!("{link:?}")
    }

    /// Which end of a link this side is.
    #[must_use]
    pub fn role(&self, link: LinkId) -> Option<Role> {
        todo!("{link:?}")
    }

    /// Attaches a link from this side.
    ///
    /// # Errors
    ///
    /// The session is gone or has as many links as the peer takes, or the request does not fit into a frame.
    pub fn attach_link(
        &mut self,
        session: SessionId,
        request: &AttachRequest<'_>,
    ) -> Result<LinkId, CommandError> {
        todo!("{session:?} {request:?}")
    }

    /// What the peer asked for, while it waits for the answer.
    #[must_use]
    pub fn attach(&self, link: LinkId) -> Option<Attach<'_>> {
        todo!("{link:?}")
    }

    /// Accepts a link that the peer attached: everything it asked for is confirmed, except what `accept` says.
    pub fn accept(&mut self, link: LinkId, accept: &Accept<'_>) {
        todo!("{link:?} {accept:?}")
    }

    /// Refuses a link that the peer attached: it gets an attach without the terminus it asked for, and a detach with the error.
    pub fn refuse(&mut self, link: LinkId, error: &AmqpError<'_>) {
        todo!("{link:?} {error:?}")
    }

    /// Closes a link. [`Event::Detached`] follows when the peer answers; until then nothing else does.
    pub fn detach(&mut self, link: LinkId, error: Option<&AmqpError<'_>>) {
        todo!("{link:?} {error:?}")
    }

    /// Lets the peer send `credit` more deliveries on a link, no more and no fewer.
    pub fn grant(&mut self, link: LinkId, credit: u32) {
        todo!("{link:?} {credit:?}")
    }

    /// Asks the peer to send at once what it has and then to give back its credit.
    pub fn drain(&mut self, link: LinkId) {
        todo!("{link:?}")
    }

    /// Gives back the credit of a link on which the peer asked to drain, if it did.
    pub fn drained(&mut self, link: LinkId) {
        todo!("{link:?}")
    }

    /// Deliveries that would leave at once if they were sent on this link.
    #[must_use]
    pub fn sendable(&self, link: LinkId) -> u32 {
        todo!("{link:?}")
    }

    /// Sends a message. Without credit or window it waits in a queue with a bound.
    ///
    /// # Errors
    ///
    /// The link cannot send, its queue is full, or the message is too large.
    pub fn send(
        &mut self,
        link: LinkId,
        outgoing: &Outgoing<'_>,
        message: &[u8],
    ) -> Result<DeliveryId, SendError> {
        todo!("{link:?} {outgoing:?} {message:?}")
    }

    /// Settles a delivery that arrived. Equal outcomes of consecutive deliveries leave in one frame.
    pub fn settle(&mut self, link: LinkId, delivery: DeliveryId, outcome: &Outcome<'_>) {
        todo!("{link:?} {delivery:?} {outcome:?}")
    }

    /// Settles a delivery that was sent, after an outcome that awaits confirmation.
    pub fn confirm(&mut self, link: LinkId, delivery: DeliveryId) {
        todo!("{link:?} {delivery:?}")
    }
}
