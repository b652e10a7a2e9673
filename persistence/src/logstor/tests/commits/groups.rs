//! Concurrent commits: each caller gets its own result, and the callers share appends.

use std::sync::Barrier;

use lowtide_checkpoint::Vbid;

use crate::contract::Engine;
use crate::disk::MemoryDisk;
use crate::logstor::tests::support::{
    A, SMALL, audit, commit, commit_all, contents, open, open_with, set,
};

#[test]
fn callers_get_their_own_results() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let vbs: Vec<Vbid> = (0..4).map(Vbid).collect();
    vbs.iter()
        .for_each(|&vb| engine.create(vb).expect("created"));
    let start = Barrier::new(vbs.len());
    std::thread::scope(|scope| {
        for &vb in &vbs {
            let (engine, start) = (&engine, &start);
            scope.spawn(move || {
                start.wait();
                for seqno in 1..=50 {
                    let key = format!("key-{}", seqno % 7);
                    let done = commit(engine, vb, &[set(seqno, &key, &[vb.0 as u8; 500])]);
                    assert_eq!(done.expect("committed").high.0, seqno);
                    let late = commit(engine, vb, &[set(seqno, "late", b"")]);
                    assert_eq!(late.expect_err("late").kind(), "out-of-order");
                }
            });
        }
    });
    assert!(engine.stats()["groups"] >= engine.stats()["commits"] / 4);
    let shown: Vec<_> = vbs.iter().map(|&vb| contents(&engine, vb)).collect();
    assert!(shown.iter().all(|contents| contents.len() == 7));
    audit(&engine, true);
    drop(engine);
    let (engine, _) = open(&disk).expect("opens");
    assert_eq!(
        vbs.iter()
            .map(|&vb| contents(&engine, vb))
            .collect::<Vec<_>>(),
        shown
    );
}

#[test]
fn group_of_many_vbuckets_takes_one_sync() {
    let disk = MemoryDisk::new();
    let (engine, _) = open(&disk).expect("opens");
    let vbs: Vec<Vbid> = (0..40).map(Vbid).collect();
    vbs.iter()
        .for_each(|&vb| engine.create(vb).expect("created"));
    commit(&engine, Vbid(0), &[set(1, "first", b"")]).expect("the first makes a file");
    let before = engine.stats()["syncs"];
    let batches: Vec<_> = vbs
        .iter()
        .map(|&vb| (vb, vec![set(2, "a", b"1")]))
        .collect();
    assert!(
        crate::logstor::tests::support::commit_all(&engine, &batches)
            .iter()
            .all(Result::is_ok)
    );
    assert_eq!(engine.stats()["syncs"] - before, 1);
    assert!(engine.create(A).is_err() || engine.vbuckets().contains(&A));
}

/// A group without room for all its batches is taken apart, and each batch gets the result that it
/// gets alone. A failed write fails every batch of its group.
#[test]
fn group_that_does_not_fit_is_committed_batch_by_batch() {
    use crate::disk::{Fault, FaultyDisk};
    use crate::logstor::LogstorConfig;
    let disk = FaultyDisk::new(MemoryDisk::new());
    let config = LogstorConfig {
        disk_bytes: 32 * (64 << 10),
        ..SMALL
    };
    let (engine, _) = open_with(&disk, config).expect("opens");
    let vbs: Vec<Vbid> = (0..3).map(Vbid).collect();
    vbs.iter()
        .for_each(|&vb| engine.create(vb).expect("created"));
    let huge = vec![0; 3 << 20];
    let batches = [
        (vbs[0], vec![set(1, "a", b"1")]),
        (vbs[1], vec![set(1, "huge", &huge)]),
        (vbs[2], vec![set(1, "c", b"1")]),
        (vbs[1], vec![set(2, "after", b"1")]),
    ];
    let kinds = |results: Vec<Result<crate::contract::Committed, crate::contract::EngineError>>| {
        results
            .into_iter()
            .map(|result| result.map_or_else(|error| error.kind(), |_| "ok"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(commit_all(&engine, &batches)),
        ["ok", "no-space", "ok", "earlier-batch-failed"]
    );
    disk.fail_write(1, Fault::Enospc);
    let batches = [
        (vbs[0], vec![set(2, "a", b"2")]),
        (vbs[2], vec![set(2, "c", b"2")]),
    ];
    assert_eq!(
        kinds(commit_all(&engine, &batches)),
        ["no-space", "no-space"]
    );
    assert_eq!(
        vbs.iter()
            .map(|&vb| contents(&engine, vb).len())
            .collect::<Vec<_>>(),
        [1, 0, 1]
    );
}
