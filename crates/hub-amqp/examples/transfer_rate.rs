//! Prints what one message of 100 bytes costs each side: taken apart, settled, and the outcome taken.
//!
//! `cargo run --release --package hub-amqp --example transfer_rate`

#![expect(clippy::print_stdout, reason = "printing is what this example is for")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hub_amqp::{
    Accept, AttachRequest, Config, Connection, Credit, Event, LinkId, Login, MessageWriter,
    OpenAnswer, Outcome, Outgoing, Settlement,
};

const MESSAGES: u64 = 2_000_000;
/// Messages that a client writes at once.
const BATCH: u32 = 400;

fn main() {
    for settlement in [Settlement::Unsettled, Settlement::Settled] {
        let mut run = Run::open();
        let link = run.attach();
        let (server, client) = run.send_all(link, settlement);
        println!(
            "{settlement:?}: server {:.3} us, client {:.3} us per message",
            per_message(server),
            per_message(client)
        );
    }
}

fn per_message(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6 / MESSAGES as f64
}

struct Run {
    client: Connection,
    server: Connection,
    now: Instant,
    up: Vec<u8>,
    down: Vec<u8>,
    arrived: u64,
    settled: u64,
}

impl Run {
    fn open() -> Self {
        let now = Instant::now();
        let config = Arc::new(Config::default());
        let mut run = Self {
            client: Connection::client(Arc::clone(&config), Login::Bare, now),
            server: Connection::server(config, now),
            now,
            up: Vec::new(),
            down: Vec::new(),
            arrived: 0,
            settled: 0,
        };
        run.client.open(&OpenAnswer::default());
        run.exchange();
        run
    }

    fn attach(&mut self) -> LinkId {
        let session = self.client.begin().expect("invariant: open");
        self.exchange();
        let link = self
            .client
            .attach_link(session, &AttachRequest::sender("up", "events"))
            .expect("invariant: the session has begun");
        self.exchange();
        link
    }

    fn exchange(&mut self) {
        for _ in 0..2 {
            self.write_up();
            self.serve();
            self.take_answers();
        }
    }

    fn write_up(&mut self) {
        self.up.append(self.client.output(self.now));
    }

    /// The server's part: everything that has come, and the answers.
    fn serve(&mut self) {
        let mut rest = self.up.as_slice();
        loop {
            let (link, id) = match self.server.receive(&mut rest, self.now) {
                None => break,
                Some(Event::Delivery(delivery)) => {
                    self.arrived += 1;
                    black_box(delivery.message);
                    (delivery.link, delivery.id)
                }
                Some(Event::Opened(_)) => {
                    self.server.open(&OpenAnswer::default());
                    continue;
                }
                Some(Event::Attached { link, .. }) => {
                    let accept = Accept {
                        credit: Credit::Window(1000),
                        ..Accept::default()
                    };
                    self.server.accept(link, &accept);
                    continue;
                }
                Some(_) => continue,
            };
            self.server.settle(link, id, &Outcome::Accepted);
        }
        self.up.clear();
        let output = self.server.output(self.now);
        self.down.extend_from_slice(output);
        output.clear();
    }

    fn take_answers(&mut self) {
        let mut rest = self.down.as_slice();
        while let Some(event) = self.client.receive(&mut rest, self.now) {
            if let Event::Settled(_) = event {
                self.settled += 1;
            }
        }
        self.down.clear();
    }

    /// Time that the server and the client have taken.
    fn send_all(&mut self, link: LinkId, settlement: Settlement) -> (Duration, Duration) {
        let mut message = Vec::new();
        MessageWriter::new(&mut message).data(&[7; 100]);
        let (mut server, mut client) = (Duration::ZERO, Duration::ZERO);
        let mut sent = 0;
        while self.arrived < MESSAGES {
            let start = Instant::now();
            self.take_answers();
            let count = u64::from(self.client.sendable(link).min(BATCH)).min(MESSAGES - sent);
            for token in sent..sent + count {
                let outgoing = Outgoing {
                    settlement,
                    ..Outgoing::unsettled(token)
                };
                let result = self.client.send(link, &outgoing, &message);
                result.expect("invariant: there is credit");
            }
            sent += count;
            let output = self.client.output(self.now);
            self.up.extend_from_slice(output);
            output.clear();
            client += start.elapsed();
            let start = Instant::now();
            self.serve();
            server += start.elapsed();
        }
        black_box(self.settled);
        (server, client)
    }
}
