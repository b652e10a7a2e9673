//! Stores to damage, and the check of a vBucket that cannot be read.

use std::path::PathBuf;

use lowtide_checkpoint::{Seqno, Vbid};

use crate::contract::{CompactionRequest, Engine};
use crate::disk::MemoryDisk;
use crate::logstor::tests::support::{A, B, commit, commit_all, open, open_with, run, set};
use crate::logstor::{Logstor, LogstorConfig};

pub(super) fn store() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    engine.create(A).expect("created");
    for n in 0..6 {
        commit(
            &engine,
            A,
            &[set(n + 1, &format!("key-{n}"), &[n as u8; 700])],
        )
        .expect("committed");
    }
    engine.close().expect("closed");
    disk
}

/// Returns a store of two vBuckets with segments of their own, and the place of a rewritten record
/// of `A` in the log.
pub(super) fn separated(config: LogstorConfig) -> (MemoryDisk, PathBuf, u64) {
    let disk = MemoryDisk::new();
    let (engine, _) = open_with(&disk, config).expect("opens");
    engine.create(A).expect("created");
    engine.create(B).expect("created");
    for n in 1..40 {
        let item = |key: &str| vec![set(n, &format!("{key}-{n}"), &[n as u8; 3000])];
        assert!(
            commit_all(&engine, &[(A, item("a")), (B, item("b"))])
                .iter()
                .all(Result::is_ok)
        );
    }
    run(engine.separate().expect("begun")).expect("separated");
    let vbucket = engine.store.registry.loaded(A).expect("there");
    let at = vbucket.slots()[20].location;
    let segment = engine.store.log.segments.get(at.segment).expect("in use");
    engine.close().expect("closed");
    (
        disk,
        segment.file.path.clone(),
        segment.base + u64::from(at.offset) + 50,
    )
}

/// Asserts that an unreadable vBucket exists, and that every operation on it returns `corrupt`.
pub(super) fn assert_refused(engine: &Logstor, vb: Vbid) {
    assert!(engine.vbuckets().contains(&vb));
    let errors = [
        engine.info(vb).expect_err("unreadable"),
        engine.snapshot(vb).expect_err("unreadable"),
        engine.check(vb).expect_err("unreadable"),
        commit(engine, vb, &[set(1000, "a", b"")]).expect_err("unreadable"),
        engine.purge(vb, Seqno(5)).expect_err("unreadable"),
        engine.rollback(vb, Seqno(0)).expect_err("unreadable"),
        engine
            .compact(vb, CompactionRequest::default())
            .expect_err("unreadable"),
        engine
            .get(
                vb,
                lowtide_checkpoint::Namespace::Committed,
                &lowtide_checkpoint::Key::new(b"a"),
            )
            .expect_err("unreadable"),
    ];
    for error in errors {
        assert_eq!(error.kind(), "corrupt", "{error}");
    }
    assert_eq!(
        engine.create(vb).expect_err("there").kind(),
        "vbucket-exists"
    );
}
