//! One registration at a time writes or removes a device of a hub: several enrollments may name the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hub_domain::provisioning::Place;
use tokio::sync::OwnedMutexGuard;

/// How long a registration waits for its turn before it lets others go first.
const WAIT: Duration = Duration::from_secs(2);

type Turns = HashMap<String, Arc<tokio::sync::Mutex<()>>>;

/// Who has the turn at which place. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct PlaceTurns(Arc<Mutex<Turns>>);

/// The turn at one place, until it is dropped.
pub(crate) struct PlaceTurn {
    held: Option<OwnedMutexGuard<()>>,
    turns: PlaceTurns,
    key: String,
}

impl PlaceTurns {
    /// The turn at a place; none when another registration has it for a while.
    pub(crate) async fn take(&self, place: &Place) -> Option<PlaceTurn> {
        let key = key(place);
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(turns.entry(key.clone()).or_default())
        };
        let held = tokio::time::timeout(WAIT, turn.lock_owned()).await.ok();
        // Dropped without the turn it still looks whether somebody needs the entry.
        let turn = PlaceTurn {
            held,
            turns: self.clone(),
            key,
        };
        turn.held.is_some().then_some(turn)
    }
}

impl Drop for PlaceTurn {
    fn drop(&mut self) {
        self.held = None;
        let mut turns = self.turns.0.lock().unwrap_or_else(PoisonError::into_inner);
        if turns
            .get(&self.key)
            .is_some_and(|turn| Arc::strong_count(turn) == 1)
        {
            turns.remove(&self.key);
        }
    }
}

fn key(place: &Place) -> String {
    match place.own {
        Some(own) => format!("{}/{}", own.0, place.device),
        None => format!("{}/{}", place.hub, place.device),
    }
}

#[cfg(test)]
mod tests {
    use hub_domain::{DeviceId, HostName, HubNo};

    use super::*;

    fn place(device: &str, own: Option<u32>) -> Place {
        Place {
            hub: HostName::parse("a.test").expect("a name"),
            own: own.map(HubNo),
            device: DeviceId::parse(device).expect("an id"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_registration_has_the_turn_and_nothing_is_kept() {
        let turns = PlaceTurns::default();
        let here = place("d", Some(1));
        let held = turns.take(&here).await;
        assert!(held.is_some());
        assert!(turns.take(&here).await.is_none(), "the wait ends");
        let other = turns.take(&place("d", None)).await;
        assert!(other.is_some(), "another hub");
        let next = tokio::join!(turns.take(&here), async { drop(held) }).0;
        assert!(next.is_some());
        drop((next, other));
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
