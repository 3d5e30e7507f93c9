//! The newest facts in memory, so that those who follow the feed closely do not ask the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use hub_domain::Fact;
use hub_storage::store::FactNo;

#[derive(Debug)]
pub(super) struct FactTail {
    state: Mutex<State>,
    bytes_max: usize,
}

#[derive(Debug)]
struct State {
    groups: VecDeque<Arc<FactGroup>>,
    bytes: usize,
    /// Every fact after this number is in `groups`.
    complete_after: u64,
}

#[derive(Debug)]
struct FactGroup {
    first: u64,
    facts: Vec<Fact>,
    /// Bytes of its record, which is about what it takes here.
    bytes: usize,
}

impl FactGroup {
    fn last(&self) -> u64 {
        self.first + self.facts.len() as u64 - 1
    }
}

impl FactTail {
    /// An empty tail behind the fact `last`.
    pub(super) const fn new(last: u64, bytes_max: usize) -> Self {
        let state = State {
            groups: VecDeque::new(),
            bytes: 0,
            complete_after: last,
        };
        Self {
            state: Mutex::new(state),
            bytes_max,
        }
    }

    /// Adds a committed group of at least one fact, whose record has so many bytes.
    pub(super) fn push(&self, first: u64, facts: Vec<Fact>, bytes: usize) {
        let mut state = self.lock();
        state.bytes += bytes;
        state.groups.push_back(Arc::new(FactGroup {
            first,
            facts,
            bytes,
        }));
        while state.bytes > self.bytes_max {
            state.drop_oldest();
        }
    }

    /// Forgets groups that begin at or before `last`, which were deleted or changed on disk.
    pub(super) fn forget(&self, last: u64) {
        let mut state = self.lock();
        while state
            .groups
            .front()
            .is_some_and(|group| group.first <= last)
        {
            state.drop_oldest();
        }
        state.complete_after = state.complete_after.max(last);
    }

    /// Facts after `after`, or `None` when the disk must be asked.
    pub(super) fn page(&self, after: FactNo, max: usize) -> Option<Vec<(FactNo, Fact)>> {
        let state = self.lock();
        if after.0 < state.complete_after {
            return None;
        }
        let skipped = state
            .groups
            .partition_point(|group| group.last() <= after.0);
        let mut wanted = max;
        let groups: Vec<Arc<FactGroup>> = state
            .groups
            .range(skipped..)
            .take_while(|group| {
                let more = wanted > 0;
                let newer = group.last() - after.0.max(group.first - 1);
                wanted = wanted.saturating_sub(usize::try_from(newer).unwrap_or(usize::MAX));
                more
            })
            .cloned()
            .collect();
        drop(state);
        let numbered = groups
            .iter()
            .flat_map(|group| (group.first..).map(FactNo).zip(&group.facts));
        let newer = numbered.filter(|(no, _)| *no > after).take(max);
        Some(newer.map(|(no, fact)| (no, fact.clone())).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the tail")
    }
}

impl State {
    fn drop_oldest(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.bytes -= group.bytes;
            self.complete_after = group.last();
        }
    }
}

#[cfg(test)]
mod tests {
    use hub_domain::{FactKind, HubNo, IdentityId, Timestamp};

    use super::*;

    fn facts(count: usize) -> Vec<Fact> {
        let id = IdentityId::parse("d").unwrap();
        let fact = Fact {
            hub: HubNo(1),
            id,
            at: Timestamp::from_micros(0),
            kind: FactKind::MessageQueued,
        };
        vec![fact; count]
    }

    fn numbers(tail: &FactTail, after: u64, max: usize) -> Option<Vec<u64>> {
        tail.page(FactNo(after), max)
            .map(|page| page.into_iter().map(|(no, _)| no.0).collect())
    }

    #[test]
    fn pages_are_whole_or_left_to_the_disk() {
        let tail = FactTail::new(10, 5);
        assert_eq!(numbers(&tail, 10, 9), Some(vec![]));
        assert_eq!(numbers(&tail, 9, 9), None);
        tail.push(11, facts(3), 3);
        tail.push(14, facts(2), 2);
        assert_eq!(numbers(&tail, 10, 4), Some(vec![11, 12, 13, 14]));
        assert_eq!(numbers(&tail, 12, 9), Some(vec![13, 14, 15]));
        assert_eq!(numbers(&tail, 12, 0), Some(vec![]));
        tail.push(16, facts(1), 1);
        assert_eq!(numbers(&tail, 10, 9), None, "the oldest group went");
        assert_eq!(numbers(&tail, 13, 9), Some(vec![14, 15, 16]));
        tail.forget(14);
        assert_eq!(numbers(&tail, 13, 9), None);
        assert_eq!(numbers(&tail, 15, 9), Some(vec![16]));
        assert_eq!(numbers(&tail, 99, 9), Some(vec![]));
    }
}
