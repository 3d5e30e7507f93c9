//! Which packets may follow which, and what is remembered between them.

#![expect(clippy::unwrap_used, reason = "a test fails by panic, its helpers too")]

use std::mem::size_of;

use hub_mqtt::{
    Attempt, ClientInbound, ClientSession, ConnAck, Connect, Delivery, InFlight, KeepAlive, Packet,
    PacketId, PacketKind, Phase, Publish, Refusal, Role, ServerInbound, ServerSession,
    SessionError, SubscribeReturn, Window, decode, encode,
};
use proptest::prelude::*;

const CONNECT: Packet<'static> = Packet::Connect(Connect {
    client_id: "d1",
    clean_session: false,
    keep_alive: KeepAlive::from_seconds(60),
    will: None,
    user_name: None,
    password: None,
});
const ACCEPTED: Packet<'static> = Packet::ConnAck(ConnAck::Accepted {
    session_present: false,
});

fn window(size: u16) -> Window {
    Window::new(size).unwrap()
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).unwrap()
}

fn publish(delivery: Delivery) -> Packet<'static> {
    Packet::Publish(Publish {
        topic: "t",
        payload: b"",
        delivery,
        retain: false,
    })
}

fn connected_server(size: u16) -> ServerSession<&'static str> {
    let mut session = ServerSession::new(window(size));
    session.receive(CONNECT).unwrap();
    session
}

fn connected_client(size: u16) -> ClientSession<&'static str> {
    let mut session = ClientSession::new(window(size));
    session.receive(ACCEPTED).unwrap();
    session
}

fn decoded(bytes: &[u8], role: Role) -> Packet<'_> {
    decode(bytes, 1 << 20, role).unwrap().unwrap().0
}

#[test]
fn an_idle_session_is_small() {
    assert!(
        size_of::<ServerSession<u64>>() <= 48,
        "{}",
        size_of::<ServerSession<u64>>()
    );
    assert!(
        size_of::<ClientSession<u64>>() <= 48,
        "{}",
        size_of::<ClientSession<u64>>()
    );
}

#[test]
fn a_packet_is_small_enough_to_be_passed_by_value() {
    assert!(
        size_of::<Packet<'_>>() <= 104,
        "{}",
        size_of::<Packet<'_>>()
    );
}

#[test]
fn the_first_packet_from_a_client_is_connect() {
    for packet in [
        publish(Delivery::AtMostOnce),
        Packet::PingReq,
        Packet::PubAck(id(1)),
        Packet::Disconnect,
    ] {
        let mut session: ServerSession<()> = ServerSession::new(window(1));
        assert_eq!(
            session.receive(packet),
            Err(SessionError::ConnectExpected(packet.kind()))
        );
        assert_eq!(session.phase(), Phase::Opening);
    }
}

#[test]
fn connect_comes_only_once() {
    let mut session = connected_server(1);
    assert_eq!(session.phase(), Phase::Open);
    assert_eq!(session.receive(CONNECT), Err(SessionError::SecondConnect));
}

#[test]
fn nothing_follows_disconnect() {
    let mut session = connected_server(1);
    assert_eq!(
        session.receive(Packet::Disconnect),
        Ok(ServerInbound::Disconnect)
    );
    assert_eq!(session.phase(), Phase::Closed);
    assert_eq!(
        session.receive(Packet::PingReq),
        Err(SessionError::AfterDisconnect(PacketKind::PingReq))
    );
    assert_eq!(
        session.receive(CONNECT),
        Err(SessionError::AfterDisconnect(PacketKind::Connect))
    );
}

#[test]
fn a_server_passes_on_what_a_client_asks() {
    let mut session = connected_server(1);
    let Packet::Publish(first) = publish(Delivery::AtMostOnce) else {
        unreachable!()
    };
    assert_eq!(
        session.receive(Packet::Publish(first)),
        Ok(ServerInbound::Publish(first))
    );
    let Packet::Publish(second) = publish(Delivery::AtLeastOnce {
        id: id(9),
        duplicate: true,
    }) else {
        unreachable!()
    };
    assert_eq!(
        session.receive(Packet::Publish(second)),
        Ok(ServerInbound::Publish(second))
    );
    let subscribe = decoded(b"\x82\x06\0\x01\0\x01t\x01", Role::Server);
    assert!(matches!(
        session.receive(subscribe),
        Ok(ServerInbound::Subscribe(_))
    ));
    let unsubscribe = decoded(b"\xA2\x05\0\x02\0\x01t", Role::Server);
    assert!(matches!(
        session.receive(unsubscribe),
        Ok(ServerInbound::Unsubscribe(_))
    ));
    assert_eq!(session.receive(Packet::PingReq), Ok(ServerInbound::Ping));
}

