//! What can be wrong with a packet, with a packet to be written, or with the order of packets.

use crate::packet::{PacketKind, Refusal};

/// A packet breaks the specification. The connection must be closed ([MQTT-4.8.0-1]).
///
/// Clause numbers are those of MQTT 3.1.1, appendix B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The packet type is 0 or 15, which are reserved (section 2.2.1).
    #[error("reserved packet type {0}")]
    ReservedPacketType(u8),
    /// The packet exists, but is never sent in this direction (section 2.2.1, table 2.1).
    #[error("{0} is not sent in this direction")]
    WrongDirection(PacketKind),
    /// The low bits of the first byte are not those prescribed for the type ([MQTT-2.2.2-1], [MQTT-2.2.2-2]).
    #[error("reserved header flags of {0} are wrong")]
    ReservedFlags(PacketKind),
    /// The remaining length runs on after four bytes (section 2.2.3).
    #[error("remaining length is longer than four bytes")]
    MalformedRemainingLength,
    /// The remaining length is above the limit the caller set.
    #[error("packet of {length} bytes is above the limit of {length_max}")]
    PacketTooLarge {
        /// Remaining length that the header announces.
        length: usize,
        /// The caller's limit.
        length_max: usize,
    },
    /// A packet type of fixed size announces another one (sections 3.2.1, 3.4.1, 3.11.1, 3.12.1, 3.14.1).
    #[error("remaining length of {0} is wrong")]
    WrongRemainingLength(PacketKind),
    /// A field reaches beyond the end of its packet (section 1.5).
    #[error("field reaches beyond the end of the packet")]
    FieldBeyondEnd,
    /// Bytes are left in the packet after its last field (section 3).
    #[error("bytes left after the last field")]
    TrailingBytes,
    /// A packet identifier is zero ([MQTT-2.3.1-1]).
    #[error("packet identifier is zero")]
    ZeroPacketId,
    /// A text is not well-formed UTF-8 ([MQTT-1.5.3-1]).
    #[error("text is not well-formed utf-8")]
    MalformedUtf8,
    /// A text contains U+0000 ([MQTT-1.5.3-2]).
    #[error("text contains the null character")]
    NulInText,
    /// CONNECT names a protocol that is no MQTT; it is closed without an answer ([MQTT-3.1.2-1]).
    #[error("unknown protocol name")]
    UnknownProtocolName,
    /// CONNECT asks for another version of MQTT; it is answered with [`Refusal::ProtocolVersion`] ([MQTT-3.1.2-2]).
    #[error("protocol level {0} is not supported")]
    UnsupportedProtocolLevel(u8),
    /// The lowest connect flag is set ([MQTT-3.1.2-3]).
    #[error("reserved connect flag is set")]
    ReservedConnectFlag,
    /// Will QoS or will retain is set without the will flag ([MQTT-3.1.2-11], [MQTT-3.1.2-13], [MQTT-3.1.2-15]).
    #[error("will options without a will")]
    WillOptionsWithoutWill,
    /// The will QoS is 3 ([MQTT-3.1.2-14]).
    #[error("will qos is 3")]
    InvalidWillQoS,
    /// A password comes without a user name ([MQTT-3.1.2-22]).
    #[error("password without user name")]
    PasswordWithoutUserName,
    /// The client id is empty and the session is to be kept; it is answered with [`Refusal::Identifier`]
    /// ([MQTT-3.1.3-7], [MQTT-3.1.3-8]).
    #[error("empty client id without clean session")]
    EmptyClientId,
    /// PUBLISH has QoS 3 ([MQTT-3.3.1-4]).
    #[error("publish qos is 3")]
    InvalidQoS,
    /// PUBLISH with QoS 0 has the duplicate flag ([MQTT-3.3.1-2]).
    #[error("duplicate flag on a publish with qos 0")]
    DuplicateAtMostOnce,
    /// A topic name or filter is empty ([MQTT-4.7.3-1]).
    #[error("empty topic")]
    EmptyTopic,
    /// A topic name contains `+` or `#` ([MQTT-3.3.2-2], [MQTT-4.7.1-1]).
    #[error("topic name contains a wildcard")]
    WildcardInTopic,
    /// A wildcard does not fill its level, or `#` is not in the last one ([MQTT-4.7.1-2], [MQTT-4.7.1-3]).
    #[error("misplaced wildcard in topic filter")]
    MisplacedWildcard,
    /// SUBSCRIBE or UNSUBSCRIBE has no filter ([MQTT-3.8.3-3], [MQTT-3.10.3-2]).
    #[error("no topic filter")]
    NoFilter,
    /// A requested QoS is 3 or has reserved bits ([MQTT-3-8.3-4]).
    #[error("requested qos is not 0, 1 or 2")]
    InvalidRequestedQoS,
    /// SUBACK has no return code, although SUBSCRIBE always has a filter ([MQTT-3.8.4-5]).
    #[error("no subscribe return code")]
    NoReturnCode,
    /// A SUBACK return code is none of 0, 1, 2 and 128 ([MQTT-3.9.3-2]).
    #[error("reserved subscribe return code {0}")]
    ReservedSubscribeReturn(u8),
    /// Reserved bits of the CONNACK flags are set (section 3.2.2.1).
    #[error("reserved connack flags are set")]
    ReservedConnAckFlags,
    /// CONNACK refuses the connection and yet reports a session ([MQTT-3.2.2-4]).
    #[error("session present on a refused connection")]
    SessionPresentOnRefusal,
    /// The CONNACK return code is above 5 (section 3.2.2.3).
    #[error("reserved connack return code {0}")]
    ReservedConnAckCode(u8),
}

