//! Generated packets that own their texts, because the borrowed ones need a buffer to live in.

use hub_mqtt::{
    ConnAck, Connect, Delivery, KeepAlive, Packet, PacketId, Publish, QoS, Refusal, Role,
    SubscribeRequest, SubscribeReturn, Will, encode,
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
pub(crate) enum OwnedPacket {
    Connect(OwnedConnect),
    ConnAck(ConnAck),
    Publish {
        topic: String,
        payload: Vec<u8>,
        delivery: Delivery,
        retain: bool,
    },
    PubAck(PacketId),
    PubRec(PacketId),
    PubRel(PacketId),
    PubComp(PacketId),
    Subscribe(PacketId, Vec<(String, QoS)>),
    SubAck(PacketId, Vec<SubscribeReturn>),
    Unsubscribe(PacketId, Vec<String>),
    UnsubAck(PacketId),
    PingReq,
    PingResp,
    Disconnect,
}

#[derive(Debug, Clone)]
pub(crate) struct OwnedConnect {
    client_id: String,
    clean_session: bool,
    keep_alive: KeepAlive,
    will: Option<(String, Vec<u8>, QoS, bool)>,
    credentials: Option<(String, Option<Vec<u8>>)>,
}

impl OwnedConnect {
    fn borrow(&self) -> Connect<'_> {
        let will = self.will.as_ref();
        Connect {
            client_id: &self.client_id,
            clean_session: self.clean_session,
            keep_alive: self.keep_alive,
            will: will.map(|(topic, payload, qos, retain)| Will {
                topic,
                payload,
                qos: *qos,
                retain: *retain,
            }),
            user_name: self
                .credentials
                .as_ref()
                .map(|(user_name, _)| user_name.as_str()),
            password: self
                .credentials
                .as_ref()
                .and_then(|(_, password)| password.as_deref()),
        }
    }
}

impl OwnedPacket {
    /// Appends it with the encoder of its type.
    pub(crate) fn encode(&self, output: &mut Vec<u8>) {
        match self {
            Self::Connect(connect) => encode::connect(&connect.borrow(), output).unwrap(),
            Self::ConnAck(connack) => encode::connack(*connack, output),
            Self::Publish {
                topic,
                payload,
                delivery,
                retain,
            } => {
                encode::publish(
                    &Publish {
                        topic,
                        payload,
                        delivery: *delivery,
                        retain: *retain,
                    },
                    output,
                )
                .unwrap();
            }
            Self::PubAck(id) => encode::puback(*id, output),
            Self::PubRec(id) => encode::packet(&Packet::PubRec(*id), output).unwrap(),
            Self::PubRel(id) => encode::packet(&Packet::PubRel(*id), output).unwrap(),
            Self::PubComp(id) => encode::packet(&Packet::PubComp(*id), output).unwrap(),
            Self::Subscribe(id, requests) => {
                encode::subscribe(*id, &borrow_requests(requests), output).unwrap()
            }
            Self::SubAck(id, returns) => encode::suback(*id, returns, output).unwrap(),
            Self::Unsubscribe(id, filters) => {
                let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
                encode::unsubscribe(*id, &filters, output).unwrap();
            }
            Self::UnsubAck(id) => encode::unsuback(*id, output),
            Self::PingReq => encode::pingreq(output),
            Self::PingResp => encode::pingresp(output),
            Self::Disconnect => encode::disconnect(output),
        }
    }

    /// Compares field by field, not by bytes.
    pub(crate) fn is_same_as(&self, packet: &Packet<'_>) -> bool {
        match (self, packet) {
            (Self::Connect(left), Packet::Connect(right)) => left.borrow() == *right,
            (Self::ConnAck(left), Packet::ConnAck(right)) => left == right,
            (
                Self::Publish {
                    topic,
                    payload,
                    delivery,
                    retain,
                },
                Packet::Publish(right),
            ) => {
                Publish {
                    topic,
                    payload,
                    delivery: *delivery,
                    retain: *retain,
                } == *right
            }
            (Self::PubAck(left), Packet::PubAck(right))
            | (Self::PubRec(left), Packet::PubRec(right))
            | (Self::PubRel(left), Packet::PubRel(right))
            | (Self::PubComp(left), Packet::PubComp(right))
            | (Self::UnsubAck(left), Packet::UnsubAck(right)) => left == right,
            (Self::Subscribe(id, requests), Packet::Subscribe(right)) => {
                *id == right.id && borrow_requests(requests).into_iter().eq(right.requests())
            }
            (Self::SubAck(id, returns), Packet::SubAck(right)) => {
                *id == right.id && returns.iter().copied().eq(right.returns())
            }
            (Self::Unsubscribe(id, filters), Packet::Unsubscribe(right)) => {
                *id == right.id && filters.iter().map(String::as_str).eq(right.filters())
            }
            (Self::PingReq, Packet::PingReq)
            | (Self::PingResp, Packet::PingResp)
            | (Self::Disconnect, Packet::Disconnect) => true,
            _ => false,
        }
    }
}

