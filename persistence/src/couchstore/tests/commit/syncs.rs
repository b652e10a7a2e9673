//! The syncs that a commit takes, and what the vendor's tools see of it after a power loss.

use lowtide_checkpoint::{Datatype, Item, Seqno};

use crate::contract::Engine;
use crate::couchstore::config::{CommitMode, CouchstoreConfig};
use crate::couchstore::tests::support::{VB, commit, contents, file, open_with, set};
use crate::couchstore::tools::CouchFile;
use crate::disk::{MemoryDisk, PowerLoss};

const TWO_PHASE: CouchstoreConfig = CouchstoreConfig {
    commit: CommitMode::TwoPhase,
    ..CouchstoreConfig::DEFAULT
};

fn syncs(engine: &dyn Engine) -> u64 {
    engine.stats()["syncs"]
}

#[test]
fn commit_takes_one_sync_or_two() {
    let large = |seqno| Item {
        datatype: Datatype::SNAPPY,
        ..set(seqno, "large", &vec![7; 5 << 20])
    };
    for (config, expected) in [(CouchstoreConfig::default(), 1), (TWO_PHASE, 2)] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        let before = syncs(&engine);
        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        assert_eq!(syncs(&engine) - before, expected);
        commit(&engine, VB, &[large(2)]).expect("committed");
        assert_eq!(
            syncs(&engine) - before,
            expected + 2,
            "a large commit takes two"
        );
    }
}

#[test]
fn vendor_misses_no_commit_with_two_syncs_and_at_most_one_without() {
    for (config, seen) in [(CouchstoreConfig::default(), 1), (TWO_PHASE, 2)] {
        let disk = MemoryDisk::new();
        let (engine, _) = open_with(&disk, config).expect("opens");
        engine.create(VB).expect("created");
        commit(&engine, VB, &[set(1, "a", b"1")]).expect("committed");
        commit(&engine, VB, &[set(2, "b", b"2")]).expect("committed");
        disk.crash(PowerLoss::DropUnsynced);
        let high = || {
            CouchFile::open_read_only(&disk, &file())
                .expect("opens")
                .header()
                .info
                .high
        };
        assert_eq!(high(), Seqno(seen));
        drop(engine);
        let (engine, report) = open_with(&disk, config).expect("opens");
        assert_eq!(report.repairs.len(), 2 - seen as usize);
        assert_eq!(contents(&engine, VB).len(), 2);
        assert_eq!(high(), Seqno(2), "opening for writing activates it");
    }
}
