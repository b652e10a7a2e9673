//! One file into another (T6): the same content, and nothing left of a failed attempt.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use lowtide_checkpoint::Seqno;

use crate::contract::{CompactionReport, CompactionRequest, Engine, EngineError};
use crate::couchstore::compact::single::compact_with;
use crate::couchstore::config::{CompactionConfig, CouchstoreConfig};
use crate::couchstore::engine::Couchstore;
use crate::couchstore::format::FormatVersion;
use crate::couchstore::tests::support::{VB, commit, contents, delete, dir, file, open, set};
use crate::disk::{Access, Disk, Fault, FaultyDisk, MemoryDisk};

use super::{names, noise};

/// Little memory for sorting, so that it takes several temporary files.
const CONFIG: CouchstoreConfig = CouchstoreConfig {
    cache_bytes: 0,
    open_files_max: CouchstoreConfig::DEFAULT.open_files_max,
    commit: crate::couchstore::config::CommitMode::TwoPhase,
    version: FormatVersion::V12,
    compaction: CompactionConfig {
        sort_bytes: 2_000,
        sync_bytes: 4_096,
        ..CompactionConfig::DEFAULT
    },
};

fn target() -> PathBuf {
    dir().join("7.couch.2")
}

fn source_disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(VB).expect("created");
    let sets: Vec<_> = (1..=60)
        .map(|n| set(n, &format!("key-{}", n % 40), &noise(200)))
        .collect();
    commit(&engine, VB, &sets).expect("committed");
    let deletes: Vec<_> = (61..=70)
        .map(|n| delete(n, &format!("key-{}", n % 40)))
        .collect();
    commit(&engine, VB, &deletes).expect("committed");
    engine.close().expect("closed");
    disk
}

fn bytes(disk: &dyn Disk, path: &Path) -> Vec<u8> {
    let file = disk.open(path, Access::ReadOnly).expect("there");
    let mut bytes = vec![0; usize::try_from(file.len().expect("known")).expect("fits")];
    assert_eq!(file.read_at(&mut bytes, 0).expect("read"), bytes.len());
    bytes
}

fn run(disk: &dyn Disk, request: CompactionRequest) -> Result<CompactionReport, EngineError> {
    compact_with(disk, &file(), &target(), request, CONFIG, &mut |_, _| {})
}

fn opened(disk: &MemoryDisk) -> Couchstore {
    Couchstore::open(Arc::new(disk.clone()), &dir(), CouchstoreConfig::default())
        .expect("opens")
        .0
}

#[test]
fn single_compaction_keeps_the_content() {
    let disk = source_disk();
    let before = bytes(&disk, &file());
    let expected = contents(&opened(&disk), VB);
    let report = run(&disk, CompactionRequest::default()).expect("compacted");
    assert_eq!(
        (report.items_copied, report.tombstones_purged),
        (expected.len() as u64, 0)
    );
    assert!(bytes(&disk, &file()) == before, "the source is only read");
    let after = bytes(&disk, &target());
    assert_eq!(
        (report.bytes_before, report.bytes_after),
        (before.len() as u64, after.len() as u64)
    );
    assert_eq!(
        names(&disk),
        ["7.couch.1", "7.couch.2"],
        "no temporary file is left"
    );
    // Of two revisions the newer one counts.
    assert_eq!(contents(&opened(&disk), VB), expected);

    let disk = source_disk();
    let purging = CompactionRequest {
        purge_upto: Some(Seqno(65)),
        ..CompactionRequest::default()
    };
    let report = run(&disk, purging).expect("compacted");
    assert_eq!(report.tombstones_purged, 5);
    let engine = opened(&disk);
    assert_eq!(engine.info(VB).expect("there").purge, Seqno(65));
    assert_eq!(contents(&engine, VB).len(), expected.len() - 5);
}

#[test]
fn single_compaction_failure_at_any_io_leaves_the_source_alone() {
    let mut failures = 0;
    for nth in 1.. {
        let memory = source_disk();
        let before = bytes(&memory, &file());
        let disk = FaultyDisk::new(memory.clone());
        disk.fail_io(nth, Fault::Eio);
        let result = run(&disk, CompactionRequest::default());
        disk.clear_faults();
        assert!(bytes(&memory, &file()) == before, "I/O {nth}");
        match result {
            Err(error) => {
                failures += 1;
                assert!(matches!(error, EngineError::Disk(_)), "I/O {nth}: {error}");
                // A file whose removal was the failure is not counted.
                assert_eq!(names(&memory), ["7.couch.1"], "I/O {nth}: {error}");
            }
            Ok(_) if disk.io_count() < nth => break,
            // Only the removal of a temporary file may fail silently.
            Ok(_) => assert!(
                names(&memory).iter().any(|name| name == "7.couch.2"),
                "I/O {nth}"
            ),
        }
    }
    assert!(failures >= 12, "{failures} failures");
}

#[test]
fn existing_target_is_refused() {
    let disk = source_disk();
    let there = disk.create(&target()).expect("new");
    there.write_at(&[b"precious"], 0).expect("written");
    let error = run(&disk, CompactionRequest::default()).expect_err("refused");
    assert!(matches!(error, EngineError::Disk(_)), "{error}");
    assert_eq!(bytes(&disk, &target()), b"precious");
    assert_eq!(names(&disk), ["7.couch.1", "7.couch.2"]);
}