#[test]
fn qos_2_is_a_violation_of_its_own_kind() {
    let exactly_once = publish(Delivery::ExactlyOnce {
        id: id(1),
        duplicate: false,
    });
    for packet in [
        exactly_once,
        Packet::PubRec(id(1)),
        Packet::PubRel(id(1)),
        Packet::PubComp(id(1)),
    ] {
        let error = SessionError::ExactlyOnceNotOffered(packet.kind());
        assert_eq!(connected_server(1).receive(packet), Err(error));
        assert_eq!(connected_client(1).receive(packet), Err(error));
    }
}

#[test]
fn packets_of_the_other_role_are_refused_even_past_the_decoder() {
    assert_eq!(
        connected_server(1).receive(Packet::PingResp),
        Err(SessionError::WrongDirection(PacketKind::PingResp))
    );
    assert_eq!(
        connected_client(1).receive(Packet::PingReq),
        Err(SessionError::WrongDirection(PacketKind::PingReq))
    );
}

#[test]
fn an_acknowledgement_tells_which_delivery_it_ends() {
    let mut session = connected_server(4);
    for (number, tag) in [(1, "a"), (2, "b"), (3, "c")] {
        let delivery = session.deliver(tag, Attempt::First);
        assert_eq!(
            delivery,
            Ok(Delivery::AtLeastOnce {
                id: id(number),
                duplicate: false
            })
        );
    }
    assert_eq!(
        session.receive(Packet::PubAck(id(2))),
        Ok(ServerInbound::Delivered("b"))
    );
    assert_eq!(
        session.receive(Packet::PubAck(id(2))),
        Ok(ServerInbound::UnmatchedAck(id(2)))
    );
    assert_eq!(
        session.receive(Packet::PubAck(id(1))),
        Ok(ServerInbound::Delivered("a"))
    );
    assert_eq!(
        session.receive(Packet::PubAck(id(77))),
        Ok(ServerInbound::UnmatchedAck(id(77)))
    );
    assert_eq!(
        session.in_flight().iter().collect::<Vec<_>>(),
        [(id(3), &"c")]
    );
}

#[test]
fn a_full_window_takes_no_delivery_until_one_is_acknowledged() {
    let mut session = connected_server(2);
    session.deliver("a", Attempt::First).unwrap();
    session.deliver("b", Attempt::First).unwrap();
    assert!(session.in_flight().is_full());
    assert_eq!(
        session.deliver("c", Attempt::First),
        Err(SessionError::WindowFull(2))
    );
    session.receive(Packet::PubAck(id(1))).unwrap();
    assert_eq!(
        session.deliver("c", Attempt::First),
        Ok(Delivery::AtLeastOnce {
            id: id(3),
            duplicate: false
        })
    );
}

#[test]
fn a_delivery_tried_before_is_marked_as_duplicate() {
    let mut session = connected_server(2);
    let delivery = session.deliver("again", Attempt::Again).unwrap();
    assert!(delivery.is_duplicate());
}

#[test]
fn a_new_connection_sends_what_waits_again_with_its_identifiers() {
    let mut session = connected_server(4);
    for tag in ["a", "b", "c"] {
        session.deliver(tag, Attempt::First).unwrap();
    }
    session.receive(Packet::PubAck(id(1))).unwrap();

    let mut next = ServerSession::resume(session.into_in_flight());
    assert_eq!(next.phase(), Phase::Opening);
    next.receive(CONNECT).unwrap();
    let again = |number| Delivery::AtLeastOnce {
        id: id(number),
        duplicate: true,
    };
    assert_eq!(
        next.deliveries_again().collect::<Vec<_>>(),
        [(again(2), &"b"), (again(3), &"c")]
    );
    let fresh = next.deliver("d", Attempt::First);
    assert_eq!(
        fresh,
        Ok(Delivery::AtLeastOnce {
            id: id(4),
            duplicate: false
        })
    );
    assert_eq!(
        next.receive(Packet::PubAck(id(3))),
        Ok(ServerInbound::Delivered("c"))
    );
}

#[test]
fn identifiers_wrap_past_zero_and_past_those_in_use() {
    let mut in_flight = InFlight::new(window(3));
    assert_eq!(in_flight.begin("stays"), Ok(id(1)));
    for number in 2..=u16::MAX {
        assert_eq!(in_flight.begin("passes"), Ok(id(number)));
        assert_eq!(in_flight.end(id(number)), Some("passes"));
    }
    assert_eq!(in_flight.begin("next"), Ok(id(2)));
    assert_eq!(in_flight.end(id(1)), Some("stays"));
}

#[test]
fn the_first_packet_from_a_server_is_connack_and_comes_only_once() {
    let mut session: ClientSession<()> = ClientSession::new(window(1));
    assert_eq!(
        session.receive(Packet::PingResp),
        Err(SessionError::ConnAckExpected(PacketKind::PingResp))
    );
    let connack = Packet::ConnAck(ConnAck::Accepted {
        session_present: true,
    });
    assert_eq!(
        session.receive(connack),
        Ok(ClientInbound::Connected {
            session_present: true
        })
    );
    assert_eq!(session.receive(connack), Err(SessionError::SecondConnAck));
}

