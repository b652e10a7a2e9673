//! Rollbacks and purges beside compactions, and after them: a job of a past that was given up ends, and what a rollback
//! finds in a new file was committed.

use checkpoint::Seqno;

use crate::disk::{Keep, MemoryDisk};
use crate::{Engine, EngineError, Progress, RolledBack};

use super::super::naive;
use super::super::support::{VB, commit, delete, open, set};
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
