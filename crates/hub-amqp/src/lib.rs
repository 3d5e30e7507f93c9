//! AMQP 1.0: values, frames, messages and the state of a connection, for the server and the client role.
//!
//! Bytes go in and events come out; commands go in and bytes come out. There is no socket, no runtime, no clock and no
//! randomness here: the caller (the "head") reads and writes, and passes time in. Nothing here knows what an address
//! means; that is the head's.
//!
//! - [`Connection`] is one connection with its sessions, links and deliveries.
//! - [`Event`] is what the peer did, borrowed from the bytes it came in.
//! - [`Sections`] reads a message, [`MessageWriter`] writes one; [`Value`] is anything inside.
//! - [`Config`] holds every bound.
//!
//! # How a head drives a connection
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Instant;
//! use hub_amqp::{
//!     Accept, AmqpError, Config, Connection, Credit, Event, OpenAnswer, Outcome, Role, SaslOutcome, condition,
//! };
//!
//! fn serve(connection: &mut Connection, received: &[u8], now: Instant) -> usize {
//!     let mut rest = received;
//!     // Each call takes one frame off `rest`, and more while they are of no interest to the head.
//!     while let Some(event) = connection.receive(&mut rest, now) {
//!         match event {
//!             // MSSBCBS, ANONYMOUS, PLAIN with "\0user\0password", ... A peer may also come without SASL.
//!             Event::SaslInit(init) => {
//!                 let known = init.mechanism == "ANONYMOUS";
//!                 connection.finish_sasl(if known { SaslOutcome::Ok } else { SaslOutcome::Auth });
//!             }
//!             // Only after `connection.challenge(..)`, or in a client.
//!             Event::SaslResponse(_) | Event::SaslChallenge(_) => {}
//!             Event::Opened(_open) => connection.open(&OpenAnswer::default()),
//!             // May be answered later as well: `connection.attach(link)` tells what was asked for until then.
//!             Event::Attached { link, attach } => match (attach.role, attach.target.and_then(|target| target.address())) {
//!                 (Role::Sender, Some("queue")) => connection.accept(link, &Accept {
//!                     credit: Credit::Window(100),
//!                     max_message_size: 256 * 1024,
//!                     ..Accept::default()
//!                 }),
//!                 _ => connection.refuse(link, &AmqpError::new(condition::NOT_FOUND, "no such address")),
//!             },
//!             Event::Delivery(delivery) => {
//!                 let (link, id) = (delivery.link, delivery.id);
//!                 // Copy what must outlive the event (`Sections::parse(delivery.message)`); settle when it is durable.
//!                 connection.settle(link, id, &Outcome::Accepted);
//!             }
//!             // The peer takes `credit` more deliveries: `connection.send(link, ...)` while `sendable(link)` is not 0.
//!             Event::Credit(_) | Event::Window(_) => {}
//!             // What became of a delivery that was sent; its token is the head's own number.
//!             Event::Settled(_) => {}
//!             Event::Detached(_) | Event::SessionBegan(_) | Event::SessionEnded(_) => {}
//!             // Write what is left of `output`, then close the socket.
//!             Event::Ended(_) => break,
//!         }
//!     }
//!     // What is left is the beginning of a frame: keep these bytes and put the next ones behind them.
//!     rest.len()
//! }
//!
//! let now = Instant::now();
//! let mut connection = Connection::server(Arc::new(Config::default()), now);
//! assert_eq!(serve(&mut connection, b"AMQP\x00\x01\x00\x00", now), 0);
//! // After events and commands: write these bytes and clear them. After writing, sleep until `next_deadline`,
//! // then call `on_time`, which may queue a heartbeat or tell that the peer is gone.
//! let output: Vec<u8> = std::mem::take(connection.output(now));
//! assert_eq!(output, b"AMQP\x00\x01\x00\x00");
//! ```
//!
//! # What the engine does by itself
//!
//! Protocol headers, session begin and end, the answers to detach and close, windows, echoes, heartbeats, parts of
//! deliveries, batching of dispositions, and all limits. A peer that breaks a rule gets the error condition the
//! specification names, on the link, the session or the connection, and the head is told by the same events as
//! when the peer had ended it.
//!
//! # Invariants
//!
//! - No bytes make it panic, and work and memory for a frame are bounded by the frame and by [`Config`].
//! - A [`LinkId`] or [`SessionId`] is never used for another link or session of the connection; commands on one that is gone
//!   do nothing.
//! - Every delivery that [`Connection::send`] took unsettled ends in one [`Event::Settled`], or in [`Event::Detached`] of its link.
//! - What is sent has every field of its performative, because pyamqp reads by position, and message-format 0
//!   unless the head says otherwise, because rhea hands up raw bytes without it.

mod connection;
mod error;
mod frame;
mod message;
mod performative;
mod value;

pub use connection::{
    Accept, AttachRequest, CommandError, Config, Connection, Credit, CreditEvent, Delivery,
    DeliveryId, DetachCause, Detached, Ended, Event, LinkId, Login, OpenAnswer, Outgoing, Phase,
    SaslInit, SaslOutcome, SendError, SessionEnded, SessionId, Settled, Settlement, Violation,
};
pub use error::{AmqpError, DecodeError, condition};
pub use frame::MIN_MAX_FRAME_SIZE;
pub use message::{
    Body, DataSections, Header, MessageId, MessageWriter, Properties, Sections, SequenceSections,
};
pub use performative::{
    Attach, Open, Outcome, ReceiverSettleMode, Role, SenderSettleMode, Source, Symbols, Target,
};
pub use value::{
    Array, ArrayBuf, DEPTH_MAX, Described, Items, List, ListBuf, Map, MapBuf, MapItems, MapWriter,
    Value,
};
