//! A short soak of the store for each engine: a few kills, a failing disk, and everything compared.
//!
//! `cargo xtask soak` runs it for long. The number of steps is fixed; nothing here depends on time.

use support::soak::{Engine, Length, Soak};
use tempfile::TempDir;

fn soak(engine: Engine, seed: u64) {
    let home = TempDir::new().expect("a directory");
    let soak = Soak {
        program: env!("CARGO_BIN_EXE_store-soak").into(),
        dir: home.path().to_owned(),
        engine,
        seed,
        length: Length::Rounds(6),
    };
    let counts = match soak.run() {
        Ok(counts) => counts,
        Err(violation) => panic!("{engine}, seed {seed}: {violation}"),
    };
    println!("{counts}");
    assert_eq!(counts.of("kills"), 5, "{counts}");
    for name in ["acks", "snapshots-compared", "reopenings", "rollbacks"] {
        assert!(counts.of(name) > 0, "no {name}: {counts}");
    }
    assert!(counts.disk_failures() > 0, "{counts}");
}

/// Guards R3, R7, S35, S36 and S37 against the death of the process and a failing disk.
#[test]
fn store_on_logstor_killed_on_a_failing_disk_keeps_what_was_acknowledged() {
    soak(Engine::Logstor, 1);
}

/// Same as the test above, for the other engine.
#[test]
fn store_on_couchstore_killed_on_a_failing_disk_keeps_what_was_acknowledged() {
    soak(Engine::Couchstore, 1);
}