fn borrow_requests(requests: &[(String, QoS)]) -> Vec<SubscribeRequest<'_>> {
    requests
        .iter()
        .map(|(filter, qos)| SubscribeRequest { filter, qos: *qos })
        .collect()
}

/// Any packet that the role may receive.
pub(crate) fn any_packet(role: Role) -> BoxedStrategy<OwnedPacket> {
    let both = prop_oneof![
        4 => any_publish(),
        1 => any_id().prop_map(OwnedPacket::PubAck),
        1 => any_id().prop_map(OwnedPacket::PubRec),
        1 => any_id().prop_map(OwnedPacket::PubRel),
        1 => any_id().prop_map(OwnedPacket::PubComp),
    ];
    match role {
        Role::Server => prop_oneof![
            8 => both,
            4 => any_connect(),
            2 => (any_id(), prop::collection::vec((any_filter(), any_qos()), 1..5))
                .prop_map(|(id, requests)| OwnedPacket::Subscribe(id, requests)),
            2 => (any_id(), prop::collection::vec(any_filter(), 1..5))
                .prop_map(|(id, filters)| OwnedPacket::Unsubscribe(id, filters)),
            1 => Just(OwnedPacket::PingReq),
            1 => Just(OwnedPacket::Disconnect),
        ]
        .boxed(),
        Role::Client => prop_oneof![
            8 => both,
            2 => any_connack().prop_map(OwnedPacket::ConnAck),
            2 => (any_id(), prop::collection::vec(any_return(), 1..5))
                .prop_map(|(id, returns)| OwnedPacket::SubAck(id, returns)),
            1 => any_id().prop_map(OwnedPacket::UnsubAck),
            1 => Just(OwnedPacket::PingResp),
        ]
        .boxed(),
    }
}

fn any_id() -> impl Strategy<Value = PacketId> {
    (1..=u16::MAX).prop_map(|number| PacketId::new(number).unwrap())
}

fn any_qos() -> impl Strategy<Value = QoS> {
    prop::sample::select(vec![QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce])
}

fn any_return() -> impl Strategy<Value = SubscribeReturn> {
    prop_oneof![
        any_qos().prop_map(SubscribeReturn::Granted),
        Just(SubscribeReturn::Failure)
    ]
}

fn any_connack() -> impl Strategy<Value = ConnAck> {
    let refusals = vec![
        Refusal::ProtocolVersion,
        Refusal::Identifier,
        Refusal::ServerUnavailable,
        Refusal::BadUserNameOrPassword,
        Refusal::NotAuthorized,
    ];
    prop_oneof![
        any::<bool>().prop_map(|session_present| ConnAck::Accepted { session_present }),
        prop::sample::select(refusals).prop_map(ConnAck::Refused),
    ]
}

fn any_delivery() -> impl Strategy<Value = Delivery> {
    prop_oneof![
        Just(Delivery::AtMostOnce),
        (any_id(), any::<bool>())
            .prop_map(|(id, duplicate)| Delivery::AtLeastOnce { id, duplicate }),
        (any_id(), any::<bool>())
            .prop_map(|(id, duplicate)| Delivery::ExactlyOnce { id, duplicate }),
    ]
}

fn any_text() -> impl Strategy<Value = String> {
    "[^\0]{0,24}"
}

fn any_topic() -> impl Strategy<Value = String> {
    "[^\0+#]{1,48}"
}

fn any_filter() -> impl Strategy<Value = String> {
    let level = prop_oneof![1 => Just("+".to_owned()), 3 => "[^\0+#/]{0,8}"];
    (prop::collection::vec(level, 0..4), any::<bool>()).prop_filter_map(
        "empty",
        |(mut levels, has_rest)| {
            if has_rest {
                levels.push("#".to_owned());
            }
            Some(levels.join("/")).filter(|filter| !filter.is_empty())
        },
    )
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn any_publish() -> impl Strategy<Value = OwnedPacket> {
    (any_topic(), any_bytes(), any_delivery(), any::<bool>()).prop_map(
        |(topic, payload, delivery, retain)| OwnedPacket::Publish {
            topic,
            payload,
            delivery,
            retain,
        },
    )
}

fn any_connect() -> impl Strategy<Value = OwnedPacket> {
    let will = prop::option::of((any_topic(), any_bytes(), any_qos(), any::<bool>()));
    let credentials = prop::option::of((any_text(), prop::option::of(any_bytes())));
    (any_text(), any::<bool>(), any::<u16>(), will, credentials).prop_map(
        |(client_id, clean_session, seconds, will, credentials)| {
            let clean_session = clean_session || client_id.is_empty();
            let keep_alive = KeepAlive::from_seconds(seconds);
            OwnedPacket::Connect(OwnedConnect {
                client_id,
                clean_session,
                keep_alive,
                will,
                credentials,
            })
        },
    )
}
