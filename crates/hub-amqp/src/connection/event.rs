//! What a peer did.

use crate::error::AmqpError;
use crate::performative::{Attach, Open, Outcome};

use super::config::SaslOutcome;

/// A session of one connection; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId {
    pub(super) slot: u16,
    pub(super) generation: u32,
}

/// A link of one connection; never used for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkId {
    pub(super) slot: u32,
    pub(super) generation: u32,
}

/// Number of a delivery within its session and direction. Numbers wrap around, so they have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryId(pub(super) u32);

/// What a peer did. Texts and bytes are borrowed until the next call of [`super::Connection::receive`].
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// Server: a client logs in; answer with [`super::Connection::finish_sasl`] or
    /// [`super::Connection::challenge`].
    SaslInit(SaslInit<'a>),
    /// Server: the client answered a challenge; answer as to [`Event::SaslInit`].
    SaslResponse(&'a [u8]),
    /// Client: the server asks for more; answer with [`super::Connection::respond`].
    SaslChallenge(&'a [u8]),
    /// Server: the client opened the connection; answer with [`super::Connection::open`] or
    /// [`super::Connection::close`]. Client: the server answered.
    Opened(Box<Open<'a>>),
    /// Server: the client began a session, which is answered already. Client: the server answered.
    SessionBegan(SessionId),
    /// A session is gone. Its links were told before, each by [`Event::Detached`].
    SessionEnded(SessionEnded<'a>),
    /// The peer attached a link; answer with [`super::Connection::accept`] or [`super::Connection::refuse`]. For a link
    /// that this side attached: the peer answered. An answer without the terminus that this side asked for
    /// is a refusal; [`Event::Detached`] follows.
    Attached {
        /// The link.
        link: LinkId,
        /// What the peer said about it.
        attach: Box<Attach<'a>>,
    },
    /// A link is gone; the peer was answered already.
    Detached(Detached<'a>),
    /// A whole message arrived.
    Delivery(Delivery<'a>),
    /// The credit for a link on which this side sends changed, or the peer wants it drained.
    Credit(CreditEvent),
    /// The window of a session had no room left and has some again, for all its links that have credit.
    Window(SessionId),
    /// The outcome of a delivery that was sent unsettled.
    Settled(Settled<'a>),
    /// The connection is at its end: write what is left of the output and close the socket. Nothing follows.
    Ended(Ended<'a>),
}

/// How a client logs in (part 5, section 5.3.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SaslInit<'a> {
    /// Name of the mechanism; always one of those that were offered.
    pub mechanism: &'a str,
    /// First message of the mechanism. Clients of MSSBCBS and ANONYMOUS send none, an empty one or a trace text.
    pub initial_response: Option<&'a [u8]>,
    /// Which host the client means.
    pub hostname: Option<&'a str>,
}

/// A whole message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// The link it came by.
    pub link: LinkId,
    /// Names it in [`super::Connection::settle`].
    pub id: DeliveryId,
    /// The sender's name for it.
    pub tag: &'a [u8],
    /// Format of the message: 0 for one message of the specification; 0x80013700 for a batch of Azure clients.
    pub message_format: u32,
    /// Whether the sender waits for an outcome.
    pub settlement: super::config::Settlement,
    /// All bytes of the message; see [`crate::Sections::parse`].
    pub message: &'a [u8],
}

/// Credit of a link on which this side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditEvent {
    /// The link.
    pub link: LinkId,
    /// Deliveries that the peer takes now.
    pub credit: u32,
    /// The peer wants to hear at once whatever there is: send it, then call [`super::Connection::drained`].
    pub drain: bool,
}

/// The outcome of a delivery.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settled<'a> {
    /// The link it went by.
    pub link: LinkId,
    /// Which one it is.
    pub id: DeliveryId,
    /// The head's own number for it.
    pub token: u64,
    /// What became of it; `None` when the peer forgot it without saying.
    pub outcome: Option<Outcome<'a>>,
    /// The peer waits until this side has settled as well: call [`super::Connection::confirm`] when the outcome is
    /// durable. Told once.
    pub awaits_confirmation: bool,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Detached<'a> {
    /// The link.
    pub link: LinkId,
    /// Why.
    pub cause: DetachCause<'a>,
}

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DetachCause<'a> {
    /// The peer detached or closed it.
    Peer {
        /// Its error.
        error: Option<AmqpError<'a>>,
        /// Whether it closed the link; a link that is only detached is not kept here either.
        closed: bool,
    },
    /// The peer broke a rule of the link and was told so.
    Violation(Violation),
    /// The peer answered the detach of this side.
    Answered,
    /// Its session is ending.
    SessionEnd,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionEnded<'a> {
    /// The session.
    pub session: SessionId,
    /// The peer's error, if the peer ended it with one.
    pub error: Option<AmqpError<'a>>,
    /// The rule that the peer broke, if that is why.
    pub violation: Option<Violation>,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ended<'a> {
    /// The peer closed it, or answered that this side closed it.
    Closed(Option<AmqpError<'a>>),
    /// The peer broke a rule and was told so.
    Violation(Violation),
    /// The first bytes are not a protocol header that we know; the peer was sent ours.
    UnknownProtocol,
    /// SASL ended without success.
    SaslFailed(SaslOutcome),
    /// Nothing came from the peer for too long.
    Silent,
}

/// A rule that a peer broke, as it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The error condition.
    pub condition: &'static str,
    /// What happened.
    pub description: &'static str,
}
