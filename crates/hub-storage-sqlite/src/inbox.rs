//! What waits for a committer, and how much of it makes one group.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Most units of a group.
pub(crate) const GROUP_UNITS_MAX: usize = 512;
/// Bytes after which a group is full.
pub(crate) const GROUP_BYTES_MAX: usize = 1 << 20;
/// How long a committer waits for a group to become as large as the last ones.
const LINGER_MAX: Duration = Duration::from_millis(2);
/// Groups of this size or less never linger, so that a lone write never waits.
const LINGER_ABOVE_UNITS: usize = 16;

/// A queue from many submitters to one committer. Never blocks a submitter; its bound is the backlog's.
#[derive(Debug)]
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, usize)>,
    bytes: usize,
    open: bool,
    /// The committer sleeps until there are so many items; zero while it is awake.
    wake_at: usize,
}

/// The sizes of the last groups.
#[derive(Debug, Default)]
pub(crate) struct Rhythm {
    /// Sixteenths of units: a moving average over about four groups.
    average: usize,
}

impl Rhythm {
    fn note(&mut self, units: usize) {
        self.average = (self.average * 3 + units * 16) / 4;
    }

    /// How many units to wait for a moment for.
    const fn target(&self) -> usize {
        let average = self.average / 16;
        if average <= LINGER_ABOVE_UNITS {
            1
        } else if average < GROUP_UNITS_MAX {
            average
        } else {
            GROUP_UNITS_MAX
        }
    }
}

impl<T> Inbox<T> {
    pub(crate) const fn new() -> Self {
        let state = State {
            items: VecDeque::new(),
            bytes: 0,
            open: true,
            wake_at: 0,
        };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        }
    }

    /// Queues `item`, or gives it back when nobody will take it any more.
    pub(crate) fn push(&self, item: T, bytes: usize) -> Result<(), T> {
        let mut state = self.lock();
        if !state.open {
            return Err(item);
        }
        state.items.push_back((item, bytes));
        state.bytes += bytes;
        let wakes = state.wake_at > 0
            && (state.items.len() >= state.wake_at || state.bytes >= GROUP_BYTES_MAX);
        if wakes {
            state.wake_at = 0;
            drop(state);
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for the next group and moves it into `group`. False when the inbox is closed and empty.
    pub(crate) fn next_group(&self, rhythm: &mut Rhythm, group: &mut Vec<T>) -> bool {
        let mut state = self.lock();
        while state.items.is_empty() {
            if !state.open {
                return false;
            }
            state.wake_at = 1;
            state = self.arrived.wait(state).expect(UNPOISONED);
        }
        let target = rhythm.target();
        if state.open && state.items.len() < target && state.bytes < GROUP_BYTES_MAX {
            state.wake_at = target;
            let waits = |state: &mut State<T>| state.open && state.wake_at > 0;
            (state, _) = self
                .arrived
                .wait_timeout_while(state, LINGER_MAX, waits)
                .expect(UNPOISONED);
        }
        state.wake_at = 0;
        state.take(group);
        drop(state);
        rhythm.note(group.len());
        true
    }

    /// Takes nothing more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.lock().open = false;
        self.arrived.notify_all();
    }

    /// Takes nothing more and drops what waits.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.open = false;
        let dropped = std::mem::take(&mut state.items);
        drop(state);
        drop(dropped);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().expect(UNPOISONED)
    }
}

const UNPOISONED: &str = "nothing panics while it holds the inbox";

impl<T> State<T> {
    fn take(&mut self, group: &mut Vec<T>) {
        let mut bytes = 0;
        while let Some((_, size)) = self.items.front() {
            let full =
                group.len() >= GROUP_UNITS_MAX || (bytes > 0 && bytes + size > GROUP_BYTES_MAX);
            if full {
                return;
            }
            bytes += size;
            let (item, size) = self
                .items
                .pop_front()
                .expect("the front was seen under this lock");
            self.bytes -= size;
            group.push(item);
        }
    }
}

/// Abandons an inbox when its committer ends, in whatever way, so that nobody waits for ever.
#[derive(Debug)]
pub(crate) struct AbandonOnDrop<'a, T>(pub(crate) &'a Inbox<T>);

impl<T> Drop for AbandonOnDrop<'_, T> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn group_of(inbox: &Inbox<u32>, rhythm: &mut Rhythm) -> Vec<u32> {
        let mut group = Vec::new();
        inbox.next_group(rhythm, &mut group);
        group
    }

    #[test]
    fn a_group_is_what_waits_up_to_its_limits() {
        let inbox = Inbox::new();
        for item in 0..600 {
            inbox.push(item, 1).unwrap();
        }
        let mut rhythm = Rhythm::default();
        assert_eq!(group_of(&inbox, &mut rhythm).len(), GROUP_UNITS_MAX);
        assert_eq!(
            group_of(&inbox, &mut rhythm),
            (512..600).collect::<Vec<_>>()
        );

        for item in [1, 2, 3] {
            inbox.push(item, GROUP_BYTES_MAX / 2 + 1).unwrap();
        }
        inbox.push(4, 5 * GROUP_BYTES_MAX).unwrap();
        let groups: Vec<_> = (0..4)
            .map(|_| group_of(&inbox, &mut Rhythm::default()))
            .collect();
        assert_eq!(groups, [[1], [2], [3], [4]]);
    }

    #[test]
    fn a_lone_item_never_waits_and_large_groups_linger_for_their_like() {
        let mut rhythm = Rhythm::default();
        assert_eq!(rhythm.target(), 1);
        for _ in 0..20 {
            rhythm.note(100);
        }
        assert!((95..=100).contains(&rhythm.target()), "{}", rhythm.target());
        for _ in 0..20 {
            rhythm.note(3);
        }
        assert_eq!(rhythm.target(), 1);
    }

    #[test]
    fn lingering_ends_by_itself() {
        let inbox = Inbox::new();
        let mut rhythm = Rhythm { average: 100 * 16 };
        inbox.push(1, 1).unwrap();
        let started = Instant::now();
        assert_eq!(group_of(&inbox, &mut rhythm), [1]);
        assert!(started.elapsed() >= LINGER_MAX);
    }

    #[test]
    fn a_closed_inbox_hands_out_what_waits_and_takes_nothing() {
        let inbox = Inbox::new();
        inbox.push(1, 1).unwrap();
        inbox.close();
        assert_eq!(inbox.push(2, 1), Err(2));
        let mut group = Vec::new();
        assert!(inbox.next_group(&mut Rhythm::default(), &mut group));
        assert!(!inbox.next_group(&mut Rhythm::default(), &mut Vec::new()));
        assert_eq!(group, [1]);
    }
}
