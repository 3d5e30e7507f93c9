//! One connection: its layers, sessions, links and deliveries.

mod config;
mod event;
mod incoming;
mod layers;
mod link;
mod links;
mod outgoing;
mod session;
mod sessions;
mod wire;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use config::{
    Accept, AttachRequest, CommandError, Config, Credit, Login, OpenAnswer, Outgoing, SaslOutcome,
    SendError, Settlement,
};
pub use event::{
    CreditEvent, Delivery, DeliveryId, DetachCause, Detached, Ended, Event, LinkId, SaslInit,
    SessionEnded, SessionId, Settled, Violation,
};

use crate::error::{AmqpError, DecodeError, condition};
use crate::frame::{self, Frame, FrameKind};
use crate::performative::{self, Performative};
use layers::{Layer, PendingLogin};
use link::{Links, Partial};
use session::Session;
use wire::Wire;

/// Shortest time between two heartbeats, however short the idle time-out that a peer asks for.
const HEARTBEAT_MIN: Duration = Duration::from_millis(250);

/// Largest frame that is read once for every delivery or link it speaks of. One with more than a long error text in
/// it would cost far more than its bytes.
const REPEATED_BYTES_MAX: usize = 8 * 1024;

/// Frames on channels whose session the peer has ended that are passed over.
const LATE_FRAMES_MAX: u32 = 256;

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
    wire: Wire,
    layer: Layer,
    is_client: bool,
    is_open_sent: bool,
    is_open_received: bool,
    is_close_sent: bool,
    /// What a client has not sent yet of its login.
    login: Option<Box<PendingLogin>>,
    /// Highest channel that the peer takes.
    peer_channel_max: u16,
    /// Longest silence that the peer takes.
    peer_silence_max: Option<Duration>,
    last_received: Instant,
    last_sent: Instant,
    /// By our channel.
    sessions: Vec<Option<Box<Session>>>,
    /// One more than our channel, by the peer's channel; 0 for a channel that is free.
    channels: Vec<u16>,
    /// One more than the highest channel on which the peer has ended a session.
    ended_channels: u32,
    /// Frames that may come late on such a channel.
    late_frames_left: u32,
    links: Links,
    /// Counts sessions and links.
    generation: u32,
    /// The session whose links are being told to the head, after a violation.
    failing: Option<(u16, Violation)>,
    /// The session whose window has just opened again.
    window_opened: Option<SessionId>,
    /// Links that had credit when they were accepted.
    early_credit: Vec<LinkId>,
    /// The end that the head was not told yet.
    ended: Option<Ended<'static>>,
    /// The delivery that the last event told, if it came in parts.
    assembled: Option<(LinkId, Box<Partial>)>,
    /// Bytes of deliveries of which parts are missing.
    partial_bytes: usize,
    /// Bytes of deliveries that wait for credit or window.
    queued_bytes: usize,
    /// Bytes of attaches that wait for an answer.
    asked_bytes: usize,
}

