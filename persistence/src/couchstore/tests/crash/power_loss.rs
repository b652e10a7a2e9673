//! Power loss at every I/O of a small history, and at every I/O of the recovery from it.

use crate::contract::Engine;
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::format::FormatVersion;
use crate::couchstore::tests::support::{VB, commit, contents, open, open_with};
use crate::disk::{FaultyDisk, MemoryDisk, PowerLoss};

use super::script::{check_after, history, keeps, run, stages};

fn power_loss(config: CouchstoreConfig) {
    let counting = FaultyDisk::new(MemoryDisk::new());
    assert!(matches!(run(&counting, config), (Some(6), Ok(()))));
    for nth in 1..=counting.io_count() {
        for keep in keeps() {
            let what = format!("power off at {nth}, {keep:?}");
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, result) = run(&disk, config);
            assert!(result.is_err(), "{what}");
            disk.crash(keep);

            let (engine, _) =
                open_with(&disk, config).unwrap_or_else(|error| panic!("{what}: {error}"));
            let shown = check_after(&engine, acknowledged, &what);
            drop(engine);
            disk.crash(PowerLoss::DropUnsynced);
            let (engine, report) = open_with(&disk, config).expect("opens");
            assert_eq!(report.repairs, [], "{what}: repaired once");
            assert_eq!(
                check_after(&engine, acknowledged, &what),
                shown,
                "{what}: what was shown is durable"
            );

            if shown.is_none() {
                engine.create(VB).expect("created");
            }
            for batch in history().split_off(shown.unwrap_or(0)) {
                commit(&engine, VB, &batch).expect("committed");
            }
            assert_eq!(contents(&engine, VB), stages()[6], "{what}");
        }
    }
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged() {
    power_loss(CouchstoreConfig::default());
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged_with_two_syncs() {
    power_loss(CouchstoreConfig {
        commit: CommitMode::TwoPhase,
        ..CouchstoreConfig::default()
    });
}

#[test]
fn power_loss_at_any_io_keeps_what_was_acknowledged_in_older_versions() {
    for version in [FormatVersion::V12, FormatVersion::V13] {
        power_loss(CouchstoreConfig {
            version,
            ..CouchstoreConfig::default()
        });
    }
}

#[test]
fn power_loss_while_recovering_keeps_what_was_acknowledged() {
    let counting = FaultyDisk::new(MemoryDisk::new());
    let _ = run(&counting, CouchstoreConfig::default());
    for (nth, keep) in
        (1..=counting.io_count()).flat_map(|nth| keeps().take(5).map(move |keep| (nth, keep)))
    {
        let broken = || {
            let disk = FaultyDisk::new(MemoryDisk::new());
            disk.power_off_at_io(nth);
            let (acknowledged, _) = run(&disk, CouchstoreConfig::default());
            disk.crash(keep);
            (disk, acknowledged)
        };
        let (counting, _) = broken();
        let before = counting.io_count();
        drop(open(&counting).expect("opens"));
        for step in 1..=counting.io_count() - before {
            let (disk, acknowledged) = broken();
            disk.power_off_at_io(step);
            assert!(open(&disk).is_err());
            disk.crash(PowerLoss::Random { seed: step });
            let (engine, _) = open(&disk).expect("opens");
            check_after(
                &engine,
                acknowledged,
                &format!("off at {nth}, {keep:?}, again at {step}"),
            );
        }
    }
}
