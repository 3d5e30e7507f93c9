//! Where writes wait before they are committed, and where tests let them fail.

use std::collections::VecDeque;

/// Faults for tests of what stands on a port. A fresh one has none.
///
/// All writes of a store or log pass here in the order of submission.
pub trait Faults {
    /// From here on writes stay pending until they are released.
    fn hold(&self);

    /// Commits the oldest `count` writes that wait; the others stay. Returns how many there were.
    fn release(&self, count: usize) -> usize;

    /// Commits all writes that wait, and further ones at once.
    fn resume(&self);

    /// The next `count` writes fail with [`crate::StoreError::DiskFull`] when their turn comes.
    fn fail_next(&self, count: usize);

    /// How many writes wait.
    fn waiting(&self) -> usize;
}

/// Writes that wait, oldest first, and what shall happen to them.
#[derive(Debug)]
pub(super) struct Gate<W> {
    waiting: VecDeque<W>,
    mode: Mode,
    failing: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    Held,
}

/// What becomes of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Commit,
    DiskFull,
}

impl<W> Gate<W> {
    pub(super) const fn new() -> Self {
        Self {
            waiting: VecDeque::new(),
            mode: Mode::Open,
            failing: 0,
        }
    }

    pub(super) fn push(&mut self, work: W) {
        self.waiting.push_back(work);
    }

    /// The oldest write, when it may go on by itself.
    pub(super) fn next(&mut self) -> Option<(W, Verdict)> {
        match self.mode {
            Mode::Open => self.release(),
            Mode::Held => None,
        }
    }

    /// The oldest write, held or not.
    pub(super) fn release(&mut self) -> Option<(W, Verdict)> {
        let work = self.waiting.pop_front()?;
        let verdict = if self.failing > 0 {
            Verdict::DiskFull
        } else {
            Verdict::Commit
        };
        self.failing = self.failing.saturating_sub(1);
        Some((work, verdict))
    }

    pub(super) const fn hold(&mut self) {
        self.mode = Mode::Held;
    }

    pub(super) const fn open(&mut self) {
        self.mode = Mode::Open;
    }

    pub(super) const fn fail_next(&mut self, count: usize) {
        self.failing = count;
    }

    pub(super) const fn is_failing(&self) -> bool {
        self.failing > 0
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }
}
