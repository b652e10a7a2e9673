//! Several batches in one call: the order of their results, executors, and batches of one vBucket.

use std::sync::Arc;

use lowtide_checkpoint::{Item, Seqno, Vbid};

use crate::contract::{CommitBatch, Committed, Engine, EngineError, Executor, InOrder, Task};
use crate::couchstore::config::CouchstoreConfig;
use crate::couchstore::engine::Couchstore;
use crate::couchstore::tests::support::{contents, dir, set, state};
use crate::disk::{FaultyDisk, MemoryDisk};
use crate::sync::{Mutex, ranks};

/// An executor that runs tasks last to first, and records how many each call had.
#[derive(Debug)]
struct Backwards(Mutex<Vec<usize>>);

impl Backwards {
    fn new() -> Self {
        Self(Mutex::new(ranks::TEST, Vec::new()))
    }
}

impl Executor for Backwards {
    fn run(&self, tasks: Vec<Task<'_>>) {
        self.0.lock().push(tasks.len());
        tasks.into_iter().rev().for_each(|task| task());
    }
}

/// An executor with a thread for each task.
#[derive(Debug)]
struct Threads;

impl Executor for Threads {
    fn run(&self, tasks: Vec<Task<'_>>) {
        std::thread::scope(|scope| tasks.into_iter().for_each(|task| drop(scope.spawn(task))));
    }
}

fn store(disk: &FaultyDisk, executor: Arc<dyn Executor>) -> Couchstore {
    let (engine, _) = Couchstore::open(Arc::new(disk.clone()), &dir(), CouchstoreConfig::default())
        .expect("opens");
    let engine = engine.with_executor(executor);
    for vb in 1..4 {
        engine.create(Vbid(vb)).expect("created");
    }
    engine
}

fn commit(engine: &Couchstore, group: &[(u16, Item)]) -> Vec<Result<Committed, EngineError>> {
    let items: Vec<[&Item; 1]> = group.iter().map(|(_, item)| [item]).collect();
    let state = state(1);
    let parts = group.iter().zip(&items);
    let batches = parts.map(|(&(vb, _), items)| CommitBatch {
        vb: Vbid(vb),
        items,
        state: &state,
        timestamp: 1,
    });
    engine.commit(&batches.collect::<Vec<_>>())
}

fn kinds(results: &[Result<Committed, EngineError>]) -> Vec<Result<u64, &'static str>> {
    results
        .iter()
        .map(|result| {
            result
                .as_ref()
                .map(|done| done.high.0)
                .map_err(EngineError::kind)
        })
        .collect()
}

/// Batches of one vBucket that are not adjacent, one of them refused, and one of a missing vBucket.
fn group() -> Vec<(u16, Item)> {
    vec![
        (2, set(1, "a", b"2")),
        (1, set(5, "a", b"1")),
        (9, set(1, "a", b"9")),
        (2, set(2, "b", b"2")),
        (1, set(4, "late", b"1")),
        (3, set(1, "a", b"3")),
        (1, set(6, "after one that failed", b"1")),
    ]
}

#[test]
fn results_are_in_order_with_any_executor() {
    let backwards = Arc::new(Backwards::new());
    let executors: [Arc<dyn Executor>; 3] = [
        Arc::new(InOrder),
        Arc::clone(&backwards) as _,
        Arc::new(Threads),
    ];
    let mut held = Vec::new();
    for executor in executors {
        let engine = store(&FaultyDisk::new(MemoryDisk::new()), executor);
        assert_eq!(
            kinds(&commit(&engine, &group())),
            [
                Ok(1),
                Ok(5),
                Err("unknown-vbucket"),
                Ok(2),
                Err("out-of-order"),
                Ok(1),
                Err("earlier-batch-failed")
            ]
        );
        held.push([1, 2, 3].map(|vb| contents(&engine, Vbid(vb))));
    }
    assert_eq!(held[0].each_ref().map(|rows| rows.len()), [1, 2, 1]);
    assert!(held.iter().all(|rows| *rows == held[0]));
    assert_eq!(
        *backwards.0.lock(),
        [4],
        "a task for each vBucket, known or not"
    );
}

#[test]
fn calls_are_the_same_with_an_executor_in_order() {
    let trace = || {
        let disk = FaultyDisk::new(MemoryDisk::new());
        let engine = store(&disk, Arc::new(InOrder));
        // In order, the nth write of a call is that of the same batch in each run.
        disk.fail_write(3, crate::disk::Fault::Eio);
        let results = kinds(&commit(&engine, &group()));
        (results, disk.io_count(), engine.stats())
    };
    let first = trace();
    assert!(first.0.contains(&Err("io")), "{first:?}");
    assert_eq!(first, trace());
}

/// An executor that runs nothing.
#[derive(Debug)]
struct Lazy;

impl Executor for Lazy {
    fn run(&self, _: Vec<Task<'_>>) {}
}

#[test]
fn batch_that_the_executor_omits_is_not_acknowledged() {
    let engine = store(&FaultyDisk::new(MemoryDisk::new()), Arc::new(Lazy));
    assert_eq!(
        kinds(&commit(&engine, &group())),
        [Err("invalid-argument"); 7]
    );
    assert!(contents(&engine, Vbid(1)).is_empty());
    assert_eq!(engine.info(Vbid(1)).expect("there").high, Seqno(0));
}
