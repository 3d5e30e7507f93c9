//! Which queued messages are on their way to their device.
//!
//! A session holds what it was handed until it settles it or ends, with no timer. A lease, of a request
//! without a session, ends by its time. All of it is in memory: after a start nothing is held, and a lease
//! from before is honored as long as nobody else was handed its message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_domain::Timestamp;
use hub_domain::limits::CLOUD_TO_DEVICE_LOCK_RANGE;
use hub_storage::bus::{Epoch, SessionKey};
use hub_storage::store::{MessageNo, Ordinal};

use super::lock_token::LockToken;
use crate::claims::Claims;

/// Messages handed out soon after the start that are remembered; beyond it leases from before are lost.
const EARLY_MAX: usize = 100_000;

pub(crate) struct Locks {
    started: Timestamp,
    state: Mutex<State>,
}

struct State {
    queues: BTreeMap<Ordinal, Queue>,
    /// What was handed out since the start; `None` when no older lease can be good any more.
    early: Option<BTreeSet<MessageNo>>,
}

struct Queue {
    claims: Claims<MessageNo, Holder>,
    /// The newest session that reads the queue.
    reader: Option<Epoch>,
    /// True when it passed over a message that somebody else held.
    skipped: bool,
    /// The oldest message that it passed and may have after all.
    returned: Option<MessageNo>,
}

/// Who holds a message.
#[derive(Clone)]
pub(super) enum Holder {
    Session(Epoch),
    Lease(LockToken, SessionKey),
}

impl Queue {
    const fn new() -> Self {
        Self {
            claims: Claims::new(),
            reader: None,
            skipped: false,
            returned: None,
        }
    }

    /// A session reads, or no longer does. What an older one passed is nothing to a newer one, which begins anew.
    const fn read_by(&mut self, reader: Option<Epoch>) {
        self.reader = reader;
        self.skipped = false;
        self.returned = None;
    }

    fn give_back(&mut self, message: MessageNo, holder: &Holder) {
        let was_passed = match holder {
            Holder::Session(epoch) => self.reader == Some(*epoch),
            Holder::Lease(..) => self.skipped,
        };
        if was_passed {
            self.returned = Some(self.returned.map_or(message, |oldest| oldest.min(message)));
        }
    }
}

