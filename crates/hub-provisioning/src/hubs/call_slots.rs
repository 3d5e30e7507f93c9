//! How many calls are under way to one other installation or webhook, so that a slow one does not keep the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Registrations that deal with one of them at once.
const AT_ONCE_MAX: usize = 32;
/// How long a registration waits for a slot before it lets others go first.
const WAIT: Duration = Duration::from_secs(2);
/// Peers that are remembered before those without calls are forgotten.
const PEERS_MAX: usize = 1_024;

/// The calls that are under way. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct CallSlots {
    peers: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl CallSlots {
    /// A slot at a peer; none when there is none for a while.
    pub(crate) async fn take(&self, peer: &str) -> Option<OwnedSemaphorePermit> {
        let slot = self.of(peer).acquire_owned();
        tokio::time::timeout(WAIT, slot).await.ok()?.ok()
    }

    /// A slot at a peer, if there is one without waiting.
    pub(crate) fn try_take(&self, peer: &str) -> Option<OwnedSemaphorePermit> {
        self.of(peer).try_acquire_owned().ok()
    }

    fn of(&self, peer: &str) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, slots| Arc::strong_count(slots) > 1);
        }
        let slots = peers.entry(peer.to_owned());
        Arc::clone(slots.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_has_a_bounded_number_of_calls_and_others_are_not_kept() {
        let slots = CallSlots::default();
        let mut held: Vec<_> = (0..AT_ONCE_MAX).map(|_| slots.try_take("slow")).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(slots.try_take("slow").is_none());
        assert!(slots.take("slow").await.is_none(), "the wait ends");
        assert!(slots.take("other").await.is_some());
        held.pop();
        assert!(slots.take("slow").await.is_some());
    }
}
