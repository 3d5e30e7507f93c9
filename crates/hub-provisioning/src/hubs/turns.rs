//! How many calls are under way to one other installation or webhook, so that a slow one does not keep the others waiting.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Registrations that deal with one of them at once.
const AT_ONCE_MAX: usize = 16;
/// How long a registration waits for its turn.
const WAIT: Duration = Duration::from_secs(10);
/// Peers that are remembered before those without calls are forgotten.
const PEERS_MAX: usize = 1_024;

/// The calls that are under way. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Turns {
    peers: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

impl Turns {
    /// A turn at a peer; none when it is so slow that the wait for it is too long.
    pub(crate) async fn take(&self, peer: &str) -> Option<OwnedSemaphorePermit> {
        let turn = self.of(peer).acquire_owned();
        tokio::time::timeout(WAIT, turn).await.ok()?.ok()
    }

    /// A turn at a peer, if there is one without waiting.
    pub(crate) fn try_take(&self, peer: &str) -> Option<OwnedSemaphorePermit> {
        self.of(peer).try_acquire_owned().ok()
    }

    fn of(&self, peer: &str) -> Arc<Semaphore> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, turns| Arc::strong_count(turns) > 1);
        }
        let turns = peers.entry(peer.to_owned());
        Arc::clone(turns.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE_MAX))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_peer_has_a_bounded_number_of_calls_and_others_are_not_kept() {
        let turns = Turns::default();
        let mut held: Vec<_> = (0..AT_ONCE_MAX).map(|_| turns.try_take("slow")).collect();
        assert!(held.iter().all(Option::is_some));
        assert!(turns.try_take("slow").is_none());
        assert!(turns.take("slow").await.is_none(), "the wait ends");
        assert!(turns.take("other").await.is_some());
        held.pop();
        assert!(turns.take("slow").await.is_some());
    }
}
