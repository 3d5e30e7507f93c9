//! A link on which a back end reads the events of a partition.

use std::sync::Arc;
use std::task::{Context, Poll};

use hub_amqp::{Connection, LinkId, Outgoing, SendError, Symbols, condition};
use hub_engine::{Engine, Error};

use super::super::errors::Refusal;
use super::super::links::{Authorized, RUNTIME_METRIC};
use super::event::{EventWriter, Metric};
use super::readers::Reader;
use super::stream::{EventStream, RuntimeMetric};

/// Events sent in one turn before others have theirs.
const EVENTS_PER_TURN: u32 = 64;

/// The state of such a link.
pub(crate) struct EventLink {
    pub(crate) authorized: Authorized,
    pub(crate) reader: Reader,
    pub(crate) stream: EventStream,
    pub(crate) writer: EventWriter,
    /// The peer asked for whatever there is, and for its credit back.
    pub(crate) is_draining: bool,
}

/// How a turn ended.
#[derive(Debug)]
pub(crate) enum Turn {
    /// There is nothing to send, or no credit.
    Waits,
    /// There is more to send.
    More,
    /// The link has to end.
    Ends(Refusal),
}

impl EventLink {
    /// The capabilities that the reader asked for and gets.
    pub(crate) const fn offered(&self) -> Option<Symbols<'static>> {
        match self.stream.metric() {
            RuntimeMetric::On => Some(Symbols::one(RUNTIME_METRIC)),
            RuntimeMetric::Off => None,
        }
    }

    /// Sends what there is and the peer takes, within a turn.
    pub(crate) fn poll_turn(
        &mut self,
        engine: &Arc<Engine>,
        amqp: &mut Connection,
        link: LinkId,
        scratch: &mut Vec<u8>,
        context: &mut Context<'_>,
    ) -> Turn {
        if self.reader.poll_stolen(context).is_ready() {
            let text = "a receiver with the same or a higher epoch took the place of this one";
            return Turn::Ends(Refusal::new(engine, condition::STOLEN, text));
        }
        let credit = amqp.sendable(link);
        for _ in 0..credit.min(EVENTS_PER_TURN) {
            match self.stream.poll_ready(
                engine,
                usize::try_from(credit).unwrap_or(usize::MAX),
                context,
            ) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Turn::Ends(failed(engine, &error)),
                Poll::Pending => {
                    self.drained(amqp, link);
                    return Turn::Waits;
                }
            }
            if let Some(refusal) = self.send_one(engine, amqp, link, scratch) {
                return Turn::Ends(refusal);
            }
        }
        if credit > EVENTS_PER_TURN {
            return Turn::More;
        }
        if credit == 0 {
            // The start is found without credit as well, so that "from now on" means from the attach on.
            if let Poll::Ready(Err(error)) = self.stream.poll_ready(engine, 0, context) {
                return Turn::Ends(failed(engine, &error));
            }
            return Turn::Waits;
        }
        Turn::More
    }

    fn send_one(
        &mut self,
        engine: &Arc<Engine>,
        amqp: &mut Connection,
        link: LinkId,
        scratch: &mut Vec<u8>,
    ) -> Option<Refusal> {
        let record = self.stream.next()?;
        let metric = self.stream.newest().map(|newest| Metric {
            newest,
            now: engine.environment().now(),
        });
        scratch.clear();
        self.writer.write(scratch, &record, metric.as_ref());
        match amqp.send(link, &Outgoing::SETTLED, scratch) {
            Ok(_) => None,
            Err(SendError::Full | SendError::NoLink) => {
                self.stream.put_back(record);
                None
            }
            Err(error @ (SendError::MessageTooLarge { .. } | SendError::Tag)) => Some(
                Refusal::new(engine, condition::MESSAGE_SIZE_EXCEEDED, error.to_string()),
            ),
        }
    }

    fn drained(&mut self, amqp: &mut Connection, link: LinkId) {
        if std::mem::take(&mut self.is_draining) {
            amqp.drained(link);
        }
    }
}

fn failed(engine: &Engine, error: &Error) -> Refusal {
    Refusal::of(engine, error)
}
