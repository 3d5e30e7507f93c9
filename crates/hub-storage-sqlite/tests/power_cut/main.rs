//! Power cuts: the backend works over a file layer that knows what a disk would hold if the power failed,
//! and what that disk holds is opened and compared with what was acknowledged before.
//!
//! Readers, shared memory and checkpoints are as in real life. Where in the work the power fails is chosen
//! by the seed in acknowledged operations; threads make each run a little different.

mod check;
mod work;

use std::sync::Arc;
use std::time::Duration;

use hub_power_cut::PowerCut;
use hub_storage_sqlite::{Config, SqliteStorage};

/// Small limits, so that short runs meet new files, checkpoints and fresh WALs.
fn config() -> Config {
    Config {
        disk_free_bytes_min: 0,
        bucket_bytes_max: 30_000,
        wal_bytes_max: 200_000,
        checkpoint_interval: Duration::from_millis(2),
        log_tail_bytes_max: 4_096,
        ..Config::default()
    }
}

fn cut_power(seed: u64) {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let layer = PowerCut::install(&format!("power-cut-{seed}"), folder.path());
    let config = Config {
        file_layer: Some(layer.name().to_owned()),
        ..config()
    };
    let opened = SqliteStorage::open(folder.path(), &config).expect("the storage opens");
    let after = tempfile::tempdir().expect("a folder can be made");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime starts");

    let run = Arc::new(work::Run::new(seed, layer, after.path()));
    let acknowledged = runtime.block_on(work::until_the_cut(&opened, run));
    opened.close();

    let survived = SqliteStorage::open(after.path(), &self::config()).expect("what survived opens");
    runtime.block_on(check::holds_everything(seed, &survived, &acknowledged));
    survived.close();
}

#[test]
fn what_was_acknowledged_survives_early_power_cuts() {
    (0..12).for_each(cut_power);
}

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    (12..24).for_each(cut_power);
}

#[test]
fn what_was_acknowledged_survives_late_power_cuts() {
    (24..36).for_each(cut_power);
}
