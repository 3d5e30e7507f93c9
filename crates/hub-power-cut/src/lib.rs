//! A file layer for SQLite that knows what a power cut would leave. For tests only.
//!
//! It passes everything to SQLite's own file layer, so that locks, shared memory and many connections work as always, and keeps
//! for each file beside it what was synced and what was written since. [`PowerCut::survivors`] writes
//! down what a disk could hold if the power failed at that moment: all that was synced, and of the rest
//! any part, cut at the boundaries of sectors. The program under test goes on and never knows.
//!
//! Syncs go no further than this layer, which makes tests fast; killing the process is another test.
//! The name of a file counts as synced with the first sync of the file. A removal counts as synced with the
//! first sync of the next new file in the folder, for then SQLite syncs the folder too (`unixSync`), and may
//! be undone until then. Shared memory (`-shm`) never survives.
//!
//! Faults can be injected as well: writes that find no space, and syncs that fail.

mod image;
mod layer;
mod random;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use image::Image;
use random::Random;

/// What the layer does wrong on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Every write finds the disk full.
    DiskFull,
    /// Every sync fails, and nothing of what it was for is safe.
    SyncFails,
}

/// A file layer, registered with SQLite under its name for the life of the process.
#[derive(Clone, Copy)]
pub struct PowerCut {
    shared: &'static Shared,
}

struct Shared {
    name: CString,
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    images: BTreeMap<PathBuf, Image>,
    fault: Fault,
    syncs: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it holds the images")
    }
}

impl State {
    fn sync(&mut self, path: &Path) {
        let image = self.images.entry(path.to_owned()).or_default();
        let is_first = image.is_new();
        image.sync();
        if is_first {
            self.images
                .retain(|other, image| !image.is_removed() || other.parent() != path.parent());
        }
    }
}

impl PowerCut {
    /// Registers a layer called `name` for files below `root`.
    ///
    /// # Panics
    /// When the name holds a zero byte or SQLite refuses.
    pub fn install(name: &str, root: &Path) -> Self {
        let name = CString::new(name).expect("names of layers have no zero byte");
        // SQLite keeps the layer's address until the process ends.
        let shared: &'static Shared = Box::leak(Box::new(Shared {
            name,
            root: root.to_owned(),
            state: Mutex::default(),
        }));
        layer::register(shared);
        Self { shared }
    }

    /// The name to open databases with.
    pub fn name(&self) -> &str {
        self.shared.name.to_str().expect("the name came from text")
    }

    /// From here on things go wrong like this.
    pub fn set_fault(&self, fault: Fault) {
        self.shared.lock().fault = fault;
    }

    /// How many syncs there were.
    pub fn syncs(&self) -> u64 {
        self.shared.lock().syncs
    }

    /// Writes below `folder` what a disk could hold if the power failed now. The same seed and state give the same.
    ///
    /// # Panics
    /// When the files cannot be written.
    pub fn survivors(&self, seed: u64, folder: &Path) {
        let mut random = Random::new(seed);
        let state = self.shared.lock();
        for (path, image) in &state.images {
            let Ok(name) = path.strip_prefix(&self.shared.root) else {
                continue;
            };
            let is_removed = !path.exists();
            let Some(content) = image.survivor(is_removed, &mut random) else {
                continue;
            };
            let target = folder.join(name);
            let parent = target.parent().expect("a file has a folder");
            fs::create_dir_all(parent).expect("folders can be made");
            fs::write(&target, content).expect("files can be written");
        }
    }
}