/// What came of one frame, or of a part of it.
enum Step<'i> {
    /// Nothing for the head.
    Again,
    /// No whole frame is left, or the head has to answer first.
    Starved,
    Event(Event<'i>),
    /// An event, and the same frame holds more.
    Repeat(Event<'i>),
    /// The event is the delivery in [`Connection::assembled`].
    Assembled,
}

/// A rule that the peer broke, and how far it reaches.
enum Fault {
    Connection(Violation),
    /// Of the session with our channel.
    Session(u16, Violation),
    /// Of the link in a slot.
    Link(u32, Violation),
}

impl Connection {
    /// Makes the server's side of a connection from which nothing has come.
    #[must_use]
    pub fn server(config: Arc<Config>, now: Instant) -> Self {
        Self::new(config, Layer::AnyHeader, now)
    }

    /// Makes the client's side of a connection. The client logs in by itself; [`Self::open`] may be called at once.
    #[must_use]
    pub fn client(config: Arc<Config>, login: Login<'_>, now: Instant) -> Self {
        let mut connection = Self::new(config, Layer::AmqpHeader, now);
        connection.is_client = true;
        connection.start_login(login);
        connection
    }

    fn new(config: Arc<Config>, layer: Layer, now: Instant) -> Self {
        Self {
            config,
            wire: Wire::new(),
            layer,
            is_client: false,
            is_open_sent: false,
            is_open_received: false,
            is_close_sent: false,
            login: None,
            peer_channel_max: u16::MAX,
            peer_silence_max: None,
            last_received: now,
            last_sent: now,
            sessions: Vec::new(),
            channels: Vec::new(),
            ended_channels: 0,
            late_frames_left: 0,
            links: Links::default(),
            generation: 0,
            failing: None,
            window_opened: None,
            early_credit: Vec::new(),
            ended: None,
            assembled: None,
            partial_bytes: 0,
            queued_bytes: 0,
            asked_bytes: 0,
        }
    }

    /// Takes frames from the front of `input` until one of them is of interest to the head. `None` when no whole
    /// frame is left, or when the head has not answered [`Event::SaslInit`], [`Event::SaslResponse`] or [`Event::Opened`] yet: the rest of
    /// `input` is to be given again, after the answer or with more bytes behind it.
    pub fn receive<'a, 'i: 'a>(
        &'a mut self,
        input: &mut &'i [u8],
        now: Instant,
    ) -> Option<Event<'a>> {
        self.assembled = None;
        loop {
            match self.step(input, now) {
                Step::Again => {}
                Step::Starved => return None,
                Step::Event(event) | Step::Repeat(event) => return Some(event),
                Step::Assembled => break,
            }
        }
        let (link, partial) = self.assembled.as_ref()?;
        Some(Event::Delivery(Delivery {
            link: *link,
            id: DeliveryId(partial.id),
            tag: partial.tag.bytes(),
            message_format: partial.message_format,
            settlement: partial.settlement,
            message: &partial.message,
        }))
    }

    fn step<'i>(&mut self, input: &mut &'i [u8], now: Instant) -> Step<'i> {
        if let Some(event) = self.owed_event() {
            return Step::Event(event);
        }
        let before = *input;
        let step = match self.layer {
            Layer::AnyHeader | Layer::SaslHeader | Layer::AmqpHeader => self.take_header(input),
            Layer::SaslAnswer => Ok(Step::Starved),
            Layer::SaslInit | Layer::SaslResponse | Layer::SaslMechanisms | Layer::SaslOutcome => {
                self.take_sasl(input)
            }
            // The answers to what follows must stand behind our open.
            Layer::Amqp if self.is_open_received && !self.is_open_sent => Ok(Step::Starved),
            Layer::Amqp => self.take_amqp(input),
            Layer::Ended => {
                *input = &[];
                Ok(Step::Starved)
            }
        };
        if input.len() < before.len() {
            self.last_received = now;
        }
        let step = step.unwrap_or_else(|fault| self.answer_fault(&fault));
        if matches!(step, Step::Repeat(_)) {
            *input = before;
        }
        step
    }

    fn take_amqp<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Fault> {
        let limit = self.frame_bytes_max();
        let Some(frame) = frame::take(input, limit).map_err(decode_fault)? else {
            return Ok(Step::Starved);
        };
        let Frame {
            kind: FrameKind::Amqp,
            channel,
            body,
        } = frame
        else {
            return Err(decode_fault(DecodeError::FrameHeader));
        };
        if body.is_empty() {
            return Ok(Step::Again);
        }
        let performative = Performative::decode(body).map_err(decode_fault)?;
        let is_repeated = matches!(
            performative,
            Performative::Disposition(_) | Performative::End(_)
        );
        if is_repeated && body.len() > REPEATED_BYTES_MAX {
            return Err(connection_fault(
                condition::RESOURCE_LIMIT_EXCEEDED,
                "outcome or error is above 8 KiB",
            ));
        }
        self.take_performative(channel, performative, body)
    }

    fn take_performative<'i>(
        &mut self,
        channel: u16,
        performative: Performative<'i>,
        body: &'i [u8],
    ) -> Result<Step<'i>, Fault> {
        if let Performative::Close(error) = performative {
            return Ok(self.take_close(error));
        }
        if self.is_close_sent {
            return Ok(Step::Again);
        }
        match performative {
            Performative::Open(open) => return self.take_open(open),
            _ if !self.is_open_received => {
                return Err(connection_fault(
                    condition::ILLEGAL_STATE,
                    "first frame is not open",
                ));
            }
            Performative::Begin(begin) => return self.take_begin(channel, &begin),
            _ => {}
        }
        let Some(session) = self.session_of(channel) else {
            return self.take_late(channel);
        };
        let is_ending = !self.is_begun(session);
        match performative {
            Performative::End(error) => Ok(self.take_end(session, channel, error)),
            _ if is_ending => Ok(Step::Again),
            Performative::Transfer(transfer, payload) => {
                self.take_transfer(session, &transfer, payload)
            }
            Performative::Disposition(disposition) => self.take_disposition(session, &disposition),
            Performative::Flow(flow) => self.take_flow(session, &flow),
            Performative::Attach(attach) => self.take_attach(session, attach, body),
            Performative::Detach {
                handle,
                closed,
                error,
            } => self.take_detach(session, handle, closed, error),
            Performative::Open(_) | Performative::Begin(_) | Performative::Close(_) => {
                Ok(Step::Again)
            }
        }
    }

    /// What comes on a channel behind the end of its session is for nobody. Nothing should (part 2, section 2.5.5), but
    /// pyamqp settles, grants credit and detaches there.
    fn take_late(&mut self, channel: u16) -> Result<Step<'static>, Fault> {
        if u32::from(channel) >= self.ended_channels || self.late_frames_left == 0 {
            return Err(connection_fault(
                condition::NOT_ALLOWED,
                "frame on a channel without a session",
            ));
        }
        self.late_frames_left -= 1;
        Ok(Step::Again)
    }

    /// Events that are due before the next frame.
    fn owed_event(&mut self) -> Option<Event<'static>> {
        if self.layer == Layer::Ended {
            return self.ended.take().map(Event::Ended);
        }
        if let Some((session, violation)) = self.failing {
            return Some(self.tell_failing(session, violation));
        }
        while let Some(link) = self.early_credit.pop() {
            if let Some(link) = self.links.get(link) {
                return Some(Event::Credit(outgoing::credit_event(link)));
            }
        }
        self.early_credit = Vec::new();
        self.window_opened.take().map(Event::Window)
    }

    fn answer_fault(&mut self, fault: &Fault) -> Step<'static> {
        match *fault {
            Fault::Connection(violation) => {
                Step::Event(self.fail(violation, Ended::Violation(violation)))
            }
            Fault::Session(session, violation) => {
                self.fail_session(session, violation);
                Step::Again
            }
            Fault::Link(slot, violation) => self.fail_link(slot, violation),
        }
    }

    /// Closes the connection for good.
    fn fail(&mut self, violation: Violation, ended: Ended<'static>) -> Event<'static> {
        let error = AmqpError::new(violation.condition, violation.description);
        if self.layer == Layer::Amqp && !self.is_close_sent {
            // Close may only follow open.
            if !self.is_open_sent {
                self.open(&OpenAnswer::default());
            }
            self.wire.error_frame(0, Some(&error), |out, error| {
                performative::put_error(out, performative::CLOSE, error);
            });
        }
        self.finish();
        Event::Ended(ended)
    }

    /// Leaves nothing but the output.
    fn finish(&mut self) {
        self.wire.flush();
        self.layer = Layer::Ended;
        self.sessions = Vec::new();
        self.channels = Vec::new();
        self.links = Links::default();
        self.failing = None;
        self.window_opened = None;
        self.early_credit = Vec::new();
    }

    /// The bytes to be written, which the caller takes out or clears when they are.
    pub fn output(&mut self, now: Instant) -> &mut Vec<u8> {
        if !self.wire.is_empty() {
            self.wire.flush();
            self.last_sent = now;
        }
        &mut self.wire.output
    }

    /// When [`Self::on_time`] is to be called; it moves with everything that is received or written.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let heartbeat = self.heartbeat_at();
        let silence = self.silent_at();
        match (heartbeat, silence) {
            (Some(heartbeat), Some(silence)) => Some(heartbeat.min(silence)),
            (heartbeat, silence) => heartbeat.or(silence),
        }
    }

    /// Queues a heartbeat if one is due; tells when the peer has been silent for too long.
    pub fn on_time(&mut self, now: Instant) -> Option<Event<'static>> {
        if self.silent_at().is_some_and(|at| now >= at) {
            let violation = Violation {
                condition: condition::RESOURCE_LIMIT_EXCEEDED,
                description: "nothing was received for the idle time-out",
            };
            return Some(self.fail(violation, Ended::Silent));
        }
        if self.heartbeat_at().is_some_and(|at| now >= at) {
            if self.wire.is_empty() {
                self.wire.small_frame(0, |_| {});
            }
            self.last_sent = now;
        }
        None
    }

    fn heartbeat_at(&self) -> Option<Instant> {
        if self.layer != Layer::Amqp || !self.is_open_sent {
            return None;
        }
        let period = (self.peer_silence_max? / 2).max(HEARTBEAT_MIN);
        self.last_sent.checked_add(period)
    }

    fn silent_at(&self) -> Option<Instant> {
        if self.layer != Layer::Amqp || !self.is_open_sent || !self.is_open_received {
            return None;
        }
        self.last_received.checked_add(self.config.silence_max?)
    }

    /// How far the connection has come.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.layer {
            Layer::Ended => Phase::Ended,
            Layer::Amqp if self.is_close_sent => Phase::Closing,
            Layer::Amqp if self.is_open_sent && self.is_open_received => Phase::Open,
            Layer::Amqp => Phase::Opening,
            Layer::AnyHeader
            | Layer::SaslHeader
            | Layer::AmqpHeader
            | Layer::SaslInit
            | Layer::SaslAnswer
            | Layer::SaslResponse
            | Layer::SaslMechanisms
            | Layer::SaslOutcome => Phase::Login,
        }
    }

    /// Largest frame that is taken now; a head never has to keep more of a frame than this.
    #[must_use]
    pub fn frame_bytes_max(&self) -> usize {
        let bytes = if self.is_open_received {
            self.config.frame_bytes_max
        } else {
            self.config.opening_frame_bytes_max
        };
        bytes as usize
    }

    /// A number that no session and no link of this connection had.
    const fn next_generation(&mut self) -> u32 {
        self.generation = self.generation.wrapping_add(1);
        self.generation
    }
}

