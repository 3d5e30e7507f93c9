//! Reads packets from bytes.

mod reader;

pub(crate) use reader::Reader;

use crate::error::DecodeError;
use crate::keep_alive::KeepAlive;
use crate::packet::{
    ConnAck, Connect, Delivery, Packet, PacketId, PacketKind, Publish, QoS, Refusal, Role, SubAck,
    Subscribe, Unsubscribe, Will,
};
use crate::text;

/// Reads the packet at the front of `input`, as the side `role` receives it.
///
/// Returns the packet and the number of bytes it takes, or `None` while it is incomplete. `packet_length_max` bounds
/// the remaining length, that is the packet without its header of two to five bytes; a longer packet, and a header
/// that cannot become a valid packet, are refused as soon as the header can be read.
///
/// # Errors
///
/// Any [`DecodeError`]; no later byte of the connection can be read after one.
#[inline]
pub fn decode(
    input: &[u8],
    packet_length_max: usize,
    role: Role,
) -> Result<Option<(Packet<'_>, usize)>, DecodeError> {
    let Some(header) = read_header(input, packet_length_max, role)? else {
        return Ok(None);
    };
    let Some(body) = input.get(header.size..header.size + header.length) else {
        return Ok(None);
    };
    let packet = decode_body(header, body)?;
    Ok(Some((packet, header.size + header.length)))
}

#[derive(Clone, Copy)]
struct Header {
    kind: PacketKind,
    flags: u8,
    /// Bytes of the header itself.
    size: usize,
    /// Remaining length: bytes that follow the header.
    length: usize,
}

#[inline]
fn read_header(
    input: &[u8],
    packet_length_max: usize,
    role: Role,
) -> Result<Option<Header>, DecodeError> {
    let Some((&first, rest)) = input.split_first() else {
        return Ok(None);
    };
    let (number, flags) = (first >> 4, first & 0x0F);
    let kind = PacketKind::from_number(number).ok_or(DecodeError::ReservedPacketType(number))?;
    if !is_received(kind, role) {
        return Err(DecodeError::WrongDirection(kind));
    }
    check_flags(kind, flags)?;
    let Some((length, length_size)) = read_remaining_length(rest)? else {
        return Ok(None);
    };
    if length > packet_length_max {
        return Err(DecodeError::PacketTooLarge {
            length,
            length_max: packet_length_max,
        });
    }
    if fixed_length(kind).is_some_and(|fixed| fixed != length) {
        return Err(DecodeError::WrongRemainingLength(kind));
    }
    Ok(Some(Header {
        kind,
        flags,
        size: 1 + length_size,
        length,
    }))
}

const fn is_received(kind: PacketKind, role: Role) -> bool {
    match kind {
        PacketKind::Publish
        | PacketKind::PubAck
        | PacketKind::PubRec
        | PacketKind::PubRel
        | PacketKind::PubComp => true,
        PacketKind::Connect
        | PacketKind::Subscribe
        | PacketKind::Unsubscribe
        | PacketKind::PingReq
        | PacketKind::Disconnect => matches!(role, Role::Server),
        PacketKind::ConnAck | PacketKind::SubAck | PacketKind::UnsubAck | PacketKind::PingResp => {
            matches!(role, Role::Client)
        }
    }
}

#[inline]
fn check_flags(kind: PacketKind, flags: u8) -> Result<(), DecodeError> {
    if kind != PacketKind::Publish {
        return if flags == kind.flags() {
            Ok(())
        } else {
            Err(DecodeError::ReservedFlags(kind))
        };
    }
    match (flags >> 1 & 0b11, flags & PUBLISH_DUPLICATE) {
        (3, _) => Err(DecodeError::InvalidQoS),
        (0, PUBLISH_DUPLICATE) => Err(DecodeError::DuplicateAtMostOnce),
        _ => Ok(()),
    }
}

