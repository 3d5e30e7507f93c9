//! Packets to be sent as bytes, and received ones as text.

use hub_mqtt::{ConnAck, Delivery, Packet, PacketId, Publish, QoS, SubscribeRequest, encode};

/// The first byte of PUBACK.
pub(crate) const PUBACK: u8 = 0x40;

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

/// PUBLISH with QoS 1, or with QoS 0 when `number` is 0.
pub(crate) fn publish(number: u16, topic: &str, payload: &[u8]) -> Vec<u8> {
    publish_flagged(number, topic, payload, "")
}

/// As [`publish`], with the flags named in `flags`: `dup`, `retain`.
pub(crate) fn publish_flagged(number: u16, topic: &str, payload: &[u8], flags: &str) -> Vec<u8> {
    let delivery = match number {
        0 => Delivery::AtMostOnce,
        _ => Delivery::AtLeastOnce {
            id: id(number),
            duplicate: flags.contains("dup"),
        },
    };
    let publish = Publish {
        topic,
        payload,
        delivery,
        retain: flags.contains("retain"),
    };
    let mut out = Vec::new();
    encode::publish(&publish, &mut out).unwrap();
    out
}

pub(crate) fn puback(number: u16) -> Vec<u8> {
    let mut out = Vec::new();
    encode::puback(id(number), &mut out);
    out
}

/// SUBSCRIBE with QoS 1, or with QoS 0 for filters that begin with `0:`.
pub(crate) fn subscribe(number: u16, filters: &[&str]) -> Vec<u8> {
    let requests: Vec<_> = filters
        .iter()
        .map(|filter| match filter.strip_prefix("0:") {
            Some(filter) => SubscribeRequest {
                filter,
                qos: QoS::AtMostOnce,
            },
            None => SubscribeRequest {
                filter,
                qos: QoS::AtLeastOnce,
            },
        })
        .collect();
    let mut out = Vec::new();
    encode::subscribe(id(number), &requests, &mut out).unwrap();
    out
}

pub(crate) fn unsubscribe(number: u16, filter: &str) -> Vec<u8> {
    let mut out = Vec::new();
    encode::unsubscribe(id(number), &[filter], &mut out).unwrap();
    out
}

pub(crate) fn pingreq() -> Vec<u8> {
    let mut out = Vec::new();
    encode::pingreq(&mut out);
    out
}

pub(crate) fn disconnect() -> Vec<u8> {
    let mut out = Vec::new();
    encode::disconnect(&mut out);
    out
}

/// A payload as text, a long one as its length.
pub(crate) fn shown(payload: &[u8]) -> String {
    if payload.len() > 500 {
        format!("({} bytes)", payload.len())
    } else {
        String::from_utf8_lossy(payload).into_owned()
    }
}

/// A packet of the hub as text. The bag of a cloud-to-device message is left out.
pub(super) fn text(packet: &Packet<'_>) -> String {
    match packet {
        Packet::ConnAck(ConnAck::Accepted {
            session_present: false,
        }) => "connack 0".to_owned(),
        Packet::ConnAck(ConnAck::Accepted {
            session_present: true,
        }) => "connack 0 resumed".to_owned(),
        Packet::ConnAck(ConnAck::Refused(refusal)) => format!("connack {}", refusal.code()),
        Packet::PubAck(id) => format!("puback {id}"),
        Packet::SubAck(suback) => {
            let codes: Vec<_> = suback.returns().map(|code| code.code()).collect();
            format!("suback {} {codes:?}", suback.id)
        }
        Packet::UnsubAck(id) => format!("unsuback {id}"),
        Packet::PingResp => "pingresp".to_owned(),
        Packet::Publish(publish) => {
            let topic = match publish.topic.split_once("devicebound/") {
                Some((base, _)) => format!("{base}devicebound"),
                None => publish.topic.to_owned(),
            };
            let delivery = match publish.delivery {
                Delivery::AtMostOnce => String::new(),
                Delivery::AtLeastOnce {
                    id,
                    duplicate: false,
                } => format!(" id {id}"),
                Delivery::AtLeastOnce {
                    id,
                    duplicate: true,
                } => format!(" id {id} dup"),
                Delivery::ExactlyOnce { .. } => panic!("the hub sent qos 2"),
            };
            format!("{topic}{delivery}: {}", shown(publish.payload))
                .trim_end()
                .to_owned()
        }
        other => panic!("the hub sent {}", other.kind()),
    }
}