const fn connection_fault(condition: &'static str, description: &'static str) -> Fault {
    Fault::Connection(Violation {
        condition,
        description,
    })
}

fn decode_fault(error: DecodeError) -> Fault {
    let (condition, description) = match error {
        DecodeError::FrameTooLarge { .. } => {
            (condition::FRAMING_ERROR, "frame is above the agreed size")
        }
        DecodeError::FrameHeader => (condition::FRAMING_ERROR, "malformed frame header"),
        DecodeError::MissingField(_) => (condition::DECODE_ERROR, "a mandatory field is missing"),
        DecodeError::InvalidField(_) => (condition::INVALID_FIELD, "a field has no valid value"),
        DecodeError::UnknownDescriptor => (condition::NOT_IMPLEMENTED, "unknown descriptor"),
        DecodeError::TooDeep => (condition::DECODE_ERROR, "values are nested too deep"),
        DecodeError::BeyondEnd
        | DecodeError::TrailingBytes
        | DecodeError::UnknownCode(_)
        | DecodeError::UnexpectedCode(_)
        | DecodeError::InvalidValue(_)
        | DecodeError::TooManyItems
        | DecodeError::SectionOrder => (condition::DECODE_ERROR, "malformed frame body"),
    };
    connection_fault(condition, description)
}

#[cfg(test)]
mod tests {
    use super::{Connection, Session, link::Link};

    /// An idle device has one session and a handful of links; 100,000 of them share a machine.
    #[test]
    fn an_idle_connection_is_small() {
        let idle = size_of::<Connection>() + size_of::<Session>() + 5 * size_of::<Link>();
        assert!(idle <= 2560, "{idle} bytes");
    }
}
