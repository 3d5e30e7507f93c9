//! Appends packets to a buffer.
//!
//! A function that can fail checks everything first and leaves the buffer as it was when it does.

use crate::decode::{
    PROTOCOL_LEVEL, PROTOCOL_NAME, PUBLISH_DUPLICATE, PUBLISH_RETAIN, connect_flag,
};
use crate::error::{DecodeError, EncodeError};
use crate::packet::{
    ConnAck, Connect, Packet, PacketId, PacketKind, Publish, SubscribeRequest, SubscribeReturn,
    Will,
};
use crate::text;

/// The largest remaining length that four bytes can tell (section 2.2.3).
const REMAINING_LENGTH_MAX: usize = 268_435_455;

/// Appends any packet.
///
/// # Errors
///
/// A field or the packet is too long, or a topic, filter or text breaks its rules. A packet that came from
/// [`decode()`](crate::decode()) never fails.
pub fn packet(packet: &Packet<'_>, output: &mut Vec<u8>) -> Result<(), EncodeError> {
    match packet {
        Packet::Connect(packet) => connect(packet, output)?,
        Packet::ConnAck(packet) => connack(*packet, output),
        Packet::Publish(packet) => publish(packet, output)?,
        Packet::PubAck(id) => puback(*id, output),
        Packet::PubRec(id) => with_id(PacketKind::PubRec, *id, output),
        Packet::PubRel(id) => with_id(PacketKind::PubRel, *id, output),
        Packet::PubComp(id) => with_id(PacketKind::PubComp, *id, output),
        Packet::Subscribe(packet) => {
            with_list(PacketKind::Subscribe, packet.id, packet.as_bytes(), output)?
        }
        Packet::SubAck(packet) => {
            with_list(PacketKind::SubAck, packet.id, packet.as_bytes(), output)?
        }
        Packet::Unsubscribe(packet) => with_list(
            PacketKind::Unsubscribe,
            packet.id,
            packet.as_bytes(),
            output,
        )?,
        Packet::UnsubAck(id) => unsuback(*id, output),
        Packet::PingReq => pingreq(output),
        Packet::PingResp => pingresp(output),
        Packet::Disconnect => disconnect(output),
    }
    Ok(())
}

/// Appends PUBLISH.
///
/// # Errors
///
/// The topic is empty, has a wildcard or U+0000, or is too long; or the packet is too large.
#[inline]
pub fn publish(publish: &Publish<'_>, output: &mut Vec<u8>) -> Result<(), EncodeError> {
    text::check_topic(publish.topic)?;
    let id = publish.delivery.id();
    let length =
        field_length(publish.topic.as_bytes())? + id.map_or(0, |_| 2) + publish.payload.len();
    let mut flags = (publish.delivery.qos() as u8) << 1;
    if publish.delivery.is_duplicate() {
        flags |= PUBLISH_DUPLICATE;
    }
    if publish.retain {
        flags |= PUBLISH_RETAIN;
    }
    put_header(PacketKind::Publish.first_byte() | flags, length, output)?;
    put_field(publish.topic.as_bytes(), output);
    if let Some(id) = id {
        output.extend_from_slice(&id.value().to_be_bytes());
    }
    output.extend_from_slice(publish.payload);
    Ok(())
}

/// Appends PUBACK.
#[inline]
pub fn puback(id: PacketId, output: &mut Vec<u8>) {
    with_id(PacketKind::PubAck, id, output);
}

/// Appends one PUBACK for each identifier, in their order.
#[inline]
pub fn puback_run(ids: impl IntoIterator<Item = PacketId>, output: &mut Vec<u8>) {
    let ids = ids.into_iter();
    output.reserve(4 * ids.size_hint().0);
    for id in ids {
        puback(id, output);
    }
}

/// Appends CONNECT.
///
/// # Errors
///
/// A field is too long, a text contains U+0000, the will topic is none, the password has no user name, or the client
/// id is empty without clean session.
pub fn connect(connect: &Connect<'_>, output: &mut Vec<u8>) -> Result<(), EncodeError> {
    let length = connect_length(connect)?;
    put_header(PacketKind::Connect.first_byte(), length, output)?;
    put_field(PROTOCOL_NAME, output);
    output.push(PROTOCOL_LEVEL);
    output.push(connect_flags(connect));
    output.extend_from_slice(&connect.keep_alive.as_seconds().to_be_bytes());
    put_field(connect.client_id.as_bytes(), output);
    if let Some(will) = &connect.will {
        put_field(will.topic.as_bytes(), output);
        put_field(will.payload, output);
    }
    if let Some(user_name) = connect.user_name {
        put_field(user_name.as_bytes(), output);
    }
    if let Some(password) = connect.password {
        put_field(password, output);
    }
    Ok(())
}

fn connect_length(connect: &Connect<'_>) -> Result<usize, EncodeError> {
    if connect.client_id.is_empty() && !connect.clean_session {
        return Err(DecodeError::EmptyClientId.into());
    }
    if connect.password.is_some() && connect.user_name.is_none() {
        return Err(DecodeError::PasswordWithoutUserName.into());
    }
    text::check_text(connect.client_id)?;
    // Protocol name with its length, level, flags and keep-alive: 10 bytes.
    let mut length = 10 + field_length(connect.client_id.as_bytes())?;
    if let Some(Will { topic, payload, .. }) = connect.will {
        text::check_topic(topic)?;
        length += field_length(topic.as_bytes())? + field_length(payload)?;
    }
    if let Some(user_name) = connect.user_name {
        text::check_text(user_name)?;
        length += field_length(user_name.as_bytes())?;
    }
    if let Some(password) = connect.password {
        length += field_length(password)?;
    }
    Ok(length)
}

