//! The layer keeps what was synced and loses what was not, as it says.

use hub_power_cut::{Fault, PowerCut};
use rusqlite::{Connection, OpenFlags};

struct World {
    folder: tempfile::TempDir,
    layer: PowerCut,
}

impl World {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let layer = PowerCut::install(name, folder.path());
        Self { folder, layer }
    }

    fn open(&self, synchronous: &str) -> Connection {
        let path = self.folder.path().join("t.db");
        let connection =
            Connection::open_with_flags_and_vfs(path, OpenFlags::default(), self.layer.name())
                .expect("a database opens");
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous={synchronous}; PRAGMA wal_autocheckpoint=0;"
            ))
            .expect("pragmas are taken");
        connection
    }

    fn rows_after_cut(&self, seed: u64) -> Option<i64> {
        let after = tempfile::tempdir().expect("a folder can be made");
        self.layer.survivors(seed, after.path());
        let connection = Connection::open(after.path().join("t.db")).expect("a database opens");
        let whole: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .expect("it answers");
        assert_eq!(whole, "ok", "seed {seed}");
        connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .ok()
    }
}

fn write(connection: &Connection, rows: i64) {
    for n in 0..rows {
        connection
            .execute("INSERT INTO t VALUES(?1, zeroblob(3000))", [n])
            .expect("a row is written");
    }
}

#[test]
fn what_is_synced_survives_every_cut() {
    let world = World::new("layer-full");
    let connection = world.open("FULL");
    connection.execute_batch("CREATE TABLE t(a, b)").unwrap();
    write(&connection, 40);
    for seed in 0..40 {
        assert_eq!(world.rows_after_cut(seed), Some(40), "seed {seed}");
    }
    connection
        .execute_batch("PRAGMA wal_checkpoint(PASSIVE)")
        .unwrap();
    write(&connection, 3);
    for seed in 40..80 {
        assert_eq!(world.rows_after_cut(seed), Some(43), "seed {seed}");
    }
}

#[test]
fn what_is_not_synced_may_be_lost() {
    let world = World::new("layer-off");
    let connection = world.open("FULL");
    connection
        .execute_batch("CREATE TABLE t(a, b); PRAGMA synchronous=OFF")
        .unwrap();
    write(&connection, 40);
    let mut counts: Vec<_> = (0..60).map(|seed| world.rows_after_cut(seed)).collect();
    counts.sort_unstable();
    counts.dedup();
    assert!(
        counts.contains(&Some(0)) && counts.contains(&Some(40)) && counts.len() > 3,
        "{counts:?}"
    );
}

#[test]
fn faults_reach_sqlite() {
    let world = World::new("layer-faults");
    let connection = world.open("FULL");
    connection.execute_batch("CREATE TABLE t(a, b)").unwrap();
    let code = |fault| {
        world.layer.set_fault(fault);
        let error = connection
            .execute("INSERT INTO t VALUES(1, 2)", [])
            .unwrap_err();
        error.sqlite_extended_error_code().unwrap()
    };
    assert_eq!(code(Fault::DiskFull), rusqlite::ffi::SQLITE_FULL);
    assert_eq!(code(Fault::SyncFails), rusqlite::ffi::SQLITE_IOERR_FSYNC);
}