impl DecodeError {
    /// The CONNACK with which a server answers before it closes, where the specification wants one.
    #[must_use]
    pub const fn refusal(self) -> Option<Refusal> {
        if let Self::UnsupportedProtocolLevel(_) = self {
            return Some(Refusal::ProtocolVersion);
        }
        if let Self::EmptyClientId = self {
            return Some(Refusal::Identifier);
        }
        None
    }
}

/// A packet cannot be written. The buffer is left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A text or binary field is longer than 65,535 bytes (section 1.5.3).
    #[error("field is longer than 65535 bytes")]
    FieldTooLong,
    /// The packet is longer than 268,435,455 bytes (section 2.2.3).
    #[error("packet is longer than 268435455 bytes")]
    PacketTooLarge,
    /// The packet would break a rule that the receiver checks.
    #[error(transparent)]
    Invalid(#[from] DecodeError),
}

/// Valid packets in an order or of a kind that the session does not allow. The connection must be closed
/// ([MQTT-4.8.0-1]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    /// The first packet from the client is not CONNECT ([MQTT-3.1.0-1]).
    #[error("first packet is {0} instead of connect")]
    ConnectExpected(PacketKind),
    /// A second CONNECT came ([MQTT-3.1.0-2]).
    #[error("second connect")]
    SecondConnect,
    /// A packet came after DISCONNECT ([MQTT-3.14.4-2]).
    #[error("{0} after disconnect")]
    AfterDisconnect(PacketKind),
    /// The first packet from the server is not CONNACK ([MQTT-3.2.0-1]).
    #[error("first packet is {0} instead of connack")]
    ConnAckExpected(PacketKind),
    /// A second CONNACK came (section 3.2).
    #[error("second connack")]
    SecondConnAck,
    /// A packet of the QoS 2 flow came to a session that does not offer it (section 4.3.3).
    #[error("{0} with qos 2 is not offered")]
    ExactlyOnceNotOffered(PacketKind),
    /// The peer sent a packet that belongs to the other role (section 2.2.1, table 2.1).
    #[error("{0} is not sent in this direction")]
    WrongDirection(PacketKind),
    /// All packet identifiers of the window wait for their acknowledgement; nothing was sent.
    #[error("in-flight window of {0} is full")]
    WindowFull(u16),
}