/// Reads the length that follows the first byte, and the number of bytes it takes (section 2.2.3).
#[inline]
fn read_remaining_length(bytes: &[u8]) -> Result<Option<(usize, usize)>, DecodeError> {
    let mut length = 0;
    for (index, &byte) in bytes.iter().take(REMAINING_LENGTH_SIZE_MAX).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((length, index + 1)));
        }
    }
    if bytes.len() < REMAINING_LENGTH_SIZE_MAX {
        Ok(None)
    } else {
        Err(DecodeError::MalformedRemainingLength)
    }
}

const REMAINING_LENGTH_SIZE_MAX: usize = 4;

const fn fixed_length(kind: PacketKind) -> Option<usize> {
    match kind {
        PacketKind::PingReq | PacketKind::PingResp | PacketKind::Disconnect => Some(0),
        PacketKind::ConnAck
        | PacketKind::PubAck
        | PacketKind::PubRec
        | PacketKind::PubRel
        | PacketKind::PubComp
        | PacketKind::UnsubAck => Some(2),
        PacketKind::Connect
        | PacketKind::Publish
        | PacketKind::Subscribe
        | PacketKind::SubAck
        | PacketKind::Unsubscribe => None,
    }
}

#[inline]
fn decode_body(header: Header, body: &[u8]) -> Result<Packet<'_>, DecodeError> {
    let mut body = Reader::new(body);
    let packet = match header.kind {
        PacketKind::Publish => Packet::Publish(decode_publish(header.flags, &mut body)?),
        PacketKind::PubAck => Packet::PubAck(body.packet_id()?),
        PacketKind::PubRec => Packet::PubRec(body.packet_id()?),
        PacketKind::PubRel => Packet::PubRel(body.packet_id()?),
        PacketKind::PubComp => Packet::PubComp(body.packet_id()?),
        PacketKind::UnsubAck => Packet::UnsubAck(body.packet_id()?),
        PacketKind::PingReq => Packet::PingReq,
        PacketKind::PingResp => Packet::PingResp,
        PacketKind::Disconnect => Packet::Disconnect,
        PacketKind::Connect => Packet::Connect(decode_connect(&mut body)?),
        PacketKind::ConnAck => Packet::ConnAck(decode_connack(&mut body)?),
        PacketKind::Subscribe => {
            Packet::Subscribe(Subscribe::parse(body.packet_id()?, body.take_rest())?)
        }
        PacketKind::SubAck => Packet::SubAck(SubAck::parse(body.packet_id()?, body.take_rest())?),
        PacketKind::Unsubscribe => {
            Packet::Unsubscribe(Unsubscribe::parse(body.packet_id()?, body.take_rest())?)
        }
    };
    if body.is_empty() {
        Ok(packet)
    } else {
        Err(DecodeError::TrailingBytes)
    }
}

/// Bits of the first byte of PUBLISH (section 3.3.1).
pub(crate) const PUBLISH_DUPLICATE: u8 = 0b1000;
pub(crate) const PUBLISH_RETAIN: u8 = 0b0001;

#[inline]
fn decode_publish<'a>(flags: u8, body: &mut Reader<'a>) -> Result<Publish<'a>, DecodeError> {
    let topic = text::parse_topic(body.field()?)?;
    let duplicate = flags & PUBLISH_DUPLICATE != 0;
    let delivery = match QoS::from_number(flags >> 1 & 0b11).ok_or(DecodeError::InvalidQoS)? {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce {
            id: body.packet_id()?,
            duplicate,
        },
        QoS::ExactlyOnce => Delivery::ExactlyOnce {
            id: body.packet_id()?,
            duplicate,
        },
    };
    Ok(Publish {
        topic,
        payload: body.take_rest(),
        delivery,
        retain: flags & PUBLISH_RETAIN != 0,
    })
}

/// Bits of the connect flags (section 3.1.2.3).
pub(crate) mod connect_flag {
    pub(crate) const RESERVED: u8 = 0b0000_0001;
    pub(crate) const CLEAN_SESSION: u8 = 0b0000_0010;
    pub(crate) const WILL: u8 = 0b0000_0100;
    pub(crate) const WILL_QOS_SHIFT: u8 = 3;
    pub(crate) const WILL_QOS: u8 = 0b0001_1000;
    pub(crate) const WILL_RETAIN: u8 = 0b0010_0000;
    pub(crate) const PASSWORD: u8 = 0b0100_0000;
    pub(crate) const USER_NAME: u8 = 0b1000_0000;
}

