//! What is remembered of a link.

use std::collections::VecDeque;

use super::config::{Credit, Settlement};
use super::event::LinkId;
use crate::performative::{ReceiverSettleMode, Role, SenderSettleMode};

/// Longest name of a link in bytes.
pub(super) const NAME_BYTES_MAX: usize = 512;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) name: Box<str>,
    /// Our channel of its session.
    pub(super) session: u16,
    pub(super) state: LinkState,
    /// Which end we are.
    pub(super) role: Role,
    pub(super) handle_out: u32,
    /// The peer's handle; `None` until the peer has answered our attach.
    pub(super) handle_in: Option<u32>,
    /// The attach that waits for the head's answer, as it came.
    pub(super) asked: Box<[u8]>,
    pub(super) sender_settle_mode: SenderSettleMode,
    pub(super) receiver_settle_mode: ReceiverSettleMode,
    pub(super) delivery_count: u32,
    pub(super) credit: u32,
    pub(super) is_draining: bool,
    /// How we give credit.
    pub(super) credit_policy: Credit,
    /// Largest message in bytes, as the receiving end said; 0 for any.
    pub(super) max_message_size: u64,
    /// Deliveries of this link in the session's lists.
    pub(super) unsettled: u32,
    /// A delivery of which parts are missing.
    pub(super) partial: Option<Box<Partial>>,
    /// Deliveries that wait for credit or window.
    pub(super) queue: VecDeque<Queued>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    /// The peer attached it and waits for the head's answer.
    Asked,
    /// We attached it and wait for the peer's answer.
    AttachSent,
    Attached,
    /// We detached it; the head hears of it when the peer answers.
    DetachSent,
    /// We detached it and nobody waits for the answer.
    Refused,
}

/// A delivery of which parts are missing, or that was just put together.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) id: u32,
    pub(super) tag: Tag,
    pub(super) message_format: u32,
    pub(super) settlement: Settlement,
    pub(super) message: Vec<u8>,
}

/// A delivery tag.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tag {
    length: u8,
    bytes: [u8; 32],
}

impl Tag {
    /// `None` if it is too long.
    pub(super) fn new(tag: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..tag.len())?.copy_from_slice(tag);
        Some(Self {
            length: u8::try_from(tag.len()).ok()?,
            bytes,
        })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A delivery that waits for credit or window.
#[derive(Debug)]
pub(super) struct Queued {
    /// Set when its first frame leaves.
    pub(super) id: Option<u32>,
    pub(super) token: u64,
    /// `None` lets the delivery id be its tag.
    pub(super) tag: Option<Tag>,
    pub(super) message_format: u32,
    pub(super) settlement: Settlement,
    pub(super) message: Vec<u8>,
    /// Bytes that have left.
    pub(super) at: usize,
}

impl Link {
    /// Credit beyond what the peer has, when it is worth a frame.
    pub(super) fn top_up(&self) -> Option<u32> {
        let Credit::Window(window) = self.credit_policy else {
            return None;
        };
        if self.role == Role::Sender || self.state != LinkState::Attached || self.is_draining {
            return None;
        }
        let busy = self.unsettled + u32::from(self.partial.is_some());
        let credit = window.saturating_sub(busy);
        let more = credit.saturating_sub(self.credit);
        (more > 0 && more >= window / 4).then_some(credit)
    }
}

/// All links of a connection.
#[derive(Debug, Default)]
pub(super) struct Links {
    slots: Vec<Option<Box<Link>>>,
    free: Vec<u32>,
}

impl Links {
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The slot that [`Self::insert`] fills next.
    pub(super) fn next_slot(&self) -> u32 {
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        self.free.last().copied().unwrap_or(end)
    }

    pub(super) fn insert(&mut self, link: Link) -> &mut Link {
        let at = self
            .free
            .pop()
            .map_or(self.slots.len(), |slot| slot as usize);
        if at == self.slots.len() {
            // One link at a time: a device has few, and vectors that double hold room for none.
            self.slots.reserve_exact(1 + at / 4);
            self.slots.push(None);
        }
        self.slots[at].insert(Box::new(link))
    }

    #[inline]
    pub(super) fn slot(&mut self, slot: u32) -> Option<&mut Link> {
        self.slots.get_mut(slot as usize)?.as_deref_mut()
    }

    #[inline]
    pub(super) fn get(&self, id: LinkId) -> Option<&Link> {
        let link = self.slots.get(id.slot as usize)?.as_deref()?;
        (link.id == id).then_some(link)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        self.slot(id.slot).filter(|link| link.id == id)
    }

    pub(super) fn remove(&mut self, slot: u32) -> Option<Box<Link>> {
        let link = self.slots.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        if self.free.len() == self.slots.len() {
            *self = Self::default();
        }
        Some(link)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Link> {
        self.slots.iter().flatten().map(|link| &**link)
    }
}
