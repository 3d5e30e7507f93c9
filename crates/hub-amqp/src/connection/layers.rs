//! Protocol headers, SASL, open and close.

use std::time::Duration;

use super::{
    AmqpError, Connection, Ended, Event, Fault, Login, OpenAnswer, SaslInit, SaslOutcome, Step,
    Violation, connection_fault, decode_fault,
};
use crate::error::{DecodeError, condition};
use crate::frame::{self, AMQP_HEADER, FrameKind, HEADER_BYTES, MIN_MAX_FRAME_SIZE, SASL_HEADER};
use crate::performative::{self, Fields, Open, Symbols, descriptor_code};
use crate::value::{ArrayBuf, Composite, Reader, Value};

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layer {
    /// Server: any header that we know.
    AnyHeader,
    /// Client: the server's SASL header.
    SaslHeader,
    /// The AMQP header.
    AmqpHeader,
    /// Server: the client's choice of a mechanism.
    SaslInit,
    /// Server: the head's judgment, or its challenge.
    SaslAnswer,
    /// Server: the client's answer to a challenge.
    SaslResponse,
    /// Client: the server's offer.
    SaslMechanisms,
    /// Client: the server's judgment, or its challenge.
    SaslOutcome,
    /// Frames.
    Amqp,
    Ended,
}

/// What a client has not sent yet of its login.
#[derive(Debug)]
pub(super) struct PendingLogin {
    mechanism: Box<str>,
    /// The frame that chooses it.
    init: Vec<u8>,
    /// The open frame, if the head has opened already.
    open: Vec<u8>,
}

const SASL_MECHANISMS: u8 = 0x40;
const SASL_INIT: u8 = 0x41;
const SASL_CHALLENGE: u8 = 0x42;
const SASL_RESPONSE: u8 = 0x43;
const SASL_OUTCOME: u8 = 0x44;

const SASL_NAMES: &[(&str, u8)] = &[
    ("amqp:sasl-mechanisms:list", SASL_MECHANISMS),
    ("amqp:sasl-init:list", SASL_INIT),
    ("amqp:sasl-challenge:list", SASL_CHALLENGE),
    ("amqp:sasl-response:list", SASL_RESPONSE),
    ("amqp:sasl-outcome:list", SASL_OUTCOME),
];

impl Connection {
    pub(super) fn start_login(&mut self, login: Login<'_>) {
        match login {
            Login::Bare => self.wire.output.extend_from_slice(&AMQP_HEADER),
            Login::Sasl {
                mechanism,
                initial_response,
                hostname,
            } => {
                let mut init = Vec::new();
                frame::put(&mut init, FrameKind::Sasl, 0, |out| {
                    let mut list = Composite::described(out, SASL_INIT);
                    list.put(out, Value::Symbol(mechanism));
                    list.put(out, initial_response.map_or(Value::Null, Value::Binary));
                    list.put(out, hostname.map_or(Value::Null, Value::String));
                    list.end_list(out);
                });
                self.wire.output.extend_from_slice(&SASL_HEADER);
                self.layer = Layer::SaslHeader;
                self.login = Some(Box::new(PendingLogin {
                    mechanism: mechanism.into(),
                    init,
                    open: Vec::new(),
                }));
            }
        }
    }

