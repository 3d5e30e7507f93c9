//! What a session does with the messages of its queue.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hub_domain::Timestamp;
use hub_storage::store::{MessageNo, Outcome, StoredMessage};

use super::{SentBefore, Session};
use crate::Error;
use crate::messages::{Addressee, End, Settlement};
use crate::sessions::Persistence;

impl Session {
    /// The next queued messages in order that nobody holds, expired ones left out, at most `max`.
    ///
    /// The session holds them until they are settled or given back, or it ends. The caller hands out each of them
    /// ([`Session::note_sent`]) or gives it back.
    pub fn next_messages(
        &self,
        now: Timestamp,
        max: usize,
    ) -> BoxFuture<'static, Result<Vec<StoredMessage>, Error>> {
        let parts = self.parts();
        let after = self.newest_sent.unwrap_or(MessageNo(0));
        let deliveries = Arc::clone(&parts.deliveries);
        Box::pin(deliveries.next_for_session(parts.ordinal, parts.epoch, after, (max, now)))
    }

    /// Notes that a message was handed to the device; the next call of [`Session::next_messages`] begins after it.
    /// Says whether the device may have seen it on an earlier connection.
    pub fn note_sent(&mut self, message: MessageNo) -> SentBefore {
        // A session that was taken over may note what it sent after this one opened.
        self.take_redeliveries();
        self.newest_sent = Some(message);
        match self.seen_before {
            Some(seen) if message <= seen => SentBefore::Perhaps,
            Some(_) | None => SentBefore::No,
        }
    }

    /// Completes a message; resolves when it is durably gone.
    pub fn complete_message(&self, now: Timestamp, message: MessageNo) -> Settlement {
        self.parts().live.touch(now);
        self.settle_message(now, message, End::Leave(Outcome::Completed))
    }

    /// Refuses a message, or gives up one that the session's protocol cannot carry: it is not tried again.
    pub fn reject_message(&self, message: MessageNo) -> Settlement {
        let now = self.parts().engine.environment.now();
        self.settle_message(now, message, End::Leave(Outcome::Rejected))
    }

    /// Puts a message back and raises its delivery count. [`crate::Notice::MessageAvailable`] comes when it may be
    /// handed out again; delivered too often, it is dropped.
    pub fn abandon_message(&self, now: Timestamp, message: MessageNo) -> Settlement {
        self.parts().live.touch(now);
        self.settle_message(now, message, End::Abandon)
    }

    /// Puts back a message that was not handed out, or whose reader is gone; its delivery count is unchanged.
    pub fn give_back_message(&self, message: MessageNo) {
        let parts = self.parts();
        let is_held = parts
            .deliveries
            .locks
            .is_held_by(parts.ordinal, message, parts.epoch);
        if is_held {
            parts.deliveries.give_back(&self.addressee(), message);
        }
    }

    fn settle_message(&self, now: Timestamp, message: MessageNo, end: End) -> Settlement {
        let parts = self.parts();
        parts
            .deliveries
            .settle_for_session(&self.addressee(), parts.epoch, message, (end, now))
    }

    fn addressee(&self) -> Addressee {
        Addressee {
            key: self.parts().key.clone(),
            ordinal: self.parts().ordinal,
        }
    }

    /// Notes, at the end of a session, the newest message that was sent and not acknowledged.
    pub fn note_unacknowledged(&self, newest: MessageNo) {
        if self.parts().persistence == Persistence::Kept {
            self.parts().redeliveries.note(self.parts().ordinal, newest);
        }
    }
}
