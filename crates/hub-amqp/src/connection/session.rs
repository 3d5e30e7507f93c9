//! What is remembered of a session.

use std::collections::VecDeque;

use super::event::{LinkId, SessionId};
use super::link::Link;
use super::wire::{Plain, Wire};
use crate::performative::{Flow, LinkFlow};

/// Transfers that we say we could send; nothing depends on the number.
pub(super) const OUTGOING_WINDOW: u32 = 65_535;

#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) state: SessionState,
    /// The peer's channel; `None` until the peer has answered our begin.
    pub(super) channel_in: Option<u16>,
    pub(super) next_incoming_id: u32,
    /// Transfers that the peer may still send.
    pub(super) incoming_left: u32,
    pub(super) next_outgoing_id: u32,
    /// Transfers that we may still send.
    pub(super) outgoing_left: u32,
    pub(super) next_delivery_id: u32,
    /// Highest handle that the peer takes.
    pub(super) handle_max: u32,
    /// Slots of links by the peer's handle and by ours.
    pub(super) handles_in: Handles,
    pub(super) handles_out: Handles,
    /// Deliveries without their final settlement, by ascending id.
    pub(super) sent: VecDeque<Sent>,
    pub(super) received: VecDeque<Received>,
    /// Deliveries that wait in the queues of links.
    pub(super) queued: u32,
    /// Where the walk over the range of the present disposition goes on.
    pub(super) cursor: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionState {
    /// We began it, the peer has not answered.
    BeginSent,
    Begun,
    /// We ended it; the head hears of it when the peer answers.
    EndSent,
    /// We ended it for a violation that the head has heard of.
    Failed,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) id: u32,
    pub(super) link: LinkId,
    pub(super) token: u64,
    /// The outcome that the head was told and has not confirmed.
    pub(super) told: Option<Plain>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Received {
    pub(super) id: u32,
    pub(super) link: LinkId,
    /// We told the outcome, and wait until the sender has settled.
    pub(super) is_told: bool,
}

impl Session {
    pub(super) fn new(id: SessionId, incoming_window: u32) -> Self {
        Self {
            id,
            state: SessionState::BeginSent,
            channel_in: None,
            next_incoming_id: 0,
            incoming_left: incoming_window,
            next_outgoing_id: 0,
            outgoing_left: 0,
            next_delivery_id: 0,
            handle_max: 0,
            handles_in: Handles::default(),
            handles_out: Handles::default(),
            sent: VecDeque::new(),
            received: VecDeque::new(),
            queued: 0,
            cursor: None,
        }
    }

    /// Our channel.
    pub(super) const fn channel(&self) -> u16 {
        self.id.slot
    }

    /// Tells the peer our windows, and the credit of a link, as they are now.
    pub(super) fn put_flow(&mut self, wire: &mut Wire, incoming_window: u32, link: Option<&Link>) {
        self.incoming_left = incoming_window;
        let flow = Flow {
            next_incoming_id: self.channel_in.map(|_| self.next_incoming_id),
            incoming_window,
            next_outgoing_id: self.next_outgoing_id,
            outgoing_window: OUTGOING_WINDOW,
            link: link.map(|link| LinkFlow {
                handle: link.handle_out,
                delivery_count: Some(link.delivery_count),
                link_credit: Some(link.credit),
                available: u32::try_from(link.queue.len()).unwrap_or(u32::MAX),
                drain: link.is_draining,
            }),
            echo: false,
        };
        wire.small_frame(self.channel(), |out| flow.encode(out));
    }

    /// Takes over the windows that the peer tells.
    pub(super) const fn take_windows(&mut self, flow: &Flow) {
        // A peer that has not seen our begin counts from the first id, which is 0 (part 2, section 2.5.6).
        let next = match flow.next_incoming_id {
            Some(next) => next,
            None => 0,
        };
        let under_way = self.next_outgoing_id.wrapping_sub(next);
        self.outgoing_left = flow.incoming_window.saturating_sub(under_way);
    }

