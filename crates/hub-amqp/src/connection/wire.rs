//! What leaves on a connection: frames no larger than the peer takes, and dispositions joined to ranges.

use crate::error::AmqpError;
use crate::frame::{self, FRAME_HEADER_BYTES, FrameKind, MIN_MAX_FRAME_SIZE};
use crate::performative::{Disposition, Outcome, Role, Transfer};

/// Bytes of a transfer performative with every field at its longest, frame header included: descriptor and head of
/// the list 6, handle, delivery id and format 5 each, tag 34, eight fields of one byte.
const TRANSFER_BYTES_MAX: usize = FRAME_HEADER_BYTES + 6 + 3 * 5 + 34 + 8;

/// A frame would be larger than the peer takes; nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameTooLarge;

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) output: Vec<u8>,
    /// Largest frame that the peer takes.
    pub(super) peer_frame_bytes_max: usize,
    /// Consecutive deliveries with one outcome, not written yet.
    run: Option<Run>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    channel: u16,
    role: Role,
    first: u32,
    last: u32,
    settled: bool,
    outcome: Plain,
}

/// An outcome without details, which a range of deliveries may share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plain {
    Accepted,
    Rejected,
    Released,
    Modified,
}

impl Plain {
    pub(super) const fn of(outcome: &Outcome<'_>) -> Self {
        match outcome {
            Outcome::Accepted => Self::Accepted,
            Outcome::Rejected(_) => Self::Rejected,
            Outcome::Released => Self::Released,
            Outcome::Modified { .. } => Self::Modified,
        }
    }

    pub(super) const fn outcome(self) -> Outcome<'static> {
        match self {
            Self::Accepted => Outcome::Accepted,
            Self::Rejected => Outcome::Rejected(None),
            Self::Released => Outcome::Released,
            Self::Modified => Outcome::Modified {
                delivery_failed: false,
                undeliverable_here: false,
                annotations: None,
            },
        }
    }
}

impl Wire {
    pub(super) const fn new() -> Self {
        Self {
            output: Vec::new(),
            // Until the peer has opened, its limit is the smallest that it may have (part 2, section 2.4.1).
            peer_frame_bytes_max: MIN_MAX_FRAME_SIZE as usize,
            run: None,
        }
    }

    /// Appends a frame behind the dispositions that wait.
    pub(super) fn frame(
        &mut self,
        channel: u16,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), FrameTooLarge> {
        self.flush();
        let at = self.output.len();
        frame::put(&mut self.output, FrameKind::Amqp, channel, write);
        if self.output.len() - at > self.peer_frame_bytes_max {
            self.output.truncate(at);
            return Err(FrameTooLarge);
        }
        Ok(())
    }

    /// Appends a frame of fixed size, which fits the smallest limit of a peer.
    pub(super) fn small_frame(&mut self, channel: u16, write: impl FnOnce(&mut Vec<u8>)) {
        let written = self.frame(channel, write);
        debug_assert_eq!(written, Ok(()), "invariant: fits into 512 bytes");
    }

    /// Appends a frame with an error, shortened to its condition if it does not fit.
    pub(super) fn error_frame(
        &mut self,
        channel: u16,
        error: Option<&AmqpError<'_>>,
        write: impl Fn(&mut Vec<u8>, Option<&AmqpError<'_>>),
    ) {
        if self.frame(channel, |out| write(out, error)).is_ok() {
            return;
        }
        let short = error.map(|error| AmqpError {
            description: None,
            info: None,
            ..*error
        });
        if self
            .frame(channel, |out| write(out, short.as_ref()))
            .is_err()
        {
            // Even the condition is too long, which none of the specification is.
            self.small_frame(channel, |out| write(out, None));
        }
    }

    /// Appends as many bytes of a message as one frame takes, and says how many these are.
    pub(super) fn transfer(
        &mut self,
        channel: u16,
        transfer: &Transfer<'_>,
        message: &[u8],
    ) -> usize {
        self.flush();
        let room = self.peer_frame_bytes_max - TRANSFER_BYTES_MAX;
        let taken = message.len().min(room);
        let transfer = Transfer {
            more: taken < message.len(),
            ..*transfer
        };
        frame::put(&mut self.output, FrameKind::Amqp, channel, |out| {
            transfer.encode(out);
            out.extend_from_slice(&message[..taken]);
        });
        taken
    }

    /// Tells the outcome of one delivery, together with its neighbors if it is the same.
    pub(super) fn disposition(
        &mut self,
        channel: u16,
        role: Role,
        id: u32,
        settled: bool,
        outcome: &Outcome<'_>,
    ) {
        let plain = Plain::of(outcome);
        if plain.outcome() != *outcome {
            self.detailed_disposition(channel, role, id, settled, outcome);
            return;
        }
        if let Some(run) = &mut self.run
            && (run.channel, run.role, run.settled, run.outcome) == (channel, role, settled, plain)
            && run.last.wrapping_add(1) == id
        {
            run.last = id;
            return;
        }
        self.flush();
        self.run = Some(Run {
            channel,
            role,
            first: id,
            last: id,
            settled,
            outcome: plain,
        });
    }

    /// Tells an outcome with details, or without them if they do not fit.
    fn detailed_disposition(
        &mut self,
        channel: u16,
        role: Role,
        id: u32,
        settled: bool,
        outcome: &Outcome<'_>,
    ) {
        let written = self.frame(channel, |out| {
            Disposition::encode(out, role, (id, id), settled, Some(outcome));
        });
        if written.is_ok() {
            return;
        }
        let short = if let Outcome::Rejected(Some(error)) = outcome {
            Outcome::Rejected(Some(AmqpError {
                description: None,
                info: None,
                ..*error
            }))
        } else {
            Plain::of(outcome).outcome()
        };
        self.small_frame(channel, |out| {
            Disposition::encode(out, role, (id, id), settled, Some(&short));
        });
    }

    /// Writes the dispositions that wait for their neighbors.
    #[inline]
    pub(super) fn flush(&mut self) {
        let Some(run) = self.run.take() else {
            return;
        };
        frame::put(&mut self.output, FrameKind::Amqp, run.channel, |out| {
            Disposition::encode(
                out,
                run.role,
                (run.first, run.last),
                run.settled,
                Some(&run.outcome.outcome()),
            );
        });
    }

    /// Whether there is anything to write.
    pub(super) const fn is_empty(&self) -> bool {
        self.output.is_empty() && self.run.is_none()
    }
}