#[test]
fn a_refusal_closes_the_client() {
    let mut session: ClientSession<()> = ClientSession::new(window(1));
    let refused = Packet::ConnAck(ConnAck::Refused(Refusal::NotAuthorized));
    assert_eq!(
        session.receive(refused),
        Ok(ClientInbound::Refused(Refusal::NotAuthorized))
    );
    assert_eq!(session.phase(), Phase::Closed);
}

#[test]
fn a_client_matches_each_acknowledgement_to_its_request() {
    let mut session = connected_client(4);
    let publish = session.publish("a", Attempt::First).unwrap();
    let subscribe = session.subscribe().unwrap();
    let unsubscribe = session.unsubscribe().unwrap();
    assert_eq!(
        [publish.id().unwrap(), subscribe, unsubscribe],
        [id(1), id(2), id(3)]
    );

    // An acknowledgement of another kind than its request ends nothing.
    assert_eq!(
        session.receive(Packet::PubAck(subscribe)),
        Ok(ClientInbound::UnmatchedAck(subscribe))
    );
    assert_eq!(
        session.receive(Packet::UnsubAck(id(1))),
        Ok(ClientInbound::UnmatchedAck(id(1)))
    );
    assert_eq!(session.in_flight_count(), 3);

    let mut bytes = Vec::new();
    encode::suback(subscribe, &[SubscribeReturn::Failure], &mut bytes).unwrap();
    let inbound = session.receive(decoded(&bytes, Role::Client)).unwrap();
    let ClientInbound::Subscribed(suback) = inbound else {
        panic!("{inbound:?}")
    };
    assert_eq!(
        suback.returns().collect::<Vec<_>>(),
        [SubscribeReturn::Failure]
    );
    assert_eq!(
        session.receive(Packet::UnsubAck(unsubscribe)),
        Ok(ClientInbound::Unsubscribed(unsubscribe))
    );
    assert_eq!(
        session.receive(Packet::PubAck(id(1))),
        Ok(ClientInbound::Published("a"))
    );
    assert_eq!(session.receive(Packet::PingResp), Ok(ClientInbound::Pong));
    assert_eq!(session.in_flight_count(), 0);
}

#[test]
fn a_client_keeps_to_its_window() {
    let mut session = connected_client(2);
    session.publish("a", Attempt::First).unwrap();
    session.subscribe().unwrap();
    assert!(session.is_window_full());
    assert_eq!(
        session.publish("b", Attempt::First),
        Err(SessionError::WindowFull(2))
    );
    assert_eq!(session.unsubscribe(), Err(SessionError::WindowFull(2)));
}

#[test]
fn a_client_that_reconnects_publishes_again_what_was_not_acknowledged() {
    let mut session = connected_client(4);
    session.publish("a", Attempt::First).unwrap();
    session.subscribe().unwrap();
    session.publish("b", Attempt::First).unwrap();
    session.receive(Packet::PubAck(id(1))).unwrap();

    session.reconnect();
    assert_eq!(session.phase(), Phase::Opening);
    session.receive(ACCEPTED).unwrap();
    let again: Vec<_> = session.publishes_again().collect();
    assert_eq!(
        again,
        [(
            Delivery::AtLeastOnce {
                id: id(3),
                duplicate: true
            },
            &"b"
        )]
    );
    assert_eq!(session.in_flight_count(), 1);
}

#[test]
fn what_the_server_sent_before_it_saw_disconnect_is_still_read() {
    let mut session = connected_client(1);
    session.publish("a", Attempt::First).unwrap();
    session.disconnect();
    assert_eq!(session.phase(), Phase::Closed);
    assert_eq!(
        session.receive(Packet::PubAck(id(1))),
        Ok(ClientInbound::Published("a"))
    );
}

proptest! {
    /// Against a plain model: a list of what waits.
    #[test]
    fn in_flight_never_reuses_a_waiting_identifier(
        size in 1..20u16,
        steps in prop::collection::vec(prop::option::of(any::<prop::sample::Index>()), 0..200),
    ) {
        let mut in_flight = InFlight::new(window(size));
        let mut waiting: Vec<(PacketId, usize)> = Vec::new();
        for (tag, step) in steps.into_iter().enumerate() {
            match step {
                Some(place) if !waiting.is_empty() => {
                    let (id, tag) = waiting.remove(place.index(waiting.len()));
                    prop_assert_eq!(in_flight.end(id), Some(tag));
                    prop_assert_eq!(in_flight.end(id), None);
                }
                Some(_) | None if waiting.len() == usize::from(size) => {
                    prop_assert_eq!(in_flight.begin(tag), Err(SessionError::WindowFull(size)));
                }
                Some(_) | None => {
                    let id = in_flight.begin(tag).unwrap();
                    prop_assert!(waiting.iter().all(|(other, _)| *other != id));
                    waiting.push((id, tag));
                }
            }
            let listed: Vec<_> = in_flight.iter().map(|(id, tag)| (id, *tag)).collect();
            prop_assert_eq!(&listed, &waiting);
        }
    }
}
