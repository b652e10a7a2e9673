//! Rollbacks and purges beside compactions, and after them: a job of a past that was given up ends, and what a rollback
//! finds in a new file was committed.

use checkpoint::{Seqno, VBucketState, Vbid};

use crate::disk::{Keep, MemoryDisk};
use crate::{Batch, Engine, EngineError, Progress, RolledBack};

use super::super::naive;
use super::super::support::{VB, commit, delete, open, set, state};
use super::{POINTS, SMALL, batch, begin, names, store, to_end, to_point};

/// Breaks off the history of a vBucket whose commits are at 20, 40, 60 and 62.
type Break = fn(&crate::couchstore::Couchstore);

const BREAKS: [Break; 2] = [
    |engine| assert_eq!(naive::rollback(engine, 45), 40),
    |engine| assert_eq!(engine.purge(VB, Seqno(61)).expect("purged"), Seqno(61)),
];

#[test]
fn a_rollback_or_a_purge_ends_the_job_at_every_point_before_the_rename() {
    for history_breaks in BREAKS {
        for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
            let disk = MemoryDisk::new();
            let engine = store(&disk);
            commit(&engine, VB, &[delete(61, "key-1"), set(62, "key-2", b"62")]).expect("committed");
            let mut job = begin(&engine);
            job.step(SMALL).expect("no failure");
            point.inspect(|point| to_point(&mut *job, point));
            history_breaks(&engine);
            let expected = naive::now(&engine);
            assert!(
                matches!(to_end(&mut *job, SMALL), Err(EngineError::Aborted { vb: VB, .. })),
                "{point:?}"
            );
            assert_eq!(names(&disk), ["7.couch.1"], "{point:?}");
            assert_eq!(naive::now(&engine), expected, "{point:?}");
            commit(&engine, VB, &batch(63)).expect("committed");
            let expected = naive::now(&engine);
            to_end(&mut *begin(&engine), SMALL).expect("no failure");
            assert_eq!(naive::now(&engine), expected, "{point:?}");
            drop((job, engine));
            disk.crash(Keep::None);
            assert_eq!(naive::now(&open(&disk).expect("opens").0), expected, "{point:?}");
        }
    }
}

/// E14: the job ends with a break in its own vBucket's history. Neither a purge that removes nothing nor one of another
/// vBucket is such a break.
#[test]
fn purge_that_removes_nothing_or_is_of_another_vbucket_leaves_the_job_alone() {
    const OTHER: Vbid = Vbid(8);
    for point in [None, Some(POINTS[0]), Some(POINTS[1]), Some(POINTS[2])] {
        let disk = MemoryDisk::new();
        let engine = store(&disk);
        commit(&engine, VB, &[delete(61, "key-1")]).expect("committed");
        engine.create(OTHER).expect("created");
        commit(&engine, OTHER, &[delete(1, "a"), set(2, "b", b"2")]).expect("committed");
        let mut job = begin(&engine);
        job.step(SMALL).expect("no failure");
        point.inspect(|point| to_point(&mut *job, point));
        // The highest seqno stays: there is nothing else to purge.
        assert_eq!(engine.purge(VB, Seqno::MAX).expect("purged"), Seqno::ZERO);
        assert_eq!(engine.purge(OTHER, Seqno::MAX).expect("purged"), Seqno(1));
        let expected = naive::now(&engine);
        to_end(&mut *job, SMALL).expect("not ended by either");
        assert_eq!(naive::now(&engine), expected, "{point:?}");
    }
}

#[test]
fn after_the_rename_a_rollback_finds_the_new_file() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let mut job = begin(&engine);
    to_point(&mut *job, "compact-after-rename");
    let expected = naive::now(&engine);
    let rolled_back = engine.rollback(VB, Seqno(45)).expect("no failure");
    assert!(matches!(rolled_back, RolledBack::NeedsReset { lowest: Seqno(60) }), "{rolled_back:?}");
    commit(&engine, VB, &batch(61)).expect("committed");
    assert_eq!(naive::rollback(&engine, 60), 60);
    assert_eq!(naive::now(&engine), expected);
    assert!(
        matches!(job.step(SMALL).expect("no failure"), Progress::Done(_)),
        "all that was left is to clean up"
    );
    assert_eq!(names(&disk), ["7.couch.2"]);
    drop((job, engine));
    disk.crash(Keep::None);
    assert_eq!(naive::now(&open(&disk).expect("opens").0), expected);
}

#[test]
fn a_new_file_of_two_headers_goes_back_to_what_was_committed_and_no_further() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let committed = naive::now(&engine);
    let mut job = begin(&engine);
    to_point(&mut *job, "compact-before-rename");
    // The last round has both, behind the header that the target has by now.
    commit(&engine, VB, &batch(61)).expect("committed");
    commit(&engine, VB, &batch(81)).expect("committed");
    to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!(naive::now(&engine).high, 100);
    assert_eq!(naive::rollback(&engine, 99), 60);
    assert_eq!(naive::now(&engine), committed);
    let refused = engine.rollback(VB, Seqno(59)).expect("no failure");
    assert!(matches!(refused, RolledBack::NeedsReset { lowest: Seqno(60) }), "{refused:?}");
    drop((job, engine));
    disk.crash(Keep::None);
    assert_eq!(naive::now(&open(&disk).expect("opens").0), committed);
}

/// A replica learns it from its active: without a purge of its own, and in the middle of a compaction.
#[test]
fn a_purge_seqno_that_a_batch_brings_is_kept() {
    let disk = MemoryDisk::new();
    let engine = store(&disk);
    let bring = |seqno: u64, purge_seqno: u64| {
        let item = set(seqno, "brings", b"1");
        let state = VBucketState { purge_seqno: Seqno(purge_seqno), ..state(seqno) };
        let batch = Batch { vb: VB, items: &[&item], state: &state, timestamp: 1 };
        engine.commit(&[batch]).pop().expect("one result a batch")
    };
    let purge_seqno = |engine: &dyn Engine| {
        let snapshot = engine.snapshot(VB).expect("there");
        let purge_seqno = engine.info(VB).expect("there").purge;
        assert_eq!(snapshot.state().expect("committed").purge_seqno, purge_seqno);
        purge_seqno.0
    };
    bring(61, 30).expect("committed");
    assert_eq!(purge_seqno(&engine), 30);
    bring(62, 20).expect("committed");
    assert_eq!(purge_seqno(&engine), 30, "it never falls");
    for beyond in [1 << 48, u64::MAX] {
        assert!(matches!(bring(63, beyond), Err(EngineError::InvalidArgument(_))));
    }
    assert_eq!((purge_seqno(&engine), engine.info(VB).expect("there").high), (30, Seqno(62)));
    let mut job = begin(&engine);
    to_point(&mut *job, "compact-copied");
    bring(63, 40).expect("committed");
    to_point(&mut *job, "compact-before-rename");
    bring(64, 50).expect("committed");
    to_end(&mut *job, SMALL).expect("no failure");
    assert_eq!((names(&disk), purge_seqno(&engine)), (vec!["7.couch.2".to_owned()], 50));
    drop((job, engine));
    disk.crash(Keep::None);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(purge_seqno(&engine), 50);
    assert_eq!(naive::rollback(&engine, 63), 63);
    assert_eq!(purge_seqno(&engine), 40, "that of the commit gone back to");
}
