use hub_domain::Timestamp;
use hub_domain::twin::patch_reported;
use hub_storage::StoreError;
use hub_storage::pending::{Completer, pending};
use serde_json::{Map, Value};

use super::*;

const D1: Ordinal = Ordinal(16);
/// In the same shard as [`D1`].
const D2: Ordinal = Ordinal(32);

/// The twin with one more reported member.
fn reported(twin: &Twin, name: &str, text: &str) -> Arc<Twin> {
    let patch = Map::from_iter([(name.to_owned(), Value::from(text))]);
    let reported =
        patch_reported(&twin.reported, &patch, None, Timestamp::from_seconds(0)).unwrap();
    Arc::new(Twin {
        reported,
        ..twin.clone()
    })
}

fn new_twin(cache: &TwinCache) -> Option<(ReadMark, Arc<Twin>)> {
    Some((cache.read_mark(), Arc::new(Twin::new())))
}

/// Submits a change and returns its end; `None` when there was nothing to decide on.
fn change(
    cache: &TwinCache,
    ordinal: Ordinal,
    read: Option<(ReadMark, Arc<Twin>)>,
    text: &str,
) -> Option<Completer<Committed>> {
    let mut end = None;
    let decided = cache.decide(ordinal, read, |base| {
        let (completer, pending) = pending();
        end = Some(completer);
        Ok(Decision {
            part: Part::Reported,
            pending,
            next: reported(base.twin, "text", text),
        })
    });
    assert_eq!(decided.unwrap().is_some(), end.is_some());
    end
}

fn version(cache: &TwinCache, ordinal: Ordinal) -> Option<u64> {
    cache.durable(ordinal).map(|twin| twin.reported.version)
}

#[test]
fn a_twin_is_shown_when_all_its_changes_are_durable() {
    let cache = TwinCache::new(1 << 20);
    let first = change(&cache, D1, new_twin(&cache), "a").unwrap();
    let second = change(&cache, D1, None, "b").unwrap();
    assert_eq!(version(&cache, D1), None);
    first.complete(Ok(Committed::default()));
    assert_eq!(version(&cache, D1), None);
    second.complete(Ok(Committed::default()));
    assert_eq!(version(&cache, D1), Some(3));
}

#[test]
fn a_failed_change_takes_the_twin_with_it() {
    let cache = TwinCache::new(1 << 20);
    let first = change(&cache, D1, new_twin(&cache), "a").unwrap();
    let second = change(&cache, D1, None, "b").unwrap();
    first.complete(Err(StoreError::DiskFull));
    assert!(!cache.holds(D1));
    assert!(
        change(&cache, D1, None, "c").is_none(),
        "there is nothing to decide on"
    );
    let third = change(&cache, D1, new_twin(&cache), "d").unwrap();
    second.complete(Err(StoreError::DiskFull));
    cache.settle(D1);
    third.complete(Ok(Committed::default()));
    assert_eq!(
        version(&cache, D1),
        Some(2),
        "a later end of the former changes is none of the new one's"
    );
}

#[test]
fn pending_changes_of_the_other_part_are_told() {
    let cache = TwinCache::new(1 << 20);
    let end = change(&cache, D1, new_twin(&cache), "a").unwrap();
    let look = || {
        let mut seen = None;
        let refused = cache.decide(D1, None, |base| {
            seen = Some((base.is_back_end_pending, base.is_reported_pending));
            Err(Error::new(crate::ErrorKind::Invalid, "only looking"))
        });
        assert!(refused.is_err());
        seen
    };
    assert_eq!(look(), Some((false, true)));
    end.complete(Ok(Committed::default()));
    assert_eq!(look(), Some((false, false)));
}

#[test]
fn twins_with_pending_changes_stay_and_others_leave_when_there_is_no_room() {
    let cache = TwinCache::new(SHARDS * 3_000);
    let held = change(&cache, D1, new_twin(&cache), &"x".repeat(2_500)).unwrap();
    let end = change(&cache, D2, new_twin(&cache), &"x".repeat(2_500)).unwrap();
    end.complete(Ok(Committed::default()));
    cache.settle(D2);
    assert!(!cache.holds(D2), "it was idle");
    assert!(cache.holds(D1), "it was not");
    held.complete(Ok(Committed::default()));
    assert_eq!(version(&cache, D1), Some(2));
}

#[test]
fn a_twin_that_was_read_before_an_entry_left_is_read_again() {
    let cache = TwinCache::new(SHARDS * 100);
    let read = new_twin(&cache);
    // Meanwhile another writer changes the twin, and the entry leaves at once, for there is no room.
    let end = change(&cache, D1, new_twin(&cache), "a").unwrap();
    end.complete(Ok(Committed::default()));
    cache.settle(D1);
    assert!(!cache.holds(D1));
    assert!(change(&cache, D1, read, "b").is_none());
}

#[test]
fn the_count_of_bytes_follows_what_is_held() {
    let cache = TwinCache::new(1 << 20);
    for text in ["a", "a longer text", ""] {
        let end = change(&cache, D1, new_twin(&cache), text).unwrap();
        end.complete(Ok(Committed::default()));
        let shard = cache.shard(D1);
        let held: usize = shard
            .entries
            .values()
            .map(|entry| approximate_bytes(&entry.twin))
            .sum();
        assert_eq!(shard.bytes, held);
    }
    let end = change(&cache, D1, None, "b").unwrap();
    end.complete(Err(StoreError::Unavailable));
    cache.settle(D1);
    assert_eq!(cache.shard(D1).bytes, 0);
}
