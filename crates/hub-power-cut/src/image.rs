//! What a disk holds of one file for certain, and what it may hold.

use crate::random::Random;

/// Disks write sectors whole.
const SECTOR_BYTES: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Image {
    synced: Vec<u8>,
    /// Changes since the last sync, in their order.
    unsynced: Vec<Change>,
    name: Name,
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate { length: usize },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Name {
    /// Never synced: the file may be missing.
    #[default]
    New,
    Safe,
    /// Removed, but the removal was not synced: the file may be back.
    Removed,
}

impl Image {
    /// A file that was there before, with this content.
    pub(crate) const fn existing(content: Vec<u8>) -> Self {
        Self {
            synced: content,
            unsynced: Vec::new(),
            name: Name::Safe,
        }
    }

    pub(crate) const fn is_new(&self) -> bool {
        matches!(self.name, Name::New)
    }

    pub(crate) const fn is_removed(&self) -> bool {
        matches!(self.name, Name::Removed)
    }

    pub(crate) fn is_untouched(&self) -> bool {
        self.synced.is_empty() && self.unsynced.is_empty()
    }

    pub(crate) fn write(&mut self, offset: usize, data: &[u8]) {
        self.unsynced.push(Change::Write {
            offset,
            data: data.to_vec(),
        });
    }

    pub(crate) fn truncate(&mut self, length: usize) {
        self.unsynced.push(Change::Truncate { length });
    }

    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            change.apply(&mut self.synced);
        }
        self.name = Name::Safe;
    }

    pub(crate) const fn remove(&mut self) {
        self.name = Name::Removed;
    }

    /// What is left of the file after a power cut; `None` when it is missing.
    pub(crate) fn survivor(&self, is_removed: bool, random: &mut Random) -> Option<Vec<u8>> {
        let may_be_missing = is_removed || self.name != Name::Safe;
        if may_be_missing && random.chance(50) {
            return None;
        }
        let mut content = self.synced.clone();
        // Some cuts lose all, some nothing, most something.
        let kept_percent = match (random.chance(50), random.chance(50)) {
            (true, true) => 0,
            (true, false) => 60,
            (false, true) => 95,
            (false, false) => 100,
        };
        for change in &self.unsynced {
            if random.chance(kept_percent) {
                let is_torn = kept_percent < 100 && random.chance(30);
                if is_torn {
                    change.apply_torn(&mut content, random)
                } else {
                    change.apply(&mut content)
                }
            }
        }
        Some(content)
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, data } => put(content, *offset, data),
            Self::Truncate { length } => content.resize(*length, 0),
        }
    }

    /// Applies some of the sectors.
    fn apply_torn(&self, content: &mut Vec<u8>, random: &mut Random) {
        match self {
            Self::Write { offset, data } => {
                let mut begin = 0;
                while begin < data.len() {
                    let to_boundary = SECTOR_BYTES - (offset + begin) % SECTOR_BYTES;
                    let end = data.len().min(begin + to_boundary);
                    if random.chance(50) {
                        put(content, offset + begin, &data[begin..end]);
                    }
                    begin = end;
                }
            }
            Self::Truncate { .. } => self.apply(content),
        }
    }
}

fn put(content: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(data);
}
