//! Deliveries that wait for their acknowledgement.

use core::num::NonZeroU16;
use std::collections::VecDeque;

use crate::error::SessionError;
use crate::packet::PacketId;

/// The largest number of deliveries that may wait at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(NonZeroU16);

impl Window {
    /// Makes a window of any size but zero.
    #[must_use]
    pub const fn new(size: u16) -> Option<Self> {
        match NonZeroU16::new(size) {
            Some(size) => Some(Self(size)),
            None => None,
        }
    }

    /// Its size.
    #[must_use]
    pub const fn size(self) -> u16 {
        self.0.get()
    }
}

impl Default for Window {
    /// Sixteen.
    fn default() -> Self {
        const SIZE: NonZeroU16 = NonZeroU16::new(16).expect("invariant: not zero");
        Self(SIZE)
    }
}

/// A table of deliveries by packet identifier, in the order in which they were sent. It holds no memory while empty.
#[derive(Debug, Clone)]
pub struct InFlight<T> {
    entries: VecDeque<(PacketId, T)>,
    next: PacketId,
    window: Window,
}

impl<T> InFlight<T> {
    /// Makes an empty table.
    #[must_use]
    pub const fn new(window: Window) -> Self {
        Self {
            entries: VecDeque::new(),
            next: PacketId::FIRST,
            window,
        }
    }

    /// The number of deliveries that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether another delivery must wait for an acknowledgement first.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.entries.len() >= usize::from(self.window.size())
    }

    /// Takes an identifier that is not in use for a delivery, which `tag` names to the caller ([MQTT-2.3.1-4]).
    ///
    /// # Errors
    ///
    /// [`SessionError::WindowFull`].
    pub fn begin(&mut self, tag: T) -> Result<PacketId, SessionError> {
        if self.is_full() {
            return Err(SessionError::WindowFull(self.window.size()));
        }
        let id = self.free_id();
        self.next = id.next();
        self.entries.push_back((id, tag));
        Ok(id)
    }

    /// Ends a delivery and returns its tag; `None` if no delivery of this identifier waits.
    pub fn end(&mut self, id: PacketId) -> Option<T> {
        self.end_if(id, |_| true)
    }

    pub(crate) fn end_if(&mut self, id: PacketId, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        // Acknowledgements come in the order of the publishes ([MQTT-4.6.0-2]), so this is nearly always the first.
        let position = self
            .entries
            .iter()
            .position(|(waiting, _)| *waiting == id)?;
        if !is_wanted(&self.entries[position].1) {
            return None;
        }
        let (_, tag) = self.entries.remove(position)?;
        self.release_if_empty();
        Some(tag)
    }

    pub(crate) fn keep_if(&mut self, is_wanted: impl Fn(&T) -> bool) {
        self.entries.retain(|(_, tag)| is_wanted(tag));
        self.release_if_empty();
    }

    /// The deliveries that wait, the longest waiting first.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (PacketId, &T)> {
        self.entries.iter().map(|(id, tag)| (*id, tag))
    }

    fn release_if_empty(&mut self) {
        if self.entries.is_empty() {
            self.entries = VecDeque::new();
        }
    }

    /// There is one: a full window is at most all identifiers, and the window is not full.
    fn free_id(&self) -> PacketId {
        let mut id = self.next;
        while self.entries.iter().any(|(waiting, _)| *waiting == id) {
            id = id.next();
        }
        id
    }
}
