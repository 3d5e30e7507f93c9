//! Prints what one QoS 1 publish of 100 bytes costs: decoding it, passing it through the session and encoding PUBACK.
//!
//! `cargo run --release --package hub-mqtt --example decode_rate`

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use hub_mqtt::{
    Attempt, ClientInbound, ClientSession, Connect, KeepAlive, Packet, PacketId, Publish, Role,
    ServerInbound, ServerSession, Window, decode, encode,
};

/// Bytes that one read from a socket yields.
const READ_SIZE: usize = 64 * 1024;
const PACKET_LENGTH_MAX: usize = 512 * 1024;
const ROUNDS: usize = 5;
const ROUND_LENGTH: Duration = Duration::from_millis(400);

fn main() {
    let window = Window::new(1024).expect("invariant: not zero");
    let (publishes, count) = one_read(window);
    println!(
        "{count} publishes of {} bytes in one read",
        publishes.len() / count
    );

    let mut acks = Vec::with_capacity(READ_SIZE);
    let mut session = connected_session(window);
    report("decode", count, || {
        drain(&publishes, Role::Server, |packet| {
            black_box(&packet);
        });
    });
    report("decode, session, puback", count, || {
        acks.clear();
        drain(&publishes, Role::Server, |packet| {
            acknowledge(&mut session, packet, &mut acks)
        });
        black_box(&acks);
    });
    let ids: Vec<PacketId> = (1..=count)
        .filter_map(|number| PacketId::new(number as u16))
        .collect();
    report("puback run", count, || {
        acks.clear();
        encode::puback_run(ids.iter().copied(), &mut acks);
        black_box(&acks);
    });
    let mut output = Vec::with_capacity(READ_SIZE * 2);
    let mut client = connected_client(window);
    report("client: publish, encode, puback", count, || {
        output.clear();
        publish_all(&mut client, count, &mut output);
        drain(&acks, Role::Client, |packet| {
            let inbound = client
                .receive(packet)
                .expect("invariant: only acknowledgements");
            assert!(matches!(
                inbound,
                ClientInbound::Published(_) | ClientInbound::UnmatchedAck(_)
            ));
        });
        black_box(&output);
        client = connected_client(window);
    });
}

fn one_read(window: Window) -> (Vec<u8>, usize) {
    let mut client = connected_client(window);
    let mut output = Vec::with_capacity(READ_SIZE);
    let mut count = 0;
    while output.len() < READ_SIZE - 512 {
        publish_all(&mut client, 1, &mut output);
        count += 1;
    }
    (output, count)
}

fn publish_all(client: &mut ClientSession<u64>, count: usize, output: &mut Vec<u8>) {
    for number in 0..count {
        let delivery = client
            .publish(number as u64, Attempt::First)
            .expect("invariant: the window holds one read");
        let publish = Publish {
            topic: "devices/device-000001/messages/events/room=kitchen&unit=celsius&level=info",
            payload: &[b'x'; 100],
            delivery,
            retain: false,
        };
        encode::publish(&publish, output).expect("invariant: valid publish");
    }
}

fn connected_session(window: Window) -> ServerSession<u64> {
    let mut session = ServerSession::new(window);
    let connect = Connect {
        client_id: "device-000001",
        clean_session: false,
        keep_alive: KeepAlive::from_seconds(60),
        will: None,
        user_name: None,
        password: None,
    };
    session
        .receive(Packet::Connect(connect))
        .expect("invariant: first packet");
    session
}

fn connected_client(window: Window) -> ClientSession<u64> {
    let mut client = ClientSession::new(window);
    let connack = hub_mqtt::ConnAck::Accepted {
        session_present: false,
    };
    client
        .receive(Packet::ConnAck(connack))
        .expect("invariant: first packet");
    client
}

fn drain<'a>(mut input: &'a [u8], role: Role, mut take: impl FnMut(Packet<'a>)) {
    while let Some((packet, size)) =
        decode(input, PACKET_LENGTH_MAX, role).expect("invariant: valid packets")
    {
        take(packet);
        input = &input[size..];
    }
}

fn acknowledge(session: &mut ServerSession<u64>, packet: Packet<'_>, acks: &mut Vec<u8>) {
    match session.receive(packet).expect("invariant: only publishes") {
        ServerInbound::Publish(publish) => {
            black_box(publish.payload);
            if let Some(id) = publish.delivery.id() {
                encode::puback(id, acks);
            }
        }
        other => panic!("unexpected {other:?}"),
    }
}

fn report(name: &str, count: usize, mut run: impl FnMut()) {
    let best = (0..ROUNDS)
        .map(|_| measure(count, &mut run))
        .fold(f64::INFINITY, f64::min);
    println!("{name:32} {best:7.1} ns per packet, best of {ROUNDS}");
}

fn measure(count: usize, run: &mut impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut packets = 0;
    while start.elapsed() < ROUND_LENGTH {
        run();
        packets += count;
    }
    start.elapsed().as_nanos() as f64 / packets as f64
}