pub(crate) const PROTOCOL_NAME: &[u8] = b"MQTT";
/// The name before 3.1.1.
const PROTOCOL_NAME_3_1: &[u8] = b"MQIsdp";
pub(crate) const PROTOCOL_LEVEL: u8 = 4;

#[cold]
fn decode_connect<'a>(body: &mut Reader<'a>) -> Result<Connect<'a>, DecodeError> {
    let name = body.field()?;
    if name != PROTOCOL_NAME && name != PROTOCOL_NAME_3_1 {
        return Err(DecodeError::UnknownProtocolName);
    }
    let level = body.byte()?;
    if name != PROTOCOL_NAME || level != PROTOCOL_LEVEL {
        // Fields of other versions differ from here on, and nothing of them is needed for the refusal.
        return Err(DecodeError::UnsupportedProtocolLevel(level));
    }
    let flags = body.byte()?;
    check_connect_flags(flags)?;
    let keep_alive = KeepAlive::from_seconds(body.number()?);
    let client_id = text::parse_text(body.field()?)?;
    let clean_session = flags & connect_flag::CLEAN_SESSION != 0;
    let will = if flags & connect_flag::WILL == 0 {
        None
    } else {
        Some(decode_will(flags, body)?)
    };
    let user_name = if flags & connect_flag::USER_NAME == 0 {
        None
    } else {
        Some(text::parse_text(body.field()?)?)
    };
    let password = if flags & connect_flag::PASSWORD == 0 {
        None
    } else {
        Some(body.field()?)
    };
    if client_id.is_empty() && !clean_session {
        return Err(DecodeError::EmptyClientId);
    }
    Ok(Connect {
        client_id,
        clean_session,
        keep_alive,
        will,
        user_name,
        password,
    })
}

fn check_connect_flags(flags: u8) -> Result<(), DecodeError> {
    if flags & connect_flag::RESERVED != 0 {
        return Err(DecodeError::ReservedConnectFlag);
    }
    let has_will_options = flags & (connect_flag::WILL_QOS | connect_flag::WILL_RETAIN) != 0;
    if flags & connect_flag::WILL == 0 && has_will_options {
        return Err(DecodeError::WillOptionsWithoutWill);
    }
    if flags & connect_flag::PASSWORD != 0 && flags & connect_flag::USER_NAME == 0 {
        return Err(DecodeError::PasswordWithoutUserName);
    }
    Ok(())
}

fn decode_will<'a>(flags: u8, body: &mut Reader<'a>) -> Result<Will<'a>, DecodeError> {
    let qos = QoS::from_number((flags & connect_flag::WILL_QOS) >> connect_flag::WILL_QOS_SHIFT)
        .ok_or(DecodeError::InvalidWillQoS)?;
    let topic = text::parse_topic(body.field()?)?;
    let payload = body.field()?;
    Ok(Will {
        topic,
        payload,
        qos,
        retain: flags & connect_flag::WILL_RETAIN != 0,
    })
}

fn decode_connack(body: &mut Reader<'_>) -> Result<ConnAck, DecodeError> {
    let flags = body.byte()?;
    let code = body.byte()?;
    if flags & !1 != 0 {
        return Err(DecodeError::ReservedConnAckFlags);
    }
    let session_present = flags == 1;
    if code == 0 {
        return Ok(ConnAck::Accepted { session_present });
    }
    let refusal = Refusal::from_code(code).ok_or(DecodeError::ReservedConnAckCode(code))?;
    if session_present {
        return Err(DecodeError::SessionPresentOnRefusal);
    }
    Ok(ConnAck::Refused(refusal))
}

impl Reader<'_> {
    #[inline]
    fn packet_id(&mut self) -> Result<PacketId, DecodeError> {
        PacketId::new(self.number()?).ok_or(DecodeError::ZeroPacketId)
    }
}
