//! Whether the disk has room, for all files of a data directory together.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hub_storage::store::Health;

use crate::config::{Config, FreeSpace};

/// What a probe writes: more than a small group needs.
const PROBE_BYTES: usize = 1 << 20;

/// Refuses writes while the disk is full or nearly so.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    free_bytes_min: u64,
    free_space: FreeSpace,
    check_interval: Duration,
    probe_interval: Duration,
    full: AtomicBool,
    looked: Mutex<Instant>,
}

impl Disk {
    /// Looks at the disk of `folder` once.
    pub(crate) fn new(folder: &Path, config: &Config) -> Self {
        let disk = Self {
            folder: folder.to_owned(),
            free_bytes_min: config.disk_free_bytes_min,
            free_space: config.free_space.clone(),
            check_interval: config.disk_check_interval,
            probe_interval: config.disk_probe_interval,
            full: AtomicBool::new(false),
            looked: Mutex::new(Instant::now()),
        };
        disk.look();
        disk
    }

    pub(crate) fn health(&self) -> Health {
        if self.is_full() {
            Health::DiskFull
        } else {
            Health::Good
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// True when a group may be written. Looks at the free space now and then.
    pub(crate) fn accepts_writes(&self) -> bool {
        if !self.is_full() && self.is_due(self.check_interval) {
            self.look();
        }
        !self.is_full()
    }

    /// Notes that a write failed for lack of space.
    pub(crate) fn write_failed(&self) {
        *self
            .looked
            .lock()
            .expect("nothing panics while it holds the time") = Instant::now();
        self.refuse("a write failed");
    }

    /// Called now and then; lifts the refusal once there is room again.
    pub(crate) fn probe(&self) {
        if self.is_full() && self.is_due(self.probe_interval) && self.has_room() && self.can_write()
        {
            self.full.store(false, Ordering::Release);
            tracing::info!(folder = %self.folder.display(), "the disk has room again; writes are accepted");
        }
    }

    fn is_due(&self, interval: Duration) -> bool {
        let mut looked = self
            .looked
            .lock()
            .expect("nothing panics while it holds the time");
        let due = looked.elapsed() >= interval;
        if due {
            *looked = Instant::now();
        }
        due
    }

    fn look(&self) {
        if !self.has_room() {
            self.refuse("too little free space");
        }
    }

    fn has_room(&self) -> bool {
        match self.free_space.bytes(&self.folder) {
            Ok(bytes) => bytes >= self.free_bytes_min,
            // Not to know is no reason to stop: a write that fails says so itself.
            Err(_) => true,
        }
    }

    fn can_write(&self) -> bool {
        let path = self.folder.join("probe.tmp");
        let written = fs::File::create(&path).and_then(|mut file| {
            file.write_all(&vec![0; PROBE_BYTES])?;
            file.sync_all()
        });
        drop(fs::remove_file(&path));
        written.is_ok()
    }

    fn refuse(&self, why: &str) {
        if !self.full.swap(true, Ordering::AcqRel) {
            tracing::error!(folder = %self.folder.display(), why, "the disk is full; writes are refused");
        }
    }
}
