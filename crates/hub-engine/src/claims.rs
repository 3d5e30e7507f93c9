//! Who holds which entry of a durable queue, in memory.
//!
//! A reader looks at the store first and claims afterwards. What left the queue in between must not be
//! claimed: it is noted for as long as somebody reads.

use std::collections::BTreeMap;

/// The claims on one queue: entries by number, each with its holder.
pub(crate) struct Claims<N, H> {
    held: BTreeMap<N, H>,
    readers: u32,
    left: Vec<N>,
}

impl<N: Copy + Ord, H> Claims<N, H> {
    pub(crate) const fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            readers: 0,
            left: Vec::new(),
        }
    }

    /// Somebody begins to read the store.
    pub(crate) const fn begin(&mut self) {
        self.readers += 1;
    }

    /// Somebody is done with what it read.
    pub(crate) fn end(&mut self) {
        self.readers -= 1;
        if self.readers == 0 {
            self.left = Vec::new();
        }
    }

    pub(crate) fn holder(&self, no: N) -> Option<&H> {
        self.held.get(&no)
    }

    /// Claims an entry, unless it left the queue or has a holder that does not give way.
    pub(crate) fn claim(&mut self, no: N, holder: H, gives_way: impl FnOnce(&H) -> bool) -> bool {
        if self.left.contains(&no) || self.held.get(&no).is_some_and(|held| !gives_way(held)) {
            return false;
        }
        self.held.insert(no, holder);
        true
    }

    /// The entry is no longer in the queue.
    pub(crate) fn leave(&mut self, no: N) {
        self.held.remove(&no);
        if self.readers > 0 {
            self.left.push(no);
        }
    }

    /// The entry may be claimed again. Its holder, if it had one.
    pub(crate) fn put_back(&mut self, no: N) -> Option<H> {
        self.held.remove(&no)
    }

    /// Puts back what `goes` says; returns the numbers with their holders.
    pub(crate) fn put_back_where(&mut self, goes: impl Fn(&H) -> bool) -> Vec<(N, H)> {
        self.held.extract_if(.., |_, holder| goes(holder)).collect()
    }

    /// True when nothing would be lost with it.
    pub(crate) fn is_idle(&self) -> bool {
        self.held.is_empty() && self.readers == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_has_one_holder() {
        let mut claims = Claims::new();
        assert!(claims.claim(1, "a", |_| false));
        assert!(!claims.claim(1, "b", |_| false));
        assert!(claims.claim(1, "c", |held| *held == "a"));
        assert_eq!(claims.put_back(1), Some("c"));
        assert!(claims.is_idle());
        assert!(claims.claim(1, "d", |_| false));
    }

    #[test]
    fn what_left_while_somebody_read_is_not_claimed() {
        let mut claims = Claims::new();
        assert!(claims.claim(1, "a", |_| false));
        claims.begin();
        claims.begin();
        claims.leave(1);
        assert!(!claims.claim(1, "b", |_| true));
        claims.end();
        assert!(!claims.claim(1, "b", |_| true));
        claims.end();
        assert!(claims.is_idle());
        // A reader that begins now does not see it in the store.
        assert!(claims.claim(1, "b", |_| true));
    }
}
