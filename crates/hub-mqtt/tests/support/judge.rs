//! What must hold for any bytes that a peer may send; shared by the fuzz target and the test that replays its corpus.

use hub_mqtt::{ClientSession, Packet, Role, ServerSession, Window, decode, encode};

const LENGTH_MAX: usize = 4096;

/// Reads the bytes as a server and as a client would, and panics if a law of the codec is broken.
pub(crate) fn judge(input: &[u8]) {
    let mut server: ServerSession<()> = ServerSession::new(Window::default());
    read_all(input, Role::Server, |packet| {
        // A refusal is an answer too.
        let _ = server.receive(packet);
    });
    let mut client: ClientSession<()> = ClientSession::new(Window::default());
    read_all(input, Role::Client, |packet| {
        // A refusal is an answer too.
        let _ = client.receive(packet);
    });
}

/// Reads packets until one is incomplete or wrong.
fn read_all<'a>(mut input: &'a [u8], role: Role, mut take: impl FnMut(Packet<'a>)) {
    while let Ok(Some((packet, size))) = decode(input, LENGTH_MAX, role) {
        assert!(size >= 2 && size <= input.len());
        check_round_trip(packet, role);
        check_truncations(&input[..size], role);
        walk(packet);
        take(packet);
        input = &input[size..];
    }
}

fn check_round_trip(packet: Packet<'_>, role: Role) {
    let mut bytes = Vec::new();
    encode::packet(&packet, &mut bytes).expect("a decoded packet can be encoded");
    assert_eq!(
        decode(&bytes, LENGTH_MAX, role),
        Ok(Some((packet, bytes.len())))
    );
}

fn check_truncations(whole: &[u8], role: Role) {
    for length in 0..whole.len() {
        assert_eq!(decode(&whole[..length], LENGTH_MAX, role), Ok(None));
    }
}

/// Reads every list to its end.
fn walk(packet: Packet<'_>) {
    match packet {
        Packet::Subscribe(subscribe) => assert!(subscribe.requests().count() > 0),
        Packet::Unsubscribe(unsubscribe) => assert!(unsubscribe.filters().count() > 0),
        Packet::SubAck(suback) => assert!(suback.returns().count() > 0),
        Packet::Connect(_)
        | Packet::ConnAck(_)
        | Packet::Publish(_)
        | Packet::PubAck(_)
        | Packet::PubRec(_)
        | Packet::PubRel(_)
        | Packet::PubComp(_)
        | Packet::UnsubAck(_)
        | Packet::PingReq
        | Packet::PingResp
        | Packet::Disconnect => {}
    }
}
