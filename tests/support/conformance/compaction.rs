//! Compaction: nothing is lost and nothing comes back, whatever is committed concurrently.

use std::sync::Arc;

use lowtide_checkpoint::{Item, Key, Operation, Seqno};
use lowtide_persistence::disk::{Disk, MemoryDisk, PowerLoss};
use lowtide_persistence::{Budget, CompactionRequest, Job, JobProgress};

use super::{
    Contents, Open, VBS, apply, commit, contents, contents_of, delete, delete_in, fresh, history,
    set,
};

const STEP: Budget = Budget::new(4, 4096);

fn to_end(mut job: Box<dyn Job>) {
    while !matches!(job.step(STEP).expect("no failure"), JobProgress::Done(_)) {}
}

/// Compacts with commits between the steps, and drops a second compaction midway: contents and
/// snapshots stay.
pub fn compaction_keeps_everything(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    let mut expected = Contents::new();
    for batch in history() {
        let mut job = engine
            .compact(VBS[0], CompactionRequest::default())
            .expect("begun");
        job.step(STEP).expect("no failure");
        commit(&*engine, VBS[0], &batch).expect("committed");
        expected = apply(&expected, &batch);
        job.step(STEP).expect("no failure");
        drop(job);
        assert_eq!(
            contents(&*engine, VBS[0]),
            expected,
            "a job that was dropped changed something"
        );
    }
    let (pinned, before) = (engine.snapshot(VBS[0]).expect("there"), expected.clone());
    let mut job = engine
        .compact(VBS[0], CompactionRequest::default())
        .expect("begun");
    for seqno in 100.. {
        let is_over = matches!(job.step(STEP).expect("no failure"), JobProgress::Done(_));
        let batch = [set(seqno, &format!("beside-{}", seqno % 7), b"x")];
        commit(&*engine, VBS[0], &batch).expect("committed");
        expected = apply(&expected, &batch);
        assert_eq!(contents(&*engine, VBS[0]), expected, "at {seqno}");
        if is_over {
            break;
        }
    }
    assert_eq!(
        contents_of(&*pinned),
        before,
        "a pinned snapshot has changed"
    );
    drop((pinned, job, engine));
    reopened(open, &disk, &expected);
}

/// Checks that purged tombstones stay away, the highest seqno stays, and the purge seqno is
/// reported.
pub fn purged_tombstones_stay_away(open: Open<'_>) {
    let (disk, engine) = fresh(open);
    let batches = [
        vec![set(1, "a", b"1"), delete(2, "b")],
        vec![delete(3, "c"), set(4, "d", b"4")],
        vec![delete(5, "a")],
    ];
    for batch in &batches {
        commit(&*engine, VBS[0], batch).expect("committed");
    }
    let request = CompactionRequest::new().with_purge_upto(Seqno(2));
    to_end(engine.compact(VBS[0], request).expect("begun"));
    let mut expected = batches
        .iter()
        .fold(Contents::new(), |contents, batch| apply(&contents, batch));
    expected.remove(&2);
    assert_eq!(contents(&*engine, VBS[0]), expected);
    let request = CompactionRequest::new().with_purge_upto(Seqno::MAX);
    to_end(engine.compact(VBS[0], request).expect("begun"));
    expected.remove(&3);
    assert_eq!(
        contents(&*engine, VBS[0]),
        expected,
        "the highest seqno stays"
    );
    let info = engine.info(VBS[0]).expect("there");
    assert_eq!((info.high, info.purge), (Seqno(5), Seqno(3)));
    drop(engine);
    reopened(open, &disk, &expected);
}

/// Checks promise 8: after any purge the vBucket's highest seqno stays the same, and each
/// collection's, if the engine promises it.
pub fn highest_seqno_of_a_collection_stays(open: Open<'_>) {
    let prepare = |operation, seqno| Item {
        seqno: Seqno(seqno),
        ..Item::new(operation, Key::in_collection(10, b"durable"))
    };
    let dropped = Item {
        seqno: Seqno(8),
        deleted: true,
        ..Item::new(Operation::SystemEvent, Key::in_collection(11, b"name"))
    };
    let batches = [
        // The last item of collection 8 is a tombstone, that of 9 is not, that of 10 is an abort.
        vec![
            delete_in(8, 1, "a"),
            delete_in(9, 2, "a"),
            delete_in(10, 3, "a"),
            delete_in(8, 4, "b"),
        ],
        vec![
            prepare(Operation::Abort, 5),
            Item {
                key: Key::in_collection(9, b"b"),
                ..set(6, "", b"6")
            },
        ],
        // A system event is about a collection, not in it.
        vec![delete(7, "a"), dropped, delete(9, "b")],
    ];
    let (_, engine) = fresh(open);
    let stays: &[u64] = if engine.capabilities().keeps_collections_highest {
        &[4, 5, 6, 9]
    } else {
        &[6, 9]
    };
    for by_compaction in [false, true] {
        for upto in [3, 4, 8, 100] {
            let (disk, engine) = fresh(open);
            for batch in &batches {
                commit(&*engine, VBS[0], batch).expect("committed");
            }
            if by_compaction {
                let request = CompactionRequest::new().with_purge_upto(Seqno(upto));
                to_end(engine.compact(VBS[0], request).expect("begun"));
            } else {
                engine.purge(VBS[0], Seqno(upto)).expect("purged");
            }
            let all = batches
                .iter()
                .fold(Contents::new(), |contents, batch| apply(&contents, batch));
            let kept = |seqno: u64| seqno > upto || stays.contains(&seqno);
            let expected: Contents = all.into_iter().filter(|&(seqno, _)| kept(seqno)).collect();
            let what = format!("up to {upto}, by a compaction: {by_compaction}");
            assert_eq!(contents(&*engine, VBS[0]), expected, "{what}");
            let purged = (1..=9)
                .filter(|&seqno| !kept(seqno))
                .max()
                .unwrap_or_default();
            let info = engine.info(VBS[0]).expect("there");
            assert_eq!((info.high, info.purge), (Seqno(9), Seqno(purged)), "{what}");
            drop(engine);
            reopened(open, &disk, &expected);
        }
    }
}

fn reopened(open: Open<'_>, disk: &MemoryDisk, expected: &Contents) {
    disk.crash(PowerLoss::DropUnsynced);
    let engine = open(Arc::new(disk.clone()) as Arc<dyn Disk>).expect("opens");
    assert_eq!(
        contents(&*engine, VBS[0]),
        *expected,
        "after a loss of power"
    );
}