fn connect_flags(connect: &Connect<'_>) -> u8 {
    let mut flags = 0;
    if connect.clean_session {
        flags |= connect_flag::CLEAN_SESSION;
    }
    if let Some(will) = &connect.will {
        flags |= connect_flag::WILL | (will.qos as u8) << connect_flag::WILL_QOS_SHIFT;
        if will.retain {
            flags |= connect_flag::WILL_RETAIN;
        }
    }
    if connect.user_name.is_some() {
        flags |= connect_flag::USER_NAME;
    }
    if connect.password.is_some() {
        flags |= connect_flag::PASSWORD;
    }
    flags
}

/// Appends CONNACK.
pub fn connack(connack: ConnAck, output: &mut Vec<u8>) {
    let (flags, code) = match connack {
        ConnAck::Accepted { session_present } => (u8::from(session_present), 0),
        ConnAck::Refused(refusal) => (0, refusal.code()),
    };
    output.extend_from_slice(&[PacketKind::ConnAck.first_byte(), 2, flags, code]);
}

/// Appends SUBSCRIBE.
///
/// # Errors
///
/// There is no request, a filter breaks its rules, or a filter or the packet is too long.
pub fn subscribe(
    id: PacketId,
    requests: &[SubscribeRequest<'_>],
    output: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut length = 2;
    for request in requests {
        length += filter_length(request.filter)? + 1;
    }
    check_not_empty(requests, DecodeError::NoFilter)?;
    put_header(PacketKind::Subscribe.first_byte(), length, output)?;
    output.extend_from_slice(&id.value().to_be_bytes());
    for request in requests {
        put_field(request.filter.as_bytes(), output);
        output.push(request.qos as u8);
    }
    Ok(())
}

/// Appends SUBACK.
///
/// # Errors
///
/// There is no answer, or the packet is too large.
pub fn suback(
    id: PacketId,
    returns: &[SubscribeReturn],
    output: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    check_not_empty(returns, DecodeError::NoReturnCode)?;
    put_header(PacketKind::SubAck.first_byte(), 2 + returns.len(), output)?;
    output.extend_from_slice(&id.value().to_be_bytes());
    output.extend(returns.iter().map(|answer| answer.code()));
    Ok(())
}

/// Appends UNSUBSCRIBE.
///
/// # Errors
///
/// There is no filter, a filter breaks its rules, or a filter or the packet is too long.
pub fn unsubscribe(
    id: PacketId,
    filters: &[&str],
    output: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let mut length = 2;
    for filter in filters {
        length += filter_length(filter)?;
    }
    check_not_empty(filters, DecodeError::NoFilter)?;
    put_header(PacketKind::Unsubscribe.first_byte(), length, output)?;
    output.extend_from_slice(&id.value().to_be_bytes());
    for filter in filters {
        put_field(filter.as_bytes(), output);
    }
    Ok(())
}

/// Appends UNSUBACK.
pub fn unsuback(id: PacketId, output: &mut Vec<u8>) {
    with_id(PacketKind::UnsubAck, id, output);
}

/// Appends PINGREQ.
pub fn pingreq(output: &mut Vec<u8>) {
    output.extend_from_slice(&[PacketKind::PingReq.first_byte(), 0]);
}

/// Appends PINGRESP.
pub fn pingresp(output: &mut Vec<u8>) {
    output.extend_from_slice(&[PacketKind::PingResp.first_byte(), 0]);
}

/// Appends DISCONNECT.
pub fn disconnect(output: &mut Vec<u8>) {
    output.extend_from_slice(&[PacketKind::Disconnect.first_byte(), 0]);
}

#[inline]
fn with_id(kind: PacketKind, id: PacketId, output: &mut Vec<u8>) {
    let [high, low] = id.value().to_be_bytes();
    output.extend_from_slice(&[kind.first_byte(), 2, high, low]);
}

fn with_list(
    kind: PacketKind,
    id: PacketId,
    list: &[u8],
    output: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    put_header(kind.first_byte(), 2 + list.len(), output)?;
    output.extend_from_slice(&id.value().to_be_bytes());
    output.extend_from_slice(list);
    Ok(())
}

fn check_not_empty<T>(list: &[T], error: DecodeError) -> Result<(), EncodeError> {
    if list.is_empty() {
        Err(error.into())
    } else {
        Ok(())
    }
}

fn filter_length(filter: &str) -> Result<usize, EncodeError> {
    text::check_text(filter)?;
    text::check_filter(filter)?;
    field_length(filter.as_bytes())
}

/// Bytes that a field takes with its length.
#[inline]
fn field_length(field: &[u8]) -> Result<usize, EncodeError> {
    if field.len() > usize::from(u16::MAX) {
        Err(EncodeError::FieldTooLong)
    } else {
        Ok(2 + field.len())
    }
}

/// Writes a field whose length [`field_length`] has checked.
#[inline]
fn put_field(field: &[u8], output: &mut Vec<u8>) {
    let length = u16::try_from(field.len()).expect("invariant: field_length checked it");
    output.extend_from_slice(&length.to_be_bytes());
    output.extend_from_slice(field);
}

/// Writes the header, and makes room for the whole packet.
#[inline]
fn put_header(first: u8, length: usize, output: &mut Vec<u8>) -> Result<(), EncodeError> {
    if length > REMAINING_LENGTH_MAX {
        return Err(EncodeError::PacketTooLarge);
    }
    output.reserve(5 + length);
    output.push(first);
    let mut rest = length;
    loop {
        let digit = (rest & 0x7F) as u8;
        rest >>= 7;
        if rest == 0 {
            output.push(digit);
            return Ok(());
        }
        output.push(digit | 0x80);
    }
}