    pub(super) fn take_header<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Fault> {
        let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
            // Bytes that cannot become a header are not waited for.
            let begun = input.len().min(4);
            if AMQP_HEADER[..begun] == input[..begun] {
                return Ok(Step::Starved);
            }
            *input = &[];
            return Ok(self.refuse_header());
        };
        *input = rest;
        match (self.layer, *header) {
            (Layer::AnyHeader, SASL_HEADER) => {
                self.wire.output.extend_from_slice(&SASL_HEADER);
                self.offer_mechanisms();
                self.layer = Layer::SaslInit;
            }
            (Layer::SaslHeader, SASL_HEADER) => self.layer = Layer::SaslMechanisms,
            (Layer::AnyHeader, AMQP_HEADER) => {
                self.wire.output.extend_from_slice(&AMQP_HEADER);
                self.layer = Layer::Amqp;
            }
            (Layer::AmqpHeader, AMQP_HEADER) => {
                // A client has sent its own before.
                if !self.is_client {
                    self.wire.output.extend_from_slice(&AMQP_HEADER);
                }
                self.layer = Layer::Amqp;
            }
            (_, _) => return Ok(self.refuse_header()),
        }
        Ok(Step::Again)
    }

    /// The peer is told what we speak (part 2, section 2.2).
    fn refuse_header(&mut self) -> Step<'static> {
        if !self.is_client {
            let header = if self.layer == Layer::AmqpHeader {
                AMQP_HEADER
            } else {
                SASL_HEADER
            };
            self.wire.output.extend_from_slice(&header);
        }
        self.finish();
        Step::Event(Event::Ended(Ended::UnknownProtocol))
    }

    fn offer_mechanisms(&mut self) {
        let mechanisms = ArrayBuf::symbols(self.config.mechanisms.iter().map(String::as_str));
        frame::put(&mut self.wire.output, FrameKind::Sasl, 0, |out| {
            let mut list = Composite::described(out, SASL_MECHANISMS);
            list.put(out, Value::Array(mechanisms.as_array()));
            list.end_list(out);
        });
    }

    pub(super) fn take_sasl<'i>(&mut self, input: &mut &'i [u8]) -> Result<Step<'i>, Fault> {
        let limit = self.config.opening_frame_bytes_max as usize;
        let Some(frame) = frame::take(input, limit).map_err(decode_fault)? else {
            return Ok(Step::Starved);
        };
        if frame.kind != FrameKind::Sasl {
            return Err(decode_fault(DecodeError::FrameHeader));
        }
        let mut reader = Reader::new(frame.body);
        let code = descriptor_code(&mut reader, SASL_NAMES).map_err(decode_fault)?;
        let mut fields = Fields::take(&mut reader).map_err(decode_fault)?;
        match (self.layer, code) {
            (Layer::SaslInit, SASL_INIT) => self.take_init(&mut fields),
            (Layer::SaslMechanisms, SASL_MECHANISMS) => {
                let offered = fields.symbols().map_err(decode_fault)?;
                Ok(self.take_mechanisms(&offered))
            }
            (Layer::SaslResponse, SASL_RESPONSE) => {
                let response = fields.binary().map_err(decode_fault)?.unwrap_or_default();
                self.layer = Layer::SaslAnswer;
                Ok(Step::Event(Event::SaslResponse(response)))
            }
            (Layer::SaslOutcome, SASL_CHALLENGE) => {
                let challenge = fields.binary().map_err(decode_fault)?.unwrap_or_default();
                Ok(Step::Event(Event::SaslChallenge(challenge)))
            }
            (Layer::SaslOutcome, SASL_OUTCOME) => {
                let code = fields.ubyte().map_err(decode_fault)?;
                Ok(self.take_outcome(code))
            }
            (_, _) => Err(connection_fault(
                condition::ILLEGAL_STATE,
                "unexpected sasl frame",
            )),
        }
    }

    fn take_init<'i>(&mut self, fields: &mut Fields<'i>) -> Result<Step<'i>, Fault> {
        let mechanism = fields.text().map_err(decode_fault)?.unwrap_or_default();
        let initial_response = fields.binary().map_err(decode_fault)?;
        let hostname = fields.text().map_err(decode_fault)?;
        self.layer = Layer::SaslAnswer;
        if !self.config.mechanisms.iter().any(|name| name == mechanism) {
            self.finish_sasl(SaslOutcome::Auth);
            return Ok(Step::Again);
        }
        Ok(Step::Event(Event::SaslInit(SaslInit {
            mechanism,
            initial_response,
            hostname,
        })))
    }

    /// Server: asks the client for more, instead of [`Self::finish_sasl`]; [`Event::SaslResponse`] is the answer. A
    /// challenge whose frame would be larger than 512 bytes is more than some clients take (part 2, section 4.1).
    pub fn challenge(&mut self, challenge: &[u8]) {
        if self.layer == Layer::SaslAnswer {
            self.put_sasl_bytes(SASL_CHALLENGE, challenge);
            self.layer = Layer::SaslResponse;
        }
    }

    /// Client: answers [`Event::SaslChallenge`].
    pub fn respond(&mut self, response: &[u8]) {
        if self.layer == Layer::SaslOutcome {
            self.put_sasl_bytes(SASL_RESPONSE, response);
        }
    }

    fn put_sasl_bytes(&mut self, descriptor: u8, bytes: &[u8]) {
        frame::put(&mut self.wire.output, FrameKind::Sasl, 0, |out| {
            let mut list = Composite::described(out, descriptor);
            list.put(out, Value::Binary(bytes));
            list.end_list(out);
        });
    }

    /// Server: ends SASL. With anything but [`SaslOutcome::Ok`] the connection is at its end, which
    /// [`Self::receive`] tells as the next event.
    pub fn finish_sasl(&mut self, outcome: SaslOutcome) {
        if self.layer != Layer::SaslAnswer {
            return;
        }
        let code = match outcome {
            SaslOutcome::Ok => 0,
            SaslOutcome::Auth => 1,
            SaslOutcome::Sys => 2,
            SaslOutcome::SysPerm => 3,
            SaslOutcome::SysTemp => 4,
        };
        frame::put(&mut self.wire.output, FrameKind::Sasl, 0, |out| {
            let mut list = Composite::described(out, SASL_OUTCOME);
            list.put(out, Value::Ubyte(code));
            list.put(out, Value::Null);
            list.end_list(out);
        });
        match outcome {
            SaslOutcome::Ok => self.layer = Layer::AmqpHeader,
            SaslOutcome::Auth | SaslOutcome::Sys | SaslOutcome::SysPerm | SaslOutcome::SysTemp => {
                self.ended = Some(Ended::SaslFailed(outcome));
                self.finish();
            }
        }
    }

    fn take_mechanisms(&mut self, offered: &Symbols<'_>) -> Step<'static> {
        let chosen = self.login.as_mut();
        let Some(login) = chosen.filter(|login| offered.contains(&login.mechanism)) else {
            return self.fail_sasl(SaslOutcome::Auth);
        };
        self.wire.output.append(&mut login.init);
        self.layer = Layer::SaslOutcome;
        Step::Again
    }

    fn take_outcome(&mut self, code: Option<u8>) -> Step<'static> {
        match code {
            Some(0) => {}
            Some(2) => return self.fail_sasl(SaslOutcome::Sys),
            Some(3) => return self.fail_sasl(SaslOutcome::SysPerm),
            Some(4) => return self.fail_sasl(SaslOutcome::SysTemp),
            Some(_) | None => return self.fail_sasl(SaslOutcome::Auth),
        }
        self.layer = Layer::AmqpHeader;
        self.wire.output.extend_from_slice(&AMQP_HEADER);
        if let Some(login) = self.login.take() {
            self.wire.output.extend_from_slice(&login.open);
        }
        Step::Again
    }

    fn fail_sasl(&mut self, outcome: SaslOutcome) -> Step<'static> {
        self.finish();
        Step::Event(Event::Ended(Ended::SaslFailed(outcome)))
    }

    /// Opens the connection from this side: a server's answer, or a client's request.
    pub fn open(&mut self, open: &OpenAnswer<'_>) {
        if self.is_open_sent || self.layer == Layer::Ended {
            return;
        }
        // A peer that is told half of what we bear has time for a heartbeat (part 2, section 2.4.5).
        let silence = self.config.silence_max.map_or(0, |silence| {
            u32::try_from((silence / 2).as_millis()).unwrap_or(u32::MAX)
        });
        let open = Open {
            container_id: &self.config.container_id,
            hostname: open.hostname,
            max_frame_size: self.config.frame_bytes_max.max(MIN_MAX_FRAME_SIZE),
            channel_max: self.config.channel_max,
            idle_timeout_ms: silence,
            outgoing_locales: Symbols::NONE,
            incoming_locales: Symbols::NONE,
            offered_capabilities: Symbols::NONE,
            desired_capabilities: Symbols::NONE,
            properties: open.properties,
        };
        let out = match &mut self.login {
            Some(login) => &mut login.open,
            None => &mut self.wire.output,
        };
        // Nothing was said about a frame size that the peer's open does not hold, so no limit is broken.
        frame::put(out, FrameKind::Amqp, 0, |out| open.encode(out));
        self.is_open_sent = true;
    }

    pub(super) fn take_open<'i>(&mut self, open: Box<Open<'i>>) -> Result<Step<'i>, Fault> {
        if self.is_open_received {
            return Err(connection_fault(condition::ILLEGAL_STATE, "second open"));
        }
        if open.max_frame_size < MIN_MAX_FRAME_SIZE {
            return Err(connection_fault(
                condition::INVALID_FIELD,
                "max-frame-size is below 512",
            ));
        }
        self.is_open_received = true;
        self.wire.peer_frame_bytes_max = usize::try_from(open.max_frame_size).unwrap_or(usize::MAX);
        self.peer_channel_max = open.channel_max;
        self.peer_silence_max =
            (open.idle_timeout_ms > 0).then(|| Duration::from_millis(open.idle_timeout_ms.into()));
        Ok(Step::Event(Event::Opened(open)))
    }

    /// Closes the connection. [`Ended`] follows when the peer answers; a head does not wait for long. On a
    /// connection that is not open yet nothing is to be answered: the head writes the output and closes the socket.
    pub fn close(&mut self, error: Option<&AmqpError<'_>>) {
        if self.layer != Layer::Amqp || self.is_close_sent {
            return;
        }
        self.open(&OpenAnswer::default());
        self.put_close(error);
        self.is_close_sent = true;
    }

    fn put_close(&mut self, error: Option<&AmqpError<'_>>) {
        self.wire.error_frame(0, error, |out, error| {
            performative::put_error(out, performative::CLOSE, error);
        });
    }

    pub(super) fn take_close<'i>(&mut self, error: Option<AmqpError<'i>>) -> Step<'i> {
        if !self.is_close_sent {
            self.open(&OpenAnswer::default());
            self.put_close(None);
        }
        self.finish();
        Step::Event(Event::Ended(Ended::Closed(error)))
    }

    /// The violation of a link or session as an error for the peer.
    pub(super) const fn error_of(violation: Violation) -> AmqpError<'static> {
        AmqpError::new(violation.condition, violation.description)
    }
}
