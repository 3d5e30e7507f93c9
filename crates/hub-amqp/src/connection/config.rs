//! The bounds of a connection, and what a head says when it opens one or answers.

use std::time::Duration;

use crate::performative::{ReceiverSettleMode, SenderSettleMode, Source, Symbols, Target};
use crate::value::Map;

/// Every bound of a connection. One is shared by all connections of a listener.
#[derive(Debug, Clone)]
pub struct Config {
    /// Name of this side of the connection.
    pub container_id: String,
    /// SASL mechanisms that a server offers, best first.
    pub mechanisms: Vec<String>,
    /// Largest frame that is taken, header included.
    pub frame_bytes_max: u32,
    /// Largest frame that is taken before the peer has opened the connection, SASL frames included.
    pub opening_frame_bytes_max: u32,
    /// Highest channel number, so one less than the sessions a peer may begin.
    pub channel_max: u16,
    /// Highest link handle in a session.
    pub handle_max: u32,
    /// Links in all sessions together.
    pub links_max: u32,
    /// Transfer frames that a peer may send before the window is opened again; the engine does so by itself.
    pub incoming_window: u32,
    /// Unsettled deliveries of a session, in each direction.
    pub unsettled_max: u32,
    /// Bytes of deliveries of which parts are missing, on all links together.
    pub partial_bytes_max: usize,
    /// Deliveries that wait on one link for credit.
    pub queued_max: usize,
    /// Bytes of deliveries that wait for credit or window on all links together.
    pub queued_bytes_max: usize,
    /// Silence of the peer after which it is taken for gone; half of it is told to the peer as idle time-out.
    pub silence_max: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            container_id: "thingstead".to_owned(),
            mechanisms: ["MSSBCBS", "ANONYMOUS", "PLAIN", "EXTERNAL"]
                .map(str::to_owned)
                .to_vec(),
            frame_bytes_max: 64 * 1024,
            opening_frame_bytes_max: 16 * 1024,
            channel_max: 1023,
            handle_max: 4095,
            links_max: 8192,
            incoming_window: 2048,
            unsettled_max: 4096,
            partial_bytes_max: 2 * 1024 * 1024,
            queued_max: 64,
            queued_bytes_max: 1024 * 1024,
            silence_max: Some(Duration::from_secs(480)),
        }
    }
}

/// How a client logs in.
#[derive(Debug, Clone, Copy)]
pub enum Login<'a> {
    /// Without a SASL layer.
    Bare,
    /// By one mechanism, which the server must offer.
    Sasl {
        /// Its name.
        mechanism: &'a str,
        /// Its first message, such as `\0user\0password` for PLAIN.
        initial_response: Option<&'a [u8]>,
        /// Which host the client means.
        hostname: Option<&'a str>,
    },
}

/// How SASL ends (part 5, section 5.3.3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslOutcome {
    /// The peer may open the connection.
    Ok,
    /// The credentials are wrong.
    Auth,
    /// Something is wrong on this side.
    Sys,
    /// Something is wrong on this side, and will be.
    SysPerm,
    /// Something is wrong on this side, for the moment.
    SysTemp,
}

/// What this side says about itself when the connection opens, besides what stands in [`Config`].
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenAnswer<'a> {
    /// Host that a client means; a server leaves it out.
    pub hostname: Option<&'a str>,
    /// Product, version and the like.
    pub properties: Option<Map<'a>>,
}

/// How credit for a link is given to the peer that sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credit {
    /// Only by [`super::Connection::grant`].
    #[default]
    Manual,
    /// This many deliveries may be under way: sent by the peer, or received and not settled here.
    Window(u32),
}

/// How a link is accepted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Accept<'a> {
    /// Credit for a peer that sends; without meaning for one that receives.
    pub credit: Credit,
    /// Largest message that a peer may send, in bytes; 0 for any size up to [`Config::partial_bytes_max`].
    pub max_message_size: u64,
    /// Settle mode of the sender instead of the one the peer asked for.
    pub sender_settle_mode: Option<SenderSettleMode>,
    /// Settle mode of the receiver instead of the one the peer asked for.
    pub receiver_settle_mode: Option<ReceiverSettleMode>,
    /// Extensions that the link has.
    pub offered_capabilities: Option<Symbols<'a>>,
    /// More about the link.
    pub properties: Option<Map<'a>>,
}

