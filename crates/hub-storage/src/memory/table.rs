//! A map whose changes can be taken back as long as they are not committed.

use std::collections::BTreeMap;

/// Rows by key, in key order.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    rows: BTreeMap<K, V>,
    /// What was there before each change since the last commit, in the order of the changes.
    undo: Vec<(K, Option<V>)>,
}

impl<K: Ord + Clone, V> Table<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            undo: Vec::new(),
        }
    }

    pub(super) const fn rows(&self) -> &BTreeMap<K, V> {
        &self.rows
    }

    pub(super) fn put(&mut self, key: K, row: V) {
        let before = self.rows.insert(key.clone(), row);
        self.undo.push((key, before));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some(before) = self.rows.remove(key) {
            self.undo.push((key.clone(), Some(before)));
        }
    }

    /// Keeps the changes.
    pub(super) fn commit(&mut self) {
        self.undo.clear();
    }

    /// Takes the changes since the last commit back.
    pub(super) fn roll_back(&mut self) {
        while let Some((key, before)) = self.undo.pop() {
            match before {
                Some(row) => self.rows.insert(key, row),
                None => self.rows.remove(&key),
            };
        }
    }
}
