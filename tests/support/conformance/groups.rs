//! Several batches in one call: the same results and the same contents with every executor.

use std::sync::Arc;

use lowtide_checkpoint::{Item, Vbid};
use lowtide_persistence::disk::{Disk, MemoryDisk};
use lowtide_persistence::{EngineError, Executor, InOrder, Task};

use crate::threads::Threads;

use super::{OpenWith, VBS, commit_all, contents, delete, set};

/// Executor that runs tasks last to first.
#[derive(Debug)]
struct Backwards;

impl Executor for Backwards {
    fn run(&self, tasks: Vec<Task<'_>>) {
        tasks.into_iter().rev().for_each(|task| task());
    }
}

/// Checks promise 10: each batch's result in its place; none of a vBucket's batches after one that
/// failed.
pub(super) fn group_gives_the_results_of_its_batches(open: OpenWith<'_>) {
    let unknown = Vbid(999);
    let group: Vec<(Vbid, Vec<Item>)> = vec![
        (VBS[1], vec![set(1, "a", b"1")]),
        (VBS[0], vec![set(5, "a", b"5"), delete(6, "b")]),
        (unknown, vec![set(1, "a", b"1")]),
        (VBS[1], vec![set(2, "a", b"2")]),
        (VBS[0], vec![set(6, "late", b"6")]),
        (VBS[0], vec![set(7, "after one that failed", b"7")]),
        (VBS[1], vec![]),
    ];
    let executors: [Arc<dyn Executor>; 4] = [
        Arc::new(InOrder),
        Arc::new(Backwards),
        Arc::new(Threads::new(1)),
        Arc::new(Threads::new(3)),
    ];
    let outcomes = executors.map(|executor| {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
        let engine = open(disk, executor).expect("an empty disk opens");
        VBS.into_iter()
            .for_each(|vb| engine.create(vb).expect("created"));
        let results = commit_all(&*engine, &group);
        let results: Vec<_> = results
            .iter()
            .map(|result| {
                result
                    .as_ref()
                    .map(|done| (done.high.0, done.items))
                    .map_err(EngineError::kind)
            })
            .collect();
        (results, VBS.map(|vb| contents(&*engine, vb)))
    });
    let expected = [
        Ok((1, 1)),
        Ok((6, 2)),
        Err("unknown-vbucket"),
        Ok((2, 1)),
        Err("out-of-order"),
        Err("earlier-batch-failed"),
        Ok((2, 0)),
    ];
    assert_eq!(outcomes[0].0, expected);
    assert_eq!(outcomes[0].1.each_ref().map(|rows| rows.len()), [2, 1]);
    assert!(
        outcomes.iter().all(|outcome| *outcome == outcomes[0]),
        "{outcomes:?}"
    );
}