/// A link that this side attaches.
#[derive(Debug, Clone, Copy)]
pub struct AttachRequest<'a> {
    /// Name of the link, its own in this direction.
    pub name: &'a str,
    /// Which end this side is.
    pub role: crate::performative::Role,
    /// Where messages come from.
    pub source: Option<Source<'a>>,
    /// Where messages go to.
    pub target: Option<Target<'a>>,
    /// How the sender settles.
    pub sender_settle_mode: SenderSettleMode,
    /// How the receiver settles.
    pub receiver_settle_mode: ReceiverSettleMode,
    /// Credit, if this side receives.
    pub credit: Credit,
    /// Largest message that this side takes; 0 for any size.
    pub max_message_size: u64,
    /// Extensions that this side would use.
    pub desired_capabilities: Symbols<'a>,
    /// More about the link.
    pub properties: Option<Map<'a>>,
}

impl<'a> AttachRequest<'a> {
    /// A link on which this side sends to `address`.
    #[must_use]
    pub const fn sender(name: &'a str, address: &'a str) -> Self {
        Self {
            name,
            role: crate::performative::Role::Sender,
            source: Some(Source::new(name)),
            target: Some(Target::new(address)),
            sender_settle_mode: SenderSettleMode::Mixed,
            receiver_settle_mode: ReceiverSettleMode::First,
            credit: Credit::Manual,
            max_message_size: 0,
            desired_capabilities: Symbols::NONE,
            properties: None,
        }
    }

    /// A link on which this side receives from `address`.
    #[must_use]
    pub const fn receiver(name: &'a str, address: &'a str, credit: Credit) -> Self {
        Self {
            name,
            role: crate::performative::Role::Receiver,
            source: Some(Source::new(address)),
            target: Some(Target::new(name)),
            sender_settle_mode: SenderSettleMode::Mixed,
            receiver_settle_mode: ReceiverSettleMode::First,
            credit,
            max_message_size: 0,
            desired_capabilities: Symbols::NONE,
            properties: None,
        }
    }
}

/// Whether a delivery waits for its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It does.
    Unsettled,
    /// It does not: sent and forgotten.
    Settled,
}

/// How a delivery is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// The head's own number for the delivery, given back with its outcome.
    pub token: u64,
    /// Name of the delivery for the peer, 1 to 32 bytes; `None` lets the engine make one.
    pub tag: Option<&'a [u8]>,
    /// Whether it waits for an outcome, where the settle mode of the link leaves the choice; otherwise the mode decides.
    pub settlement: Settlement,
    /// Format of the message; 0 is the one of the specification.
    pub message_format: u32,
}

impl Outgoing<'static> {
    /// A delivery that waits for its outcome.
    #[must_use]
    pub const fn unsettled(token: u64) -> Self {
        Self {
            token,
            tag: None,
            settlement: Settlement::Unsettled,
            message_format: 0,
        }
    }

    /// A delivery that is sent and forgotten.
    pub const SETTLED: Self = Self {
        token: 0,
        tag: None,
        settlement: Settlement::Settled,
        message_format: 0,
    };
}

/// A command that could not be carried out. Nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The connection is not open, or the session is gone.
    #[error("connection or session is not open")]
    NotOpen,
    /// The peer takes no more sessions, or no more links in this session.
    #[error("no channel or handle is left")]
    Exhausted,
    /// What is to be said does not fit into a frame of the peer.
    #[error("frame would be larger than the peer takes")]
    FrameTooLarge,
}

/// A delivery that could not be sent. Nothing of it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The link is gone, not accepted yet, or one on which the peer sends.
    #[error("link cannot send")]
    NoLink,
    /// As many deliveries as may wait for credit, or for their outcome, do.
    #[error("too many deliveries wait")]
    Full,
    /// The message is larger than the peer takes.
    #[error("message of {size} bytes is above the limit of {size_max}")]
    MessageTooLarge {
        /// Its size.
        size: u64,
        /// What the peer takes.
        size_max: u64,
    },
    /// A delivery tag is empty or longer than 32 bytes.
    #[error("delivery tag is empty or too long")]
    Tag,
}