impl Locks {
    pub(crate) fn new(started: Timestamp) -> Self {
        Self {
            started,
            state: Mutex::new(State {
                queues: BTreeMap::new(),
                early: Some(BTreeSet::new()),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to hand out: the session reads on behind `after`, or from what came back meanwhile.
    pub(super) fn begin_for_session(
        self: &Arc<Self>,
        ordinal: Ordinal,
        epoch: Epoch,
        after: MessageNo,
    ) -> HandOut {
        let mut state = self.state();
        let queue = state.queues.entry(ordinal).or_insert_with(Queue::new);
        queue.claims.begin();
        let mut from = after;
        if queue.reader < Some(epoch) {
            queue.read_by(Some(epoch));
        } else if queue.reader == Some(epoch)
            && let Some(oldest) = queue.returned
        {
            from = after.min(MessageNo(oldest.0.saturating_sub(1)));
            queue.read_by(Some(epoch));
        }
        HandOut {
            locks: Arc::clone(self),
            ordinal,
            from,
            unfinished: (from < after).then_some(from),
        }
    }

    /// Begins to hand out to a request.
    pub(super) fn begin_for_lease(self: &Arc<Self>, ordinal: Ordinal) -> HandOut {
        let mut state = self.state();
        let queue = state.queues.entry(ordinal).or_insert_with(Queue::new);
        queue.claims.begin();
        HandOut {
            locks: Arc::clone(self),
            ordinal,
            from: MessageNo(0),
            unfinished: None,
        }
    }

    /// True when the session was handed the message and nobody else since.
    pub(crate) fn is_held_by(&self, ordinal: Ordinal, message: MessageNo, epoch: Epoch) -> bool {
        let state = self.state();
        let queue = state.queues.get(&ordinal);
        matches!(
            queue.and_then(|queue| queue.claims.holder(message)),
            Some(Holder::Session(held)) if *held == epoch
        )
    }

    /// True when the lease is good: not over, and nobody else was handed the message since.
    pub(super) fn is_leased(&self, ordinal: Ordinal, token: LockToken, now: Timestamp) -> bool {
        if token.expires() <= now {
            return false;
        }
        let state = self.state();
        let queue = state.queues.get(&ordinal);
        let holder = queue.and_then(|queue| queue.claims.holder(token.message()));
        match holder {
            Some(Holder::Lease(held, _)) => *held == token,
            Some(Holder::Session(_)) => false,
            None => {
                let early = state.early.as_ref();
                token.issued() < self.started
                    && early.is_some_and(|early| !early.contains(&token.message()))
            }
        }
    }

    /// The message left the queue.
    pub(super) fn leave(&self, ordinal: Ordinal, message: MessageNo) {
        let mut state = self.state();
        if let Some(queue) = state.queues.get_mut(&ordinal) {
            queue.claims.leave(message);
        }
        // Nobody else can be handed it any more.
        if let Some(early) = &mut state.early {
            early.remove(&message);
        }
        state.drop_idle(ordinal);
    }

    /// The message may be handed out again.
    pub(super) fn put_back(&self, ordinal: Ordinal, message: MessageNo) {
        let mut state = self.state();
        if let Some(queue) = state.queues.get_mut(&ordinal)
            && let Some(holder) = queue.claims.put_back(message)
        {
            queue.give_back(message, &holder);
        }
        // A lease from before the start that was given up is over.
        state.note_early(message);
        state.drop_idle(ordinal);
    }

    /// A session ended: what it held may be handed out again.
    pub(crate) fn end_session(&self, ordinal: Ordinal, epoch: Epoch) {
        let mut state = self.state();
        let Some(queue) = state.queues.get_mut(&ordinal) else {
            return;
        };
        let is_its = |holder: &Holder| matches!(holder, Holder::Session(held) if *held == epoch);
        drop(queue.claims.put_back_where(is_its));
        if queue.reader == Some(epoch) {
            queue.read_by(None);
        }
        state.drop_idle(ordinal);
    }

    /// Ends the leases whose time is over; returns whose sessions may have more to read.
    pub(crate) fn expire(&self, now: Timestamp) -> Vec<SessionKey> {
        let mut state = self.state();
        if now >= self.started.plus(*CLOUD_TO_DEVICE_LOCK_RANGE.end()) {
            state.early = None;
        }
        let mut waiting = Vec::new();
        state.queues.retain(|_, queue| {
            let is_over = |holder: &Holder| matches!(holder, Holder::Lease(token, _) if token.expires() <= now);
            for (message, holder) in queue.claims.put_back_where(is_over) {
                queue.give_back(message, &holder);
                if let Holder::Lease(_, key) = holder
                    && queue.skipped
                {
                    waiting.push(key);
                }
            }
            !queue.is_idle()
        });
        waiting
    }
}

impl Queue {
    /// True when nothing is lost with it.
    fn is_idle(&self) -> bool {
        self.claims.is_idle() && self.returned.is_none() && !self.skipped
    }
}

impl State {
    fn drop_idle(&mut self, ordinal: Ordinal) {
        if self.queues.get(&ordinal).is_some_and(Queue::is_idle) {
            self.queues.remove(&ordinal);
        }
    }

    fn note_early(&mut self, message: MessageNo) {
        if let Some(early) = &mut self.early {
            early.insert(message);
            if early.len() > EARLY_MAX {
                self.early = None;
            }
        }
    }
}

/// A look at the store for messages to hand out. Ends when it is dropped.
pub(super) struct HandOut {
    locks: Arc<Locks>,
    ordinal: Ordinal,
    /// Behind which message to begin.
    pub(super) from: MessageNo,
    /// From where to begin again when this look comes to nothing.
    unfinished: Option<MessageNo>,
}

impl HandOut {
    /// Takes a message that was read, unless it is held elsewhere or gone.
    pub(super) fn take(&self, message: MessageNo, holder: Holder, now: Timestamp) -> bool {
        let mut state = self.locks.state();
        let queue = state
            .queues
            .get_mut(&self.ordinal)
            .expect("invariant: a queue stays while somebody reads it");
        let is_lease_over = |held: &Holder| match held {
            Holder::Lease(token, _) => token.expires() <= now,
            Holder::Session(_) => false,
        };
        let (taken, skipped) = match &holder {
            Holder::Session(epoch) => {
                let held = queue.claims.holder(message);
                let is_own = matches!(held, Some(Holder::Session(other)) if other == epoch);
                let gives_way = |held: &Holder| match held {
                    // The newer session of an identity wins.
                    Holder::Session(other) => other < epoch,
                    Holder::Lease(..) => is_lease_over(held),
                };
                let taken = queue.claims.claim(message, holder.clone(), gives_way);
                (taken, !taken && !is_own)
            }
            Holder::Lease(..) => {
                let taken = queue.claims.claim(message, holder.clone(), is_lease_over);
                (taken, false)
            }
        };
        queue.skipped |= skipped;
        if taken {
            state.note_early(message);
        }
        taken
    }

    /// What there was to find was found.
    pub(super) fn finish(mut self) {
        self.unfinished = None;
    }
}

impl Drop for HandOut {
    fn drop(&mut self) {
        let mut state = self.locks.state();
        if let Some(queue) = state.queues.get_mut(&self.ordinal) {
            queue.claims.end();
            if let Some(from) = self.unfinished {
                let oldest = MessageNo(from.0 + 1);
                queue.returned = Some(queue.returned.map_or(oldest, |other| other.min(oldest)));
            }
        }
        state.drop_idle(self.ordinal);
    }
}