    /// Remembers a delivery that arrived. Parts of several links mix, so it may end after a later one has.
    pub(super) fn note_received(&mut self, entry: Received) -> Result<(), DuplicateId> {
        let is_before = |id: u32| id.wrapping_sub(entry.id) > u32::MAX / 2;
        let behind = self
            .received
            .iter()
            .rev()
            .take_while(|other| !is_before(other.id))
            .count();
        let at = self.received.len() - behind;
        if self
            .received
            .get(at)
            .is_some_and(|other| other.id == entry.id)
        {
            return Err(DuplicateId);
        }
        self.received.insert(at, entry);
        Ok(())
    }

    /// Forgets the deliveries of a link that is gone.
    pub(super) fn forget(&mut self, link: &Link) {
        if link.unsettled > 0 {
            self.sent.retain(|entry| entry.link != link.id);
            self.received.retain(|entry| entry.link != link.id);
            shrink(&mut self.sent);
            shrink(&mut self.received);
        }
        self.queued -= u32::try_from(link.queue.len()).unwrap_or(self.queued);
    }
}

/// The id of a delivery is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DuplicateId;

/// Gives memory back when nothing is left.
pub(super) fn shrink<T>(queue: &mut VecDeque<T>) {
    if queue.is_empty() && queue.capacity() > 32 {
        *queue = VecDeque::new();
    }
}

/// The place of the entry with this id.
pub(super) fn find<T>(entries: &VecDeque<T>, id: u32, id_of: impl Fn(&T) -> u32) -> Option<usize> {
    let (from, to) = clamp(entries, id, id, id_of);
    (from < to).then_some(from)
}

/// The places of the entries whose ids are from `first` to `last`: work for the entries, not for the range.
pub(super) fn clamp<T>(
    entries: &VecDeque<T>,
    first: u32,
    last: u32,
    id_of: impl Fn(&T) -> u32,
) -> (usize, usize) {
    let Some(front) = entries.front().map(&id_of) else {
        return (0, 0);
    };
    // Ids wrap around, so they are compared by their distance from the oldest one.
    let ahead = first.wrapping_sub(front);
    let first_at = if ahead > u32::MAX / 2 {
        i64::from(ahead) - (i64::from(u32::MAX) + 1)
    } else {
        i64::from(ahead)
    };
    let last_at = first_at + i64::from(last.wrapping_sub(first));
    let distance = |entry: &T| i64::from(id_of(entry).wrapping_sub(front));
    let from = entries.partition_point(|entry| distance(entry) < first_at);
    let to = entries.partition_point(|entry| distance(entry) <= last_at);
    (from, to.max(from))
}

/// Slots of links by handle. Handles are small numbers, bounded by configuration.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// One more than the slot; 0 for a handle that is free.
    slots: Vec<u32>,
}

impl Handles {
    #[inline]
    pub(super) fn get(&self, handle: u32) -> Option<u32> {
        self.slots
            .get(usize::try_from(handle).ok()?)?
            .checked_sub(1)
    }

    /// The lowest free handle.
    pub(super) fn free(&self) -> u32 {
        let at = self.slots.iter().position(|slot| *slot == 0);
        u32::try_from(at.unwrap_or(self.slots.len())).unwrap_or(u32::MAX)
    }

    /// The caller has checked the handle against the limit.
    pub(super) fn set(&mut self, handle: u32, slot: u32) {
        let at = handle as usize;
        if self.slots.len() <= at {
            self.slots.resize(at + 1, 0);
        }
        self.slots[at] = slot + 1;
    }

    pub(super) fn clear(&mut self, handle: u32) {
        if let Some(slot) = self.slots.get_mut(handle as usize) {
            *slot = 0;
        }
        while self.slots.last() == Some(&0) {
            self.slots.pop();
        }
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
    }

    /// The slot of any link.
    pub(super) fn last(&self) -> Option<u32> {
        self.slots.last()?.checked_sub(1)
    }

    /// The slots of all links.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().filter_map(|slot| slot.checked_sub(1))
    }
}
