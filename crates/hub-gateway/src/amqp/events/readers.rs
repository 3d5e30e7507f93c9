//! Who reads a partition: the rules of owner levels ("epoch") and of how many readers there may be.
//!
//! Event Hubs documentation, "Consumer groups" and "Exclusive receivers": an epoch reader ends every reader of a lower or
//! equal epoch and all without one; beside it, readers without an epoch are refused. Without any epoch there may be five.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use hub_domain::HubNo;
use hub_domain::limits::EVENT_READERS_PER_PARTITION_MAX;

use super::super::addresses::ConsumerGroup;

/// All event readers of the process.
#[derive(Default)]
pub(crate) struct Readers {
    table: Mutex<HashMap<Place, Vec<Entry>>>,
    next: AtomicU64,
}

/// What is read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) hub: HubNo,
    pub(crate) group: ConsumerGroup,
    pub(crate) partition: u16,
}

struct Entry {
    id: u64,
    epoch: Option<i64>,
    theft: Arc<Theft>,
}

/// Tells a reader that another one took its place.
#[derive(Default)]
struct Theft {
    happened: AtomicBool,
    waker: AtomicWaker,
}

/// Why a reader is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReaderRefused {
    /// A reader with a higher epoch is there.
    #[error("a receiver with the higher epoch {0} is connected")]
    LowerEpoch(i64),
    /// A reader without an epoch met one with.
    #[error(
        "a receiver with the epoch {0} is connected, a receiver without an epoch is not allowed beside it"
    )]
    NoEpoch(i64),
    /// There are as many readers as there may be.
    #[error(
        "{EVENT_READERS_PER_PARTITION_MAX} receivers read this partition with this consumer group"
    )]
    TooMany,
}

/// The place of a reader; given back when dropped.
pub(crate) struct Reader {
    readers: Arc<Readers>,
    place: Place,
    id: u64,
    theft: Arc<Theft>,
}

impl Readers {
    fn table(&self) -> MutexGuard<'_, HashMap<Place, Vec<Entry>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a reader in, ending those that it displaces.
    ///
    /// # Errors
    /// When the rules do not allow it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        place: Place,
        epoch: Option<i64>,
    ) -> Result<Reader, ReaderRefused> {
        let mut table = self.table();
        let entries = table.entry(place.clone()).or_default();
        let highest = entries.iter().filter_map(|entry| entry.epoch).max();
        let refused = match (epoch, highest) {
            (Some(own), Some(highest)) if own < highest => Some(ReaderRefused::LowerEpoch(highest)),
            (None, Some(highest)) => Some(ReaderRefused::NoEpoch(highest)),
            (None, None) if entries.len() >= EVENT_READERS_PER_PARTITION_MAX => {
                Some(ReaderRefused::TooMany)
            }
            (Some(_), _) | (None, None) => None,
        };
        if let Some(refused) = refused {
            if entries.is_empty() {
                table.remove(&place);
            }
            return Err(refused);
        }
        if epoch.is_some() {
            for displaced in entries.drain(..) {
                displaced.theft.happened.store(true, Ordering::Release);
                displaced.theft.waker.wake();
            }
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let theft = Arc::new(Theft::default());
        entries.push(Entry {
            id,
            epoch,
            theft: Arc::clone(&theft),
        });
        drop(table);
        Ok(Reader {
            readers: Arc::clone(self),
            place,
            id,
            theft,
        })
    }
}

impl Reader {
    /// Ready when another reader took the place.
    pub(crate) fn poll_stolen(&self, context: &Context<'_>) -> Poll<()> {
        self.theft.waker.register(context.waker());
        if self.theft.happened.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut table = self.readers.table();
        if let Some(entries) = table.get_mut(&self.place) {
            entries.retain(|entry| entry.id != self.id);
            if entries.is_empty() {
                table.remove(&self.place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::super::super::addresses::Address;
    use super::*;

    fn place(partition: u16) -> Place {
        let address = format!("hub/consumergroups/$Default/partitions/{partition}");
        let Ok(Address::Partition(at)) = Address::parse(&address) else {
            panic!("an address of a partition")
        };
        Place {
            hub: HubNo(1),
            group: at.group,
            partition,
        }
    }

    fn is_stolen(reader: &Reader) -> bool {
        reader
            .poll_stolen(&Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn five_readers_without_an_epoch_share_a_partition() {
        let readers = Arc::new(Readers::default());
        let mut inside: Vec<_> = (0..EVENT_READERS_PER_PARTITION_MAX)
            .map(|_| readers.enter(place(0), None).ok().unwrap())
            .collect();
        assert_eq!(
            readers.enter(place(0), None).err(),
            Some(ReaderRefused::TooMany)
        );
        assert!(readers.enter(place(1), None).is_ok(), "another partition");
        inside.pop();
        assert!(readers.enter(place(0), None).is_ok());
        drop(inside);
        assert!(readers.table().is_empty());
    }

    #[test]
    fn an_equal_or_higher_epoch_takes_the_place() {
        let readers = Arc::new(Readers::default());
        let plain = readers.enter(place(0), None).ok().unwrap();
        let first = readers.enter(place(0), Some(1)).ok().unwrap();
        assert!(is_stolen(&plain));
        assert_eq!(
            readers.enter(place(0), None).err(),
            Some(ReaderRefused::NoEpoch(1))
        );
        assert_eq!(
            readers.enter(place(0), Some(0)).err(),
            Some(ReaderRefused::LowerEpoch(1))
        );
        assert!(!is_stolen(&first));
        let equal = readers.enter(place(0), Some(1)).ok().unwrap();
        assert!(is_stolen(&first));
        drop(first);
        let higher = readers.enter(place(0), Some(2)).ok().unwrap();
        assert!(is_stolen(&equal));
        drop((plain, equal, higher));
        assert!(readers.table().is_empty());
    }
}
